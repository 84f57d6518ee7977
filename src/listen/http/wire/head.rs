//! Lines and fields of a head (RFC 9112 sections 2.1 and 5).

use bytes::Bytes;

/// A field of a head: its name as received, and its trimmed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a [u8],
}

/// Why a line is not a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FieldFault {
    #[error("a field is folded over two lines")]
    Folded,
    #[error("a line of the head has no colon")]
    NoColon,
    #[error("white space stands between a field's name and its colon")]
    SpaceBeforeColon,
    #[error("a field's name has a character that no name can have")]
    Name,
    #[error("the field {0} has a control character")]
    Value(String),
}

impl<'a> Field<'a> {
    /// Parses a line strictly, as required of requests by RFC 9112 section 5.
    pub(crate) fn strict(line: &'a [u8]) -> Result<Self, FieldFault> {
        if starts_blank(line) {
            return Err(FieldFault::Folded);
        }
        let colon = line.iter().position(|&byte| byte == b':').ok_or(FieldFault::NoColon)?;
        let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
        let Some(name) = token(name) else {
            let trimmed = name.last().is_some_and(|&byte| is_blank(byte));
            let only_that = trimmed && token(trim(name)).is_some();
            return Err(if only_that { FieldFault::SpaceBeforeColon } else { FieldFault::Name });
        };
        if value.iter().any(|&byte| is_control(byte)) {
            return Err(FieldFault::Value(name.to_owned()));
        }
        Ok(Self { name, value })
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The non-empty members of a comma-separated list (RFC 9110 section 5.6.1).
    pub(crate) fn members(&self) -> impl Iterator<Item = &'a [u8]> {
        self.value.split(|&byte| byte == b',').map(trim).filter(|member| !member.is_empty())
    }

    pub(crate) fn has_member(&self, wanted: &str) -> bool {
        self.members().any(|member| member.eq_ignore_ascii_case(wanted.as_bytes()))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write(out, self.name, self.value);
    }

    /// Writes a list of tokens without these and without invalid members: hyper ignores a whole value that
    /// contains a byte beyond ASCII.
    pub(crate) fn write_tokens(&self, out: &mut Vec<u8>, except: &[&str]) {
        let is_left_out =
            |member: &str| except.iter().any(|word| member.eq_ignore_ascii_case(word));
        let tokens = self.members().filter_map(token).filter(|member| !is_left_out(member));
        let tokens = tokens.collect::<Vec<_>>().join(", ");
        if !tokens.is_empty() {
            write(out, self.name, tokens.as_bytes());
        }
    }
}

pub(crate) fn write(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The length of the empty lines before a start line, if RFC 9112 section 2.2 allows them.
pub(crate) fn leading_empty_lines(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match &bytes[at..] {
            [b'\n', ..] => at += 1,
            [b'\r', b'\n', ..] => at += 2,
            _ => return at,
        }
    }
}

/// The end of a head, after its first empty line. `searched` remembers the start of the incomplete line.
pub(crate) fn end(bytes: &[u8], searched: &mut usize) -> Option<usize> {
    while let Some(length) = bytes[*searched..].iter().position(|&byte| byte == b'\n') {
        let line = &bytes[*searched..*searched + length];
        *searched += length + 1;
        if line.is_empty() || line == b"\r" {
            return Some(*searched);
        }
    }
    None
}

/// Splits up to `most` bytes off the front; after the last ones, no memory is retained.
pub(crate) fn split_front(output: &mut Bytes, most: usize) -> Bytes {
    if output.len() <= most { std::mem::take(output) } else { output.split_to(most) }
}

/// The lines of a head up to its empty line, without their CRLF or bare LF.
pub(crate) fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .take_while(|line| !line.is_empty())
}

/// Splits at single spaces into exactly three non-empty parts.
pub(crate) fn three_words(line: &[u8]) -> Option<[&[u8]; 3]> {
    let mut words = line.split(|&byte| byte == b' ');
    let three = [words.next()?, words.next()?, words.next()?];
    (words.next().is_none() && three.iter().all(|word| !word.is_empty())).then_some(three)
}

/// A token of RFC 9110 section 5.6.2, as text.
pub(crate) fn token(bytes: &[u8]) -> Option<&str> {
    let good = !bytes.is_empty() && bytes.iter().all(|&byte| is_token(byte));
    good.then(|| std::str::from_utf8(bytes).ok()).flatten()
}

/// `tchar` of RFC 9110 section 5.6.2.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A control character that no value may contain; tabs are allowed.
pub(crate) fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

/// The white space of RFC 9110 section 5.6.3.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

pub(crate) fn starts_blank(line: &[u8]) -> bool {
    line.first().is_some_and(|&byte| is_blank(byte))
}

/// Trims white space around a value.
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    let blank = |byte: &&u8| is_blank(**byte);
    let start = bytes.iter().take_while(blank).count();
    let end = bytes[start..].iter().rev().take_while(blank).count();
    &bytes[start..bytes.len() - end]
}

/// The major and the minor version after `HTTP/`. All of 1 but 1.0 are treated as 1.1 (RFC 9110 section 2.5).
pub(crate) fn version(word: &[u8]) -> Option<(u8, u8)> {
    let [major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] = word.strip_prefix(b"HTTP/")? else {
        return None;
    };
    Some((major - b'0', minor - b'0'))
}
