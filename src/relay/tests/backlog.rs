//! Clients that do not keep up.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use proptest::prelude::*;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::yield_now;

use super::*;

/// Limits with little memory and plenty of disk space.
const SMALL: BacklogLimits =
    BacklogLimits { connection: 256 << 10, memory: 8 << 20, spill: 64 << 20 };

/// Sends `bytes` in chunks, and then EOF.
fn send(far: Far, bytes: Vec<u8>, chunk: usize) -> JoinHandle<Far> {
    send_as_allowed(far, bytes, chunk, Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)))
}

/// Sends as `send` does, each chunk when a permit is available.
fn send_as_allowed(
    far: Far,
    bytes: Vec<u8>,
    chunk: usize,
    allowed: Arc<Semaphore>,
) -> JoinHandle<Far> {
    tokio::spawn(async move {
        let bytes = Bytes::from(bytes);
        for start in (0..bytes.len()).step_by(chunk) {
            allowed.acquire().await.expect("never closed").forget();
            let end = bytes.len().min(start + chunk);
            if far.send(bytes.slice(start..end)).await.is_err() {
                return far;
            }
        }
        far.eof().await;
        far.close().await;
        far
    })
}

/// Checks that a new channel of the session works.
async fn assert_works(session: &mut TestSession, relayer: &Relayer) {
    use tokio::io::AsyncWriteExt as _;
    let mut line = Line::new(session, relayer).await;
    soon(line.client.write_all(b"ping")).await.expect("room");
    assert_eq!(soon(line.far.recv()).await, Some(Incoming::Data(Bytes::from_static(b"ping"))));
    line.far.send("pong").await.expect("open");
    soon(line.client.read_exact(&mut [0; 4])).await.expect("the answer arrives");
    line.finish().await;
}

/// Checks that all budgets are released and the session is no longer marked.
async fn assert_nothing_is_left(session: &TestSession, relayer: &Relayer) {
    until("the channels are closed", || session.channels() == 0).await;
    assert_eq!((relayer.memory.used(), relayer.disk.used()), (0, 0));
    assert_eq!((session.slow_readers(), session.held()), (0, 0));
}

#[tokio::test]
async fn alone_on_a_session_the_relay_stops_receiving_and_spills_nothing() {
    let (mut session, relayer) = (TestSession::start().await, Relayer::new(SMALL));
    let mut line = Line::new(&mut session, &relayer).await;
    let all = content(32 << 20);
    let sending = send(line.far, all.clone(), 30_000);
    until("the reader stops", || session.held() == 1).await;
    sleep(Duration::from_millis(100)).await;
    assert!(!sending.is_finished(), "everything was received");
    assert_eq!(relayer.disk.used(), 0);
    assert!(relayer.memory.used() < 2 * SMALL.connection, "{}", relayer.memory.used());
    let (bytes, ended) = read_all(&mut line.client).await;
    ended.expect("a clean end");
    assert!(bytes == all, "{} bytes", bytes.len());
    drop(line.client);
    assert_eq!(soon(line.relay).await.expect("no panic"), Outcome::Clean);
    drop(sending);
    assert_nothing_is_left(&session, &relayer).await;
}

#[tokio::test]
async fn another_channel_resumes_a_held_session() {
    let (mut session, relayer) = (TestSession::start().await, Relayer::new(SMALL));
    let mut line = Line::new(&mut session, &relayer).await;
    let all = content(32 << 20);
    // Data is sent a little at a time: a relay that has received everything has nothing to hold back.
    let allowed = Arc::new(Semaphore::new(0));
    let sending = send_as_allowed(line.far, all.clone(), 30_000, Arc::clone(&allowed));
    let with_more = async |what: &str, condition: &dyn Fn() -> bool| {
        until(what, || {
            allowed.add_permits(1);
            condition()
        })
        .await;
    };
    with_more("the reader stops", &|| session.held() == 1).await;
    let other = Line::new(&mut session, &relayer).await;
    with_more("later data goes to a file", &|| relayer.disk.used() > 0).await;
    with_more("the session is marked", &|| session.slow_readers() == 1).await;
    other.finish().await;
    for _ in 0..3 {
        with_more("the reader stops", &|| session.held() == 1).await;
        soon(assert_works(&mut session, &relayer)).await;
    }
    allowed.add_permits(all.len() / 30_000 + 1);
    let (bytes, ended) = read_all(&mut line.client).await;
    ended.expect("a clean end");
    assert!(bytes == all, "{} bytes", bytes.len());
    drop((line.client, sending));
    assert_eq!(soon(line.relay).await.expect("no panic"), Outcome::Clean);
    assert_nothing_is_left(&session, &relayer).await;
}

