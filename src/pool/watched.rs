//! A session as seen by its monitor.

use std::time::Duration;

use tokio::time::Instant;

use crate::ssh::session::Session;
use crate::ssh::session::delay::Delay;
use crate::ssh::session::load::Beat;

/// The part of a session that the monitor needs; tests implement it, too.
pub(super) trait Watched: Sync {
    /// Completes when the session has ended.
    fn closed(&self) -> impl Future<Output = ()> + Send;

    /// Completes when a probe is requested.
    fn probe_requested(&self) -> impl Future<Output = ()> + Send;

    /// Completes when a measurement of the round trip is requested.
    fn measurement_requested(&self) -> impl Future<Output = ()> + Send;

    /// Pings the server, and completes with its answer.
    fn ping(&self) -> impl Future<Output = ()> + Send;

    /// The measured round trips.
    fn delay(&self) -> &Delay;

    /// Records that a ping is being sent.
    fn asked(&self) {
        self.delay().asked();
    }

    /// Ends a beat and returns the counters.
    fn beat(&self) -> Reading;

    /// Records the answer to a ping sent at `asked`. Returns how soon the next ping is due if it cannot wait.
    fn answered(&self, asked: Instant, round_trip: Duration) -> Option<Duration>;

    /// Records the verdict of a beat.
    fn judge(&self, verdict: Verdict);

    /// Ends the session for this reason.
    fn give_up(&self, why: &str);
}

/// The counters at the end of a beat.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    /// What the channels carried during the beat.
    pub(super) carried: Beat,
    /// All bytes received from the server so far.
    pub(super) received: u64,
    /// How many of them belong to the incoming packet; 0 between packets.
    pub(super) packet: u64,
    /// The number of opens that the server has answered so far.
    pub(super) answered: u64,
    /// Channels that are being opened.
    pub(super) opening: usize,
    /// Channels whose reader blocks the session.
    pub(super) held: usize,
}

/// The verdict of a beat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whether the server has not answered for a while.
    pub(super) stuck: bool,
    /// Whether the silence is so long that waiting opens should use another session.
    pub(super) suspect: bool,
    /// Whether the server sends much data that no channel accepts, which delays its answers.
    pub(super) flooded: bool,
}

impl Watched for Session {
    async fn closed(&self) {
        self.closed().await;
    }

    async fn probe_requested(&self) {
        self.health().probe_requested().await;
    }

    async fn measurement_requested(&self) {
        self.health().measurement_requested().await;
    }

    async fn ping(&self) {
        self.ping().await;
    }

    fn delay(&self) -> &Delay {
        self.health().delay()
    }

    fn asked(&self) {
        self.note_ping();
    }

    fn beat(&self) -> Reading {
        let load = self.load();
        Reading {
            carried: load.beat(),
            received: self.received(),
            packet: self.of_packet(),
            answered: self.health().answered(),
            opening: load.opening(),
            held: load.held(),
        }
    }

    fn answered(&self, asked: Instant, round_trip: Duration) -> Option<Duration> {
        self.health().note_answer(asked);
        self.health().set_stuck(false);
        self.note_round_trip(round_trip)
    }

    fn judge(&self, verdict: Verdict) {
        self.health().set_stuck(verdict.stuck);
        self.health().set_flooded(verdict.flooded);
        if verdict.suspect {
            self.health().suspect();
        }
    }

    fn give_up(&self, why: &str) {
        self.give_up(why);
    }
}
