//! The part of a backlog that does not fit into memory: an unlinked temporary file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use super::backlog::Backlog;
use crate::printable::{Lines, printable};

/// A first-in, first-out queue in a file. File system calls run on the blocking pool, one at a time.
#[derive(Debug)]
pub(super) struct Spill {
    file: Arc<File>,
    /// The directory, for messages.
    pub(super) directory: String,
    /// The start of the data that has not been read back; `end` is the end of the file's data.
    start: u64,
    end: u64,
    /// Bytes at the start of the file whose disk space has been released.
    freed: u64,
    /// Data that has arrived and is not yet in the file.
    queue: Backlog,
    /// Data that has been read back and not yet handed out.
    ahead: Backlog,
    job: Option<JoinHandle<io::Result<Done>>>,
    /// The data that the running job writes: its bytes, and its weight in memory.
    writing: (u64, u64),
}

#[derive(Debug)]
enum Done {
    Wrote(u64),
    /// The data that was read, and whether its disk space was released.
    Read(Bytes, io::Result<()>),
}

impl Spill {
    /// Creates a file in the directory named by `TMPDIR`, or in `/var/tmp`, since `/tmp` is often a tmpfs.
    pub(super) fn new() -> io::Result<Self> {
        let (file, directory) = match std::env::var_os("TMPDIR").filter(|named| !named.is_empty()) {
            Some(named) => file_in(PathBuf::from(named))?,
            None => file_in("/var/tmp".into()).or_else(|_| file_in(std::env::temp_dir()))?,
        };
        let file = Arc::new(file);
        Ok(Self {
            file,
            directory,
            start: 0,
            end: 0,
            freed: 0,
            queue: Backlog::default(),
            ahead: Backlog::default(),
            job: None,
            writing: (0, 0),
        })
    }

    /// Appends a piece.
    pub(super) fn push(&mut self, piece: Bytes) {
        self.queue.push(piece);
    }

    /// The bytes of the file in use, including those on their way to it, so that a slow disk does not exceed
    /// the limit.
    pub(super) fn on_disk(&self) -> u64 {
        self.end - self.freed + self.writing.0 + self.queue.len() as u64
    }

    /// The memory use in bytes.
    pub(super) fn in_memory(&self) -> u64 {
        self.queue.weight() + self.writing.1 + self.ahead.weight()
    }

    /// Whether the queue is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
            && self.queue.is_empty()
            && self.ahead.is_empty()
            && self.job.is_none()
    }

    /// Moves pushed data to the file and, given `into`, the oldest data back out.
    ///
    /// Pending while a file system call runs, though `into` may have grown. Ready when there is nothing to do
    /// for now; given `into`, after one chunk.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut into: Option<&mut Backlog>,
    ) -> Poll<io::Result<()>> {
        loop {
            if let Some(job) = &mut self.job {
                let done = ready!(Pin::new(job).poll(cx));
                self.job = None;
                self.writing = (0, 0);
                self.finish(done.map_err(io::Error::other)??)?;
            }
            match &mut into {
                Some(backlog) if !self.ahead.is_empty() => {
                    backlog.append(&mut self.ahead);
                    if self.queue.len() < CHUNK {
                        return Poll::Ready(Ok(()));
                    }
                    // Writing comes next: if reading back always went first, the queue would grow in memory.
                    into = None;
                }
                Some(_) if self.start < self.end => self.read(),
                // Data that is not yet in the file skips it.
                Some(backlog) => {
                    backlog.append(&mut self.queue);
                    return Poll::Ready(Ok(()));
                }
                None if !self.queue.is_empty() => self.write(),
                None => return Poll::Ready(Ok(())),
            }
        }
    }

    fn finish(&mut self, done: Done) -> io::Result<()> {
        match done {
            Done::Wrote(count) => self.end += count,
            Done::Read(bytes, freed) => {
                self.start += bytes.len() as u64;
                // If the file system cannot punch holes, the space counts until the file is truncated.
                if freed.is_ok() {
                    self.freed = self.start;
                }
                self.ahead.push(bytes);
            }
        }
        if self.start == self.end && self.end > 0 {
            // Everything has been read back, so that the space can be released.
            (self.start, self.end, self.freed) = (0, 0, 0);
            self.file.set_len(0)?;
        }
        Ok(())
    }

    fn read(&mut self) {
        let (file, start) = (Arc::clone(&self.file), self.start);
        let count = usize::try_from(self.end - start).unwrap_or(CHUNK).min(CHUNK);
        self.job = Some(spawn_blocking(move || {
            let mut chunk = vec![0; count];
            file.read_exact_at(&mut chunk, start)?;
            let freed = free_space(&file, start + count as u64);
            Ok(Done::Read(chunk.into(), freed))
        }));
    }

    fn write(&mut self) {
        let (file, end) = (Arc::clone(&self.file), self.end);
        let pieces = std::mem::take(&mut self.queue);
        self.writing = (pieces.len() as u64, pieces.weight());
        self.job = Some(spawn_blocking(move || {
            let mut at = end;
            // Small pieces are coalesced: with a call for each, they would arrive faster than they are written.
            let mut chunk = Vec::with_capacity(CHUNK.min(pieces.len()));
            for piece in pieces {
                if chunk.len() + piece.len() > CHUNK {
                    file.write_all_at(&chunk, at)?;
                    at += chunk.len() as u64;
                    chunk.clear();
                }
                chunk.extend_from_slice(&piece);
            }
            file.write_all_at(&chunk, at)?;
            at += chunk.len() as u64;
            Ok(Done::Wrote(at - end))
        }));
    }
}

