//! How connections end.

use tokio::io::AsyncWriteExt;

use super::*;

#[tokio::test]
async fn the_client_sends_eof_first() {
    let (session, mut line) = line().await;
    let (up, down) = (content(300_000), content(500_000));
    let sending = async {
        line.client.write_all(&up).await.expect("taken");
        line.client.shutdown().await.expect("half-closed");
    };
    let ((), received) = tokio::join!(sending, receive(&mut line.far));
    assert_eq!(received, (up, Some(Incoming::Eof)));
    line.far.send(down.clone()).await.expect("still open");
    line.far.eof().await;
    line.far.close().await;
    let (bytes, ended) = read_all(&mut line.client).await;
    ended.expect("a clean end");
    assert!(bytes == down, "{} bytes", bytes.len());
    assert_eq!(line.ended().await, Outcome::Clean);
    assert_eq!((session.channels(), session.closed_by_us()), (0, 0));
}

#[tokio::test]
async fn the_target_sends_eof_first() {
    let (session, mut line) = line().await;
    line.far.eof().await;
    let (bytes, ended) = read_all(&mut line.client).await;
    ended.expect("a clean end");
    assert!(bytes.is_empty());
    let up = content(300_000);
    let sending = async {
        line.client.write_all(&up).await.expect("taken");
        line.client.shutdown().await.expect("half-closed");
    };
    let ((), received) = tokio::join!(sending, receive(&mut line.far));
    assert_eq!(received, (up, Some(Incoming::Eof)));
    line.far.close().await;
    assert_eq!(line.ended().await, Outcome::Clean);
    assert_eq!((session.channels(), session.closed_by_us()), (0, 0));
}

#[tokio::test]
async fn data_after_eof_is_not_part_of_the_stream() {
    let (_session, mut line) = line().await;
    // The client does not keep up, so that the EOF is queued behind the data.
    let down = content(4 << 20);
    line.far.send(down.clone()).await.expect("room");
    line.far.eof().await;
    line.far.send(content(1000)).await.expect("room");
    line.far.close().await;
    let (bytes, _) = read_all(&mut line.client).await;
    assert!(bytes == down, "{} bytes", bytes.len());
}

/// The clock only advances while everything waits.
#[tokio::test(start_paused = true)]
async fn a_client_is_done_before_the_server_closes_the_channel() {
    let (_session, mut line) = line().await;
    let start = tokio::time::Instant::now();
    line.far.eof().await;
    line.client.shutdown().await.expect("half-closed");
    read_all(&mut line.client).await.1.expect("a clean end");
    soon(line.client.gone()).await;
    assert!(start.elapsed() < GRACE, "{:?}", start.elapsed());
}

/// asyncssh sends EOF and waits for our CLOSE.
#[tokio::test]
async fn a_server_that_waits_for_our_close_delays_nothing() {
    for first in ["target", "client"] {
        let (session, mut line) = line().await;
        if first == "client" {
            line.client.shutdown().await.expect("half-closed");
        }
        line.far.eof().await;
        let (_, ended) = read_all(&mut line.client).await;
        ended.expect("a clean end");
        line.client.shutdown().await.expect("half-closed");
        assert_eq!(receive(&mut line.far).await, (Vec::new(), Some(Incoming::Eof)), "{first}");
        soon(line.client.gone()).await;
        assert_eq!(session.channels(), 0, "a finished channel is not counted");
        assert_eq!(soon(line.far.recv()).await, Some(Incoming::Close), "{first}");
        assert_eq!(line.ended().await, Outcome::Clean);
        assert_eq!(session.closed_by_us(), 1);
    }
}

#[tokio::test]
async fn early_data_is_sent_first() {
    let mut session = TestSession::start().await;
    let (channel, mut far) = session.open().await;
    let (mut client, end) = pipe::ends();
    client.write_all(b" and the rest").await.expect("room");
    client.shutdown().await.expect("half-closed");
    let relayer = Relayer::new(BacklogLimits::default());
    let relay =
        tokio::spawn(
            async move { relayer.relay(end, Bytes::from_static(b"early"), channel).await },
        );
    let (bytes, end) = receive(&mut far).await;
    assert_eq!((&bytes[..], end), (&b"early and the rest"[..], Some(Incoming::Eof)));
    far.close().await;
    assert_eq!(soon(relay).await.expect("no panic"), Outcome::Clean);
}

