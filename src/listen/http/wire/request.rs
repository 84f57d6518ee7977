//! The head of a request: parsed strictly, and rewritten for hyper.

use hyper::Version;

use super::MAX_FIELDS;
use super::framing::{self, Collected, Framing, FramingFault};
use super::head::{self, Field, FieldFault};
use super::target::Target;

/// The parts of a request that hyper does not see, since it would reject or act on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestHead {
    pub(crate) target: Target,
    pub(crate) version: Version,
    /// `Expect: 100-continue`, from a client that understands it.
    pub(crate) expects_continue: bool,
    /// `Connection: close`.
    pub(crate) closes: bool,
    /// `TE: trailers`.
    pub(crate) takes_trailers: bool,
}

/// A request's head, the framing of its content, and its rewritten form.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) head: RequestHead,
    pub(crate) framing: Framing,
    pub(crate) written: Vec<u8>,
}

/// Why a request is not read, or not any further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the request does not begin with METHOD TARGET HTTP/1.1")]
    RequestLine,
    #[error("HTTP/{0} is not spoken here: HTTP/1.1 and HTTP/1.0 are")]
    Version(u8),
    #[error(transparent)]
    Field(#[from] FieldFault),
    #[error(transparent)]
    Framing(#[from] FramingFault),
    #[error("the request lacks the Host field that HTTP/1.1 asks for")]
    NoHost,
    #[error("the request has more than one Host field")]
    ManyHosts,
    #[error("the Host field is not HOST or HOST:PORT")]
    Host,
    #[error("CONNECT has no content, and so no Content-Length or Transfer-Encoding")]
    ConnectContent,
    #[error("the head of the request is longer than {} KiB", super::MAX_HEAD / 1024)]
    TooLong,
    #[error("the head of the request has more than {MAX_FIELDS} fields")]
    TooManyFields,
    #[error("the request ended within its head")]
    HeadCut,
    #[error("the request ended within its content")]
    ContentCut,
    #[error("a chunk of the request's content is not written as RFC 9112 section 7.1 has it")]
    Chunk,
}

impl Parsed {
    /// Parses a head up to its empty line.
    pub(crate) fn new(head: &[u8]) -> Result<Self, Malformed> {
        let mut lines = head::lines(head);
        let (method, target, version) = request_line(lines.next().unwrap_or_default())?;
        let is_connect = method == "CONNECT";
        let is_old = version == Version::HTTP_10;
        let mut written = Vec::with_capacity(head.len() + ROOM);
        start(&mut written, method, version);
        let mut seen = Seen::default();
        for line in lines {
            let field = Field::strict(line)?;
            seen.add(&field)?;
            if framing::frames(&field) {
                // Written below, once.
            } else if field.is("connection") {
                // RFC 9112 section 9.3: a proxy keeps no HTTP/1.0 connection alive. A successful CONNECT has no
                // next request, and its response does not mention one.
                let future: &[&str] = if is_old || is_connect { &FUTURE } else { &[] };
                field.write_tokens(&mut written, future);
            } else if field.is("expect") && is_continue(&field) {
                seen.expects_continue = !is_old;
            } else {
                field.write(&mut written);
            }
        }
        seen.check_host(is_old)?;
        let framing = seen.framing.of_request(is_old)?;
        if is_connect && !matches!(framing, Framing::Unsaid | Framing::Length(0)) {
            return Err(Malformed::ConnectContent);
        }
        match framing {
            Framing::Length(length) if !is_connect => {
                head::write(&mut written, "Content-Length", length.to_string().as_bytes());
            }
            Framing::Chunked => head::write(&mut written, "Transfer-Encoding", b"chunked"),
            Framing::Length(_) | Framing::Unsaid => {}
        }
        // hyper drops the trailers of a response otherwise; a client that does not want them says so.
        if !seen.takes_trailers {
            head::write(&mut written, "TE", b"trailers");
        }
        written.extend_from_slice(b"\r\n");
        let head = RequestHead {
            target: Target::parse(target),
            version,
            expects_continue: seen.expects_continue,
            closes: seen.closes,
            takes_trailers: seen.takes_trailers,
        };
        Ok(Self { head, framing, written })
    }
}

/// The information in a request's fields so far.
#[derive(Debug, Default)]
struct Seen {
    framing: Collected,
    fields: usize,
    host: HostField,
    closes: bool,
    takes_trailers: bool,
    expects_continue: bool,
}

/// The Host field of a request.
#[derive(Clone, Copy, Debug, Default)]
enum HostField {
    #[default]
    Missing,
    Good,
    Broken,
    Many,
}

impl Seen {
    fn add(&mut self, field: &Field<'_>) -> Result<(), Malformed> {
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return Err(Malformed::TooManyFields);
        }
        self.framing.add(field);
        if field.is("host") {
            self.host = match self.host {
                HostField::Missing if is_host(field.value) => HostField::Good,
                HostField::Missing => HostField::Broken,
                HostField::Good | HostField::Broken | HostField::Many => HostField::Many,
            };
        } else if field.is("connection") {
            self.closes |= field.has_member("close");
        } else if field.is("te") {
            self.takes_trailers |= field.has_member("trailers");
        }
        Ok(())
    }

    /// RFC 9112 section 3.2.
    fn check_host(&self, is_old: bool) -> Result<(), Malformed> {
        match self.host {
            HostField::Good => Ok(()),
            HostField::Missing if is_old => Ok(()),
            HostField::Missing => Err(Malformed::NoHost),
            HostField::Broken => Err(Malformed::Host),
            HostField::Many => Err(Malformed::ManyHosts),
        }
    }
}

