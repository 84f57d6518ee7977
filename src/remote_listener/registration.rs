//! A listener that the server has granted on one session.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::debug;

use crate::forward::RemoteListen;
use crate::ssh::session::Session;
use crate::ssh::session::remote_forwards::{ForwardedQueue, Registered};

/// A listener on the server of a session, until it is cancelled or the session ends.
#[derive(Debug)]
pub(super) struct Registration {
    session: Arc<Session>,
    /// The address on which the server listens, with the port that it chose.
    pub(super) listen: RemoteListen,
    /// Whether it stays until its session ends, even after the session is retired: the server does not stop
    /// listening, and grants the address to no other session.
    stays: bool,
    _entry: Registered,
}

/// The server's reaction to the request to stop listening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// It has stopped, or has not answered.
    Yes,
    /// It refuses, as dropbear 2022.83 always does.
    No,
}

/// Why the server does not listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ListenError {
    /// The server refuses. The protocol has no field for a reason (RFC 4254 section 4).
    #[error(
        "the server refuses: the port or path may be in use there, perhaps still by a lost \
         connection of ours, or the server's AllowTcpForwarding, AllowStreamLocalForwarding or \
         PermitListen forbid it"
    )]
    Refused,
    /// The server does not answer within ten seconds.
    #[error("the server does not answer whether it does; it may know no forwarding of this kind")]
    NoAnswer,
    #[error("the session ended")]
    SessionLost,
}

/// Why a registration has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RegistrationEnd {
    /// The session has ended, and with it the listener.
    Lost,
    /// The session takes no new channels: the listener should move to another one.
    Retired,
}

impl Registration {
    /// Requests a listener from the server of `session`, whose connections go to `queue`. If the server refuses
    /// because it never stopped an earlier listener that was [released](Self::release), that one is taken over.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time: a listener granted later is cancelled.
    pub(super) async fn request(
        session: Arc<Session>,
        listen: &RemoteListen,
        queue: &ForwardedQueue,
    ) -> Result<Self, ListenError> {
        let forwards = session.remote_forwards();
        let turn = forwards.turn.lock().await;
        // Registered before the answer, since the first connection may follow it immediately.
        let entry = forwards.register(listen.clone(), queue.clone(), Arc::clone(session.load()));
        let answer = timeout(LISTEN_TIMEOUT, ask(&session, listen)).await;
        let answer = answer.map_err(|_| ListenError::NoAnswer)?;
        let answer = answer.map_err(|_| ListenError::SessionLost)?;
        let was_abandoned = forwards.adopt(listen);
        let listen = match answer {
            Ok(listen) => listen,
            Err(russh::Error::RequestDenied) if was_abandoned => listen.clone(),
            Err(russh::Error::RequestDenied) => return Err(ListenError::Refused),
            Err(_) => return Err(ListenError::SessionLost),
        };
        entry.set_port(&listen);
        drop(turn);
        Ok(Self { session, listen, stays: false, _entry: entry })
    }

    /// Completes when the registration has ended or should end.
    pub(super) async fn ended(&self) -> RegistrationEnd {
        tokio::select! {
            biased;
            () = self.session.closed() => RegistrationEnd::Lost,
            () = self.session.drained(), if !self.stays => RegistrationEnd::Retired,
        }
    }

    /// Keeps the registration until its session ends.
    pub(super) fn staying(self) -> Self {
        Self { stays: true, ..self }
    }

    /// Why the session ended, as far as is known.
    pub(super) fn why_it_ended(&self) -> String {
        self.session.facts().end.unwrap_or_else(|| "the connection ended".to_owned())
    }

    /// Asks the server to stop listening. If it refuses, the next listener there takes over on this session.
    pub(super) async fn release(self) {
        if self.cancel().await == Stopped::No {
            self.session.remote_forwards().abandon(self.listen);
        }
    }

    /// Asks the server to stop listening, and waits briefly for the answer.
    pub(super) async fn cancel(&self) -> Stopped {
        match timeout(CANCEL_TIMEOUT, self.session.stop_listening(&self.listen)).await {
            Ok(Ok(())) => debug!(listen = %self.listen, "the server has stopped listening"),
            Ok(Err(error)) => {
                debug!(listen = %self.listen, %error, "the server keeps listening");
                if matches!(error, russh::Error::RequestDenied) {
                    return Stopped::No;
                }
            }
            Err(_) => debug!(listen = %self.listen, "no answer to the request to stop listening"),
        }
        Stopped::Yes
    }
}

/// Asks the server to listen. The answer is awaited in any case: a listener granted too late is cancelled.
fn ask(
    session: &Arc<Session>,
    listen: &RemoteListen,
) -> oneshot::Receiver<Result<RemoteListen, russh::Error>> {
    let (tell, answer) = oneshot::channel();
    let (asked, listen) = (Arc::clone(session), listen.clone());
    session.remote_forwards().asking.spawn(async move {
        if let Err(Ok(granted)) = tell.send(asked.listen(&listen).await) {
            debug!(listen = %granted, "granted when nobody waited for it any more");
            let _ = asked.stop_listening(&granted).await;
        }
    });
    answer
}

/// How long the server may take to grant a listener.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the server may take to stop listening.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);
