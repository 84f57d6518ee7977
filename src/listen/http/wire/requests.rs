//! One client's bytes, message by message: heads as hyper shall read them, content as it is.

use bytes::{Buf, Bytes, BytesMut};

use super::MAX_HEAD;
use super::chunks::{BadChunk, Chunks};
use super::framing::Framing;
use super::head;
use super::request::{Malformed, Parsed, RequestHead};

/// Reads the requests of a connection. It never hands out more than one message at a time, so that
/// what follows a CONNECT or an upgrade stays as it came.
#[derive(Debug)]
pub(crate) struct Requests {
    stage: Stage,
    /// What has been read and not been looked at.
    input: BytesMut,
    /// A head, rewritten.
    output: Bytes,
    /// As far as the end of a head has been searched for.
    searched: usize,
    is_withheld: bool,
}

#[derive(Debug)]
enum Stage {
    Head,
    Length(u64),
    Chunked(Box<Chunks>),
    /// Nothing more is read.
    Over,
}

/// What a step forward came to.
#[derive(Debug)]
pub(crate) enum Step {
    /// Bytes for hyper.
    Bytes(Bytes),
    /// A new request: its head's bytes come next.
    Head(Result<RequestHead, Malformed>),
    /// More has to be read first: of a head, into [`Requests::input`].
    NeedsHead,
    /// Content may be read past this, and shown to [`Requests::admit`].
    NeedsContent,
    /// The last request has been handed out.
    Over,
}

impl Requests {
    /// `input` has been read already.
    pub(crate) fn new(input: &[u8]) -> Self {
        let (input, output) = (input.into(), Bytes::new());
        Self { stage: Stage::Head, input, output, searched: 0, is_withheld: false }
    }

    /// Where a head is read into.
    pub(crate) fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Whether all of the request under way has been handed out.
    pub(crate) fn is_between(&self) -> bool {
        matches!(self.stage, Stage::Head | Stage::Over) && self.output.is_empty()
    }

    /// Whether the client has asked for a 100 and sent none of the request's content.
    pub(crate) fn is_withheld(&self) -> bool {
        self.is_withheld
    }

    /// What was read beyond the request under way.
    pub(crate) fn into_input(self) -> BytesMut {
        self.input
    }

    /// Goes a step further; at most `most` bytes come with it.
    ///
    /// # Errors
    ///
    /// The content is not what the head has promised. Nothing more comes.
    pub(crate) fn step(&mut self, most: usize) -> Result<Step, Malformed> {
        if !self.output.is_empty() {
            return Ok(Step::Bytes(head::hand_out(&mut self.output, most)));
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

    /// How many of these bytes, which come next, belong to the content of the request under way.
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

    /// The client has stopped sending. A head that has begun is answered.
    ///
    /// # Errors
    ///
    /// It stopped within the content.
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
                    // What the head took is not kept for the next one.
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

    /// hyper gets a request in place of one that cannot be read, so that it is answered like others.
    fn refuse(&mut self) {
        self.stage = Stage::Over;
        self.input = BytesMut::new();
        self.output = Bytes::from_static(REFUSED);
    }
}

/// A request that ends its connection.
const REFUSED: &[u8] = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
