//! A connection during its life and for a while after: its request, dial and relay.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use strum::VariantArray as _;
use tokio::sync::Notify;

use super::figures::{Marks, Meter, Stages, Traffic, Waiting};
use super::outcome::{Outcome, State};
use super::tally::{CARRIED_BY_NONE, CARRIED_DIRECT};
use crate::lock::lock;
use crate::request::Request;
use crate::stream::Process;

/// A connection: its request, and its progress so far. About 350 bytes.
#[derive(Debug)]
pub struct Connection {
    id: u64,
    request: Request,
    /// The client's program; unset until it was looked up, none if it cannot be known.
    process: OnceLock<Option<Arc<Process>>>,
    began: Instant,
    state: AtomicU8,
    /// The index of its [`Outcome`], plus one; 0 while it lives.
    outcome: AtomicU8,
    marks: Marks,
    way: Mutex<Way>,
    up: Meter,
    down: Meter,
    /// Data queued for the client, in bytes.
    in_memory: AtomicU64,
    on_disk: AtomicU64,
    /// How long data has waited for the server's window, in microseconds.
    stalled: AtomicU64,
    killed: AtomicBool,
    kill: Notify,
}

/// Its route, as far as is known.
#[derive(Clone, Debug, Default)]
struct Way {
    rule: Option<Arc<str>>,
    /// The server's name; none if it goes direct, or nowhere.
    server: Option<Arc<str>>,
    /// 0 for none.
    session: u64,
    /// Why it failed; printable.
    failure: Option<Box<str>>,
}

impl Connection {
    pub(super) fn new(id: u64, request: Request) -> Self {
        Self {
            id,
            request,
            process: OnceLock::new(),
            began: Instant::now(),
            state: AtomicU8::new(State::Waiting as u8),
            outcome: AtomicU8::new(0),
            marks: Marks::default(),
            way: Mutex::default(),
            up: Meter::default(),
            down: Meter::default(),
            in_memory: AtomicU64::new(0),
            on_disk: AtomicU64::new(0),
            stalled: AtomicU64::new(0),
            killed: AtomicBool::new(false),
            kill: Notify::new(),
        }
    }

    /// Its number, unique within a run.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its request.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The client's program, if it was looked up and can be known.
    pub fn process(&self) -> Option<&Arc<Process>> {
        self.process.get()?.as_ref()
    }

    /// Whether the client's program was looked up.
    pub(crate) fn has_been_identified(&self) -> bool {
        self.process.get().is_some()
    }

    /// Records the client's program; none if it cannot be known. Only the first result counts.
    pub(crate) fn identify(&self, process: Option<Arc<Process>>) {
        let _ = self.process.set(process);
    }

    /// When its request was complete.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Its state.
    pub fn state(&self) -> State {
        State::VARIANTS[usize::from(self.state.load(Relaxed))]
    }

    /// How it ended; none while it lives.
    pub fn outcome(&self) -> Option<Outcome> {
        usize::from(self.outcome.load(Relaxed)).checked_sub(1).map(|at| Outcome::VARIANTS[at])
    }

    /// When it entered its state.
    pub fn since(&self) -> Instant {
        let entered = match self.state() {
            State::Waiting => None,
            State::Opening => at(&self.marks.placed),
            State::Relaying | State::HalfClosed => at(&self.marks.opened),
            State::Ended => at(&self.marks.ended),
        };
        self.began + entered.unwrap_or_default()
    }

    /// The rule that decided its route; none if the default did.
    pub fn rule(&self) -> Option<Arc<str>> {
        self.way().rule.clone()
    }

    /// The server that carries it.
    pub fn server(&self) -> Option<Arc<str>> {
        self.way().server.clone()
    }

    /// The name under which it is counted: that of its server, [`CARRIED_DIRECT`] or [`CARRIED_BY_NONE`].
    pub(super) fn carrier(&self) -> Arc<str> {
        let other = if self.is_open() { CARRIED_DIRECT } else { CARRIED_BY_NONE };
        self.server().unwrap_or_else(|| other.into())
    }

    /// Whether the connection to the target was established.
    pub(super) fn is_open(&self) -> bool {
        at(&self.marks.opened).is_some()
    }

    /// The number of the session that carries it.
    pub fn session(&self) -> Option<u64> {
        Some(self.way().session).filter(|session| *session != 0)
    }

