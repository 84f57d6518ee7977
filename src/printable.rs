//! Text from outside (a client, a server, an agent, a file), escaped for a terminal, log or page.
//!
//! Control characters (C0, DEL, C1), line and paragraph separators, and marks that change the direction of text
//! or are invisible are written as `\n`, `\r`, `\t` or `\u{..}`. Everything else stays, including backslashes:
//! the result is for reading, not for parsing.

use std::fmt::{self, Write};
use std::path::Path;

/// Whether line feeds in the text are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// The result is one line: line feeds are escaped like other control characters.
    One,
    /// Line feeds are kept, for text of several lines.
    Many,
}

/// Escapes characters that could move a cursor, start an escape sequence, or hide or reorder text, and
/// truncates the result to `limit` characters, marked with `…`.
pub(crate) fn printable(text: &str, limit: usize, lines: Lines) -> String {
    let mut out = String::new();
    let mut length = 0;
    for c in text.chars() {
        let kept = lines.keep(c);
        length += if kept { 1 } else { c.escape_default().len() };
        if length > limit {
            out.push('…');
            break;
        }
        if kept {
            out.push(c);
        } else {
            out.extend(c.escape_default());
        }
    }
    out
}

/// A text as one line for display: escaped, and truncated if it is unreasonably long.
pub(crate) fn line(text: &str) -> String {
    printable(text, 500, Lines::One)
}

/// A value in a line of `key=value` pairs: quoted if it could be read as two of them. A quote inside is escaped
/// with a backslash, as is each backslash before a quote.
pub(crate) fn value(text: &str) -> String {
    if !text.is_empty() && !text.contains([' ', '=', '"']) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    let mut backslashes = 0;
    for c in text.chars().chain(['"']) {
        match c {
            '\\' => backslashes += 1,
            '"' => {
                out.extend(std::iter::repeat_n('\\', backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        out.push(c);
    }
    // The last quote is the closing one.
    out.truncate(out.len() - 2);
    out.push('"');
    out
}

/// A size for display, such as `2.5 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

/// A path, escaped and truncated to 1000 characters.
pub(crate) fn path(path: &Path) -> String {
    printable(&path.to_string_lossy(), 1000, Lines::One)
}

/// Escapes what is written through it, like [`printable`], without a limit.
#[derive(Debug)]
pub(crate) struct Escaper<W> {
    out: W,
    lines: Lines,
}

impl<W: Write> Escaper<W> {
    pub(crate) fn new(out: W, lines: Lines) -> Self {
        Self { out, lines }
    }
}

impl<W: Write> Write for Escaper<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(|c| !self.lines.keep(c)) {
            self.out.write_str(&rest[..at])?;
            let deceptive = rest[at..].chars().next().unwrap_or_default();
            write!(self.out, "{}", deceptive.escape_default())?;
            rest = &rest[at + deceptive.len_utf8()..];
        }
        self.out.write_str(rest)
    }
}

impl Lines {
    fn keep(self, c: char) -> bool {
        (c == '\n' && self == Self::Many) || !is_deceptive(c)
    }
}

/// Whether a character must not reach a terminal: control characters, and those that are invisible or reorder
/// the text around them.
pub(crate) fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// The name of a variant in logs, labels and answers.
pub(crate) fn word(variant: impl Into<&'static str>) -> &'static str {
    variant.into()
}

/// `1 rule`, `2 rules`.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        many => format!("{many} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str, lines: Lines) -> String {
        let mut out = String::new();
        Escaper::new(&mut out, lines).write_str(text).expect("memory takes everything");
        out
    }

    #[test]
    fn only_deceptive_characters_are_escaped() {
        for (text, shown) in [
            ("plain", "plain"),
            ("Grüße, 世界 \\ 'x' \"y\"", "Grüße, 世界 \\ 'x' \"y\""),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("a\x1b[2Jb", "a\\u{1b}[2Jb"),
            ("\u{9b}31m\u{7f}\0", "\\u{9b}31m\\u{7f}\\u{0}"),
            ("\u{2028}\u{202e}\u{200b}", "\\u{2028}\\u{202e}\\u{200b}"),
        ] {
            assert_eq!(printable(text, 80, Lines::One), shown);
        }
    }

    #[test]
    fn nothing_in_a_value_ends_it() {
        for (text, quoted) in [
            ("plain", "plain"),
            (r"DOMAIN\ada", r"DOMAIN\ada"),
            ("", r#""""#),
            (r"a b\n", r#""a b\n""#),
            (r#"a "b""#, r#""a \"b\"""#),
            (r#"a\" c=d"#, r#""a\\\" c=d""#),
            (r"a b\", r#""a b\\""#),
        ] {
            assert_eq!(value(text), quoted, "{text}");
        }
    }

    #[test]
    fn line_feeds_are_kept_only_on_request() {
        assert_eq!(printable("a\nb\rc", 80, Lines::One), "a\\nb\\rc");
        assert_eq!(printable("a\nb\rc", 80, Lines::Many), "a\nb\\rc");
    }

    #[test]
    fn the_length_is_bounded() {
        assert_eq!(printable("abcdef", 3, Lines::One), "abc…");
        assert_eq!(printable("abc", 3, Lines::One), "abc");
        assert!(printable(&"\x1b".repeat(1000), 20, Lines::One).chars().count() <= 21);
    }

    proptest! {
        #[test]
        fn nothing_deceptive_is_left(text in any::<String>()) {
            let shown = printable(&text, usize::MAX, Lines::One);
            prop_assert!(!shown.contains(is_deceptive), "{:?}", shown);
            if !text.contains(is_deceptive) {
                prop_assert_eq!(shown, text);
            }
        }

        #[test]
        fn both_implementations_agree(text in any::<String>()) {
            for lines in [Lines::One, Lines::Many] {
                prop_assert_eq!(escaped(&text, lines), printable(&text, usize::MAX, lines));
            }
        }
    }
}
