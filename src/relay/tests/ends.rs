//! How connections end.

use tokio::io::AsyncWriteExt;

use super::*;

async fn line() -> (TestSession, Line) {
    let mut session = TestSession::start().await;
    let line = Line::new(&mut session, &Relayer::new(BacklogLimits::default())).await;
    (session, line)
}

#[tokio::test]
async fn the_client_ends_first() {
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
async fn the_target_ends_first() {
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
async fn what_a_server_sends_after_its_end_is_not_part_of_the_stream() {
    let (_session, mut line) = line().await;
    // The client does not keep up, so that the end waits behind the rest.
    let down = content(4 << 20);
    line.far.send(down.clone()).await.expect("room");
    line.far.eof().await;
    line.far.send(content(1000)).await.expect("room");
    line.far.close().await;
    let (bytes, _) = read_all(&mut line.client).await;
    assert!(bytes == down, "{} bytes", bytes.len());
}

/// asyncssh sends its EOF and waits for our CLOSE.
#[tokio::test]
async fn a_server_that_waits_for_our_close_holds_nothing_up() {
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
        assert_eq!(session.channels(), 0, "it weighs nothing any more");
        assert_eq!(soon(line.far.recv()).await, Some(Incoming::Close), "{first}");
        assert_eq!(line.ended().await, Outcome::Clean);
        assert_eq!(session.closed_by_us(), 1);
    }
}

#[tokio::test]
async fn what_came_with_the_request_is_sent_first() {
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

/// The response is whole, and its tail may still be on its way: a reset would throw that away. What
/// the client goes on sending finds a closed connection.
#[tokio::test]
async fn a_cut_after_the_target_s_end_leaves_the_response_whole() {
    let (session, mut line) = line().await;
    line.far.eof().await;
    let (_, ended) = read_all(&mut line.client).await;
    ended.expect("the target said all");
    session.cut();
    until("the relay is over", || line.relay.is_finished()).await;
    let (_, ended) = read_all(&mut line.client).await;
    ended.expect("it stays so");
    let sent = line.client.write_all(b"more").await;
    assert_eq!(sent.expect_err("nobody takes it").kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(line.ended().await, Outcome::Cut);
}

/// Both directions hear of the cut at once, whichever is looked at first.
#[tokio::test]
async fn a_cut_in_the_middle_of_an_upload_after_the_target_s_end_is_a_cut() {
    for _ in 0..20 {
        let (session, mut line) = line().await;
        line.far.eof().await;
        let (_, ended) = read_all(&mut line.client).await;
        ended.expect("the target said all");
        // Nobody takes this on the far side: the window closes, and the upload waits for it.
        let (_reading, mut writing) = tokio::io::split(line.client);
        let upload = tokio::spawn(async move {
            let chunk = content(64 * 1024);
            while writing.write_all(&chunk).await.is_ok() {}
        });
        soon(line.far.recv()).await.expect("it begins");
        session.cut();
        assert_eq!(soon(line.relay).await.expect("no panic"), Outcome::Cut);
        soon(upload).await.expect("the client's writes end");
    }
}

/// A client of `-R`, whose target is reached over a session, too. Each side has said all that it will, so that
/// nobody looks for more, and none of it fits through.
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
    until("it waits for the line", || relayer.memory.used() > 400_000).await;
    // The end comes right behind.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    session.cut();
    // The other relay may end first, which is this one's client.
    let ended = soon(relay).await.expect("no panic");
    assert!(matches!(ended, Outcome::Cut | Outcome::ClientGone), "{ended:?}");
    soon(relayer.pipes_ended()).await;
}

/// The client is a relay, too, which takes nothing before there is room for what it brings.
#[tokio::test]
async fn a_close_or_a_cut_behind_the_target_s_end_is_heard_while_the_upload_waits_for_the_line() {
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
        // Nobody wants it any more. What the target said before its end is for the client all the same.
        for _ in 0..10 {
            soon(client.write_all(&chunk)).await.expect("it is discarded");
        }
        let (bytes, _) = read_all(&mut client).await;
        assert!(bytes == content(MUCH), "{} bytes", bytes.len());
        soon(relayer.pipes_ended()).await;
    }
}

#[tokio::test]
async fn a_close_without_an_end_is_an_end() {
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
    // Nobody takes this on the far side: the window closes.
    let (mut reading, mut writing) = tokio::io::split(line.client);
    let endless = tokio::spawn(async move {
        let chunk = content(64 * 1024);
        while writing.write_all(&chunk).await.is_ok() {}
    });
    soon(line.far.recv()).await.expect("it begins");
    line.far.close().await;
    let mut bytes = Vec::new();
    soon(reading.read_to_end(&mut bytes)).await.expect("a clean end");
    assert_eq!(soon(line.relay).await.expect("no panic"), Outcome::Clean);
    soon(endless).await.expect("the client's writes end");
}

#[tokio::test]
async fn a_client_that_is_gone_is_gone_at_every_stage() {
    for stage in 0..6 {
        let (session, mut line) = line().await;
        match stage {
            0 => {}
            1 => line.client.write_all(&content(1000)).await.expect("taken"),
            2 => line.client.shutdown().await.expect("half-closed"),
            // More than the client's end holds: it waits in the backlog.
            3 => line.far.send(content(2 << 20)).await.expect("open"),
            // More than the far side takes: it waits for the window.
            4 => {
                let chunk = content(64 * 1024);
                while timeout(LONG, line.client.write_all(&chunk)).await.is_ok() {}
            }
            _ => {
                line.far.send(content(1000)).await.expect("open");
                soon(line.client.read_exact(&mut [0; 10])).await.expect("it arrives");
            }
        }
        drop(line.client);
        assert_eq!(soon(line.relay).await.expect("no panic"), Outcome::ClientGone, "stage {stage}");
        while soon(line.far.recv()).await.is_some() {}
        until("the channel is let go", || session.channels() == 0).await;
        assert_eq!(session.slow_readers(), 0, "stage {stage}");
    }
}

/// russh keeps something of each channel that is closed from here first.
#[tokio::test]
async fn the_channel_of_a_client_that_resets_is_closed_by_a_server_that_does_so_at_its_end() {
    let (session, mut line) = line().await;
    line.client.write_all(b"begun").await.expect("taken");
    let Line { client, mut far, relay } = line;
    client.reset_on_drop();
    drop(client);
    assert_eq!(receive(&mut far).await, (b"begun".to_vec(), Some(Incoming::Eof)));
    far.close().await;
    assert_eq!(soon(relay).await.expect("no panic"), Outcome::ClientGone);
    assert_eq!((session.channels(), session.closed_by_us()), (0, 0));
}

/// The owner of a pipe has nothing more to do once it has sent its end, whatever is still on its way.
#[tokio::test]
async fn what_a_client_sent_before_its_end_arrives_after_it_has_left() {
    let (_session, mut line) = line().await;
    line.far.eof().await;
    let (mut sent, chunk) = (0, content(64 << 10));
    // Until the server takes no more.
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

/// The far side has said all, and the client leaves instead of sending on.
#[tokio::test]
async fn a_client_that_leaves_after_the_target_s_end_is_a_clean_end() {
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
    until("the channel is let go", || session.channels() == 0).await;
    let (bytes, _) = read_all(&mut line.client).await;
    assert!(bytes.is_empty());
}

/// Who takes nothing for so long takes nothing any more.
const LONG: Duration = Duration::from_millis(200);
/// More than is on its way in a pipe and a writer, in bytes.
const MUCH: usize = 400_000;
