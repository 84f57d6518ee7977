//! A session as its monitor sees it.

use std::time::Duration;

use tokio::time::Instant;

use crate::ssh::session::Session;
use crate::ssh::session::delay::Delay;
use crate::ssh::session::load::Beat;

/// What is watched: it ends by itself or is given up, answers pings in order, and carries something.
pub(super) trait Watched: Sync {
    /// Completes when it has ended.
    fn closed(&self) -> impl Future<Output = ()> + Send;

    /// Completes when somebody wants to know at once whether the server still answers.
    fn probe_requested(&self) -> impl Future<Output = ()> + Send;

    /// Completes when somebody wants to know how long an answer takes.
    fn gauge_requested(&self) -> impl Future<Output = ()> + Send;

    /// Asks the server, and completes with its answer.
    fn ping(&self) -> impl Future<Output = ()> + Send;

    /// Where round trips are kept.
    fn delay(&self) -> &Delay;

    /// Ends a beat, and reads what there is.
    fn beat(&self) -> Reading;

    /// The server has answered what was asked then, after such a time. Returns how soon it is to be
    /// asked again, where that cannot wait.
    fn answered(&self, asked: Instant, round_trip: Duration) -> Option<Duration>;

    /// Takes note of what a beat has shown.
    fn judge(&self, verdict: Verdict);

    /// Ends it, for this reason.
    fn give_up(&self, why: &str);
}

/// What there is at the end of a beat.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    /// What its channels carried in the beat.
    pub(super) carried: Beat,
    /// Bytes that came from the server so far, whatever they say.
    pub(super) received: u64,
    /// Opens that the server has answered so far.
    pub(super) answered: u64,
    /// Channels that are being opened.
    pub(super) opening: usize,
    /// Channels whose reader holds the session up.
    pub(super) held: usize,
}

/// What a beat has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The server has not answered for a while.
    pub(super) stuck: bool,
    /// It has not for so long that what waits had better go elsewhere.
    pub(super) suspect: bool,
    /// The server sends much that no channel takes, and answers late for it.
    pub(super) flooded: bool,
}

impl Watched for Session {
    async fn closed(&self) {
        self.closed().await;
    }

    async fn probe_requested(&self) {
        self.health().probe_requested().await;
    }

    async fn gauge_requested(&self) {
        self.health().gauge_requested().await;
    }

    async fn ping(&self) {
        self.ping().await;
    }

    fn delay(&self) -> &Delay {
        self.health().delay()
    }

    fn beat(&self) -> Reading {
        let load = self.load();
        Reading {
            carried: load.beat(),
            received: self.received(),
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