    /// Why it failed; printable.
    pub fn failure(&self) -> Option<Box<str>> {
        self.way().failure.clone()
    }

    /// How long each stage has taken so far.
    pub fn stages(&self) -> Stages {
        let marks = &self.marks;
        let after = |mark: &AtomicU64, before: &AtomicU64| {
            Some(at(mark)?.saturating_sub(at(before).unwrap_or_default()))
        };
        let asked = if at(&marks.placed).is_some() { &marks.placed } else { &marks.decided };
        Stages {
            decided: at(&marks.decided),
            waited: after(&marks.placed, &marks.decided),
            opened: after(&marks.opened, asked),
            first_byte: after(&marks.first_byte, &marks.opened),
            total: at(&marks.ended),
        }
    }

    /// How long the far side took to answer, successfully or not; none if it has not answered or was not asked.
    pub fn answered_after(&self) -> Option<Duration> {
        let asked = at(&self.marks.placed)?;
        let answered = at(&self.marks.opened).or_else(|| at(&self.marks.ended))?;
        Some(answered.saturating_sub(asked))
    }

    /// The bytes carried so far.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            up: self.up.bytes.load(Relaxed),
            down: self.down.bytes.load(Relaxed),
            up_rate: self.up.rate.load(Relaxed),
            down_rate: self.down.rate.load(Relaxed),
        }
    }

    /// The data queued for the client.
    pub fn waiting(&self) -> Waiting {
        Waiting { memory: self.in_memory.load(Relaxed), disk: self.on_disk.load(Relaxed) }
    }

    /// The total time for which data from the client has waited for the server's window.
    pub fn stalled(&self) -> Duration {
        Duration::from_micros(self.stalled.load(Relaxed))
    }

    /// Kills it as if the session had ended: the client is reset.
    pub fn kill(&self) {
        self.killed.store(true, Relaxed);
        self.kill.notify_waiters();
    }

    /// Whether it was killed.
    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Relaxed)
    }

    /// Completes when it is killed.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    pub async fn killed(&self) {
        let kill = self.kill.notified();
        // A kill before the subscription sends no notification.
        if !self.is_killed() {
            kill.await;
        }
    }

    /// Records the decision of the rules.
    pub fn decided(&self, rule: Option<&Arc<str>>) {
        self.mark(&self.marks.decided);
        self.way().rule = rule.cloned();
    }

    /// Records that a session was asked for a channel; 0 for a direct connection.
    pub fn asked(&self, server: Option<&Arc<str>>, session: u64) {
        if session != 0 {
            self.mark(&self.marks.placed);
        }
        self.state.store(State::Opening as u8, Relaxed);
        let mut way = self.way();
        way.server = server.cloned();
        way.session = session;
    }

    /// Records the session of the channel, which may not be the one asked first.
    pub fn carried_by(&self, session: u64) {
        self.way().session = session;
    }

    /// Records that the session was lost before it answered: another one is needed.
    pub(crate) fn asked_in_vain(&self) {
        self.state.store(State::Waiting as u8, Relaxed);
        let mut way = self.way();
        way.server = None;
        way.session = 0;
    }

    /// Records that the connection to the target is established.
    pub fn opened(&self) {
        self.mark(&self.marks.opened);
        self.state.store(State::Relaying as u8, Relaxed);
    }

    /// Records that one side has sent EOF.
    pub fn half_closed(&self) {
        self.state.store(State::HalfClosed as u8, Relaxed);
    }

    /// Records bytes received from the far side.
    pub fn received(&self, bytes: usize) {
        if self.down.bytes.fetch_add(bytes as u64, Relaxed) == 0 {
            self.mark(&self.marks.first_byte);
        }
    }

    /// Records bytes sent to the far side.
    pub fn sent(&self, bytes: usize) {
        self.up.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Records a wait for the server's window.
    pub(crate) fn stalled_for(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.stalled.fetch_add(micros, Relaxed);
    }

    /// Records how much data is queued for the client.
    pub fn set_waiting(&self, waiting: Waiting) {
        self.in_memory.store(waiting.memory, Relaxed);
        self.on_disk.store(waiting.disk, Relaxed);
    }

    /// Records why it failed; `failure` is printable.
    pub(super) fn fail(&self, failure: String) {
        self.way().failure = Some(failure.into());
    }

    /// Records its end. Returns whether this was the first call.
    pub(super) fn end(&self, outcome: Outcome) -> bool {
        let first = self.outcome.compare_exchange(0, outcome as u8 + 1, Relaxed, Relaxed).is_ok();
        if first {
            self.mark(&self.marks.ended);
            self.state.store(State::Ended as u8, Relaxed);
            self.set_waiting(Waiting::default());
            for meter in [&self.up, &self.down] {
                meter.rate.store(0, Relaxed);
            }
        }
        first
    }

    /// Ends a beat of one second, over which the rates are measured.
    pub(super) fn beat(&self) {
        for meter in [&self.up, &self.down] {
            let now = meter.bytes.load(Relaxed);
            meter.rate.store(now - meter.before.swap(now, Relaxed), Relaxed);
        }
    }

    fn mark(&self, mark: &AtomicU64) {
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX - 1);
        mark.store(micros.saturating_add(1), Relaxed);
    }

    fn way(&self) -> MutexGuard<'_, Way> {
        lock(&self.way)
    }
}

