use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures_util::FutureExt as _;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::*;
use crate::lock::lock;
use crate::ssh::session::health::Health;

/// A session whose server answers when the test allows it.
#[derive(Default)]
struct Scripted {
    reading: Mutex<Reading>,
    health: Health,
    pings: AtomicUsize,
    answer: Notify,
    closed: Notify,
    given_up: Mutex<Option<String>>,
}

impl Watched for Scripted {
    async fn closed(&self) {
        self.closed.notified().await;
    }

    async fn ping(&self) {
        self.pings.fetch_add(1, Relaxed);
        self.answer.notified().await;
    }

    fn health(&self) -> &Health {
        &self.health
    }

    fn asked(&self) {
        self.health.delay().asked();
    }

    fn answered(&self, _: Duration) -> Option<Duration> {
        None
    }

    fn beat(&self) -> Reading {
        *lock(&self.reading)
    }

    fn give_up(&self, why: &str) {
        *lock(&self.given_up) = Some(why.to_owned());
    }
}

impl Scripted {
    /// Watches the session for `time` while `script` runs. Returns when it was given up, if it was.
    async fn watched(&self, time: Duration, script: impl Future<Output = ()>) -> Option<Duration> {
        let begun = Instant::now();
        let watching = watch(self, LIVENESS, |_, _| ());
        let script = async {
            script.await;
            std::future::pending::<()>().await;
        };
        let over = async {
            tokio::select! {
                () = watching => begun.elapsed(),
                () = script => unreachable!("it never ends"),
            }
        };
        timeout(time, over).await.ok()
    }

    fn pings(&self) -> usize {
        self.pings.load(Relaxed)
    }
}

/// The defaults.
const LIVENESS: Liveness =
    Liveness { interval: Duration::from_secs(15), silence: Duration::from_secs(45) };
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_pinged_and_then_given_up() {
    let session = Scripted::default();
    let took = session.watched(HOUR, async {}).await;
    assert_eq!(took, Some(Duration::from_secs(60)));
    assert_eq!(session.pings(), 1);
    assert!(lock(&session.given_up).is_some());
}