/// RFC 9112 section 3.
fn request_line(line: &[u8]) -> Result<(&str, &[u8], Version), Malformed> {
    let [method, target, version] = head::three_words(line).ok_or(Malformed::RequestLine)?;
    let method = head::token(method).ok_or(Malformed::RequestLine)?;
    if target.iter().any(u8::is_ascii_control) {
        return Err(Malformed::RequestLine);
    }
    match head::version(version) {
        Some((1, 0)) => Ok((method, target, Version::HTTP_10)),
        Some((1, _)) => Ok((method, target, Version::HTTP_11)),
        Some((major, _)) => Err(Malformed::Version(major)),
        None => Err(Malformed::RequestLine),
    }
}

/// Writes the request line for hyper. The target is passed separately.
fn start(out: &mut Vec<u8>, method: &str, version: Version) {
    out.extend_from_slice(method.as_bytes());
    out.extend_from_slice(match version {
        Version::HTTP_10 => b" / HTTP/1.0\r\n",
        _ => b" / HTTP/1.1\r\n",
    });
}

fn is_continue(field: &Field<'_>) -> bool {
    field.value.eq_ignore_ascii_case(b"100-continue")
}

/// `uri-host [ ":" port ]` of RFC 9110 section 7.2. Non-ASCII letters are allowed.
fn is_host(value: &[u8]) -> bool {
    let is_address = |byte: &u8| byte.is_ascii_hexdigit() || b":.".contains(byte);
    let is_name = |byte: &u8| {
        byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(byte) || !byte.is_ascii()
    };
    let (is_good, port) = if let [b'[', rest @ ..] = value {
        let Some(end) = rest.iter().position(|&byte| byte == b']') else { return false };
        (end > 0 && rest[..end].iter().all(is_address), &rest[end + 1..])
    } else {
        let colon = value.iter().position(|&byte| byte == b':').unwrap_or(value.len());
        (value[..colon].iter().all(is_name), &value[colon..])
    };
    is_good
        && match port {
            [] => true,
            [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
            _ => false,
        }
}

/// The members of Connection that decide whether the connection is kept.
const FUTURE: [&str; 2] = ["close", "keep-alive"];
/// The space for what is written in addition to the head's fields.
const ROOM: usize = 64;
