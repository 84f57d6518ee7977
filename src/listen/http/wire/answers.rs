//! The bytes from a web server: the heads of responses, and their content unchanged.

use bytes::{Buf, Bytes, BytesMut};
use hyper::Method;

use super::MAX_HEAD;
use super::answer::{AnswerHead, BadAnswer};
use super::extensions::Extensions;
use super::framing::Framing;
use super::head;

/// Parses the responses of a connection.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// The method of the request that the next head answers.
    expecting: Option<Method>,
    /// Removes the extensions of chunked content that passes through.
    extensions: Option<Extensions>,
    /// Data that was read but not parsed; more of a head is read into it.
    pub(crate) input: BytesMut,
    output: Bytes,
    searched: usize,
}

/// The result of a step.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Bytes for hyper.
    Bytes(Bytes),
    /// An interim response other than 101 (RFC 9110 section 15.2), for the client.
    Interim(Bytes),
    /// More of a head must be read into [`Answers::input`].
    NeedsHead,
    /// All further data passes through, except for what [`Answers::pass`] removes.
    Through,
}

impl Answers {
    /// Records that a request with this method is about to be sent, which a head answers.
    pub(crate) fn expect(&mut self, method: Method) {
        self.expecting = Some(method);
    }

    /// Removes what hyper need not see from bytes that pass through. The rest is moved together; returns its
    /// length.
    pub(crate) fn pass(&mut self, bytes: &mut [u8]) -> usize {
        match &mut self.extensions {
            Some(extensions) => extensions.take_out(bytes),
            None => bytes.len(),
        }
    }

    /// Makes a step, which yields at most `most` bytes for hyper.
    ///
    /// # Errors
    ///
    /// The response cannot be forwarded.
    pub(crate) fn step(&mut self, most: usize) -> Result<Step, BadAnswer> {
        if self.output.is_empty() && self.expecting.is_none() {
            // Content that arrived with the head.
            let mut input = std::mem::take(&mut self.input);
            let length = self.pass(&mut input);
            input.truncate(length);
            self.output = input.freeze();
        }
        if !self.output.is_empty() {
            return Ok(Step::Bytes(head::split_front(&mut self.output, most)));
        }
        let Some(method) = &self.expecting else { return Ok(Step::Through) };
        if self.searched == 0 {
            let empty = head::leading_empty_lines(&self.input);
            self.input.advance(empty);
        }
        if !could_be_http(&self.input) {
            return Err(BadAnswer::NotHttp);
        }
        let end = head::end(&self.input, &mut self.searched);
        if end.unwrap_or(self.input.len()) > MAX_HEAD {
            return Err(BadAnswer::TooLong);
        }
        let Some(end) = end else { return Ok(Step::NeedsHead) };
        self.searched = 0;
        let AnswerHead { status, framing, written } = AnswerHead::new(&self.input[..end], method)?;
        self.input.advance(end);
        if (100..200).contains(&status) && status != 101 {
            return Ok(Step::Interim(written.into()));
        }
        self.expecting = None;
        self.extensions = (framing == Framing::Chunked).then(Extensions::default);
        self.output = written.into();
        Ok(Step::Bytes(head::split_front(&mut self.output, most)))
    }
}

/// Whether a status line may begin with these bytes. Another protocol's greeting is refused at once, since it
/// may wait for an answer.
fn could_be_http(bytes: &[u8]) -> bool {
    [b"HTTP/1.", b"ICY 200" as &[u8]]
        .iter()
        .any(|start| start.iter().zip(bytes).all(|(one, other)| one == other))
}
