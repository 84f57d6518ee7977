use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::*;
use crate::destination::Destination;

/// A server whose availability the test sets.
struct Fake {
    standing: Mutex<Availability>,
    changed: Notify,
    asked: AtomicUsize,
}

impl Fake {
    fn new(standing: Availability) -> Self {
        Self { standing: Mutex::new(standing), changed: Notify::new(), asked: AtomicUsize::new(0) }
    }

    fn set(&self, standing: Availability) {
        *self.standing.lock().expect("no panic") = standing;
        self.changed.notify_waiters();
    }

    fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }
}

impl Server for &Fake {
    type Placed = ();

    fn availability(&self) -> Availability {
        *self.standing.lock().expect("no panic")
    }

    fn changed(&self) -> impl Future<Output = ()> + Send {
        self.changed.notified()
    }

    fn try_place(&self, _: &Target) -> Option<()> {
        (self.availability() == Availability::Ready).then_some(())
    }

    async fn place(&self, target: &Target) {
        self.asked.fetch_add(1, Relaxed);
        loop {
            let changed = self.changed.notified();
            if self.try_place(target).is_some() {
                return;
            }
            changed.await;
        }
    }
}

fn target() -> Target {
    Destination::parse("web.example:80", None).expect("good").into()
}

/// The index of the server that was used, and the time that it took.
async fn placed(servers: &[&Fake]) -> (usize, Duration) {
    let start = Instant::now();
    let (index, ()) = place(servers, &target()).await;
    (index, start.elapsed())
}

async fn later(after: Duration, server: &Fake, standing: Availability) {
    sleep(after).await;
    server.set(standing);
}

const SOON: Duration = Duration::from_millis(200);

#[tokio::test(start_paused = true)]
async fn the_first_server_with_a_session_is_used_at_once() {
    use Availability::{Down, Pending, Ready};
    let (ready, down, pending) = (Fake::new(Ready), Fake::new(Down), Fake::new(Pending));
    assert_eq!(placed(&[&ready, &down]).await, (0, Duration::ZERO));
    assert_eq!(placed(&[&down, &ready, &pending]).await, (1, Duration::ZERO));
    assert_eq!(down.asked(), 0, "a server that is down is not asked");
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_session_is_waited_for_but_not_for_long() {
    let (first, second) = (Fake::new(Availability::Pending), Fake::new(Availability::Ready));
    assert_eq!(placed(&[&first, &second]).await, (1, PATIENCE));
    // The first server recovers in time.
    let both = [&first, &second];
    let (placed_at, ()) = tokio::join!(placed(&both), later(SOON, &first, Availability::Ready));
    assert_eq!(placed_at, (0, SOON));
    // It is the first choice again from now on.
    assert_eq!(placed(&[&first, &second]).await, (0, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn the_next_server_is_tried_when_the_previous_one_goes_down() {
    let (first, second) = (Fake::new(Availability::Pending), Fake::new(Availability::Ready));
    let both = [&first, &second];
    let (placed_at, ()) = tokio::join!(placed(&both), later(SOON, &first, Availability::Down));
    assert_eq!(placed_at, (1, SOON));
}

#[tokio::test(start_paused = true)]
async fn if_none_has_a_session_the_first_to_get_one_is_used() {
    let servers = [Availability::Down, Availability::Pending, Availability::Down].map(Fake::new);
    let all: Vec<_> = servers.iter().collect();
    let minute = Duration::from_secs(60);
    let (placed_at, ()) =
        tokio::join!(placed(&all), later(minute, &servers[2], Availability::Ready));
    assert_eq!(placed_at, (2, minute));
    assert!(servers.iter().all(|server| server.asked() == 1), "each is asked exactly once");
}

#[tokio::test(start_paused = true)]
async fn the_only_server_is_waited_for() {
    let only = Fake::new(Availability::Down);
    let hour = Duration::from_secs(3600);
    assert!(timeout(hour, placed(&[&only])).await.is_err());
    assert_eq!(only.asked(), 1, "it is asked once");
}
