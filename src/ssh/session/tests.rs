use std::future::{pending, ready};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::channel::Incoming;
use crate::ssh::testing::TestSession;

#[tokio::test]
async fn a_session_that_ends_has_no_round_trip() {
    let test = TestSession::start().await;
    let round_trip = test.session().measure().await.expect("it answers");
    assert!(!round_trip.is_zero());
    assert!(test.session().health().delay().last().is_some());
    test.cut();
    test.session().closed().await;
    assert_eq!(test.session().measure().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_session_closed_by_the_server_ends_even_with_data_queued() {
    let test = TestSession::start().await;
    let session = test.session();
    test.stop_line();
    let ends = async {
        tokio::join!(session.ping(), async {
            test.disconnect("too many").await;
            while session.is_ready() {
                sleep(Duration::from_millis(1)).await;
            }
            assert!(!session.observed.closed.is_cancelled(), "its last data is kept for a moment");
            session.ping().await;
            assert!(session.observed.closed.is_cancelled(), "that was no answer");
        })
    };
    timeout(Duration::from_secs(60), ends).await.expect("it ends");
    assert_eq!(session.facts().end.as_deref(), Some("the server disconnected: too many"));
}

#[tokio::test]
async fn a_request_that_is_lost_in_the_queue_fails_when_the_session_ends() {
    let test = TestSession::start().await;
    let lost = pending::<Result<(), russh::Error>>();
    let (answer, ()) = tokio::join!(test.session().answer(lost), async { test.cut() });
    assert!(answer.is_err());
    let given = ready(Ok::<_, russh::Error>(()));
    test.session().answer(given).await.expect("an answer that came before counts");
}

/// The round trip of another session, measured on an idle line, would make a full line look like a queue.
#[tokio::test(start_paused = true)]
async fn an_upload_is_paced_by_the_best_round_trip_of_its_own_session() {
    let test = TestSession::start().await;
    let session = test.session();
    let millis = Duration::from_millis;
    session.health().delay().note(millis(70));
    session.health().delay().note_server_best(Some(millis(11)));
    for (took, is_paced) in [(70, false), (75, false), (140, true)] {
        session.note_ping();
        let again = session.note_round_trip(millis(took));
        assert_eq!(again.is_some(), is_paced, "{took} ms");
        tokio::time::advance(millis(200)).await;
        session.observed.outflow.took(1 << 20);
    }
}

#[tokio::test]
async fn an_unwanted_channel_is_closed_by_a_server_that_closes_at_eof() {
    let mut test = TestSession::start().await;
    let (channel, mut far) = test.open().await;
    let closing = tokio::spawn(channel.close_gracefully());
    assert_eq!(far.recv().await, Some(Incoming::Eof));
    assert_eq!(test.channels(), 0, "it no longer counts");
    far.close().await;
    closing.await.expect("no panic");
    assert_eq!(test.closed_by_us(), 0);
}

/// The clock only advances while everything waits.
#[tokio::test(start_paused = true)]
async fn an_unwanted_channel_whose_target_ignores_eof_is_closed_at_once() {
    let mut test = TestSession::start().await;
    let (channel, mut far) = test.open().await;
    let begun = tokio::time::Instant::now();
    let closing = tokio::spawn(channel.close_gracefully());
    assert_eq!(far.recv().await, Some(Incoming::Eof));
    far.send(vec![0; 100_000]).await.expect("open");
    assert_eq!(far.recv().await, Some(Incoming::Close));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    closing.await.expect("no panic");
    assert_eq!(test.closed_by_us(), 1);
}
