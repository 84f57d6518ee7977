//! Snapshots of a pool for the status, the metrics and the dashboard.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::Instant;

use super::{Availability, Pool, PoolSize, lock};
use crate::ssh::session::Session;
use crate::ssh::session::load::Load;

/// A pool at one moment.
#[derive(Clone, Debug)]
pub struct PoolView {
    /// How soon it can carry a request.
    pub availability: Availability,
    /// Why a session is missing; empty if none is. Printable.
    pub reason: String,
    /// Consecutive failed attempts without a session.
    pub failures: usize,
    /// The time until the next attempt after a failure; zero if it is due.
    pub next_attempt: Option<Duration>,
    /// How long ago the last session was lost, and why. Printable.
    pub last_loss: Option<(Duration, String)>,
    /// Requests that wait for a session.
    pub waiting: usize,
    /// The bounds of the pool, once they are known.
    pub size: Option<PoolSize>,
    /// Bytes sent by channels since the start.
    pub sent: u64,
    /// Bytes received by channels since the start.
    pub received: u64,
    /// The sessions, the oldest first.
    pub sessions: Vec<SessionView>,
    /// The known jump hosts, the nearest first.
    pub jumps: Vec<JumpView>,
}

/// A jump host (`ProxyJump`) at one moment.
#[derive(Clone, Debug)]
pub struct JumpView {
    /// Its name. Printable.
    pub name: String,
    /// How soon it can carry a session to the server behind it.
    pub availability: Availability,
    /// Why a session is missing; empty if none is. Printable.
    pub reason: String,
    /// How many sessions there are.
    pub sessions: usize,
    /// The shortest of their last round trips.
    pub round_trip: Option<Duration>,
}

/// A session at one moment.
#[derive(Clone, Debug)]
pub struct SessionView {
    /// Its number, unique within a run.
    pub id: u64,
    /// Whether it takes channels.
    pub state: SessionState,
    /// Since the login.
    pub age: Duration,
    /// The last round trip, and the shortest to the server on any session.
    pub round_trip: Option<(Duration, Duration)>,
    /// Channels that are open or being opened.
    pub channels: usize,
    /// How many of these the server has not confirmed yet.
    pub opening: usize,
    /// Channels that carried data within the last second.
    pub active: usize,
    /// Channels that carry bulk transfers.
    pub bulk: usize,
    /// Channels whose client does not keep up.
    pub slow_readers: usize,
    /// Channels whose relay has stopped receiving, which blocks the session.
    pub held: usize,
    /// Bytes sent by channels.
    pub sent: u64,
    /// Bytes received by channels.
    pub received: u64,
    /// The receive window of a channel, in bytes.
    pub window: u32,
    /// The type of the host key.
    pub host_key_type: String,
    /// The fingerprint of the host key, as `SHA256:…`.
    pub host_key_fingerprint: String,
    /// The key exchange.
    pub key_exchange: String,
    /// The cipher from the server to us.
    pub cipher: String,
}

/// Whether a session takes channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum SessionState {
    /// It takes channels.
    Ready,
    /// It takes channels, but the server has not answered for a while.
    Stuck,
    /// It takes no more channels, and ends after the last one.
    Draining,
}

impl Pool {
    /// A snapshot of the pool.
    pub fn view(&self) -> PoolView {
        let (availability, jumps) = (self.availability(), self.jumps());
        // With both locks held, a session counts until it is added to the past, so that no sum decreases.
        let all = lock(&self.0.sessions);
        let status = lock(&self.0.status);
        let until = |at: Instant| at.saturating_duration_since(Instant::now());
        let sum = |of: fn(&Load) -> u64| all.iter().map(|session| of(session.load())).sum::<u64>();
        PoolView {
            availability,
            reason: status.reason.clone(),
            failures: status.failures,
            next_attempt: status.next_attempt.map(until),
            last_loss: status.last_loss.as_ref().map(|(at, why)| (at.elapsed(), why.clone())),
            waiting: self.0.requests.load(Relaxed),
            size: status.size,
            sent: status.past.0 + sum(Load::sent),
            received: status.past.1 + sum(Load::received),
            sessions: all.iter().filter(|s| !s.is_closed()).map(|s| view(s)).collect(),
            jumps,
        }
    }

    /// The jump hosts, the nearest first.
    fn jumps(&self) -> Vec<JumpView> {
        let mut jumps = Vec::new();
        let mut next = self.0.route.last();
        while let Some((name, pool)) = next
            && jumps.len() < MOST_JUMPS
        {
            let view = pool.as_ref().map(|pool| pool.jump_view(&name));
            jumps.extend(view);
            next = pool.and_then(|pool| pool.0.route.last());
        }
        jumps.reverse();
        jumps
    }

    pub(super) fn jump_view(&self, name: &str) -> JumpView {
        // Not held further down, where the same lock is taken again.
        let (sessions, round_trip) = {
            let sessions = lock(&self.0.sessions);
            let live = || sessions.iter().filter(|session| !session.is_closed());
            (live().count(), live().filter_map(|s| s.health().delay().last()).min())
        };
        JumpView {
            name: name.to_owned(),
            availability: self.availability(),
            reason: self.reason(),
            sessions,
            round_trip,
        }
    }

    /// The port of the server as resolved from its configuration.
    pub fn port(&self) -> u16 {
        self.0.connector.port()
    }

    /// Measures the round trip on the session with this number; none if it has ended.
    pub async fn round_trip_of(&self, id: u64) -> Option<Duration> {
        let session = lock(&self.0.sessions).iter().find(|s| s.id() == id).map(Arc::clone)?;
        let asked = Instant::now();
        session.ping().await;
        let took = asked.elapsed();
        if session.is_closed() {
            return None;
        }
        session.health().delay().note(took);
        Some(took)
    }
}

fn view(session: &Session) -> SessionView {
    let (load, facts) = (session.load(), session.facts());
    let delay = session.health().delay();
    SessionView {
        id: session.id(),
        state: match (session.is_draining(), session.health().is_stuck()) {
            (true, _) => SessionState::Draining,
            (false, true) => SessionState::Stuck,
            (false, false) => SessionState::Ready,
        },
        age: session.age(),
        round_trip: delay.last().zip(delay.base()),
        channels: load.channels(),
        opening: load.opening(),
        active: load.active(),
        bulk: load.bulk(),
        slow_readers: load.slow_readers(),
        held: load.held(),
        sent: load.sent(),
        received: load.received(),
        window: session.window(),
        host_key_type: facts.host_key_type().to_owned(),
        host_key_fingerprint: facts.host_key_fingerprint,
        key_exchange: facts.key_exchange,
        cipher: facts.cipher,
    }
}

/// Bounds the list if the jump hosts form a cycle.
const MOST_JUMPS: usize = 16;