/// Releases the disk space of the first bytes of a file.
#[cfg(target_os = "linux")]
fn free_space(file: &File, bytes: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};

    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(fallocate(file, hole, 0, bytes)?)
}

#[cfg(not(target_os = "linux"))]
fn free_space(_: &File, _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// An unlinked file in a directory, and the directory as text. Errors name the directory.
fn file_in(directory: PathBuf) -> io::Result<(File, String)> {
    let named = printable(&directory.to_string_lossy(), MAX_PATH, Lines::One);
    match tempfile::tempfile_in(directory) {
        Ok(file) => Ok((file, named)),
        Err(error) => {
            let what = format!("no temporary file can be made in {named}: {error}");
            Err(io::Error::new(error.kind(), what))
        }
    }
}

/// The longest path shown, in characters.
const MAX_PATH: usize = 300;
/// The size of one read or write, in bytes.
const CHUNK: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[test]
    fn the_error_names_a_directory_that_cannot_hold_a_file() {
        let error = file_in("/nowhere/at/all".into()).expect_err("the directory does not exist");
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }

    async fn settle(spill: &mut Spill) {
        poll_fn(|cx| spill.poll(cx, None)).await.expect("a file");
    }

    #[tokio::test]
    async fn data_that_arrives_during_read_back_goes_to_the_file() {
        let mut spill = Spill::new().expect("a temporary file");
        for _ in 0..16 {
            spill.push(vec![7; CHUNK].into());
            settle(&mut spill).await;
        }
        for _ in 0..64 {
            spill.push(vec![7; CHUNK].into());
            let mut out = Backlog::default();
            while out.is_empty() {
                poll_fn(|cx| match spill.poll(cx, Some(&mut out)) {
                    Poll::Pending if out.is_empty() => Poll::Pending,
                    Poll::Pending => Poll::Ready(Ok(())),
                    ready @ Poll::Ready(_) => ready,
                })
                .await
                .expect("a file");
            }
            assert_eq!(out.len(), CHUNK);
            let in_memory = spill.in_memory();
            assert!(in_memory < 4 << 20, "{in_memory}");
        }
    }

    #[tokio::test]
    async fn data_comes_out_in_order() {
        let mut spill = Spill::new().expect("a temporary file");
        let mut out = Backlog::default();
        let data: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
        for (index, piece) in data.chunks(100_000).enumerate() {
            spill.push(Bytes::copy_from_slice(piece));
            if index % 3 != 0 {
                settle(&mut spill).await;
            }
            if index % 5 == 0 {
                poll_fn(|cx| spill.poll(cx, Some(&mut out))).await.expect("a file");
            }
        }
        assert!(spill.on_disk() > 0);
        let before = spill.on_disk();
        spill.push(Bytes::from_static(b"four"));
        assert_eq!(spill.on_disk(), before + 4, "queued data counts");
        while !spill.is_empty() {
            poll_fn(|cx| spill.poll(cx, Some(&mut out))).await.expect("a file");
        }
        assert_eq!(spill.on_disk(), 0, "the space is released");
        let out: Vec<u8> = out.into_iter().flatten().collect();
        let data = [&data[..], b"four"].concat();
        assert!(out == data, "{} bytes of {}", out.len(), data.len());
    }
}
