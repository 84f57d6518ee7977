//! One SSH connection to a server, ready to carry channels.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::keys::PublicKey;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use self::delay::LAN;
use self::handler::SessionHandler;
use self::health::Health;
use self::lifespan::Lifespan;
use self::load::Load;
use self::observed::{Facts, Observed};
use self::open_failure::Unreadable;
use self::remote_forwards::RemoteForwards;
use super::trust::host_key::proof::{self, ProofError};
use crate::target::Target;

pub(crate) mod atomic_time;
mod beats;
mod channel;
pub(crate) mod delay;
mod flow;
mod forwarded;
pub(crate) mod handler;
pub(crate) mod health;
pub(crate) mod inflow;
pub(crate) mod lifespan;
mod listening;
pub(crate) mod load;
pub(crate) mod observed;
mod open_failure;
mod opening;
pub(crate) mod outflow;
mod pacer;
pub(crate) mod remote_forwards;
mod traffic;
mod unasked;

pub use channel::{Channel, ChannelGone, ChannelReader, ChannelWriter, Incoming};
pub(crate) use forwarded::{Arrival, At};
pub use forwarded::{Forwarded, Refusal};
pub(crate) use load::Reading;
pub use open_failure::TargetFault;
pub(crate) use opening::Opening;
pub use opening::{OpenError, OpenKind};
pub(crate) use traffic::Traffic;

/// An authenticated session. Cutting or dropping it ends all its channels.
pub(crate) struct Session {
    id: u64,
    handle: Handle<SessionHandler>,
    observed: Arc<Observed>,
    load: Arc<Load>,
    cut: CancellationToken,
    /// Whether the server told its signature algorithms: asking for them is then answered at once, when
    /// the session's task has seen all that came before. Otherwise that would wait for ever.
    barrier: bool,
    lifespan: Lifespan,
    /// In bytes.
    window: u32,
    since: Instant,
    drained: CancellationToken,
    health: Health,
}

