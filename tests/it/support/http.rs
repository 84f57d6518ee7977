//! HTTP/1.1 as far as the tests need it: a head, and a body delimited by length, chunks or EOF.

use std::io::{self, BufRead, Read};

/// The head of a request or a response.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// The request line or the status line.
    pub(crate) first: String,
    fields: Vec<(String, String)>,
}

/// A response with its complete body.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Head {
    /// Reads a head; `None` if the stream ends before it begins.
    pub(crate) fn read(stream: &mut impl BufRead) -> io::Result<Option<Self>> {
        let first = line(stream)?;
        if first.is_empty() {
            return Ok(None);
        }
        let mut fields = Vec::new();
        loop {
            let line = line(stream)?;
            if line.is_empty() {
                return Ok(Some(Self { first, fields }));
            }
            let (name, value) = line.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// A field by its name in lower case; the first if there are several.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// All fields, names in lower case.
    pub(crate) fn fields(&self) -> &[(String, String)] {
        &self.fields
    }

    /// The status code of a response.
    pub(crate) fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    /// Whether a field has this among its comma-separated values.
    fn has(&self, name: &str, value: &str) -> bool {
        self.field(name).is_some_and(|v| v.split(',').any(|v| v.trim().eq_ignore_ascii_case(value)))
    }

    fn length(&self) -> Option<u64> {
        self.field("content-length")?.parse().ok()
    }
}

impl Response {
    /// Reads a response with its complete body.
    pub(crate) fn read(stream: &mut impl BufRead) -> io::Result<Self> {
        let head = Head::read(stream)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut body = Vec::new();
        if head.has("transfer-encoding", "chunked") {
            Chunks::new(stream).read_to_end(&mut body)?;
        } else if let Some(length) = head.length() {
            let count = stream.take(length).read_to_end(&mut body)?;
            if count as u64 != length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        } else if head.status() >= 200 && !matches!(head.status(), 204 | 304) {
            stream.read_to_end(&mut body)?;
        }
        Ok(Self { head, body })
    }
}

/// The body of a request, delimited as the head says.
pub(crate) fn request_body<'a>(head: &Head, stream: &'a mut impl BufRead) -> Box<dyn Read + 'a> {
    if head.has("transfer-encoding", "chunked") {
        Box::new(Chunks::new(stream))
    } else {
        Box::new(stream.take(head.length().unwrap_or(0)))
    }
}

/// The body of a chunked stream (RFC 9112 section 7.1). An EOF before the last chunk is an error.
struct Chunks<'a, R> {
    stream: &'a mut R,
    left: u64,
    ended: bool,
}

impl<'a, R: BufRead> Chunks<'a, R> {
    fn new(stream: &'a mut R) -> Self {
        Self { stream, left: 0, ended: false }
    }
}

impl<R: BufRead> Read for Chunks<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        if self.left == 0 {
            let size = line(self.stream)?;
            let size = size.split(';').next().unwrap_or_default().trim();
            self.left = u64::from_str_radix(size, 16)
                .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
            if self.left == 0 {
                self.ended = true;
                while !line(self.stream)?.is_empty() {}
                return Ok(0);
            }
        }
        let count = (&mut *self.stream).take(self.left).read(buffer)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        if self.left == 0 {
            line(self.stream)?;
        }
        Ok(count)
    }
}

/// A line without its line end; empty at EOF too.
fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    stream.take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    let text = String::from_utf8_lossy(&line);
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

const LONGEST_LINE: u64 = 128 * 1024;
