//! Registrations with an in-process server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::registration::{Registration, RegistrationEnd, Stopped};
use super::*;
use crate::ssh::session::remote_forwards::ForwardedQueue;
use crate::ssh::session::{Incoming, Refusal};
use crate::ssh::testing::{CHOSEN_PORT, KEPT_PORT, SLOW_PORT, TestSession};

async fn register(test: &TestSession, listen: &str, queue: &ForwardedQueue) -> Registration {
    let session = Arc::clone(test.session());
    let listen = listen.parse().expect(listen);
    Registration::request(session, &listen, queue).await.expect("the server grants everything")
}

#[tokio::test]
async fn a_connection_that_arrives_before_the_port_is_known_is_not_lost() {
    let mut test = TestSession::start().await;
    let (queue, mut connections) = ForwardedQueue::new(1);
    let registration = register(&test, "*:0", &queue).await;
    assert_eq!(registration.listen.to_string(), format!("*:{CHOSEN_PORT}"));

    let forwarded = connections.recv().await.expect("the connection is queued");
    assert_eq!(forwarded.origin(), Some(SocketAddr::from(([192, 0, 2, 1], 1234))));
    assert_eq!(test.channels(), 0, "it does not count before it is accepted");
    let (mut reader, writer) = forwarded.accept().await.split();
    let mut far = test.forwarded().await;
    far.send(&b"there"[..]).await.expect("an open channel");
    assert_eq!(reader.recv().await, Some(Incoming::Data("there".into())));
    writer.send("back".into()).await.expect("an open channel");
    assert_eq!(far.recv().await, Some(Incoming::Data("back".into())));
    assert_eq!(test.channels(), 1);
}

#[tokio::test]
async fn connections_beyond_the_bound_are_refused_until_one_is_answered() {
    let test = TestSession::start().await;
    let (queue, mut connections) = ForwardedQueue::new(1);
    let _first = register(&test, "80", &queue).await;
    let waiting = connections.recv().await.expect("the connection is queued");
    // The queue is full, so that this connection is refused without being queued.
    let second = register(&test, "81", &queue).await;
    test.session().ping().await;
    assert!(connections.try_recv().is_err());
    waiting.refuse(Refusal::ConnectFailed).await;
    drop(second);
    let _third = register(&test, "82", &queue).await;
    assert!(connections.recv().await.is_some());
}

#[tokio::test]
async fn a_retired_session_stays_until_its_listener_is_gone() {
    let mut test = TestSession::start().await;
    let (queue, _connections) = ForwardedQueue::new(1);
    let registration = register(&test, "80", &queue).await;
    let session = Arc::clone(test.session());
    assert_eq!(session.idle(), Duration::ZERO, "a session with a listener is not idle");
    assert!(!session.is_empty());
    session.drain();
    assert_eq!(registration.ended().await, RegistrationEnd::Retired);
    assert!(!session.is_empty(), "it may not be closed yet");
    assert_eq!(registration.cancel().await, Stopped::Yes);
    assert_eq!(test.cancelled().await, 80);
    drop(registration);
    assert!(session.is_empty());
}

/// Otherwise its clients would be refused, and no other session would be granted the address.
#[tokio::test]
async fn a_listener_that_the_server_does_not_cancel_stays_on_its_session() {
    let test = TestSession::start().await;
    let (queue, mut connections) = ForwardedQueue::new(2);
    let registration = register(&test, &KEPT_PORT.to_string(), &queue).await;
    test.session().drain();
    assert_eq!(registration.ended().await, RegistrationEnd::Retired);
    assert_eq!(registration.cancel().await, Stopped::No);
    let registration = registration.staying();
    assert!(connections.recv().await.is_some(), "it is served");
    assert!(!test.session().is_empty(), "it may not be closed yet");
    let ended = registration.ended();
    tokio::pin!(ended);
    assert!(ended.as_mut().now_or_never().is_none());
    test.cut();
    assert_eq!(ended.await, RegistrationEnd::Lost);
}

#[tokio::test]
async fn a_listener_that_the_server_did_not_cancel_is_taken_over_by_the_next() {
    let test = TestSession::start().await;
    let (queue, mut connections) = ForwardedQueue::new(2);
    let listen: RemoteListen = KEPT_PORT.to_string().parse().expect("a port");
    let registration = register(&test, &listen.to_string(), &queue).await;
    assert!(connections.recv().await.is_some(), "the server opens a channel when it is asked");
    registration.release().await;
    assert!(test.session().remote_forwards().has_abandoned(&listen));
    assert!(test.session().is_empty(), "it may be closed");

    let registration = register(&test, &listen.to_string(), &queue).await;
    assert!(!test.session().remote_forwards().has_abandoned(&listen));
    drop(registration);
    let again = Registration::request(Arc::clone(test.session()), &listen, &queue).await;
    assert!(matches!(again, Err(ListenError::Refused)), "it was not released this time");
}

#[tokio::test]
async fn a_lost_session_is_distinguished_from_a_retired_one() {
    let test = TestSession::start().await;
    let (queue, _connections) = ForwardedQueue::new(1);
    let registration = register(&test, "80", &queue).await;
    test.session().drain();
    test.cut();
    test.session().closed().await;
    assert_eq!(registration.ended().await, RegistrationEnd::Lost);
    let (session, listen) = (Arc::clone(test.session()), "81".parse().expect("a port"));
    let error = Registration::request(session, &listen, &queue).await.expect_err("no server");
    assert_eq!(error, ListenError::SessionLost);
}

#[tokio::test]
async fn a_listener_granted_too_late_is_cancelled() {
    let mut test = TestSession::start().await;
    let (queue, _connections) = ForwardedQueue::new(1);
    let (session, listen) = (Arc::clone(test.session()), SLOW_PORT.to_string());
    let listen = listen.parse().expect("a port");
    tokio::select! {
        _ = Registration::request(session, &listen, &queue) => panic!("it has not answered yet"),
        () = test.asked_for_slow_port() => {}
    }
    test.grant_slow_port();
    assert_eq!(test.cancelled().await, SLOW_PORT);
    assert!(test.session().is_empty());
}
