//! One web server's bytes: the heads that answer a request, then its content as it is.

use bytes::{Buf, Bytes, BytesMut};
use hyper::Method;

use super::MAX_HEAD;
use super::answer::{AnswerHead, BadAnswer};
use super::extensions::Extensions;
use super::framing::Framing;
use super::head;

/// Reads the responses of a connection.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// What the head that comes next answers.
    expecting: Option<Method>,
    /// Of the content that goes through, where it is chunked.
    extensions: Option<Extensions>,
    input: BytesMut,
    output: Bytes,
    searched: usize,
}

/// What a step forward came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Bytes for hyper.
    Bytes(Bytes),
    /// An interim response other than 101 (RFC 9110 section 15.2), for the client.
    Interim(Bytes),
    /// More of a head has to be read, into [`Answers::input`].
    NeedsHead,
    /// Whatever is read goes on, but for what [`Answers::pass`] takes out.
    Through,
}

impl Answers {
    /// A request with this method is about to be sent: a head answers it.
    pub(crate) fn expect(&mut self, method: Method) {
        self.expecting = Some(method);
    }

    /// Where a head is read into.
    pub(crate) fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Takes out of these bytes, which go through, what hyper need not see. They close up; how many are
    /// left is returned.
    pub(crate) fn pass(&mut self, bytes: &mut [u8]) -> usize {
        match &mut self.extensions {
            Some(extensions) => extensions.take_out(bytes),
            None => bytes.len(),
        }
    }

    /// Goes a step further; at most `most` bytes come for hyper.
    ///
    /// # Errors
    ///
    /// The response cannot be passed on.
    pub(crate) fn step(&mut self, most: usize) -> Result<Step, BadAnswer> {
        if self.output.is_empty() && self.expecting.is_none() {
            // What came with the head.
            let mut input = std::mem::take(&mut self.input);
            let length = self.pass(&mut input);
            input.truncate(length);
            self.output = input.freeze();
        }
        if !self.output.is_empty() {
            return Ok(Step::Bytes(head::hand_out(&mut self.output, most)));
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
        Ok(Step::Bytes(head::hand_out(&mut self.output, most)))
    }
}

/// Whether a status line may begin so. Another protocol's greeting is refused at once: it may wait for
/// an answer.
fn could_be_http(bytes: &[u8]) -> bool {
    [b"HTTP/1.", b"ICY 200" as &[u8]]
        .iter()
        .any(|start| start.iter().zip(bytes).all(|(one, other)| one == other))
}
