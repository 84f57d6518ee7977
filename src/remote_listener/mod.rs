//! Listeners on the server (`-R`): registered on exactly one session of a pool, and registered again
//! on another when that session is lost or retired.
//!
//! ```text
//! server ──► handler ──► Registry ──► Forwarded ──► whoever serves it: accept or refuse
//!              (one a session)        (a bounded number wait)
//! ```
//!
//! A channel is accepted only where it belongs to a listener that was asked for, and only when its
//! target is reached: until then nothing arrives on it, so it cannot hold up its session.

use std::fmt;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::forward::{RemoteBind, RemoteListen};
use crate::pool::{Backoff, Pool};
use crate::printable::{Lines, printable};
use crate::registry::{PlaceState, Registered};

mod registration;
#[cfg(test)]
mod tests;

pub use registration::ListenError;

use crate::ssh::session::Forwarded;
use crate::ssh::session::registry::{self, Sink};
use registration::{Over, Registration};

/// A listener on the server.
#[derive(Debug)]
pub struct RemoteListener {
    pool: Pool,
    /// Where it is asked for. A port that the server has chosen once is asked for again.
    listen: RemoteListen,
    /// What the user asked for.
    asked: RemoteListen,
    /// Where the server listened last.
    last: Option<RemoteListen>,
    registration: Option<Registration>,
    sink: Sink,
    connections: UnboundedReceiver<Forwarded>,
    told: Told,
    noted: Registered,
}

/// What the user was told last, so that a refusal that lasts is one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Refused,
}

impl RemoteListener {
    /// A listener that the server has not been asked for yet; whether clients can come in is told to
    /// `noted`.
    pub fn new(pool: Pool, listen: RemoteListen, noted: Registered) -> Self {
        let (sink, connections) = Sink::new(WAITING);
        let asked = listen.clone();
        Self {
            pool,
            listen,
            asked,
            last: None,
            registration: None,
            sink,
            connections,
            told: Told::Nothing,
            noted,
        }
    }

    /// Asks the server to listen, once; waits while there is no session.
    ///
    /// # Errors
    ///
    /// What the server says. [`run`](Self::run) asks again.
    pub async fn register(&mut self) -> Result<(), ListenError> {
        let session = self.pool.host().await;
        let asked = Registration::request(session, &self.listen, &self.sink).await;
        let registration = asked.inspect_err(|error| {
            self.noted.set_state(PlaceState::Refused(error.to_string().into()));
        })?;
        self.listen = registration.listen().clone();
        self.last = Some(self.listen.clone());
        self.registration = Some(registration);
        self.told = Told::Nothing;
        self.noted.set_state(PlaceState::Listening(vec![self.listen.to_string().into()]));
        Ok(())
    }

    /// Where the server listens, in words: `port 8080 of bastion`.
    pub fn place(&self) -> Place<'_> {
        Place { listen: &self.listen, server: self.pool.server() }
    }

    /// Hands every connection to `serve`, and sees to it that the server listens, until `shutdown`;
    /// then asks the server to stop.
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
                over = registration.over() => self.leave(over).await,
                Some(forwarded) = self.connections.recv() => {
                    if registry::may_be(&self.listen, forwarded.at()) {
                        serve(forwarded);
                    } else {
                        debug!(?forwarded, "refused: it came in elsewhere");
                    }
                }
            }
        }
        if let Some(registration) = self.registration.take() {
            registration.cancel().await;
        }
    }

    /// The session is of no more use.
    async fn leave(&mut self, over: Over) {
        let Some(registration) = self.registration.take() else { return };
        self.noted.set_state(PlaceState::Asking);
        match over {
            Over::Lost => {
                let end = registration.end();
                warn!("no longer listening on {}, will ask for it again: {end}", self.place());
            }
            // There is a moment in which nobody listens: a port cannot be had twice.
            Over::Retired => {
                debug!("the listener on {} moves to another session", self.place());
                registration.cancel().await;
            }
        }
    }

    /// Asks until the server listens, after growing pauses.
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
            sleep(backoff.unasked()).await;
        }
    }

    fn refused(&mut self, error: ListenError) {
        if self.listen != self.asked {
            // The port that it chose last time is gone: it may choose another.
            self.listen = self.asked.clone();
        } else if error != ListenError::SessionLost && self.told != Told::Refused {
            self.told = Told::Refused;
            warn!("cannot listen on {}, will try again: {error}", self.place());
        }
        debug!(listen = %self.listen, %error, "not listening");
    }
}

/// Where a server listens, in words.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    listen: &'a RemoteListen,
    server: &'a str,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = printable(self.server, MAX_SHOWN, Lines::One);
        match self.listen {
            RemoteListen::Tcp { bind: RemoteBind::Unsaid, port } => {
                write!(f, "port {port} of {server}")
            }
            listen => {
                let listen = printable(&listen.to_string(), MAX_SHOWN, Lines::One);
                write!(f, "{listen} of {server}")
            }
        }
    }
}

/// How many connections of one listener may wait for an answer; the server closes any further one.
const WAITING: usize = 256;
/// Characters of a name that are shown.
const MAX_SHOWN: usize = 300;
