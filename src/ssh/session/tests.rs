use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::ssh::testing::TestSession;

#[tokio::test]
async fn a_session_that_ends_tells_no_round_trip() {
    let test = TestSession::start().await;
    let round_trip = test.session().measure().await.expect("it answers");
    assert!(!round_trip.is_zero());
    assert!(test.session().health().delay().last().is_some());
    test.cut();
    test.session().closed().await;
    assert_eq!(test.session().measure().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_the_server_ends_is_over_whatever_waits_to_be_sent() {
    let test = TestSession::start().await;
    let session = test.session();
    test.stop_line();
    let ends = async {
        tokio::join!(session.ping(), async {
            test.disconnect("too many").await;
            while session.is_ready() {
                sleep(Duration::from_millis(1)).await;
            }
            assert!(!session.observed.closed.is_cancelled(), "its last words wait for a moment");
            session.ping().await;
            assert!(session.observed.closed.is_cancelled(), "that was no answer");
        })
    };
    timeout(Duration::from_secs(60), ends).await.expect("it ends");
    assert_eq!(session.facts().end.as_deref(), Some("the server disconnected: too many"));
}
