//! One SSH connection to a server, ready to carry channels.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::keys::PublicKey;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

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
mod leftover;
pub(crate) mod lifespan;
mod listening;
pub(crate) mod load;
pub(crate) mod observed;
mod open_failure;
mod opening;
pub(crate) mod outflow;
mod pacer;
pub(crate) mod recent;
pub(crate) mod remote_forwards;
mod round_trip;
mod traffic;
mod unsolicited;

pub use channel::{Channel, ChannelGone, ChannelReader, ChannelWriter, Incoming};
pub(crate) use forwarded::{Arrival, At};
pub use forwarded::{Forwarded, Refusal};
pub(crate) use leftover::Leftover;
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
    /// Whether the server announced its signature algorithms: a request for them is then answered at once by
    /// the session's task, after everything before it. Otherwise the request would wait for ever.
    barrier: bool,
    lifespan: Lifespan,
    /// The initial window of a channel in bytes.
    window: u32,
    since: Instant,
    drained: CancellationToken,
    health: Health,
}

impl Session {
    /// Wraps an authenticated connection whose channels have a `window` in bytes; `cut` ends its transport.
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

    /// Its number, unique within a run.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Opens a channel to `target` for a client at `origin`.
    ///
    /// # Cancel safety
    ///
    /// If dropped, the open continues in a task of the session, and a channel that is confirmed later is
    /// closed; otherwise the server would keep its connection to the target.
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
            let opened = session.answer(session.ask(&target, origin)).await;
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

    /// Requests a channel: `direct-tcpip` (RFC 4254 section 7.2), or OpenSSH's extension for sockets.
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

    /// The answer to a request, or an error once the session has ended: a request that is queued while russh
    /// closes its queue may stay there, unanswered, as long as there is a handle.
    async fn answer<T>(
        &self,
        request: impl Future<Output = Result<T, russh::Error>>,
    ) -> Result<T, russh::Error> {
        tokio::select! {
            biased;
            answer = request => answer,
            () = self.closed() => Err(russh::Error::Disconnect),
        }
    }

    /// Completes when the server has answered, or the session has ended. The server answers requests in order,
    /// and not during a name look-up.
    pub(crate) async fn ping(&self) {
        if self.answer(self.handle.send_ping()).await.is_err() {
            self.closed().await;
        }
    }

    /// Completes with the host keys that the server announces, if they can be trusted.
    pub(crate) async fn announced_host_keys(&self) -> Vec<PublicKey> {
        self.observed.announced_host_keys().await
    }

    /// Makes the server prove that it holds these host keys.
    pub(crate) async fn prove_host_keys(&self, keys: &[PublicKey]) -> Result<(), ProofError> {
        let request = proof::request(keys)?;
        let reply = self.handle.send_global_request(proof::REQUEST, &request, true);
        let reply = self.answer(reply).await.map_err(ProofError::NoReply)?;
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

    /// Whether it was told to take no new channels.
    pub(crate) fn is_draining(&self) -> bool {
        self.drained.is_cancelled()
    }

    pub(crate) async fn drained(&self) {
        self.drained.cancelled().await;
    }

    /// The session's remote listeners.
    pub(crate) fn remote_forwards(&self) -> &RemoteForwards {
        &self.observed.remote_forwards
    }

    /// Whether it should be replaced: this side never rekeys, and channels that were closed from here or failed
    /// to open leak memory in russh.
    pub(crate) fn is_expired(&self) -> bool {
        self.since.elapsed() > self.lifespan.age
            || self.load.carried() > self.lifespan.bytes
            || self.load.closed_by_us() + self.observed.failures.count() > MAX_LEAKED
    }

    /// Limits how much the server may send ahead on all channels, in bytes; `None` removes the limit. Returns
    /// whether the transport supports a limit.
    pub(crate) fn limit_inflow(&self, limit: Option<u32>) -> bool {
        let Some(inflow) = &self.observed.inflow else { return false };
        inflow.set_limit(limit);
        true
    }

    /// The initial window of a channel in bytes.
    pub(crate) fn window(&self) -> u32 {
        self.window
    }

    pub(crate) fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// How long it has had neither channels nor remote listeners.
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

    /// All bytes received from the server.
    pub(crate) fn received(&self) -> u64 {
        self.observed.traffic.received()
    }

    /// How many of them belong to the incoming packet; 0 between packets.
    pub(crate) fn of_packet(&self) -> u64 {
        self.observed.traffic.of_packet()
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// The expected delay of an answer to a request sent now.
    pub(crate) fn expected_delay(&self) -> Duration {
        self.health.delay().expected().max(self.observed.outflow.waiting())
    }

    /// What an answer takes without the queue of uploads, where they have a pace.
    pub(crate) fn base_beside_uploads(&self) -> Option<Duration> {
        self.observed.outflow.base()
    }

    /// Takes note that the server is asked for a round trip.
    pub(crate) fn note_ping(&self) {
        self.health.delay().asked();
        self.load.asked();
        self.observed.outflow.asks();
    }

    /// Records the round trip of a ping, which determines the pace of uploads. Returns when the next ping is
    /// due, if soon.
    pub(crate) fn note_round_trip(&self, took: Duration) -> Option<Duration> {
        self.load.answered();
        self.observed.outflow.answered(took, self.health.delay().best().unwrap_or(took))
    }

    /// Whether it was ended from here.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.is_cancelled()
    }

    /// Ends the session and all its channels, whose clients are reset.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    /// As [`Self::cut`], with a reason.
    pub(crate) fn give_up(&self, why: &str) {
        self.observed.ended(why.to_owned());
        self.cut();
    }

    pub(crate) async fn closed(&self) {
        self.observed.closed.cancelled().await;
    }

    /// Whether the session has ended or is about to end, so that no request can be sent.
    pub(crate) fn is_closed(&self) -> bool {
        self.handle.is_closed() || self.observed.closed.is_cancelled()
    }

    /// Whether it ended because of an undecodable answer.
    pub(crate) fn ended_unreadable(&self) -> bool {
        self.observed.failures.is_unreadable()
    }

    /// What was negotiated, and why the session ended.
    pub(crate) fn facts(&self) -> Facts {
        self.observed.facts()
    }

    /// Whether it has neither channels nor remote listeners.
    pub(crate) fn is_empty(&self) -> bool {
        self.load.channels() == 0 && self.remote_forwards().is_empty()
    }

    pub(crate) fn load(&self) -> &Arc<Load> {
        &self.load
    }

    /// Waits until the handler has processed the failure that an opener has just received. Returns whether it
    /// certainly has.
    async fn handler_caught_up(&self) -> bool {
        if self.barrier {
            // The session's task answers this from its own state, in order.
            let _ = self.answer(self.handle.best_supported_rsa_hash()).await;
        }
        self.barrier
    }

    /// Sends a disconnect message, and cuts the transport after giving the server a moment to receive it.
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

/// How long the server may take to close the connection after a disconnect message.
const GOODBYE: Duration = Duration::from_millis(500);
/// Leaked channels, at 3.4 kB each, after which a session is replaced.
const MAX_LEAKED: usize = 10_000;

#[cfg(test)]
mod tests;
