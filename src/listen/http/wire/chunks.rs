//! Finds the end of chunked content (RFC 9112 section 7.1). hyper decodes the content; it is only separated
//! from the next request here, and parsed more strictly than by hyper, so that both find the same end.

use super::head::{self, Field};

/// A parser of chunked content, from its first size to the empty line after the last chunk.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    state: State,
    /// The rest of the chunk, or its size so far.
    left: u64,
    digits: u8,
    /// The total bytes of extensions.
    extensions: usize,
    /// The incomplete trailer line.
    line: Vec<u8>,
    trailers: usize,
}

/// Content that is not validly chunked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadChunk;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    /// White space after the size.
    Blank,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailer,
    Done,
}

impl Chunks {
    /// Parses `bytes`, which continue the previous ones, and returns how many belong to the content.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Result<usize, BadChunk> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Done {
            if self.state == State::Data {
                let here = self.left.min((bytes.len() - at) as u64);
                self.left -= here;
                at += usize::try_from(here).map_err(|_| BadChunk)?;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
            } else {
                self.step(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    /// Whether the content has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    fn step(&mut self, byte: u8) -> Result<(), BadChunk> {
        self.state = match (self.state, byte) {
            (State::Size, _) if byte.is_ascii_hexdigit() => self.digit(byte)?,
            (State::Size, _) if self.digits == 0 => return Err(BadChunk),
            (State::Size | State::Blank, b' ' | b'\t') => State::Blank,
            (State::Size | State::Blank, b';') => State::Extension,
            (State::Size | State::Blank | State::Extension, b'\r') => State::SizeLf,
            (State::Extension, _) if !head::is_control(byte) => self.extension()?,
            (State::SizeLf, b'\n') => self.after_size(),
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size,
            (State::Trailer, b'\n') => self.trailer()?,
            (State::Trailer, _) => self.trailer_byte(byte)?,
            _ => return Err(BadChunk),
        };
        Ok(())
    }

    fn digit(&mut self, byte: u8) -> Result<State, BadChunk> {
        let digit = char::from(byte).to_digit(16).ok_or(BadChunk)?;
        self.digits += 1;
        if self.digits > MAX_DIGITS {
            return Err(BadChunk);
        }
        self.left = self.left * 16 + u64::from(digit);
        Ok(State::Size)
    }

    fn extension(&mut self) -> Result<State, BadChunk> {
        self.extensions += 1;
        if self.extensions > MAX_EXTENSIONS { Err(BadChunk) } else { Ok(State::Extension) }
    }

    fn after_size(&mut self) -> State {
        self.digits = 0;
        if self.left == 0 { State::Trailer } else { State::Data }
    }

    fn trailer_byte(&mut self, byte: u8) -> Result<State, BadChunk> {
        self.trailers += 1;
        if self.trailers > MAX_TRAILERS || self.line.last() == Some(&b'\r') {
            return Err(BadChunk);
        }
        self.line.push(byte);
        Ok(State::Trailer)
    }

    /// Handles a complete trailer line, or the empty line after the trailers.
    fn trailer(&mut self) -> Result<State, BadChunk> {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").ok_or(BadChunk)?;
        if line.is_empty() {
            return Ok(State::Done);
        }
        Field::strict(line).map_err(|_| BadChunk)?;
        Ok(State::Trailer)
    }
}

/// The maximum number of hexadecimal digits: sizes up to 2^60 bytes.
const MAX_DIGITS: u8 = 15;
/// hyper accepts 16 KiB of extensions, and as much of trailers.
const MAX_EXTENSIONS: usize = 8 * 1024;
const MAX_TRAILERS: usize = 12 * 1024;