/// The time of a mark since the connection began; none before the event.
fn at(mark: &AtomicU64) -> Option<Duration> {
    mark.load(Relaxed).checked_sub(1).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        Connection::new(7, Request::for_test("db.example:5432"))
    }

    #[test]
    fn a_connection_costs_less_than_400_bytes_with_its_table_entry() {
        let place = size_of::<(u64, Arc<Connection>)>() * 8 / 7 + 2 * size_of::<usize>();
        assert!(size_of::<Connection>() + place <= 400, "{}", size_of::<Connection>());
    }

    #[test]
    fn the_stages_are_consecutive() {
        let connection = connection();
        assert_eq!((connection.state(), connection.stages()), (State::Waiting, Stages::default()));
        connection.decided(Some(&"rule".into()));
        connection.asked(Some(&"box".into()), 3);
        assert_eq!((connection.state(), connection.session()), (State::Opening, Some(3)));
        connection.asked_in_vain();
        assert_eq!((connection.state(), connection.server()), (State::Waiting, None));
        connection.asked(Some(&"box".into()), 4);
        std::thread::sleep(Duration::from_millis(5));
        connection.opened();
        connection.received(10);
        connection.received(5);
        connection.sent(3);
        connection.beat();
        let traffic = Traffic { up: 3, down: 15, up_rate: 3, down_rate: 15 };
        assert_eq!(connection.traffic(), traffic);
        connection.beat();
        assert_eq!(connection.traffic().down_rate, 0);
        assert!(connection.end(Outcome::Clean) && !connection.end(Outcome::Cut));
        assert_eq!(connection.outcome(), Some(Outcome::Clean));
        let stages = connection.stages();
        assert!(stages.opened.is_some_and(|took| took >= Duration::from_millis(5)), "{stages:?}");
        assert!(stages.total >= stages.opened && stages.first_byte.is_some(), "{stages:?}");
    }

    #[test]
    fn a_connection_of_hours_has_its_duration() {
        let two_hours = Duration::from_secs(2 * 60 * 60);
        let began = Instant::now().checked_sub(two_hours).expect("a clock that knows that time");
        let connection = Connection { began, ..connection() };
        connection.opened();
        connection.received(1);
        connection.end(Outcome::Clean);
        let stages = connection.stages();
        assert!(stages.total.is_some_and(|total| total >= two_hours), "{stages:?}");
        assert!(connection.since().elapsed() < two_hours, "it has ended just now");
    }

    #[test]
    fn a_direct_connection_waits_for_no_session() {
        let connection = connection();
        connection.decided(None);
        connection.asked(None, 0);
        connection.opened();
        let stages = connection.stages();
        assert_eq!((stages.waited, connection.session()), (None, None));
        assert!(stages.opened.is_some());
    }

    #[tokio::test]
    async fn a_kill_is_noticed_before_and_during_the_wait() {
        let connection = Arc::new(connection());
        let waiting = tokio::spawn({
            let connection = Arc::clone(&connection);
            async move { connection.killed().await }
        });
        tokio::task::yield_now().await;
        connection.kill();
        waiting.await.expect("it ends");
        connection.killed().await;
    }
}
