//! The head of a response: parsed as leniently as by browsers, and rewritten unambiguously.

use std::borrow::Cow;

use hyper::Method;

use super::MAX_FIELDS;
use super::framing::{self, Collected, Framing, FramingFault};
use super::head::{self, Field};

/// The head of a response, and its rewritten form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AnswerHead {
    pub(crate) status: u16,
    /// Where the following content ends; unspecified for a response without content.
    pub(crate) framing: Framing,
    pub(crate) written: Vec<u8>,
}

/// Why a response is not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadAnswer {
    #[error("the response is not HTTP")]
    NotHttp,
    #[error("the response cannot be framed: {0}")]
    Framing(FramingFault),
    #[error("the head of the response is longer than {} KiB", super::MAX_HEAD / 1024)]
    TooLong,
    #[error("the head of the response has more than {MAX_FIELDS} fields")]
    TooManyFields,
}

/// An unfolded line of the head.
struct Line<'a> {
    name: &'a str,
    value: Cow<'a, [u8]>,
}

impl AnswerHead {
    /// Parses a head up to its empty line, the response to a request with this method.
    pub(crate) fn new(head: &[u8], method: &Method) -> Result<Self, BadAnswer> {
        let mut lines = head::lines(head);
        let Status { code: status, reason, is_old } =
            Status::parse(lines.next().unwrap_or_default())?;
        let Unfolded { fields, is_hidden } = Unfolded::new(lines);
        if fields.len() > MAX_FIELDS {
            return Err(BadAnswer::TooManyFields);
        }
        let mut collected = Collected::default();
        for line in &fields {
            collected.add(&line.field());
        }
        let twofold = collected.has_both();
        let is_interim = (100..200).contains(&status);
        // RFC 9112 section 6.3: such a response ends with its head, regardless of its fields.
        let is_head_only = is_interim || matches!(status, 204 | 304) || method == Method::HEAD;
        let said = if is_hidden { Err(FramingFault::Hidden) } else { collected.of_answer(is_old) };
        let framing = match said {
            Ok(framing) if !is_interim => framing,
            Err(fault) if !is_head_only => return Err(BadAnswer::Framing(fault)),
            Ok(_) | Err(_) => Framing::Unsaid,
        };
        let mut written = Vec::with_capacity(head.len() + ROOM);
        written.extend_from_slice(format!("HTTP/1.1 {status} ").as_bytes());
        written.extend_from_slice(&reason);
        written.extend_from_slice(b"\r\n");
        let hop = if is_interim && status != 101 { hop_by_hop(&fields) } else { Vec::new() };
        let mut is_framed = false;
        for line in &fields {
            let field = line.field();
            if framing::frames(&field) {
                is_framed = is_framed || write_framing(&mut written, &field, framing);
            } else if hop.iter().any(|name| field.is(name)) {
                // Not for the client.
            } else if field.is("connection") {
                field.write_tokens(&mut written, &[]);
            } else {
                field.write(&mut written);
            }
        }
        if is_old || twofold || (said.is_err() && !is_interim) {
            // The connection is closed after a response by an HTTP/1.0 server, which may not expect another
            // request; after one with both framing fields, as required by RFC 9112 section 6.3; and after one
            // without content whose server may send some anyway.
            head::write(&mut written, "Connection", b"close");
        }
        written.extend_from_slice(b"\r\n");
        let framing = if is_head_only { Framing::Unsaid } else { framing };
        Ok(Self { status, framing, written })
    }
}

impl Line<'_> {
    fn field(&self) -> Field<'_> {
        Field { name: self.name, value: &self.value }
    }
}

/// A status line (RFC 9112 section 4).
struct Status {
    code: u16,
    reason: Vec<u8>,
    is_old: bool,
}

