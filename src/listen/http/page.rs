//! A short page for people.

use hyper::StatusCode;

use crate::printable::{Lines, printable};

/// The page for a refused request, with the SSH server that it was asked through. The texts may come
/// from anywhere: they are escaped and bounded.
pub(crate) fn page(status: StatusCode, text: &str, through: Option<&str>) -> String {
    let reason = status.canonical_reason().unwrap_or_default();
    let text = harmless(text);
    let through = through.map_or_else(String::new, |server| {
        format!("<p>Asked through the SSH server {}.</p>\n", harmless(server))
    });
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <title>{status_code} {reason}</title>\n<h1>{reason}</h1>\n<p>{text}</p>\n{through}\
         <p><small>sockeye</small></p>\n</html>\n",
        status_code = status.as_u16(),
    )
}

fn harmless(text: &str) -> String {
    html_escape::encode_text(&printable(text, MAX_TEXT, Lines::One)).into_owned()
}

/// The longest text, in characters.
const MAX_TEXT: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_only_text() {
        let evil = "<script>alert(1)</script> & \u{1b}[2J";
        let page = page(StatusCode::BAD_GATEWAY, evil, Some(evil));
        assert!(page.contains("<h1>Bad Gateway</h1>"));
        assert_eq!(
            page.matches("&lt;script&gt;alert(1)&lt;/script&gt; &amp; \\u{1b}[2J").count(),
            2
        );
        assert!(!page.contains("<script"));
        assert!(super::page(StatusCode::OK, &"x".repeat(10_000), None).len() < 2_000);
    }
}
