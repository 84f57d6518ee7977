//! Text from outside (a server, an agent, a file) in a form that a terminal and a log can take.

/// Whether line feeds of the text are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// The result is one line: a line feed is escaped as any control character is.
    One,
    /// Line feeds stay, for instructions that a person reads.
    Many,
}

/// Escapes what could move a cursor, start a sequence or turn the direction of the text, and cuts
/// the result after `limit` characters.
pub(super) fn printable(text: &str, limit: usize, lines: Lines) -> String {
    let mut out = String::new();
    let mut length = 0;
    for c in text.chars() {
        let kept = (c == '\n' && lines == Lines::Many) || !is_deceptive(c);
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

/// Control characters, and those that are invisible or reorder what stands around them.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_deceive_is_escaped() {
        assert_eq!(printable("a\x1b[2Jb", 80, Lines::One), "a\\u{1b}[2Jb");
        assert_eq!(printable("a\u{9b}b\u{202e}c", 80, Lines::One), "a\\u{9b}b\\u{202e}c");
        assert_eq!(printable("Grüße, 世界", 80, Lines::One), "Grüße, 世界");
    }

    #[test]
    fn line_feeds_stay_only_where_asked_for() {
        assert_eq!(printable("a\nb\rc", 80, Lines::One), "a\\nb\\rc");
        assert_eq!(printable("a\nb\rc", 80, Lines::Many), "a\nb\\rc");
    }

    #[test]
    fn the_length_is_bounded() {
        assert_eq!(printable("abcdef", 3, Lines::One), "abc…");
        assert_eq!(printable("abc", 3, Lines::One), "abc");
        assert!(printable(&"\x1b".repeat(1000), 20, Lines::One).chars().count() <= 21);
    }
}
