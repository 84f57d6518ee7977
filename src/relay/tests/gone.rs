//! What happens to the channel of a client that is gone.

use tokio::io::AsyncWriteExt;

use super::*;

#[tokio::test]
async fn a_client_that_disconnects_is_noticed_at_every_stage() {
    for stage in 0..6 {
        let (session, mut line) = line().await;
        match stage {
            0 => {}
            1 => line.client.write_all(&content(1000)).await.expect("taken"),
            2 => line.client.shutdown().await.expect("half-closed"),
            // More than the client's socket buffer holds, so that some waits in the backlog.
            3 => line.far.send(content(2 << 20)).await.expect("open"),
            // More than the far side's window, so that some waits for it.
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
        until("the channel is closed", || session.channels() == 0).await;
        assert_eq!(session.slow_readers(), 0, "stage {stage}");
    }
}

/// russh leaks memory for each channel that is closed from here first.
#[tokio::test]
async fn after_a_reset_by_the_client_a_server_that_closes_at_eof_closes_the_channel() {
    let (session, mut line) = line().await;
    line.client.write_all(b"begun").await.expect("taken");
    let Line { client, mut far, relay } = line;
    client.reset_on_drop();
    drop(client);
    assert_eq!(receive(&mut far).await, (b"begun".to_vec(), Some(Incoming::Eof)));
    far.send(content(1000)).await.expect("open");
    far.close().await;
    assert_eq!(soon(relay).await.expect("no panic"), Outcome::ClientGone);
    assert_eq!((session.channels(), session.closed_by_us()), (0, 0));
}

/// The clock only advances while everything waits.
#[tokio::test(start_paused = true)]
async fn after_the_end_of_the_client_a_target_that_ignores_eof_is_cut_off() {
    for sends_eof in [true, false] {
        let (session, mut line) = line().await;
        if sends_eof {
            line.client.shutdown().await.expect("half-closed");
        }
        let Line { client, mut far, relay } = line;
        let start = tokio::time::Instant::now();
        drop(client);
        assert_eq!(receive(&mut far).await, (Vec::new(), Some(Incoming::Eof)));
        far.send(content(100_000)).await.expect("open");
        assert_eq!(soon(far.recv()).await, Some(Incoming::Close), "{sends_eof}");
        assert!(start.elapsed() < GRACE, "{:?}", start.elapsed());
        assert_eq!(soon(relay).await.expect("no panic"), Outcome::ClientGone);
        assert_eq!((session.channels(), session.closed_by_us()), (0, 1));
    }
}

/// As for a reset, after one of the two EOFs.
#[tokio::test]
async fn a_client_that_vanishes_after_an_eof_leaves_the_closing_to_the_server() {
    for is_ours in [true, false] {
        let (session, mut line) = line().await;
        if is_ours {
            line.client.shutdown().await.expect("half-closed");
            assert_eq!(receive(&mut line.far).await.1, Some(Incoming::Eof));
        } else {
            line.far.eof().await;
            read_all(&mut line.client).await.1.expect("a clean end");
        }
        let Line { client, mut far, relay } = line;
        client.reset_on_drop();
        drop(client);
        if !is_ours {
            assert_eq!(receive(&mut far).await, (Vec::new(), Some(Incoming::Eof)));
        }
        until("the channel is finished", || session.channels() == 0).await;
        far.close().await;
        assert_eq!(soon(relay).await.expect("no panic"), Outcome::ClientGone);
        assert_eq!((session.channels(), session.closed_by_us()), (0, 0));
    }
}
