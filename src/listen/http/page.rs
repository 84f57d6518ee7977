//! A short human-readable page.

use hyper::StatusCode;

use crate::dial::{Carrier, Way};
use crate::printable::{Lines, printable};

/// The page for a refused request, with its route. The texts may come from outside, and are escaped and truncated.
pub(crate) fn page(status: StatusCode, text: &str, way: Option<&Way>) -> String {
    let reason = status.canonical_reason().unwrap_or_default();
    let text = escaped(text);
    let through = way.map_or_else(String::new, through);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <title>{status_code} {reason}</title>\n<h1>{reason}</h1>\n<p>{text}</p>\n{through}\
         <p><small>sockeye</small></p>\n</html>\n",
        status_code = status.as_u16(),
    )
}

/// The route, and the rule that decided it.
fn through(way: &Way) -> String {
    let carrier = match &way.carrier {
        Carrier::None => String::new(),
        Carrier::Server(server) => {
            format!("<p>Asked through the SSH server {}.</p>\n", escaped(server))
        }
        Carrier::Direct => "<p>Asked from the proxy's own machine.</p>\n".to_owned(),
    };
    let rule = way
        .rule
        .as_ref()
        .map_or_else(String::new, |rule| format!("<p>By the rule {}.</p>\n", escaped(rule)));
    carrier + &rule
}

fn escaped(text: &str) -> String {
    html_escape::encode_text(&printable(text, MAX_TEXT, Lines::One)).into_owned()
}

/// The maximum length of a text, in characters.
const MAX_TEXT: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_escaped() {
        let evil = "<script>alert(1)</script> & \u{1b}[2J";
        let way = Way { rule: Some(evil.into()), carrier: Carrier::Server(evil.into()) };
        let page = page(StatusCode::BAD_GATEWAY, evil, Some(&way));
        assert!(page.contains("<h1>Bad Gateway</h1>"));
        assert_eq!(
            page.matches("&lt;script&gt;alert(1)&lt;/script&gt; &amp; \\u{1b}[2J").count(),
            3
        );
        assert!(!page.contains("<script"));
        assert!(super::page(StatusCode::OK, &"x".repeat(10_000), None).len() < 2_000);
    }
}