impl Session {
    /// Takes over an authenticated connection, whose channels have a `window` in bytes; `cut` ends its
    /// transport.
    pub(crate) fn new(
        handle: Handle<SessionHandler>,
        observed: Arc<Observed>,
        cut: CancellationToken,
        barrier: bool,
        lifespan: Lifespan,
        window: u32,
    ) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let load = Arc::new(Load::on(&observed.outflow));
        Self {
            id: LAST.fetch_add(1, Relaxed) + 1,
            handle,
            observed,
            load,
            cut,
            barrier,
            lifespan,
            window,
            since: Instant::now(),
            drained: CancellationToken::new(),
            health: Health::default(),
        }
    }

    /// Its number, never given twice in one run.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Opens a channel to `target` for a client at `origin`.
    ///
    /// # Cancel safety
    ///
    /// Dropped in mid-open, the open goes on in a task of the session, and a late success is closed:
    /// otherwise the server would keep its connection to the target.
    pub(crate) fn open(
        self: &Arc<Self>,
        target: &Target,
        origin: SocketAddr,
        kind: OpenKind,
    ) -> Opening {
        let session = Arc::clone(self);
        let target = target.clone();
        let lease = self.load.lease(kind);
        Opening::new(self.load.closers().clone(), async move {
            let outstanding = session.observed.failures.begin();
            let asked = Instant::now();
            let opened = session.ask(&target, origin).await;
            session.health.open_answered();
            if matches!(opened, Ok(_) | Err(russh::Error::ChannelOpenFailure(_))) {
                session.health.note_answer(asked);
            }
            match opened {
                Ok(channel) => {
                    lease.confirmed();
                    Ok(Channel::new(channel, lease))
                }
                Err(russh::Error::ChannelOpenFailure(code)) => {
                    let text = outstanding.take(session.handler_caught_up()).await;
                    Err(OpenError::Target(TargetFault::from_code(&code, text)))
                }
                Err(_) => Err(match outstanding.unreadable() {
                    None => OpenError::SessionLost,
                    Some(Unreadable::OnlyOpen) => OpenError::Target(TargetFault::Uncertain),
                    Some(Unreadable::OneOfSeveral) => OpenError::Unreadable,
                }),
            }
        })
    }

    /// Asks for a channel: `direct-tcpip` (RFC 4254 section 7.2), or OpenSSH's own kind for a socket.
    async fn ask(
        &self,
        target: &Target,
        origin: SocketAddr,
    ) -> Result<russh::Channel<Msg>, russh::Error> {
        match target {
            Target::Host(destination) => {
                let (host, port) = (destination.host().to_string(), destination.port());
                let (from, from_port) = (origin.ip().to_string(), origin.port());
                self.handle
                    .channel_open_direct_tcpip(host, port.into(), from, from_port.into())
                    .await
            }
            Target::Socket(path) => self.handle.channel_open_direct_streamlocal(&**path).await,
        }
    }

    /// Completes when the server has answered, or when the session has ended. The server answers in the
    /// order in which it was asked, and not while it looks a name up.
    pub(crate) async fn ping(&self) {
        if self.handle.send_ping().await.is_err() {
            self.closed().await;
        }
    }

    /// Measures the round trip: the shortest of some, since this machine or the server may be busy. Of one to a
    /// near server that may be the most part, so that more are taken, over half a second. `None` where the
    /// session ends meanwhile.
    pub(crate) async fn measure(&self) -> Option<Duration> {
        // The first waits until the server is done with the login.
        self.round_trip().await?;
        let mut shortest = Duration::MAX;
        for _ in 0..FIRST_ROUND_TRIPS {
            shortest = shortest.min(self.round_trip().await?);
        }
        self.health.delay().note(shortest);
        self.observed.outflow.set_best(shortest);
        if shortest < LAN {
            for _ in 0..FURTHER_ROUND_TRIPS {
                sleep(BETWEEN_ROUND_TRIPS).await;
                let took = self.round_trip().await?;
                self.health.delay().note(took);
                shortest = shortest.min(took);
            }
        }
        // A ping at which the session ends looks as if it were answered, but none can be sent after it.
        self.round_trip().await?;
        Some(shortest)
    }

    async fn round_trip(&self) -> Option<Duration> {
        let asked = Instant::now();
        self.handle.send_ping().await.ok()?;
        Some(asked.elapsed())
    }

    /// Completes with the host keys that the server announces, where they may be believed.
    pub(crate) async fn announced_host_keys(&self) -> Vec<PublicKey> {
        self.observed.announced_host_keys().await
    }

    /// Has the server prove that it has these host keys.
    pub(crate) async fn prove_host_keys(&self, keys: &[PublicKey]) -> Result<(), ProofError> {
        let request = proof::request(keys)?;
        let reply = self.handle.send_global_request(proof::REQUEST, &request, true).await;
        let reply = reply.map_err(ProofError::NoReply)?;
        let binding = self.handle.agent_session_binding();
        let session_id = binding.map_or(&[][..], |binding| binding.session_id());
        proof::verify(session_id, keys, reply.as_deref().unwrap_or_default())
    }

    pub(crate) fn drain(&self) {
        self.drained.cancel();
    }

    /// Whether it takes new channels.
    pub(crate) fn is_ready(&self) -> bool {
        !self.is_draining() && !self.is_closed()
    }

    /// Whether it has been told to take no new channels.
    pub(crate) fn is_draining(&self) -> bool {
        self.drained.is_cancelled()
    }

    pub(crate) async fn drained(&self) {
        self.drained.cancelled().await;
    }

    /// Where the server listens for us.
    pub(crate) fn remote_forwards(&self) -> &RemoteForwards {
        &self.observed.remote_forwards
    }

    /// Whether it has served long enough: the keys are not renewed from our side, and channels that
    /// we had to close, or that failed to open, each leave something behind in russh.
    pub(crate) fn is_expired(&self) -> bool {
        self.since.elapsed() > self.lifespan.age
            || self.load.carried() > self.lifespan.bytes
            || self.load.closed_by_us() + self.observed.failures.count() > MAX_LEFTOVERS
    }

    /// Bounds how much the server may send ahead in all, in bytes; none for as much as its channels allow. Returns
    /// whether that can be bounded.
    pub(crate) fn limit_inflow(&self, limit: Option<u32>) -> bool {
        let Some(inflow) = &self.observed.inflow else { return false };
        inflow.set_limit(limit);
        true
    }

    /// How much the server may send ahead on a channel, in bytes.
    pub(crate) fn window(&self) -> u32 {
        self.window
    }

    pub(crate) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// For how long it has been of no use: no channel, and nowhere to listen.
    pub(crate) fn idle(&self) -> Duration {
        if !self.remote_forwards().is_empty() {
            return Duration::ZERO;
        }
        match (self.load.channels(), self.load.empty_since()) {
            (0, Some(since)) => since.elapsed(),
            (0, None) => self.since.elapsed(),
            _ => Duration::ZERO,
        }
    }

    /// Bytes that came from the server so far, whatever they say.
    pub(crate) fn received(&self) -> u64 {
        self.observed.traffic.received()
    }

    /// How many of them belong to the packet that is coming in; 0 between two.
    pub(crate) fn of_packet(&self) -> u64 {
        self.observed.traffic.of_packet()
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// How long the answer to what is sent now takes, as far as it is known.
    pub(crate) fn expected_delay(&self) -> Duration {
        self.health.delay().expected().max(self.observed.outflow.waiting())
    }

    /// What an answer takes without the queue of uploads, where they have a pace.
    pub(crate) fn base_beside_uploads(&self) -> Option<Duration> {
        self.observed.outflow.base()
    }

    /// Takes note that the server is asked for a round trip.
    pub(crate) fn note_question(&self) {
        self.health.delay().asked();
        self.load.asked();
        self.observed.outflow.asks();
    }

    /// Takes note of what an answer took: how fast uploads may be follows from it. Returns when the
    /// server had better be asked again, where that matters.
    pub(crate) fn note_round_trip(&self, took: Duration) -> Option<Duration> {
        self.load.answered();
        self.observed.outflow.answered(took, self.health.delay().best().unwrap_or(took))
    }

    /// Whether it was ended from here.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.is_cancelled()
    }

    /// Ends the session and with it all its channels. Their clients are reset.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    /// As [`Self::cut`], and says why the session ended.
    pub(crate) fn give_up(&self, why: &str) {
        self.observed.ended(why.to_owned());
        self.cut();
    }

    pub(crate) async fn closed(&self) {
        self.observed.closed.cancelled().await;
    }

    /// Whether the session has ended, or is about to: nothing can be asked on it any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.handle.is_closed() || self.observed.closed.is_cancelled()
    }

    /// Whether it ended at an answer that cannot be read.
    pub(crate) fn ended_unreadable(&self) -> bool {
        self.observed.failures.is_unreadable()
    }

    /// What was agreed on, and why it ended.
    pub(crate) fn facts(&self) -> Facts {
        self.observed.facts()
    }

    /// Whether there is nothing left for which it must stay.
    pub(crate) fn is_empty(&self) -> bool {
        self.load.channels() == 0 && self.remote_forwards().is_empty()
    }

    pub(crate) fn load(&self) -> &Arc<Load> {
        &self.load
    }

    /// Waits until the session's task has gone past the failure that an opener has just heard of.
    /// Returns whether it certainly has.
    async fn handler_caught_up(&self) -> bool {
        if self.barrier {
            // A question that the session's task answers from what it knows, in order.
            let _ = self.handle.best_supported_rsa_hash().await;
        }
        self.barrier
    }

    /// Says goodbye, and cuts the transport when the server had a moment to hear it.
    pub(crate) async fn disconnect(&self) {
        let goodbye = self.handle.disconnect(russh::Disconnect::ByApplication, "", "");
        let _ = tokio::time::timeout(GOODBYE, async {
            let _ = goodbye.await;
            self.closed().await;
        })
        .await;
        self.cut.cancel();
        let closers = self.load.closers();
        closers.close();
        let _ = tokio::time::timeout(GOODBYE, closers.wait()).await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.cut.cancel();
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("load", &self.load).finish_non_exhaustive()
    }
}

/// How long a server may take to close after we said goodbye.
const GOODBYE: Duration = Duration::from_millis(500);
/// How many round trips are measured at once,
const FIRST_ROUND_TRIPS: u32 = 3;
/// and to a near server how many more, and how long after each other.
const FURTHER_ROUND_TRIPS: u32 = 10;
const BETWEEN_ROUND_TRIPS: Duration = Duration::from_millis(50);
/// So many channels with something left behind are enough (3.4 kB each).
const MAX_LEFTOVERS: usize = 10_000;

#[cfg(test)]
mod tests;