impl Status {
    fn parse(line: &[u8]) -> Result<Self, BadAnswer> {
        let mut words = line.splitn(2, |&byte| head::is_blank(byte));
        let version = words.next().unwrap_or_default();
        let rest = head::trim(words.next().unwrap_or_default());
        let is_old = match head::version(version) {
            // Old radio streams, which browsers and curl treat as HTTP/1.0.
            None if version == b"ICY" => true,
            Some((1, minor)) => minor == 0,
            Some(_) | None => return Err(BadAnswer::NotHttp),
        };
        let (code, reason) = rest.split_at_checked(3).ok_or(BadAnswer::NotHttp)?;
        let good = code.iter().all(u8::is_ascii_digit)
            && code[0] != b'0'
            && reason.first().is_none_or(|&byte| head::is_blank(byte));
        if !good {
            return Err(BadAnswer::NotHttp);
        }
        let code = code.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        Ok(Self { code, reason: sanitized(head::trim(reason)).into_owned(), is_old })
    }
}

/// The fields of a response, without what browsers ignore.
#[derive(Default)]
struct Unfolded<'a> {
    fields: Vec<Line<'a>>,
    /// Whether an ignored line might describe the content's length to another reader.
    is_hidden: bool,
}

impl<'a> Unfolded<'a> {
    fn new(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut this = Self::default();
        // Whether the previous line was a field that this one may continue.
        let mut open = false;
        for line in lines {
            if !head::starts_blank(line) {
                open = this.add(line);
            } else if let Some(before) = this.fields.last_mut().filter(|_| open) {
                // RFC 9112 section 5.2: each fold becomes a space.
                let (value, more) = (before.value.to_mut(), sanitized(head::trim(line)));
                if !value.is_empty() && !more.is_empty() {
                    value.push(b' ');
                }
                value.extend_from_slice(&more);
            } else {
                this.is_hidden |= framing::mentions_length(line);
            }
        }
        this
    }

    /// Adds a line, and returns whether the next one may continue it.
    fn add(&mut self, line: &'a [u8]) -> bool {
        let colon = line.iter().position(|&byte| byte == b':');
        // RFC 9112 section 5.1: white space before the colon is removed.
        let name = colon.and_then(|colon| head::token(head::trim(&line[..colon])));
        let (Some(colon), Some(name)) = (colon, name) else {
            self.is_hidden |= framing::mentions_length(line);
            return false;
        };
        let value = head::trim(&line[colon + 1..]);
        let field = Field { name, value };
        if framing::resembles(&field) {
            return false;
        }
        self.is_hidden |=
            framing::frames(&field) && value.iter().any(|&byte| head::is_control(byte));
        self.fields.push(Line { name, value: sanitized(value) });
        true
    }
}

/// Control characters become spaces (RFC 9110 section 5.5).
fn sanitized(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.iter().any(|&byte| head::is_control(byte)) {
        return Cow::Borrowed(value);
    }
    let spaces = value.iter().map(|&byte| if head::is_control(byte) { b' ' } else { byte });
    Cow::Owned(head::trim(&spaces.collect::<Vec<_>>()).to_vec())
}

/// Writes the framing under the name of this field, and so at the position of the first such field; returns whether
/// it is one.
fn write_framing(out: &mut Vec<u8>, field: &Field<'_>, framing: Framing) -> bool {
    match framing {
        Framing::Length(length) if field.is("content-length") => {
            head::write(out, field.name, length.to_string().as_bytes());
            true
        }
        Framing::Chunked if field.is("transfer-encoding") => {
            head::write(out, field.name, b"chunked");
            true
        }
        Framing::Unsaid | Framing::Length(_) | Framing::Chunked => false,
    }
}

/// The names of the hop-by-hop fields (RFC 9110 section 7.6.1).
fn hop_by_hop(fields: &[Line<'_>]) -> Vec<String> {
    let always = ["connection", "keep-alive", "proxy-connection", "proxy-authenticate", "upgrade"];
    let named = fields.iter().filter(|line| line.field().is("connection"));
    let named = named.flat_map(|line| {
        let members: Vec<_> =
            line.field().members().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        members
    });
    always.into_iter().map(str::to_owned).chain(named).collect()
}

/// The space for what is written in addition to the head's fields.
const ROOM: usize = 64;
