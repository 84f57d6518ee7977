//! What a program writes to standard error.

use std::io::PipeWriter;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;

/// The log of a program, read from a pipe.
#[derive(Debug)]
pub(crate) struct Log {
    pipe: OwnedFd,
    read: Mutex<Vec<u8>>,
}

impl Log {
    /// The log behind `pipe`, which becomes non-blocking. A thread reads it until EOF, so that the program never
    /// waits for a reader.
    pub(crate) fn of(pipe: impl Into<OwnedFd>) -> (Arc<Self>, JoinHandle<()>) {
        let pipe = pipe.into();
        fcntl_setfl(&pipe, OFlags::NONBLOCK).expect("a pipe");
        let log = Arc::new(Self { pipe, read: Mutex::default() });
        let followed = Arc::clone(&log);
        (log, thread::spawn(move || followed.follow()))
    }

    /// A log for programs that are started with the other end of its pipe.
    pub(crate) fn pipe() -> (Arc<Self>, PipeWriter) {
        let (pipe, end) = std::io::pipe().expect("a pipe");
        (Self::of(pipe).0, end)
    }

    fn follow(&self) {
        loop {
            let mut pipe = [PollFd::new(&self.pipe, PollFlags::IN)];
            match poll(&mut pipe, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => panic!("a pipe: {error}"),
            }
            if self.catch_up().1 == Written::All {
                return;
            }
        }
    }

    /// All lines that the program has written so far. One that it may still be writing is left out.
    pub(crate) fn lines(&self) -> String {
        let (read, written) = self.catch_up();
        let end = match written {
            Written::All => read.len(),
            Written::SoFar => read.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1),
        };
        String::from_utf8_lossy(&read[..end]).into_owned()
    }

    /// Reads what is in the pipe.
    fn catch_up(&self) -> (MutexGuard<'_, Vec<u8>>, Written) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let mut piece = [0; 4096];
        loop {
            match rustix::io::read(&self.pipe, &mut piece) {
                Ok(0) => return (read, Written::All),
                Ok(count) => read.extend_from_slice(&piece[..count]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return (read, Written::SoFar),
                Err(error) => panic!("a pipe: {error}"),
            }
        }
    }
}

/// How much of the log has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    All,
    SoFar,
}
