//! Monitors a session: whether the server still answers, and how much data the session carries.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::debug;

use self::endless::{EndlessPacket, Found};
use super::watched::{Reading, Watched};
use crate::ssh::connect::Liveness;
use crate::ssh::session::handler::DAMAGED;
use crate::ssh::session::load::Beat;

mod endless;
#[cfg(test)]
mod tests;

/// Monitors `session` until it ends, and closes it if the server is silent for too long. Passes to `learn` what
/// was carried in each [`BEAT`], and the actual length of the beat.
pub(super) async fn watch<S: Watched>(
    session: &S,
    liveness: Liveness,
    learn: impl Fn(Beat, Duration),
) {
    let mut monitor = Monitor::new(session, liveness);
    let mut beat = interval(BEAT);
    // On a busy machine a beat may be late, but none is shorter for it.
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut begun = Instant::now();
    loop {
        let (dead_at, again) = (monitor.dead_at(), monitor.again());
        tokio::select! {
            () = session.closed() => return,
            () = session.health().probe_requested() => monitor.probe(),
            () = answer(monitor.ping.as_mut().map(|ping| &mut ping.answer)) => monitor.answered(),
            () = session.health().measurement_requested() => monitor.measure(),
            () = sleep_until(again) => monitor.measure(),
            () = answer(monitor.nudge.as_mut()) => monitor.nudge = None,
            _ = beat.tick() => {
                let carried = monitor.beat();
                let span = begun.elapsed();
                begun = Instant::now();
                if span > STOPPED {
                    monitor.resumed();
                }
                // The first tick is immediate.
                if span >= BEAT / 2 {
                    learn(carried, span);
                }
            }
            () = sleep_until(dead_at) => {
                // While this program was stopped, the silence was not the server's.
                if begun.elapsed() > STOPPED {
                    begun = Instant::now();
                    monitor.resumed();
                    continue;
                }
                session.give_up("the server does not answer any more");
                return;
            }
        }
    }
}

/// Completes when the ping is answered; never if there is none.
async fn answer(answer: Option<&mut Answer<'_>>) {
    match answer {
        Some(answer) => answer.await,
        None => std::future::pending().await,
    }
}

struct Monitor<'a, S> {
    session: &'a S,
    liveness: Liveness,
    /// When the server was last heard from.
    heard: Instant,
    received: u64,
    /// The number of answered opens at the last beat.
    answered: u64,
    /// Beats since the session last carried data or opened a channel.
    idle: u32,
    /// When to ping again, if that cannot wait for the next beat.
    again: Option<Instant>,
    ping: Option<Ping<'a>>,
    packet: EndlessPacket,
    /// A ping sent in the middle of an incoming packet.
    nudge: Option<Answer<'a>>,
}

/// A ping that the server has not answered.
struct Ping<'a> {
    sent: Instant,
    /// When the patience started, at `sent` or later.
    asked: Instant,
    /// How long the server may be silent.
    patience: Duration,
    answer: Answer<'a>,
}