#[tokio::test(start_paused = true)]
async fn time_while_the_program_was_stopped_is_not_silence() {
    for answers in [false, true] {
        let session = Scripted::default();
        let stopped = async {
            sleep(Duration::from_secs(16)).await;
            assert_eq!(session.pings(), 1, "a ping is pending");
            tokio::time::advance(Duration::from_secs(100)).await;
            if answers {
                session.answer.notify_one();
            }
        };
        let took = session.watched(Duration::from_secs(116 + 50), stopped).await;
        assert_eq!(took.is_none(), answers, "{took:?}");
        assert!(took.is_none_or(|took| took >= Duration::from_secs(116 + 44)), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_ended_is_not_given_up() {
    let session = Scripted::default();
    session.closed.notify_one();
    assert_eq!(session.watched(HOUR, async {}).await, Some(Duration::ZERO));
    assert_eq!(*lock(&session.given_up), None);
}

#[tokio::test(start_paused = true)]
async fn an_idle_server_is_pinged_once_per_interval() {
    let session = Scripted::default();
    let answering = async {
        loop {
            session.answer.notify_one();
            sleep(BEAT).await;
        }
    };
    assert_eq!(session.watched(Duration::from_secs(151), answering).await, None);
    assert!((9..=10).contains(&session.pings()), "{}", session.pings());
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_on_a_congested_line_is_pinged_less_and_less() {
    let session = Scripted::default();
    session.health.delay().note(Duration::from_millis(1));
    let answering = async {
        loop {
            sleep(Duration::from_millis(130)).await;
            session.answer.notify_waiters();
        }
    };
    assert_eq!(session.watched(HOUR, answering).await, None);
    assert!((300..1000).contains(&session.pings()), "{}", session.pings());
}

#[tokio::test(start_paused = true)]
async fn any_data_counts_as_an_answer() {
    let session = Scripted::default();
    let arriving = async {
        session.health.request_probe();
        loop {
            lock(&session.reading).received += 1;
            sleep(BEAT).await;
        }
    };
    assert_eq!(session.watched(HOUR, arriving).await, None);
    assert!(!session.health.is_stuck());
}

#[tokio::test(start_paused = true)]
async fn time_while_a_reader_blocks_the_session_is_not_silence() {
    let session = Scripted::default();
    lock(&session.reading).held = 1;
    assert_eq!(session.watched(HOUR, async { session.health.request_probe() }).await, None);
    lock(&session.reading).held = 0;
    assert!(session.watched(HOUR, async { session.health.request_probe() }).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_probe_soon_ends_the_session() {
    let session = Scripted::default();
    let took = session.watched(HOUR, async { session.health.request_probe() }).await;
    assert_eq!(took, Some(PROBE_PATIENCE));
    // An ordinary ping has the usual patience.
    let session = Scripted::default();
    let took = session.watched(HOUR, async { session.health.request_measurement() }).await;
    assert_eq!(took, Some(LIVENESS.silence));
    // A probe reuses the pending ping, with less patience.
    let session = Scripted::default();
    let probing = async {
        session.health.request_measurement();
        sleep(Duration::from_secs(20)).await;
        session.health.request_probe();
    };
    let took = session.watched(HOUR, probing).await;
    assert_eq!(took, Some(Duration::from_secs(20) + PROBE_PATIENCE));
    assert_eq!(session.pings(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_probe_does_not_shorten_the_round_trip_of_a_pending_ping() {
    let session = Scripted::default();
    let probing = async {
        session.health.request_measurement();
        sleep(Duration::from_millis(300)).await;
        session.health.request_probe();
        sleep(Duration::from_millis(5)).await;
        session.answer.notify_one();
        sleep(Duration::from_millis(1)).await;
        session.closed.notify_one();
    };
    session.watched(HOUR, probing).await;
    assert_eq!(session.health.delay().best(), Some(Duration::from_millis(305)));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_an_open_is_avoided_and_then_suspected() {
    let session = Scripted::default();
    lock(&session.reading).opening = 1;
    let seen = async {
        let mut suspected = pin!(session.health.suspected());
        assert_eq!(suspected.as_mut().now_or_never(), None);
        sleep(Duration::from_millis(900)).await;
        assert_eq!((session.pings(), session.health.is_stuck()), (1, false));
        sleep(Duration::from_millis(1200)).await;
        assert!(session.health.is_stuck());
        assert_eq!(suspected.as_mut().now_or_never(), None);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(suspected.now_or_never(), Some(()));
        lock(&session.reading).opening = 0;
        session.answer.notify_one();
        sleep(Duration::from_millis(1)).await;
        assert!(!session.health.is_stuck());
        session.closed.notify_one();
    };
    assert!(session.watched(HOUR, seen).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_session_is_flooded_by_data_for_no_channel_while_answers_are_late() {
    let session = Scripted::default();
    session.health.delay().note(Duration::from_millis(10));
    let seen = async {
        let arrives = async |bytes, taken| {
            {
                let mut reading = lock(&session.reading);
                reading.received += bytes;
                reading.carried = Beat { carried: taken, received: taken, busiest: taken };
            }
            sleep(BEAT).await;
            session.health.is_flooded()
        };
        sleep(BEAT / 2).await;
        assert!(!arrives(1 << 20, 0).await, "answers are not late");
        session.health.request_measurement();
        sleep(BEAT).await;
        assert!(arrives(1 << 20, 0).await);
        assert!(!arrives(1 << 20, 1 << 20).await, "a channel received it");
        assert!(!arrives(FLOOD_BYTES - 1, 0).await, "it is little");
        session.closed.notify_one();
    };
    assert!(session.watched(HOUR, seen).await.is_some());
}
