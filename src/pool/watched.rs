//! A session as seen by its monitor.

use std::time::Duration;

use crate::ssh::session::Session;
use crate::ssh::session::health::Health;
use crate::ssh::session::load::Beat;

/// The part of a session that the monitor needs; tests implement it, too.
pub(super) trait Watched: Sync {
    /// Completes when the session has ended.
    fn closed(&self) -> impl Future<Output = ()> + Send;

    /// Pings the server, and completes with its answer.
    fn ping(&self) -> impl Future<Output = ()> + Send;

    /// Requests to the monitor, and its findings.
    fn health(&self) -> &Health;

    /// Records that a ping is being sent.
    fn asked(&self);

    /// Records the round trip of a ping. Returns how soon the next one is due if it cannot wait.
    fn answered(&self, round_trip: Duration) -> Option<Duration>;

    /// Ends a beat and returns the counters.
    fn beat(&self) -> Reading;

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
    /// Channels that are being opened.
    pub(super) opening: usize,
    /// Channels whose reader blocks the session.
    pub(super) held: usize,
}

impl Watched for Session {
    async fn closed(&self) {
        self.closed().await;
    }

    async fn ping(&self) {
        self.ping().await;
    }

    fn health(&self) -> &Health {
        self.health()
    }

    fn asked(&self) {
        self.note_ping();
    }

    fn answered(&self, round_trip: Duration) -> Option<Duration> {
        self.note_round_trip(round_trip)
    }

    fn beat(&self) -> Reading {
        let load = self.load();
        Reading {
            carried: load.beat(),
            received: self.received(),
            packet: self.of_packet(),
            opening: load.opening(),
            held: load.held(),
        }
    }

    fn give_up(&self, why: &str) {
        self.give_up(why);
    }
}
