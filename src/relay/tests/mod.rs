//! The relay between an in-memory client and a real channel to an in-process server.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::*;
use crate::ssh::testing::{Far, TestSession};

mod backlog;
mod direct;
mod ends;
mod gone;

/// A relay, its client, and the server's end of its channel.
struct Line {
    client: Pipe,
    far: Far,
    relay: JoinHandle<Outcome>,
}

impl Line {
    async fn new(session: &mut TestSession, relayer: &Relayer) -> Self {
        let (channel, far) = session.open().await;
        let (client, end) = pipe::ends();
        let relayer = relayer.clone();
        let relay = tokio::spawn(async move { relayer.relay(end, Bytes::new(), channel).await });
        Self { client, far, relay }
    }

    /// Ends the connection cleanly from both sides.
    async fn finish(mut self) {
        use tokio::io::AsyncWriteExt as _;
        self.client.shutdown().await.expect("half-closed");
        let (_, end) = receive(&mut self.far).await;
        assert_eq!(end, Some(Incoming::Eof));
        self.far.eof().await;
        self.far.close().await;
        let (_, ended) = read_all(&mut self.client).await;
        ended.expect("a clean end");
        assert_eq!(self.ended().await, Outcome::Clean);
    }

    /// The outcome of the relay.
    async fn ended(self) -> Outcome {
        drop(self.client);
        soon(self.relay).await.expect("no panic")
    }
}

async fn line() -> (TestSession, Line) {
    let mut session = TestSession::start().await;
    let line = Line::new(&mut session, &Relayer::new(BacklogLimits::default())).await;
    (session, line)
}

/// Waits with a deadline.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(HANG, work).await.expect("it hangs")
}

/// Waits until `condition` holds.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = timeout(HANG, async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("timed out waiting until {what}"));
}

/// Everything received up to the end, and how the stream ended.
async fn read_all(client: &mut Pipe) -> (Vec<u8>, io::Result<()>) {
    let mut bytes = Vec::new();
    let ended = soon(client.read_to_end(&mut bytes)).await.map(drop);
    (bytes, ended)
}

#[track_caller]
fn assert_reset(ended: &io::Result<()>) {
    let kind = ended.as_ref().map_err(io::Error::kind);
    assert_eq!(kind, Err(io::ErrorKind::ConnectionReset));
}

/// Test data in which each four bytes contain their position.
fn content(length: usize) -> Vec<u8> {
    let words =
        (0..u32::try_from(length / 4 + 1).expect("not that much")).flat_map(u32::to_le_bytes);
    words.take(length).collect()
}

/// Everything the client sent, and the event after it.
async fn receive(far: &mut Far) -> (Vec<u8>, Option<Incoming>) {
    let mut bytes = Vec::new();
    loop {
        match soon(far.recv()).await {
            Some(Incoming::Data(data)) => bytes.extend(data),
            end => return (bytes, end),
        }
    }
}

/// Longer than anything here takes, on however busy a machine.
const HANG: Duration = Duration::from_secs(60);
/// The time after which a writer that makes no progress counts as blocked.
const LONG: Duration = Duration::from_millis(200);
