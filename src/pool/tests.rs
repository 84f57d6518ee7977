//! A pool whose server is not there.

use std::net::Ipv4Addr;
use std::pin::pin;

use futures_util::FutureExt as _;
use tokio::net::TcpSocket;

use super::*;
use crate::destination::Destination;
use crate::openssh::SshOptions;
use crate::openssh::prompt::Prompter;
use crate::ssh::Reading;
use crate::ssh::connect::LineMemory;
use crate::ssh::testing::TestSession;

/// A pool for a port on which nobody listens.
fn pool() -> Pool {
    pool_with(ServerLog::default())
}

pub(super) fn pool_with(log: ServerLog) -> Pool {
    // Ours as long as the tests run, so that nobody else ever listens there.
    let taken = TcpSocket::new_v4().expect("a socket");
    taken.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("loopback");
    let name = format!("me@{}", taken.local_addr().expect("bound")).parse().expect("a server");
    std::mem::forget(taken);
    let (config, _) = ClientConfig::without_ssh(&name, &SshOptions::default()).expect("defaults");
    let carry: Carry = Box::new(|_| unreachable!("nothing lies behind it"));
    let jumps = JumpHosts::new(Prompter::nobody(), carry, LineMemory::default(), Report::Debug);
    Pool::begin(config, &jumps, None, log).0
}

#[tokio::test]
async fn whoever_waits_for_a_session_hears_of_each_failure() {
    let pool = pool();
    let target = Destination::parse("web.example:80", None).expect("good").into();
    for _ in 0..2 {
        let placed = timeout(HANG, pool.place_or_fail(&target)).await.expect("it hangs");
        assert_eq!(placed.err(), Some(NoSession));
        assert_eq!(pool.availability(), Availability::Down, "nobody who has another way waits");
    }
    assert!(pool.view().failures >= 2);
    pool.shutdown().await;
}

#[tokio::test]
async fn what_nobody_wants_now_is_no_request_and_does_not_wait_for_a_person() {
    let pool = pool();
    let target = Destination::parse("web.example:80", None).expect("good").into();
    {
        let mut placing = pin!(pool.place_unasked(&target));
        assert!(placing.as_mut().now_or_never().is_none());
        assert_eq!(pool.0.requests.load(Relaxed), 0);
        lock(&pool.0.status).outlook = Outlook::NeedsPerson;
        pool.0.changed.notify_waiters();
        assert_eq!(timeout(HANG, placing).await.expect("it hangs").err(), Some(NoSession));
    }
    let mut placing = pin!(pool.place_or_fail(&target));
    assert!(placing.as_mut().now_or_never().is_none());
    assert_eq!(pool.0.requests.load(Relaxed), 1);
    pool.shutdown().await;
}

#[tokio::test]
async fn whoever_shuts_a_pool_down_waits_for_its_end() {
    let pool = pool();
    let mut first = pin!(pool.shutdown());
    assert!(first.as_mut().now_or_never().is_none());
    assert!(pool.shutdown().now_or_never().is_none(), "it has not ended yet");
    assert!(!pool.has_ended());
    timeout(HANG, first).await.expect("it hangs");
    assert!(pool.has_ended());
    pool.shutdown().await;
}

/// Of what carries on, though it takes no more.
#[tokio::test]
async fn a_session_that_drains_is_seen_with_the_shortest_round_trip_to_its_server() {
    let test = TestSession::start().await;
    let session = test.session();
    session.measure().await.expect("it answers");
    session.health().delay().note_server_best(Some(Duration::from_micros(1)));
    session.drain();
    let pool = pool();
    // Its driver has not begun, and does nothing before the next `await`.
    lock(&pool.0.sessions).push(Arc::clone(session));
    let last = session.health().delay().last();
    let round_trip = pool.view().sessions[0].round_trip;
    assert_eq!(round_trip, last.map(|last| (last, Duration::from_micros(1))));
    // In a thread of its own, since a lock that waits for itself waits for ever.
    let (tell, told) = std::sync::mpsc::channel();
    let hop = pool.clone();
    std::thread::spawn(move || tell.send(hop.jump_view("hop")));
    let view = told.recv_timeout(HANG).expect("it hangs");
    assert_eq!((view.sessions, view.round_trip), (1, last));
    pool.shutdown().await;
}

#[tokio::test]
async fn a_session_with_a_slow_reader_is_no_better_than_one_that_is_stuck() {
    let (stuck, mut other) = (TestSession::start().await, TestSession::start().await);
    let (channel, _far) = other.open().await;
    let (reader, _writer) = channel.split();
    let pool = pool();
    lock(&pool.0.sessions).extend([Arc::clone(stuck.session()), Arc::clone(other.session())]);
    let asked = [Arc::clone(stuck.session())];
    assert!(!pool.0.has_better(&asked), "it is not stuck");
    stuck.session().health().set_stuck(true);
    assert!(pool.0.has_better(&asked));
    reader.lease().set_reading(Reading::Behind);
    assert!(!pool.0.has_better(&asked), "it would be chosen again");
    pool.shutdown().await;
}

/// No other session would be granted it.
#[tokio::test]
async fn a_place_that_a_server_has_not_given_up_is_taken_where_it_is() {
    let tests = [TestSession::start().await, TestSession::start().await];
    let pool = pool();
    lock(&pool.0.sessions).extend(tests.iter().map(|test| Arc::clone(test.session())));
    for test in &tests {
        let listen: RemoteListen = "80".parse().expect("a port");
        test.session().remote_forwards().abandon(listen.clone());
        let chosen = pool.session_for_listener(&listen).now_or_never().expect("there is one");
        assert!(Arc::ptr_eq(&chosen, test.session()));
        assert!(test.session().remote_forwards().adopt(&listen));
    }
    pool.shutdown().await;
}

/// Longer than anything here takes, on however busy a machine.
const HANG: Duration = Duration::from_secs(60);
