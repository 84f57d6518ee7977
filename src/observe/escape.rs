//! Text from outside, made harmless for a terminal and for a line.

use std::fmt::{self, Write};

/// Shows a text without anything that could move a cursor, start a line, or hide what is there.
///
/// Control characters (C0, DEL, C1), line and paragraph separators, and the marks that change the
/// direction of text or take no room are written as `\n`, `\r`, `\t` or `\u{..}`. All else,
/// backslashes included, stays as it is: this is for reading, not for parsing back.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaper(f).write_str(self.0)
    }
}

/// Escapes what is written through it, as [`Escaped`] does.
#[derive(Debug)]
pub(super) struct Escaper<W>(pub(super) W);

impl<W: Write> Write for Escaper<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_dangerous) {
            self.0.write_str(&rest[..at])?;
            let dangerous = rest[at..].chars().next().unwrap_or_default();
            write!(self.0, "{}", dangerous.escape_default())?;
            rest = &rest[at + dangerous.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

/// Whether a character may not reach a terminal as it is.
pub(super) fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_escaped_and_what_is_not() {
        for (text, shown) in [
            ("plain", "plain"),
            ("Bücher 本 \\ 'x' \"y\"", "Bücher 本 \\ 'x' \"y\""),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\x1b[31mred", "\\u{1b}[31mred"),
            ("\u{9b}31m\u{7f}\0", "\\u{9b}31m\\u{7f}\\u{0}"),
            ("\u{2028}\u{202e}\u{200b}", "\\u{2028}\\u{202e}\\u{200b}"),
        ] {
            assert_eq!(Escaped(text).to_string(), shown);
        }
    }

    proptest! {
        #[test]
        fn nothing_dangerous_is_left(text in any::<String>()) {
            let shown = Escaped(&text).to_string();
            prop_assert!(!shown.contains(is_dangerous), "{:?}", shown);
            if !text.contains(is_dangerous) {
                prop_assert_eq!(shown, text);
            }
        }
    }
}
