//! The bytes from a client, message by message: heads rewritten for hyper, content unchanged.

use bytes::{Buf, Bytes, BytesMut};

use super::MAX_HEAD;
use super::chunks::{BadChunk, Chunks};
use super::framing::Framing;
use super::head;
use super::request::{Malformed, Parsed, RequestHead};

/// Parses the requests of a connection. It never returns more than one message at a time, so that what follows
/// a CONNECT or an upgrade is unchanged.
#[derive(Debug)]
pub(crate) struct Requests {
    stage: Stage,
    /// Data that was read but not parsed; more of a head is read into it.
    pub(crate) input: BytesMut,
    /// The rest of a rewritten head.
    output: Bytes,
    /// How far the end of a head was searched for.
    searched: usize,
    /// Whether the client expects a 100 and has sent no content.
    pub(crate) is_withheld: bool,
}

#[derive(Debug)]
enum Stage {
    Head,
    Length(u64),
    Chunked(Box<Chunks>),
    /// Nothing more is read.
    Over,
}

/// The result of a step.
#[derive(Debug)]
pub(crate) enum Step {
    /// Bytes for hyper.
    Bytes(Bytes),
    /// A new request, whose head follows as bytes.
    Head(Result<RequestHead, Malformed>),
    /// More of a head must be read into [`Requests::input`].
    NeedsHead,
    /// Content may be read directly, and passed to [`Requests::admit`].
    NeedsContent,
    /// The last request has been returned.
    Over,
}

impl Requests {
    /// Starts with `input`, which was already read.
    pub(crate) fn new(input: &[u8]) -> Self {
        let (input, output) = (input.into(), Bytes::new());
        Self { stage: Stage::Head, input, output, searched: 0, is_withheld: false }
    }

    /// Whether the current request was returned completely.
    pub(crate) fn is_between(&self) -> bool {
        matches!(self.stage, Stage::Head | Stage::Over) && self.output.is_empty()
    }

    /// Makes a step, which yields at most `most` bytes.
    ///
    /// # Errors
    ///
    /// The content does not match its framing. Nothing more follows.
    pub(crate) fn step(&mut self, most: usize) -> Result<Step, Malformed> {
        if !self.output.is_empty() {
            return Ok(Step::Bytes(head::split_front(&mut self.output, most)));
        }
        match self.stage {
            Stage::Head => Ok(self.head()),
            Stage::Over => Ok(Step::Over),
            Stage::Length(_) | Stage::Chunked(_) if self.input.is_empty() => Ok(Step::NeedsContent),
            Stage::Length(_) | Stage::Chunked(_) => {
                let input = std::mem::take(&mut self.input);
                let length = input.len().min(most);
                let admitted = self.admit(&input[..length]);
                self.input = input;
                Ok(Step::Bytes(self.input.split_to(admitted?).freeze()))
            }
        }
    }

    /// How many of these next bytes belong to the content of the current request.
    ///
    /// # Errors
    ///
    /// As [`step`](Self::step).
    pub(crate) fn admit(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        self.is_withheld = false;
        match &mut self.stage {
            Stage::Head | Stage::Over => Ok(0),
            Stage::Length(left) => {
                let here = (*left).min(bytes.len() as u64);
                *left -= here;
                if *left == 0 {
                    self.stage = Stage::Head;
                }
                Ok(usize::try_from(here).unwrap_or(bytes.len()))
            }
            Stage::Chunked(chunks) => {
                let scanned = chunks.scan(bytes);
                if scanned.is_err() {
                    self.stage = Stage::Over;
                } else if chunks.is_done() {
                    self.stage = Stage::Head;
                }
                scanned.map_err(|BadChunk| Malformed::Chunk)
            }
        }
    }

    /// Handles EOF from the client. An incomplete head is answered.
    ///
    /// # Errors
    ///
    /// The content is incomplete.
    pub(crate) fn end(&mut self) -> Result<Option<Malformed>, Malformed> {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        match stage {
            Stage::Head if !self.input.is_empty() => {
                self.refuse();
                Ok(Some(Malformed::HeadCut))
            }
            Stage::Head | Stage::Over => Ok(None),
            Stage::Length(_) | Stage::Chunked(_) => Err(Malformed::ContentCut),
        }
    }

    fn head(&mut self) -> Step {
        if self.searched == 0 {
            let empty = head::leading_empty_lines(&self.input);
            self.input.advance(empty);
        }
        let end = head::end(&self.input, &mut self.searched);
        if end.unwrap_or(self.input.len()) > MAX_HEAD {
            return self.refused(Malformed::TooLong);
        }
        let Some(end) = end else { return Step::NeedsHead };
        self.searched = 0;
        match Parsed::new(&self.input[..end]) {
            Ok(Parsed { head, framing, written }) => {
                self.input.advance(end);
                if self.input.is_empty() {
                    // The head's buffer is not kept for the next one.
                    self.input = BytesMut::new();
                }
                self.output = written.into();
                self.is_withheld = head.expects_continue;
                self.stage = match framing {
                    Framing::Unsaid | Framing::Length(0) => Stage::Head,
                    Framing::Length(length) => Stage::Length(length),
                    Framing::Chunked => Stage::Chunked(Box::default()),
                };
                Step::Head(Ok(head))
            }
            Err(malformed) => self.refused(malformed),
        }
    }

    fn refused(&mut self, malformed: Malformed) -> Step {
        self.refuse();
        Step::Head(Err(malformed))
    }

    /// Gives hyper a replacement for a malformed request, so that it is answered like any other.
    fn refuse(&mut self) {
        self.stage = Stage::Over;
        self.input = BytesMut::new();
        self.output = Bytes::from_static(REFUSED);
    }
}

/// A request that closes its connection.
const REFUSED: &[u8] = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
