//! Removes the chunk extensions of a response, which recipients ignore (RFC 9112 section 7.1.1): hyper limits
//! their total size.

/// Follows chunked content in step with hyper, and removes what follows the `;` of a chunk's size. hyper
/// validates everything else, so that errors need not be recognized here.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    state: State,
    /// The rest of the chunk, or its size so far.
    left: u64,
    /// The number of bytes removed from this line.
    dropped: usize,
}

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
    /// After the last size, or after what hyper rejects.
    Over,
}

/// What happens to a byte.
enum Fate {
    Stays,
    Goes,
}

impl Extensions {
    /// Closes the gaps in `bytes`, which continue the previous ones, and returns how many are left.
    pub(crate) fn take_out(&mut self, bytes: &mut [u8]) -> usize {
        let (mut from, mut to) = (0, 0);
        while from < bytes.len() {
            let rest = bytes.len() - from;
            let (length, fate) = match self.state {
                State::Over => (rest, Fate::Stays),
                State::Data => (self.data(rest), Fate::Stays),
                _ => (1, self.step(bytes[from])),
            };
            if matches!(fate, Fate::Stays) {
                if from > to {
                    bytes.copy_within(from..from + length, to);
                }
                to += length;
            }
            from += length;
        }
        to
    }

    /// Skips content, and returns how much of it.
    fn data(&mut self, most: usize) -> usize {
        let here = usize::try_from(self.left).map_or(most, |left| left.min(most));
        self.left -= here as u64;
        if self.left == 0 {
            self.state = State::DataCr;
        }
        here
    }

    fn step(&mut self, byte: u8) -> Fate {
        self.state = match (self.state, byte) {
            (State::Size, _) if byte.is_ascii_hexdigit() => self.digit(byte),
            (State::Size | State::Blank, b' ' | b'\t') => State::Blank,
            (State::Size | State::Blank | State::Extension, b'\r') => State::SizeLf,
            (State::Extension, b'\n') => State::Over,
            (State::Extension, _) if self.dropped < MOST => {
                self.dropped += 1;
                return Fate::Goes;
            }
            (State::Size | State::Blank, b';') | (State::Extension, _) => State::Extension,
            (State::SizeLf, b'\n') if self.left > 0 => {
                self.dropped = 0;
                State::Data
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size,
            _ => State::Over,
        };
        Fate::Stays
    }

    fn digit(&mut self, byte: u8) -> State {
        let digit = char::from(byte).to_digit(16).map(u64::from);
        let size = self.left.checked_mul(16).zip(digit).and_then(|(left, d)| left.checked_add(d));
        self.left = size.unwrap_or_default();
        if size.is_some() { State::Size } else { State::Over }
    }
}

/// The maximum length of a chunk's extensions that are removed. hyper counts what exceeds it.
const MOST: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    fn without(bytes: &[u8], mut piece: impl FnMut() -> usize) -> Vec<u8> {
        let mut extensions = Extensions::default();
        let mut left = Vec::new();
        let mut rest = bytes.to_vec();
        while !rest.is_empty() {
            let later = rest.split_off(piece().min(rest.len()));
            let length = extensions.take_out(&mut rest);
            left.extend_from_slice(&rest[..length]);
            rest = later;
        }
        left
    }

    #[test]
    fn only_extensions_are_removed() {
        let mut rng = Rng::with_seed(1);
        for (bytes, left) in [
            ("5;a=b\r\n;1;\r\n\r\n0\r\n\r\n", "5;\r\n;1;\r\n\r\n0\r\n\r\n"),
            (
                "2 ; a\r\nab\r\n1;\"\r\n;\r\n0;x\r\nA: b;c\r\n\r\n",
                "2 ;\r\nab\r\n1;\r\n;\r\n0;\r\nA: b;c\r\n\r\n",
            ),
            ("A;x\r\n;;;;;;;;;;\r\n0\r\n\r\n", "A;\r\n;;;;;;;;;;\r\n0\r\n\r\n"),
            // What hyper rejects, and everything after it.
            ("5;a\nb;c\r\n", "5;\nb;c\r\n"),
            ("5;a\rb;c\r\n", "5;\rb;c\r\n"),
            ("1\r\nab;c\r\n", "1\r\nab;c\r\n"),
            ("11111111111111111;a\r\n", "11111111111111111;a\r\n"),
            ("x;a\r\n", "x;a\r\n"),
        ] {
            assert_eq!(without(bytes.as_bytes(), || 1 << 20), left.as_bytes());
            for _ in 0..20 {
                assert_eq!(without(bytes.as_bytes(), || rng.usize(1..5)), left.as_bytes());
            }
        }
    }

    #[test]
    fn extensions_are_bounded() {
        let long = format!("1;{}\r\na\r\n", "x".repeat(MOST + 9));
        assert_eq!(without(long.as_bytes(), || 1000), b"1;xxxxxxxxx\r\na\r\n");
    }
}
