//! Lines that are written whole, or counted.

use std::io::{self, Write};

/// Writes lines to a file that may have no room for them. A line that is not written is counted, and what is
/// there of it is ended before the next one.
#[derive(Debug)]
pub(crate) struct Lines<W> {
    out: W,
    lost: u64,
    /// The line that reports how many were lost.
    told: fn(u64) -> String,
    is_torn: bool,
}

impl<W: Write> Lines<W> {
    pub(crate) fn new(out: W, told: fn(u64) -> String) -> Self {
        Self { out, lost: 0, told, is_torn: false }
    }

    /// Counts lines that never came here.
    pub(crate) fn lose(&mut self, count: u64) {
        self.lost += count;
    }

    /// Writes lines, each with its end, after the report of those that were lost before.
    pub(crate) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut rest = lines;
        let written = self.report().and_then(|()| self.put(&mut rest));
        if written.is_err() {
            self.lose(rest.iter().map(|byte| u64::from(*byte == b'\n')).sum());
        }
        written
    }

    /// Reports the lines that were lost.
    pub(crate) fn report(&mut self) -> io::Result<()> {
        if self.is_torn {
            self.put(&mut &b"\n"[..])?;
        }
        if self.lost > 0 {
            self.put(&mut (self.told)(self.lost).as_bytes())?;
            self.lost = 0;
        }
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Writes as much as there is room for, and leaves the rest.
    fn put(&mut self, rest: &mut &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            match self.out.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    let (written, left) = rest.split_at(count);
                    self.is_torn = !written.ends_with(b"\n");
                    *rest = left;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    struct Disk {
        room: usize,
        text: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= count;
            self.text.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_full_disk_lacks_is_counted_and_no_line_runs_into_another() {
        let disk = Disk { room: 9, text: Vec::new() };
        let mut lines = Lines::new(disk, |count| format!("lost={count}\n"));
        lines.write(b"one\n").expect("room");
        for _ in 0..2 {
            let full = lines.write(b"second\nthird\n").expect_err("no room");
            assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        }
        lines.lose(3);
        lines.out.room = 100;
        lines.write(b"last\n").expect("room");
        assert_eq!(String::from_utf8_lossy(&lines.out.text), "one\nsecon\nlost=7\nlast\n");
        lines.write(b"more\n").expect("room");
        assert!(lines.out.text.ends_with(b"last\nmore\n"));
    }
}