#[tokio::test]
async fn on_a_shared_session_data_is_spilled_and_read_back_in_order() {
    let (mut session, relayer) = (TestSession::start().await, Relayer::new(SMALL));
    let other = Line::new(&mut session, &relayer).await;
    let mut line = Line::new(&mut session, &relayer).await;
    // The kernel's socket buffers may hold 8 MiB of it.
    let all = content(40 << 20);
    // A client is reset if its data arrives faster than it can be written to a slow disk.
    let allowed = Arc::new(Semaphore::new(0));
    let sending = send_as_allowed(line.far, all.clone(), 30_000, Arc::clone(&allowed));
    let all_is_sent = || {
        allowed.add_permits(if relayer.memory.used() < SMALL.memory / 2 { 8 } else { 0 });
        sending.is_finished()
    };
    until("the client does not hold the server up", all_is_sent).await;
    drop(sending);
    // Data on its way to the file counts as on disk, and also as in memory while the disk is busy.
    let is_written = || relayer.disk.used() > 20 << 20 && relayer.memory.used() < 4 << 20;
    until("the data is in the file, and no longer in memory", is_written).await;
    soon(assert_works(&mut session, &relayer)).await;
    let (bytes, ended) = read_all(&mut line.client).await;
    ended.expect("a clean end");
    assert!(bytes == all, "{} bytes", bytes.len());
    drop(line.client);
    assert_eq!(line.relay.await.expect("no panic"), Outcome::Clean);
    other.finish().await;
    assert_nothing_is_left(&session, &relayer).await;
}

/// The client paused once, and has kept up with its target ever since.
#[tokio::test]
async fn reading_back_frees_space_in_the_file() {
    let (mut session, relayer) = (TestSession::start().await, Relayer::new(SMALL));
    let _other = Line::new(&mut session, &relayer).await;
    let mut line = Line::new(&mut session, &relayer).await;
    // The relay resets a client whose data arrives faster than a slow disk can take it.
    let keeps_up =
        async || until("it is in the file", || relayer.memory.used() < SMALL.memory / 2).await;
    for _ in 0..16 {
        keeps_up().await;
        line.far.send(vec![7; 1 << 20]).await.expect("open");
    }
    until("the data is in the file", || relayer.disk.used() > 6 << 20).await;
    let mut most = 0;
    let mut chunk = vec![0; 1 << 20];
    for _ in 0..100 {
        keeps_up().await;
        line.far.send(vec![7; 1 << 20]).await.expect("open");
        soon(line.client.read_exact(&mut chunk)).await.expect("no error");
        most = most.max(relayer.disk.used());
    }
    assert!(most < 32 << 20, "{most} bytes on disk for a backlog of 16 MiB");
}

#[tokio::test]
async fn only_the_slow_client_is_reset_when_the_limits_are_reached() {
    for spill in [0, 4 << 20] {
        let (mut session, relayer) =
            (TestSession::start().await, Relayer::new(BacklogLimits { spill, ..SMALL }));
        let other = Line::new(&mut session, &relayer).await;
        let mut line = Line::new(&mut session, &relayer).await;
        let all = content(16 << 20);
        let sending = send(line.far, all.clone(), 30_000);
        assert_eq!(soon(&mut line.relay).await.expect("no panic"), Outcome::NoRoom);
        let (bytes, ended) = read_all(&mut line.client).await;
        assert_reset(&ended);
        assert!(all.starts_with(&bytes), "wrong bytes");
        soon(sending).await.expect("the sender finishes");
        soon(assert_works(&mut session, &relayer)).await;
        other.finish().await;
        assert_nothing_is_left(&session, &relayer).await;
    }
}

#[tokio::test]
async fn all_connections_together_stay_within_the_memory_limit() {
    let limits = BacklogLimits { connection: 64 << 20, ..SMALL };
    let (mut session, relayer) = (TestSession::start().await, Relayer::new(limits));
    let mut lines = Vec::new();
    for _ in 0..4 {
        lines.push(Line::new(&mut session, &relayer).await);
    }
    let all = content(6 << 20);
    let mut waiting = Vec::new();
    for Line { client, far, relay } in lines {
        soon(send(far, all.clone(), 30_000)).await.expect("no client holds the server up");
        waiting.push((client, relay));
    }
    until("the data is in files", || relayer.disk.used() > 8 << 20).await;
    // Each connection may hold 1 MiB and one batch in transit, whatever the others hold.
    until("memory is within its limit", || relayer.memory.used() < limits.memory + (6 << 20)).await;
    for (mut client, relay) in waiting {
        let (bytes, ended) = read_all(&mut client).await;
        ended.expect("a clean end");
        assert!(bytes == all, "{} bytes", bytes.len());
        drop(client);
        assert_eq!(soon(relay).await.expect("no panic"), Outcome::Clean);
    }
    assert_nothing_is_left(&session, &relayer).await;
}

