//! Listeners on the server (`-R`), each registered on exactly one session of a pool, and again on another one
//! when that session is lost or retired.
//!
//! ```text
//! server ──► handler ──► RemoteForwards ──► Forwarded ──► whoever serves it: accept or refuse
//!              (one a session)        (a bounded number wait)
//! ```
//!
//! A channel is accepted only if it belongs to a requested listener. A forward with a target confirms the
//! channel once the target is reached: until then, no data arrives that could block the session. A proxy
//! confirms it at once, since its client names the target over the channel; a relay reads it from then on.

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::forward::{RemoteBind, RemoteListen};
use crate::pool::{Backoff, Pool};
use crate::printable::{Lines, printable};
use crate::registry::{ForwardState, Registered};

mod registration;
#[cfg(test)]
mod tests;

pub use registration::ListenError;

use crate::ssh::session::Forwarded;
use crate::ssh::session::remote_forwards::{self, ForwardedQueue};
use registration::{Registration, RegistrationEnd, Stopped};

/// A listener on the server.
#[derive(Debug)]
pub struct RemoteListener {
    pool: Pool,
    /// The requested address. A port chosen by the server is requested again later.
    listen: RemoteListen,
    /// The address as the user configured it.
    asked: RemoteListen,
    /// The address on which the server last listened.
    last: Option<RemoteListen>,
    registration: Option<Registration>,
    queue: ForwardedQueue,
    connections: UnboundedReceiver<Forwarded>,
    /// Whether a refusal has been logged, so that a lasting one is logged once.
    logged_refusal: bool,
    noted: Registered,
}

impl RemoteListener {
    /// A listener that has not been requested yet. `noted` records whether clients can connect.
    pub fn new(pool: Pool, listen: RemoteListen, noted: Registered) -> Self {
        let (queue, connections) = ForwardedQueue::new(WAITING);
        let asked = listen.clone();
        Self {
            pool,
            listen,
            asked,
            last: None,
            registration: None,
            queue,
            connections,
            logged_refusal: false,
            noted,
        }
    }

    /// Requests the listener once, waiting for a session.
    ///
    /// # Errors
    ///
    /// The server refuses or does not answer. [`run`](Self::run) retries.
    pub async fn register(&mut self) -> Result<(), ListenError> {
        let session = self.pool.session_for_listener(&self.listen).await;
        let asked = Registration::request(session, &self.listen, &self.queue).await;
        let registration = asked.inspect_err(|error| {
            self.noted.set_state(ForwardState::Refused(error.to_string().into()));
        })?;
        self.listen = registration.listen.clone();
        self.last = Some(self.listen.clone());
        self.registration = Some(registration);
        self.logged_refusal = false;
        self.noted.set_state(ForwardState::Listening(vec![self.listen.to_string().into()]));
        Ok(())
    }

    /// The address on which the server listens, as text: `port 8080 of bastion`.
    pub fn place(&self) -> String {
        let server = printable(self.pool.server(), MAX_SHOWN, Lines::One);
        match &self.listen {
            RemoteListen::Tcp { bind: RemoteBind::Unsaid, port } => {
                format!("port {port} of {server}")
            }
            listen => {
                let listen = printable(&listen.to_string(), MAX_SHOWN, Lines::One);
                format!("{listen} of {server}")
            }
        }
    }

    /// Passes every connection to `serve` and keeps the server listening until `shutdown`, then asks it to stop.
    pub async fn run(mut self, serve: impl Fn(Forwarded), shutdown: CancellationToken) {
        loop {
            let Some(registration) = &self.registration else {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = self.register_again() => continue,
                }
            };
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                end = registration.ended() => self.leave(end).await,
                Some(forwarded) = self.connections.recv() => {
                    if remote_forwards::may_match(&self.listen, &forwarded.arrival.at) {
                        serve(forwarded);
                    } else {
                        debug!(at = %forwarded.arrival.at, "refused: it belongs to no listener here");
                    }
                }
            }
        }
        if let Some(registration) = self.registration.take() {
            registration.release().await;
        }
    }

    /// Handles the end of a registration.
    async fn leave(&mut self, end: RegistrationEnd) {
        let Some(registration) = self.registration.take() else { return };
        match end {
            RegistrationEnd::Lost => {
                self.noted.set_state(ForwardState::Asking);
                let why = registration.why_it_ended();
                warn!("no longer listening on {}, will ask for it again: {why}", self.place());
            }
            // There is a short gap without a listener, since two sessions cannot share a port.
            RegistrationEnd::Retired => {
                debug!("the listener on {} moves to another session", self.place());
                match registration.cancel().await {
                    Stopped::Yes => self.noted.set_state(ForwardState::Asking),
                    Stopped::No => self.registration = Some(registration.staying()),
                }
            }
        }
    }

    /// Requests the listener until the server grants it, with backoff.
    async fn register_again(&mut self) {
        let mut backoff = Backoff::default();
        loop {
            let last = self.last.clone();
            match self.register().await {
                Ok(()) => {
                    let again = if last.as_ref() == Some(&self.listen) { " again" } else { "" };
                    info!("listening on {}{again}", self.place());
                    return;
                }
                Err(error) => self.refused(error),
            }
            sleep(backoff.next_in_background()).await;
        }
    }

    fn refused(&mut self, error: ListenError) {
        if self.listen != self.asked {
            // The port that the server chose earlier is taken, so that it may choose another.
            self.listen = self.asked.clone();
        } else if error != ListenError::SessionLost && !self.logged_refusal {
            self.logged_refusal = true;
            warn!("cannot listen on {}, will try again: {error}", self.place());
        }
        debug!(listen = %self.listen, %error, "not listening");
    }
}

/// The maximum number of unanswered connections of a listener; more are refused.
const WAITING: usize = 256;
/// The maximum length of a name that is shown, in characters.
const MAX_SHOWN: usize = 300;
