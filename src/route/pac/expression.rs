//! Regular expressions with the same meaning in JavaScript.

/// Whether an expression accepted by the `regex` crate has the same meaning in JavaScript, and runs there
/// without excessive backtracking. Not all such expressions are recognized.
pub(super) fn is_the_same_in_javascript(expression: &str) -> bool {
    let mut rest = expression.bytes().peekable();
    let mut before = Before::Nothing;
    let mut repetitions = 0;
    while let Some(byte) = rest.next() {
        before = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => Before::Atom,
            // JavaScript backtracks on a repeated group.
            b'^' | b'$' | b'|' | b')' => Before::Nothing,
            b'(' => match rest.peek() {
                // Flags and group names are not supported.
                Some(b'?') => return false,
                _ => Before::Nothing,
            },
            b'\\' => match rest.next() {
                Some(b'.' | b'-' | b'd' | b'w') => Before::Atom,
                _ => return false,
            },
            b'[' if is_plain_class(&mut rest) => Before::Atom,
            b'*' | b'+' | b'?' if before == Before::Atom => {
                repetitions += 1;
                Before::Nothing
            }
            _ => return false,
        };
    }
    repetitions <= MOST_REPETITIONS
}

/// The element before the next byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Atom,
    /// An element that cannot be repeated, or not once more.
    Nothing,
}

/// Parses a class of letters, digits, dots and ranges to its end: `[a-z0-9.]`, `[^.]`.
fn is_plain_class(rest: &mut impl Iterator<Item = u8>) -> bool {
    let mut members = 0;
    let (mut before_last, mut last) = (b'[', b'[');
    for byte in rest {
        match byte {
            b']' => return members > 0,
            b'^' if last == b'[' => {}
            // Doubled, it is an operator of the `regex` crate; after a range, its meaning is ambiguous.
            b'-' if last.is_ascii_alphanumeric() && before_last != b'-' => {}
            b'.' | b'_' => members += 1,
            b if b.is_ascii_alphanumeric() => members += 1,
            _ => return false,
        }
        (before_last, last) = (last, byte);
    }
    false
}

/// The maximum number of repetitions: each further one may slow JavaScript down by a factor of 253.
const MOST_REPETITIONS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_expressions_with_certainly_the_same_meaning_pass() {
        for same in [
            r"^db\d+\.",
            r"corp\.example$",
            r"^(a|b)-[a-z0-9]+\.x$",
            r"^[^.]*ads?[0-9.]",
            "",
            "a.c",
            "a|b",
        ] {
            assert!(is_the_same_in_javascript(same), "{same}");
        }
        for other in [
            r"(?i)a",
            r"(?P<x>a)",
            r"\pL",
            r"\Aa",
            r"a\z",
            r"\ba",
            r"[[:alpha:]]",
            r"[a&&b]",
            r"[]a]",
            r"[a--b]",
            r"(a+)+$",
            r"(a)*",
            r"a**",
            r"a*a*a*a*b",
            r"[a-c-e]",
            r"a{2}",
            r"^*",
            r"[\d]",
            r"é",
            r"\x41",
            r"[^]a]",
            r"[^^a]",
            "a b",
            "\\",
        ] {
            assert!(!is_the_same_in_javascript(other), "{other}");
        }
    }
}
