//! A writer that never blocks and never fails for the caller.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

use super::lines::Lines;

/// Passes lines to a thread that writes them. Copies share the thread.
#[derive(Clone, Debug)]
pub(super) struct Sink {
    queue: SyncSender<Entry>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Entry {
    /// A line, including its newline.
    Line(Vec<u8>),
    /// A request for an answer once everything before it is written.
    Flush(SyncSender<()>),
}

impl Sink {
    /// Starts the thread, which ends with the last clone of the sink. `lost_lines` formats the line
    /// that reports how many lines were dropped.
    pub(super) fn start<W>(writer: W, lost_lines: fn(u64) -> String) -> io::Result<Self>
    where
        W: Write + Send + 'static,
    {
        let (queue, entries) = mpsc::sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let sink = Self { queue, lost: Arc::clone(&lost) };
        thread::Builder::new()
            .name("log".into())
            .spawn(move || write_entries(writer, &entries, &lost, lost_lines))?;
        Ok(sink)
    }

    /// Waits until all previous lines are written, for at most [`FLUSH`].
    pub(super) fn wait_until_written(&self) {
        let deadline = Instant::now() + FLUSH;
        let (written, done) = mpsc::sync_channel(1);
        let mut entry = Entry::Flush(written);
        loop {
            match self.queue.try_send(entry) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) if Instant::now() < deadline => {
                    entry = back;
                    thread::sleep(Duration::from_millis(5));
                }
                Err(_) => return,
            }
        }
        let _ = done.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

/// A line per write.
impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Entry::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs the thread, which writes until every sink is gone. A failed write counts as a lost line: there is no
/// other place to report it.
fn write_entries(
    writer: impl Write,
    entries: &Receiver<Entry>,
    lost: &AtomicU64,
    lost_lines: fn(u64) -> String,
) {
    let mut lines = Lines::new(writer, lost_lines);
    while let Ok(entry) = entries.recv() {
        match entry {
            Entry::Line(line) => {
                let _ = lines.write(&line);
            }
            Entry::Flush(written) => {
                let _ = lines.flush();
                let _ = written.send(());
            }
        }
        lines.lose(lost.swap(0, Ordering::Relaxed));
        let _ = lines.report();
    }
}

/// The most lines in the queue: at 2 kB a line, 2 MB.
pub(super) const QUEUE: usize = 1024;
/// The longest wait for a flush.
const FLUSH: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A writer into memory that blocks until the gate is open.
    struct Gated {
        gate: Option<Receiver<()>>,
        text: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(gate) = self.gate.take() {
                let _ = gate.recv();
            }
            self.text.lock().expect("no writer panics").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A standard error whose reader is gone.
    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    fn lost_lines(count: u64) -> String {
        format!("{count} lost\n")
    }

    #[test]
    fn a_blocked_writer_delays_nobody_and_lost_lines_are_reported() {
        let (open, gate) = mpsc::channel();
        let text = Arc::default();
        let gated = Gated { gate: Some(gate), text: Arc::clone(&text) };
        let mut sink = Sink::start(gated, lost_lines).expect("a thread");
        let lines = 2 * QUEUE;
        for _ in 0..lines {
            sink.write_all(b"line\n").expect("a sink takes every line");
        }
        open.send(()).expect("the thread waits");
        sink.wait_until_written();
        let text = String::from_utf8(text.lock().expect("no writer panics").clone()).expect("text");
        let written = text.lines().filter(|line| *line == "line").count();
        let lost: usize = text
            .lines()
            .filter_map(|line| line.strip_suffix(" lost"))
            .map(|count| count.parse::<usize>().expect("a count"))
            .sum();
        assert!(lost > 0, "{text}");
        assert_eq!(written + lost, lines, "{text}");
    }

    #[test]
    fn a_closed_writer_is_ignored() {
        let mut sink = Sink::start(Gone, lost_lines).expect("a thread");
        for _ in 0..10 {
            sink.write_all(b"line\n").expect("a sink takes every line");
            sink.wait_until_written();
        }
    }
}
