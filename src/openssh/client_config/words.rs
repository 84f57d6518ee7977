//! The words of a line of `ssh_config(5)`.

/// Splits a text into words as `ssh` does: at spaces and tabs outside of quotes, which may be double or single.
/// A backslash takes its meaning from a quote, a backslash or, outside of quotes, a space; before other
/// characters it stands for itself. `None` if a quote is not closed.
pub(super) fn split(text: &str, hash: Hash) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start_matches(BLANKS);
    let is_comment = |rest: &str| hash == Hash::Comment && rest.starts_with('#');
    while !rest.is_empty() && !is_comment(rest) {
        let (word, after) = first(rest)?;
        words.push(word);
        rest = after.trim_start_matches(BLANKS);
    }
    Some(words)
}

/// The meaning of a `#` at the beginning of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    /// It begins a comment, as in a line of a configuration.
    Comment,
    /// None, as in a command.
    Character,
}

/// The first word, and what follows it.
fn first(text: &str) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    loop {
        let rest = chars.as_str();
        match (chars.next(), quote) {
            (None, Some(_)) => return None,
            (None, None) => return Some((word, rest)),
            (Some(c), None) if BLANKS.contains(&c) => return Some((word, rest)),
            (Some('\\'), _) => {
                let next = chars.clone().next();
                let is_taken = next
                    .filter(|c| ['\'', '"', '\\'].contains(c) || (*c == ' ' && quote.is_none()));
                if is_taken.is_some() {
                    chars.next();
                }
                word.push(is_taken.unwrap_or('\\'));
            }
            (Some(c @ ('"' | '\'')), None) => quote = Some(c),
            (Some(c), Some(open)) if c == open => quote = None,
            (Some(c), _) => word.push(c),
        }
    }
}

const BLANKS: [char; 2] = [' ', '\t'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_ssh() {
        for (text, words) in [
            ("", &[][..]),
            (" a\t b ", &["a", "b"]),
            (r#""a b" 'c d'e ''"#, &["a b", "c de", ""]),
            (r"a\ b c\d \$x '\ '", &["a b", r"c\d", r"\$x", r"\ "]),
            (r#"'a\'b' "a\"b" 'a"b' a\\b"#, &["a'b", "a\"b", "a\"b", r"a\b"]),
            (r"end\", &[r"end\"]),
            ("x#y '#'", &["x#y", "#"]),
        ] {
            for hash in [Hash::Comment, Hash::Character] {
                assert_eq!(split(text, hash).expect(text), words, "{text}");
            }
        }
        assert_eq!(split("a #b 'c", Hash::Comment).expect("a comment"), ["a"]);
        assert_eq!(split("a #b", Hash::Character).expect("no comment"), ["a", "#b"]);
        assert_eq!(split("a 'b", Hash::Comment), None);
    }
}
