//! A short page for people.

use hyper::StatusCode;

use crate::printable::{Lines, printable};

/// The page for a refused request. `text` may come from anywhere: it is escaped and bounded.
pub(crate) fn page(status: StatusCode, text: &str) -> String {
    let reason = status.canonical_reason().unwrap_or_default();
    let text = printable(text, MAX_TEXT, Lines::One);
    let text = html_escape::encode_text(&text);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <title>{status_code} {reason}</title>\n<h1>{reason}</h1>\n<p>{text}</p>\n\
         <p><small>sockeye</small></p>\n</html>\n",
        status_code = status.as_u16(),
    )
}

/// The longest text, in characters.
const MAX_TEXT: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_only_text() {
        let page = page(StatusCode::BAD_GATEWAY, "<script>alert(1)</script> & \u{1b}[2J");
        assert!(page.contains("<h1>Bad Gateway</h1>"));
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; \\u{1b}[2J"));
        assert!(!page.contains("<script"));
        assert!(super::page(StatusCode::OK, &"x".repeat(10_000)).len() < 2_000);
    }
}