type Answer<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl<'a, S: Watched> Monitor<'a, S> {
    fn new(session: &'a S, liveness: Liveness) -> Self {
        let heard = Instant::now();
        Self {
            session,
            liveness,
            heard,
            received: 0,
            answered: 0,
            idle: 0,
            again: None,
            ping: None,
            packet: EndlessPacket::default(),
            nudge: None,
        }
    }

    fn ask(&mut self, patience: Duration) {
        let session = self.session;
        let answer = Box::pin(async move { session.ping().await });
        let sent = Instant::now();
        self.ping = Some(Ping { sent, asked: sent, patience, answer });
        session.asked();
    }

    /// Measures the round trip on request.
    fn measure(&mut self) {
        self.again = None;
        if self.ping.is_none() {
            self.ask(self.liveness.silence);
        }
    }

    /// Probes the server on request: the network may have failed, so that the patience is short.
    fn probe(&mut self) {
        self.heard = Instant::now();
        match &mut self.ping {
            Some(ping) => (ping.asked, ping.patience) = (Instant::now(), PROBE_PATIENCE),
            None => self.ask(PROBE_PATIENCE),
        }
    }

    /// Restarts the patience after this program was stopped for a while.
    fn resumed(&mut self) {
        self.heard = Instant::now();
        if let Some(ping) = &mut self.ping {
            ping.asked = self.heard;
        }
    }

    fn answered(&mut self) {
        if let Some(ping) = self.ping.take() {
            let round_trip = ping.sent.elapsed();
            debug!(round_trip_ms = round_trip.as_millis(), "the server answers");
            let health = self.session.health();
            health.delay().answered(round_trip);
            health.note_answer(ping.sent);
            health.set_stuck(false);
            let again = self.session.answered(round_trip);
            self.again = again.map(|wait| Instant::now() + wait);
        }
        self.heard = Instant::now();
    }

    fn beat(&mut self) -> Beat {
        let Reading { carried, received, packet, opening, held } = self.session.beat();
        let health = self.session.health();
        let answered = health.answered();
        match self.packet.look(received, packet) {
            Found::Nothing => {}
            Found::Silence => {
                let session = self.session;
                self.nudge = Some(Box::pin(async move { session.ping().await }));
            }
            Found::Endless => self.session.give_up(DAMAGED),
        }
        // Any data counts as an answer. While a reader blocks the session, the silence is not the server's.
        if received != self.received || answered != self.answered || held > 0 {
            self.heard = Instant::now();
        }
        let unwanted = (received - self.received).saturating_sub(carried.received);
        let opens_wait = opening > 0 && answered == self.answered;
        (self.received, self.answered) = (received, answered);
        let asked = self.ping.as_ref().map_or(Duration::ZERO, |ping| ping.asked.elapsed());
        let excess = health.delay().excess();
        let stuck = asked.min(self.heard.elapsed()) > STUCK;
        health.set_stuck(stuck);
        if stuck && asked > SUSPECT {
            health.suspect();
        }
        let is_flood = unwanted >= FLOOD_BYTES && unwanted > carried.received;
        health.set_flooded(excess > FLOODED && is_flood);
        let busy = opens_wait || carried.carried >= BUSY;
        self.idle = if busy { 0 } else { self.idle.saturating_add(1) };
        // An idle session on a congested path is not pinged at every beat.
        let may_have_calmed = self.idle < IDLE || self.idle.is_multiple_of(IDLE / 2);
        let wants_to_know = busy
            || excess > NOTABLE_EXCESS && may_have_calmed
            || self.heard.elapsed() >= self.liveness.interval;
        if self.ping.is_none() && wants_to_know {
            self.ask(self.liveness.silence);
        }
        carried
    }

    fn again(&self) -> Instant {
        self.again.unwrap_or_else(|| Instant::now() + NEVER)
    }

    fn dead_at(&self) -> Instant {
        match &self.ping {
            Some(ping) => self.heard.max(ping.asked) + ping.patience,
            None => Instant::now() + NEVER,
        }
    }
}

/// How often the load is sampled.
const BEAT: Duration = Duration::from_millis(500);
/// A beat that is later than this was held up: the program was stopped or starved of CPU.
const STOPPED: Duration = Duration::from_secs(2);
/// Bytes per beat from which a session counts as busy and is pinged.
const BUSY: u64 = 8 << 10;
/// The excess delay from which an idle session is pinged as well.
const NOTABLE_EXCESS: Duration = Duration::from_millis(20);
/// Idle beats after which such a session is pinged only twice in as many.
const IDLE: u32 = 20;
/// How long a server may leave a ping unanswered before its session is avoided.
const STUCK: Duration = Duration::from_secs(1);
/// How long until waiting opens should use another session.
const SUSPECT: Duration = Duration::from_secs(3);
/// The excess delay from which a session may be flooded.
const FLOODED: Duration = Duration::from_millis(300);
/// Bytes for no channel in a beat, if more than half of all received, from which such a session is flooded.
const FLOOD_BYTES: u64 = 16 << 10;
/// How long the answer to a probe may take.
const PROBE_PATIENCE: Duration = Duration::from_secs(5);
/// A timer that never fires.
const NEVER: Duration = Duration::from_secs(24 * 3600);
