use super::*;
use crate::pool::tests::pool_with;
use crate::registry::{Registry, ServerLog};
use crate::ssh::OpenKind;
use crate::ssh::testing::TestSession;

/// The driver of a new pool with these sessions.
fn driver(log: ServerLog, sessions: &[&TestSession]) -> Driver {
    let shared = Arc::clone(&pool_with(log).0);
    *lock(&shared.sessions) = sessions.iter().map(|test| Arc::clone(test.session())).collect();
    Driver::new(shared, None, tokio::sync::oneshot::channel().0)
}

#[tokio::test]
async fn a_session_that_is_in_use_is_not_quiet() {
    let test = TestSession::start().await;
    let driver = driver(ServerLog::default(), &[&test]);
    let quiet = || driver.facts(&driver.sessions()).quiet();
    assert_eq!(quiet(), 1);
    let _opening = test.session().load().lease(OpenKind::Isolated);
    assert_eq!(quiet(), 0);
}

#[tokio::test]
async fn a_session_is_not_closed_while_its_last_data_is_in_transit() {
    let mut test = TestSession::start().await;
    let mut driver = driver(ServerLog::default(), &[&test]);
    let (channel, _far) = test.open().await;
    let (reader, writer) = channel.split();
    writer.send("the end".into()).await.expect("open");
    drop((reader, writer));
    let session = Arc::clone(test.session());
    session.note_ping();
    session.load().lease(OpenKind::Plain).sent(1);
    session.note_round_trip(Duration::from_millis(1));
    driver.close(&session);
    assert_eq!(driver.sessions().len(), 1, "data sent after the ping may be in transit");
    session.health().measurement_requested().await;
    session.note_ping();
    driver.close(&session);
    assert_eq!(driver.sessions().len(), 1, "the ping is unanswered");
    session.note_round_trip(Duration::from_millis(1));
    driver.close(&session);
    assert!(driver.sessions().is_empty());
}

#[tokio::test]
async fn a_session_closed_here_is_retired_and_one_that_ends_by_itself_is_lost() {
    let (unneeded, ended) = (TestSession::start().await, TestSession::start().await);
    ended.session().drain();
    ended.cut();
    ended.session().closed().await;
    let registry = Registry::default();
    let mut driver = driver(registry.server_log(&"s".into()), &[&unneeded, &ended]);
    for test in [&unneeded, &ended] {
        driver.close(test.session());
        driver.lost(test.session());
    }
    let tally = registry.tallies.servers.of("s");
    let count = |end| tally.ended[end as usize].load(Relaxed);
    assert_eq!((count(SessionEnd::Retired), count(SessionEnd::Lost)), (1, 1));
    assert!(lock(&driver.shared.status).last_loss.is_some());
    assert!(driver.sessions().is_empty());
}
