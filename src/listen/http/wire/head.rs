//! Lines and fields of a head (RFC 9112 sections 2.1 and 5).

use std::ops::ControlFlow;

use bytes::Bytes;

/// A field of a head: its name as it came, its value without the white space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a [u8],
}

/// Why a line is no field.
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
    /// Reads a line strictly, as RFC 9112 section 5 wants it of a request.
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

    /// The members of a comma-separated list (RFC 9110 section 5.6.1), without the empty ones.
    pub(crate) fn members(&self) -> impl Iterator<Item = &'a [u8]> {
        self.value.split(|&byte| byte == b',').map(trim).filter(|member| !member.is_empty())
    }

    pub(crate) fn has_member(&self, wanted: &str) -> bool {
        self.members().any(|member| member.eq_ignore_ascii_case(wanted.as_bytes()))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write(out, self.name, self.value);
    }

    /// Writes a list of tokens, but for these and for members that are no tokens: hyper overlooks the
    /// whole of a value that has a byte beyond ASCII.
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

/// Writes one field.
pub(crate) fn write(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// How many bytes of empty lines come before a start line, where RFC 9112 section 2.2 has them
/// ignored.
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

/// Where a head ends: behind its first empty line. `searched` remembers the line that was not
/// complete yet.
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

/// Takes up to `most` bytes off the front; the last of them leave no memory behind.
pub(crate) fn hand_out(output: &mut Bytes, most: usize) -> Bytes {
    if output.len() <= most { std::mem::take(output) } else { output.split_to(most) }
}

/// The lines of a head up to its empty line, each without its end: CRLF, or a LF alone.
pub(crate) fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .take_while(|line| !line.is_empty())
}

/// Splits at single spaces: exactly three parts, none of them empty.
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

/// A control character that no value may hold; a tab may stand there.
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

/// Takes the white space around a value away.
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    let blank = |byte: &&u8| is_blank(**byte);
    let start = bytes.iter().take_while(blank).count();
    let end = bytes[start..].iter().rev().take_while(blank).count();
    &bytes[start..bytes.len() - end]
}

/// The minor version behind `HTTP/1.`: every one of them is read as 1.1, but for 1.0 (RFC 9110
/// section 2.5). Breaks with the major version where that is another one.
pub(crate) fn version(word: &[u8]) -> Option<ControlFlow<u8, u8>> {
    match word {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ b'0'..=b'9'] => {
            Some(ControlFlow::Continue(minor - b'0'))
        }
        [b'H', b'T', b'T', b'P', b'/', major @ b'0'..=b'9', b'.', b'0'..=b'9'] => {
            Some(ControlFlow::Break(major - b'0'))
        }
        _ => None,
    }
}