/// Tokio gives a task a budget of 128 operations per poll: receiving alone must not use it up.
#[tokio::test]
async fn many_small_messages_do_not_starve_writing() {
    let mut session = TestSession::start().await;
    let ((channel, far), (mut client, end)) = (session.open().await, pipe::ends());
    for _ in 0..1000 {
        far.send("tiny").await.expect("open");
    }
    // The messages wait in the channel's queue.
    sleep(Duration::from_millis(200)).await;
    let relayer = Relayer::new(SMALL);
    let mut relay = pin!(relayer.relay(end, Bytes::new(), channel));
    yield_now().await;
    poll_fn(|cx| Poll::Ready(relay.as_mut().poll(cx).is_pending())).await;
    let read = timeout(Duration::from_millis(100), client.read(&mut [0; 4096])).await;
    let count = read.expect("nothing was written in the first poll").expect("no error");
    assert!(count > 0);
}

/// A session that brings much at once does not wait for a write, and no connection for another's data.
#[tokio::test]
async fn no_more_is_taken_in_one_go_than_makes_a_write() {
    let mut session = TestSession::start().await;
    let ((channel, far), (_client, end)) = (session.open().await, pipe::ends());
    for _ in 0..25 {
        far.send(vec![7; 30_000]).await.expect("open");
    }
    // They wait in the channel's queue.
    sleep(Duration::from_millis(200)).await;
    let relayer = Relayer::new(BacklogLimits::default());
    let mut relay = pin!(relayer.relay(end, Bytes::new(), channel));
    yield_now().await;
    poll_fn(|cx| Poll::Ready(relay.as_mut().poll(cx).is_pending())).await;
    let taken = relayer.memory.used();
    assert!((1..320 << 10).contains(&taken), "{taken}");
}

/// How a client reads: so many bytes, then a pause of so many milliseconds.
type Reading = Vec<(usize, u64)>;

async fn relay_all(chunks: Vec<usize>, reading: Reading, limits: BacklogLimits, shared: bool) {
    let (mut session, relayer) = (TestSession::start().await, Relayer::new(limits));
    let other = if shared { Some(Line::new(&mut session, &relayer).await) } else { None };
    let mut line = Line::new(&mut session, &relayer).await;
    let all = content(chunks.iter().sum());
    let (far, bytes) = (line.far, Bytes::from(all.clone()));
    let sending = tokio::spawn(async move {
        let mut rest = bytes;
        for chunk in chunks {
            far.send(rest.split_to(chunk)).await.expect("open");
        }
        far.eof().await;
        far.close().await;
        far
    });
    let mut seen = Vec::new();
    for (count, pause) in reading.into_iter().cycle().take(200) {
        let mut some = vec![0; count];
        let count = soon(line.client.read(&mut some)).await.expect("no error");
        if count == 0 {
            break;
        }
        seen.extend_from_slice(&some[..count]);
        sleep(Duration::from_millis(pause)).await;
    }
    let (rest, ended) = read_all(&mut line.client).await;
    ended.expect("a clean end");
    seen.extend(rest);
    assert!(seen == all, "{} bytes of {}", seen.len(), all.len());
    drop(line.client);
    assert_eq!(soon(line.relay).await.expect("no panic"), Outcome::Clean);
    if let Some(other) = other {
        other.finish().await;
    }
    drop(sending);
    assert_nothing_is_left(&session, &relayer).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_arrives_once_and_in_order(
        chunks in prop::collection::vec(1_usize..200_000, 0..40),
        reading in prop::collection::vec((1_usize..200_000, 0_u64..3), 1..8),
        connection in (64_u64 << 10)..(2 << 20),
        shared in any::<bool>(),
    ) {
        let limits = BacklogLimits { connection, ..SMALL };
        let runtime = Runtime::new().expect("a runtime");
        runtime.block_on(relay_all(chunks, reading, limits, shared));
    }
}
