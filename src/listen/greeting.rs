//! How long a client may take to send its request, and how many clients may be doing so.
//!
//! A connection is *in greeting* from its accept until its request is complete. Each has a deadline, and if too
//! many are in greeting, the oldest is evicted: a flood of half-open connections harms itself instead of
//! regular clients.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::lock::lock;

/// The limits on connections in greeting.
#[derive(Clone, Copy, Debug)]
pub struct GreetingLimits {
    /// From accepting the connection to the complete request. Default: 10 s.
    pub deadline: Duration,
    /// The maximum number of connections in greeting, at least 1. Default: 1024.
    pub most: usize,
}

impl Default for GreetingLimits {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(10), most: 1024 }
    }
}

/// The connections in greeting.
#[derive(Clone, Debug)]
pub(crate) struct Greetings {
    limits: GreetingLimits,
    table: Arc<Mutex<Table>>,
}

/// Ids increase, so that the first entry is the oldest.
#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// Each is told when it is evicted.
    slots: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A place among the connections in greeting, which is released on drop.
#[derive(Debug)]
pub(crate) struct GreetingSlot {
    id: u64,
    table: Arc<Mutex<Table>>,
}

/// The other end of a [`GreetingSlot`], which signals the end of the greeting's time.
#[derive(Debug)]
pub(crate) struct Expiry {
    deadline: Instant,
    evicted: Option<oneshot::Receiver<()>>,
}

/// Why a greeting was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub(crate) enum Expired {
    #[strum(to_string = "no complete request in time")]
    Deadline,
    #[strum(to_string = "too many connections without a request, and this was the oldest")]
    Crowded,
}

impl Greetings {
    pub(crate) fn new(limits: GreetingLimits) -> Self {
        Self { limits, table: Arc::default() }
    }

    /// Takes a slot, evicting the oldest connection if none is free.
    pub(crate) fn enter(&self) -> (GreetingSlot, Expiry) {
        let (sender, receiver) = oneshot::channel();
        let mut table = lock(&self.table);
        while table.slots.len() >= self.limits.most.max(1) {
            table.evict_oldest();
        }
        let id = table.next;
        table.next += 1;
        table.slots.insert(id, sender);
        drop(table);
        let deadline = Instant::now() + self.limits.deadline;
        (
            GreetingSlot { id, table: self.table.clone() },
            Expiry { deadline, evicted: Some(receiver) },
        )
    }

    /// Ends the oldest greeting, to free its descriptor when none is left.
    pub(crate) fn evict_oldest(&self) {
        lock(&self.table).evict_oldest();
    }
}

impl Table {
    fn evict_oldest(&mut self) {
        if let Some((_, slot)) = self.slots.pop_first() {
            // If it has just finished, no eviction is needed.
            let _ = slot.send(());
        }
    }
}

impl Drop for GreetingSlot {
    fn drop(&mut self) {
        lock(&self.table).slots.remove(&self.id);
    }
}

impl Expiry {
    /// Waits until the greeting must end; for ever once the slot was released.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(crate) async fn wait(&mut self) -> Expired {
        if let Some(evicted) = &mut self.evicted {
            tokio::select! {
                biased;
                word = evicted => {
                    self.evicted = None;
                    if word.is_ok() {
                        return Expired::Crowded;
                    }
                }
                () = sleep_until(self.deadline) => return Expired::Deadline,
            }
        }
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    fn greetings(most: usize) -> Greetings {
        Greetings::new(GreetingLimits { most, ..GreetingLimits::default() })
    }

    async fn is_waiting(expiry: &mut Expiry) -> bool {
        let mut wait = pin!(expiry.wait());
        poll_fn(|cx| Poll::Ready(wait.as_mut().poll(cx).is_pending())).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_starts_at_the_accept() {
        let (_slot, mut expiry) = greetings(1).enter();
        let start = Instant::now();
        assert_eq!(expiry.wait().await, Expired::Deadline);
        assert_eq!(start.elapsed(), Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_is_evicted() {
        let greetings = greetings(2);
        let (_first_seat, mut first) = greetings.enter();
        let (second_seat, mut second) = greetings.enter();
        let (_third_seat, mut third) = greetings.enter();
        assert_eq!(first.wait().await, Expired::Crowded);
        assert!(is_waiting(&mut second).await);
        // A released slot is free: the fourth connection evicts none.
        drop(second_seat);
        let (_fourth_seat, _fourth) = greetings.enter();
        assert!(is_waiting(&mut third).await);
        greetings.evict_oldest();
        assert_eq!(third.wait().await, Expired::Crowded);
    }

    #[tokio::test(start_paused = true)]
    async fn a_finished_greeting_has_no_deadline() {
        let (slot, mut expiry) = greetings(1).enter();
        assert!(is_waiting(&mut expiry).await);
        drop(slot);
        let hour = Duration::from_secs(3600);
        assert!(tokio::time::timeout(hour, expiry.wait()).await.is_err());
    }
}
