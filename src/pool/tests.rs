//! A pool whose server is unreachable.

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

/// A pool for a port on which nothing listens.
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
async fn waiters_learn_of_each_failure() {
    let pool = pool();
    let target = Destination::parse("web.example:80", None).expect("good").into();
    for _ in 0..2 {
        let placed = timeout(HANG, pool.place_or_fail(&target)).await.expect("it hangs");
        assert_eq!(placed.err(), Some(NoSession));
        assert_eq!(pool.availability(), Availability::Down, "other servers are tried");
    }
    assert!(pool.view().failures >= 2);
    pool.shutdown().await;
}

#[tokio::test]
async fn background_work_is_not_a_request_and_does_not_wait_for_a_person() {
    let pool = pool();
    let target = Destination::parse("web.example:80", None).expect("good").into();
    {
        let mut placing = pin!(pool.place_in_background(&target));
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
async fn every_caller_of_shutdown_waits_for_the_end() {
    let pool = pool();
    let mut first = pin!(pool.shutdown());
    assert!(first.as_mut().now_or_never().is_none());
    assert!(pool.shutdown().now_or_never().is_none(), "it has not ended yet");
    assert!(!pool.has_ended());
    timeout(HANG, first).await.expect("it hangs");
    assert!(pool.has_ended());
    pool.shutdown().await;
}

/// A draining session still carries data.
#[tokio::test]
async fn the_view_of_a_draining_session_has_the_shortest_round_trip_to_its_server() {
    let test = TestSession::start().await;
    let session = test.session();
    session.measure().await.expect("it answers");
    session.health().delay().note_server_best(Some(Duration::from_micros(1)));
    session.drain();
    let pool = pool();
    // The driver's task runs only at the next `await`.
    lock(&pool.0.sessions).push(Arc::clone(session));
    let last = session.health().delay().last();
    let round_trip = pool.view().sessions[0].round_trip;
    assert_eq!(round_trip, last.map(|last| (last, Duration::from_micros(1))));
    // A thread of its own, since a deadlock would block this one for ever.
    let (sender, receiver) = std::sync::mpsc::channel();
    let hop = pool.clone();
    std::thread::spawn(move || sender.send(hop.jump_view("hop")));
    let view = receiver.recv_timeout(HANG).expect("it hangs");
    assert_eq!((view.sessions, view.round_trip), (1, last));
    pool.shutdown().await;
}

#[tokio::test]
async fn a_session_with_a_slow_reader_is_no_better_than_a_stuck_one() {
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
    assert!(!pool.0.has_better(&asked), "it has a slow reader");
    pool.shutdown().await;
}

/// The server would refuse the address to any other session.
#[tokio::test]
async fn a_listener_goes_to_the_session_on_which_its_address_is_still_bound() {
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

/// A deadline generous enough for any busy machine.
const HANG: Duration = Duration::from_secs(60);
