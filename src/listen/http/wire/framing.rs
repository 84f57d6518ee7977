//! The length of a message's content (RFC 9112 section 6.3), according to its fields.

use super::head::Field;

/// Where the content of a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Neither field is present: a request has no content, a response ends with its connection.
    Unsaid,
    /// After this number of bytes.
    Length(u64),
    /// After its last chunk.
    Chunked,
}

/// Why the end of the content is unknown, or readers might disagree about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FramingFault {
    #[error("both Content-Length and Transfer-Encoding are there")]
    Both,
    #[error("the Content-Length is not one number")]
    Length,
    #[error("the Transfer-Encoding does not end with chunked")]
    NotChunked,
    #[error("HTTP/1.0 knows no Transfer-Encoding")]
    OldVersion,
    #[error("the content has a transfer coding other than chunked")]
    UnknownCoding,
    #[error("a line that is neither of these fields mentions the content length")]
    Hidden,
}

/// The framing fields of a message, collected one by one.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    lengths: u32,
    length: Option<u64>,
    bad_length: bool,
    codings: u32,
    chunked: u32,
    ends_chunked: bool,
    identity: u32,
    is_hidden: bool,
}

/// Whether a field is one of the two framing fields.
pub(crate) fn frames(field: &Field<'_>) -> bool {
    field.is("content-length") || field.is("transfer-encoding")
}

/// Whether a reader that equates `-` and `_` might take a field for one of them.
pub(crate) fn resembles(field: &Field<'_>) -> bool {
    !frames(field) && frames(&Field { name: &field.name.replace('_', "-"), value: field.value })
}

/// Whether another reader might take an invalid line for one of them.
pub(crate) fn mentions_length(line: &[u8]) -> bool {
    let letters = line.iter().filter(|byte| byte.is_ascii_alphanumeric());
    let letters: Vec<u8> = letters.map(u8::to_ascii_lowercase).collect();
    let speaks = |of: &[u8]| letters.windows(of.len()).any(|part| part == of);
    speaks(b"contentlength") || speaks(b"transferencoding")
}

impl Collected {
    /// Adds a field of either kind.
    pub(crate) fn add(&mut self, field: &Field<'_>) {
        if field.is("content-length") {
            self.add_length(field);
        } else if field.is("transfer-encoding") {
            self.add_coding(field);
        } else {
            self.is_hidden |= resembles(field);
        }
    }

    fn add_length(&mut self, field: &Field<'_>) {
        // An empty member counts, since it is as invalid as a letter.
        for member in field.value.split(|&byte| byte == b',').map(super::head::trim) {
            self.lengths += 1;
            match number(member) {
                Some(number) if self.length.is_none_or(|before| before == number) => {
                    self.length = Some(number);
                }
                _ => self.bad_length = true,
            }
        }
    }

    fn add_coding(&mut self, field: &Field<'_>) {
        if field.members().next().is_none() {
            self.codings += 1;
            self.ends_chunked = false;
        }
        for member in field.members() {
            self.codings += 1;
            self.ends_chunked = member.eq_ignore_ascii_case(b"chunked");
            self.chunked += u32::from(self.ends_chunked);
            self.identity += u32::from(member.eq_ignore_ascii_case(b"identity"));
        }
    }

    /// The framing of a request: one length, given once, or `chunked`, and never both.
    pub(crate) fn of_request(&self, is_old: bool) -> Result<Framing, FramingFault> {
        if self.is_hidden {
            return Err(FramingFault::Hidden);
        }
        match (self.codings, self.lengths) {
            (0, 0) => Ok(Framing::Unsaid),
            (0, 1) if !self.bad_length => self.length(),
            (0, _) => Err(FramingFault::Length),
            (_, 1..) => Err(FramingFault::Both),
            (_, 0) if is_old => Err(FramingFault::OldVersion),
            (_, 0) if !self.ends_chunked => Err(FramingFault::NotChunked),
            (1, 0) => Ok(Framing::Chunked),
            (_, 0) => Err(FramingFault::UnknownCoding),
        }
    }

    /// The framing of a response. The same length may be given twice, and `chunked` overrides a length, both
    /// according to RFC 9112 section 6.3.
    pub(crate) fn of_answer(&self, is_old: bool) -> Result<Framing, FramingFault> {
        // RFC 2616 section 3.6 used `identity` for no coding at all.
        if self.codings == self.identity {
            return match self.lengths {
                0 => Ok(Framing::Unsaid),
                _ => self.length(),
            };
        }
        match self.codings {
            _ if is_old => Err(FramingFault::OldVersion),
            1 if self.chunked == 1 => Ok(Framing::Chunked),
            _ => Err(FramingFault::UnknownCoding),
        }
    }

    /// Whether a response has both framing fields.
    pub(crate) fn has_both(&self) -> bool {
        self.codings > 0 && self.lengths > 0
    }

    fn length(&self) -> Result<Framing, FramingFault> {
        let length = self.length.filter(|_| !self.bad_length);
        length.map(Framing::Length).ok_or(FramingFault::Length)
    }
}

/// Parses digits only, up to the size of any disk.
fn number(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    text.parse::<u64>().ok().filter(|&number| i64::try_from(number).is_ok())
}