#[tokio::test]
async fn a_cut_is_a_reset() {
    let (session, mut line) = line().await;
    let down = content(100_000);
    line.far.send(down.clone()).await.expect("open");
    let mut begun = [0; 1000];
    soon(line.client.read_exact(&mut begun)).await.expect("it arrives");
    session.cut();
    let (rest, ended) = read_all(&mut line.client).await;
    assert_reset(&ended);
    assert!(down.starts_with(&[&begun[..], &rest].concat()), "wrong bytes");
    assert_eq!(line.ended().await, Outcome::Cut);
    assert_eq!(session.channels(), 0);
}

/// The response is complete, and its tail may still be in transit: a reset would discard it. What the client
/// sends afterwards meets a closed connection.
#[tokio::test]
async fn a_cut_after_the_target_s_eof_leaves_the_response_intact() {
    let (session, mut line) = line().await;
    line.far.eof().await;
    let (_, ended) = read_all(&mut line.client).await;
    ended.expect("a clean end");
    session.cut();
    until("the relay is over", || line.relay.is_finished()).await;
    let (_, ended) = read_all(&mut line.client).await;
    ended.expect("the end stays clean");
    let sent = line.client.write_all(b"more").await;
    assert_eq!(sent.expect_err("the connection is closed").kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(line.ended().await, Outcome::Cut);
}

/// Both directions learn of the cut at the same time, whichever is polled first.
#[tokio::test]
async fn a_cut_during_an_upload_after_the_target_s_eof_is_a_cut() {
    for _ in 0..20 {
        let (session, mut line) = line().await;
        line.far.eof().await;
        let (_, ended) = read_all(&mut line.client).await;
        ended.expect("a clean end");
        // The far side does not read: the window closes, and the upload waits for it.
        let (_reading, mut writing) = tokio::io::split(line.client);
        let upload = tokio::spawn(async move {
            let chunk = content(64 * 1024);
            while writing.write_all(&chunk).await.is_ok() {}
        });
        soon(line.far.recv()).await.expect("the upload begins");
        session.cut();
        assert_eq!(soon(line.relay).await.expect("no panic"), Outcome::Cut);
        soon(upload).await.expect("the client's writes end");
    }
}

/// A client of `-R` whose target is reached over a session, too. Both sides have sent EOF, so that nothing is
/// polled for more, and what they sent does not fit through.
#[tokio::test]
async fn a_cut_ends_two_relays_that_wait_for_each_other() {
    let mut session = TestSession::start().await;
    let relayer = Relayer::new(BacklogLimits::default());
    let ((near, near_far), (target, target_far)) = (session.open().await, session.open().await);
    let client = relayer.pipe(near);
    let relay = {
        let relayer = relayer.clone();
        tokio::spawn(async move { relayer.relay(client, Bytes::new(), target).await })
    };
    session.stop_line();
    for far in [&near_far, &target_far] {
        far.send(content(MUCH)).await.expect("room");
        far.eof().await;
    }
    until("the data waits for the window", || relayer.memory.used() > 400_000).await;
    // The EOF follows immediately.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    session.cut();
    // The other relay, which is this one's client, may end first.
    let ended = soon(relay).await.expect("no panic");
    assert!(matches!(ended, Outcome::Cut | Outcome::ClientGone), "{ended:?}");
    soon(relayer.pipes_ended()).await;
}

/// The client is a relay, too, which receives nothing before there is room for it.
#[tokio::test]
async fn a_close_or_a_cut_after_the_target_s_eof_is_noticed_while_the_upload_waits() {
    for is_cut in [false, true] {
        let mut session = TestSession::start().await;
        let relayer = Relayer::new(BacklogLimits::default());
        let (channel, far) = session.open().await;
        let mut client = relayer.pipe(channel);
        session.stop_line();
        far.send(content(MUCH)).await.expect("room");
        far.eof().await;
        let chunk = content(64 * 1024);
        while timeout(LONG, client.write_all(&chunk)).await.is_ok() {}
        if is_cut {
            session.cut();
        } else {
            far.close().await;
        }
        // The upload is no longer wanted, but the client still receives what the target sent before its EOF.
        for _ in 0..10 {
            soon(client.write_all(&chunk)).await.expect("it is discarded");
        }
        let (bytes, _) = read_all(&mut client).await;
        assert!(bytes == content(MUCH), "{} bytes", bytes.len());
        soon(relayer.pipes_ended()).await;
    }
}

#[tokio::test]
async fn a_close_without_eof_is_a_clean_end() {
    let (session, mut line) = line().await;
    let down = content(100_000);
    line.far.send(down.clone()).await.expect("open");
    line.far.close().await;
    let (bytes, ended) = read_all(&mut line.client).await;
    ended.expect("a clean end");
    assert!(bytes == down, "{} bytes", bytes.len());
    assert_eq!(line.ended().await, Outcome::Clean);
    assert_eq!((session.channels(), session.closed_by_us()), (0, 0));
}

#[tokio::test]
async fn a_close_reaches_a_client_that_is_still_sending() {
    let (_session, mut line) = line().await;
    // The far side does not read, and so the window closes.
    let (mut reading, mut writing) = tokio::io::split(line.client);
    let endless = tokio::spawn(async move {
        let chunk = content(64 * 1024);
        while writing.write_all(&chunk).await.is_ok() {}
    });
    soon(line.far.recv()).await.expect("the upload begins");
    line.far.close().await;
    let mut bytes = Vec::new();
    soon(reading.read_to_end(&mut bytes)).await.expect("a clean end");
    assert_eq!(soon(line.relay).await.expect("no panic"), Outcome::Clean);
    soon(endless).await.expect("the client's writes end");
}

/// Both have sent everything, and the client receives it, however late.
#[tokio::test]
async fn a_cut_after_both_eofs_is_a_clean_end() {
    let mut session = TestSession::start().await;
    let relayer = Relayer::new(BacklogLimits::default());
    let mut line = Line::new(&mut session, &relayer).await;
    line.client.shutdown().await.expect("half-closed");
    assert_eq!(receive(&mut line.far).await.1, Some(Incoming::Eof));
    let down = content(MUCH);
    line.far.send(down.clone()).await.expect("open");
    line.far.eof().await;
    until("the data waits for the client", || relayer.memory.used() > 300_000).await;
    // The EOF follows immediately.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    session.cut();
    session.session().closed().await;
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let (bytes, ended) = read_all(&mut line.client).await;
    ended.expect("a clean end");
    assert!(bytes == down, "{} bytes", bytes.len());
    assert_eq!(line.ended().await, Outcome::Clean);
}

/// The owner of a pipe is done once it has sent EOF, even while data is in transit.
#[tokio::test]
async fn data_sent_before_eof_arrives_after_the_client_has_gone() {
    let (_session, mut line) = line().await;
    line.far.eof().await;
    let (mut sent, chunk) = (0, content(64 << 10));
    // Written until the server accepts no more.
    while let Ok(written) = timeout(Duration::from_millis(300), line.client.write(&chunk)).await {
        sent += written.expect("an open pipe");
    }
    line.client.shutdown().await.expect("an open pipe");
    let Line { client, mut far, relay } = line;
    drop(client);
    let (bytes, end) = receive(&mut far).await;
    assert_eq!((bytes.len(), end), (sent, Some(Incoming::Eof)));
    far.close().await;
    assert_eq!(soon(relay).await.expect("no panic"), Outcome::Clean);
}

/// The far side has sent EOF, and the client leaves instead of sending more.
#[tokio::test]
async fn a_client_that_leaves_after_the_target_s_eof_is_a_clean_end() {
    let (session, mut line) = line().await;
    line.far.send(content(1000)).await.expect("open");
    line.far.eof().await;
    let (bytes, ended) = read_all(&mut line.client).await;
    ended.expect("a clean end");
    assert_eq!(bytes, content(1000));
    drop(line.client);
    let (_, end) = receive(&mut line.far).await;
    assert_eq!(end, Some(Incoming::Eof));
    line.far.close().await;
    assert_eq!(soon(line.relay).await.expect("no panic"), Outcome::Clean);
    assert_eq!((session.channels(), session.closed_by_us()), (0, 0));
}

#[tokio::test]
async fn a_relay_that_is_dropped_closes_both_ends() {
    let (session, mut line) = line().await;
    line.relay.abort();
    while soon(line.far.recv()).await.is_some() {}
    until("the channel is closed", || session.channels() == 0).await;
    let (bytes, _) = read_all(&mut line.client).await;
    assert!(bytes.is_empty());
}

/// More than fits into a pipe and a writer together, in bytes.
const MUCH: usize = 400_000;
