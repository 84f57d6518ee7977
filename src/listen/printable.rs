//! Text from outside, made fit for a log or a header.

/// The text in printable ASCII, cut to `most` characters of the original.
pub(crate) fn printable(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    for (index, character) in text.chars().enumerate() {
        if index == most {
            out.push_str("...");
            break;
        }
        match character {
            ' '..='~' => out.push(character),
            _ => out.extend(character.escape_default()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts_on_a_terminal() {
        assert_eq!(printable("plain \"text\"", 100), "plain \"text\"");
        assert_eq!(printable("\u{1b}[2J\r\n\u{202e}é", 100), "\\u{1b}[2J\\r\\n\\u{202e}\\u{e9}");
        assert_eq!(printable("abcdef", 3), "abc...");
        assert_eq!(printable("abc", 3), "abc");
    }
}
