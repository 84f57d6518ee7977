//! One request to listen, granted by the server on one session.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::debug;

use crate::forward::RemoteListen;
use crate::ssh::session::Session;
use crate::ssh::session::remote_forwards::{Entered, ForwardedQueue};

/// A listener on the server of this session, until it is cancelled or the session ends.
#[derive(Debug)]
pub(super) struct Registration {
    session: Arc<Session>,
    listen: RemoteListen,
    /// It stays until its session ends, though that is retired: the server does not stop listening, and grants the
    /// place to no other session.
    stays: bool,
    _entered: Entered,
}

/// What the server does when it is asked to stop listening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// It has stopped, or does not say.
    Yes,
    /// It refuses to, as dropbear 2022.83 does in any case.
    No,
}

/// Why the server does not listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ListenError {
    /// It refuses. The protocol has no field for a reason (RFC 4254 section 4).
    #[error(
        "the server refuses: the port or path may be in use there, perhaps still by a lost \
         connection of ours, or the server's AllowTcpForwarding, AllowStreamLocalForwarding or \
         PermitListen forbid it"
    )]
    Refused,
    /// It does not answer within ten seconds.
    #[error("the server does not answer whether it does; it may know no forwarding of this kind")]
    NoAnswer,
    #[error("the session ended")]
    SessionLost,
}

/// Why a registration is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RegistrationEnd {
    /// The session has ended, and with it the listener.
    Lost,
    /// The session accepts nothing new: the listener should move to another.
    Retired,
}

impl Registration {
    /// Asks the server of `session` to listen. Accepted connections go to `queue`. A server that refuses because it
    /// has listened ever since an earlier listener there was [left](Self::leave) goes on for this one.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time: what the server grants when nobody waits for it is given back.
    pub(super) async fn request(
        session: Arc<Session>,
        listen: &RemoteListen,
        queue: &ForwardedQueue,
    ) -> Result<Self, ListenError> {
        let forwards = session.remote_forwards();
        let turn = forwards.turn.lock().await;
        // Entered before the answer: the first connection may follow it at once.
        let entered = forwards.enter(listen.clone(), queue.clone(), Arc::clone(session.load()));
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
        entered.set_port(&listen);
        drop(turn);
        Ok(Self { session, listen, stays: false, _entered: entered })
    }

    /// The place where the server listens, with the port that it chose.
    pub(super) fn listen(&self) -> &RemoteListen {
        &self.listen
    }

    /// Completes when the registration is over, or should be.
    pub(super) async fn ended(&self) -> RegistrationEnd {
        tokio::select! {
            biased;
            () = self.session.closed() => RegistrationEnd::Lost,
            () = self.session.drained(), if !self.stays => RegistrationEnd::Retired,
        }
    }

    /// The same on its session to the end of that.
    pub(super) fn staying(self) -> Self {
        Self { stays: true, ..self }
    }

    /// Why the session ended, as far as it is known.
    pub(super) fn why_it_ended(&self) -> String {
        self.session.facts().end.unwrap_or_else(|| "the connection ended".to_owned())
    }

    /// Asks the server to stop listening. Where it refuses to, the next one for the place gets it on this session.
    pub(super) async fn leave(self) {
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

/// Asks the server to listen. The answer is waited for in any case: one that comes too late is undone.
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

/// The time for a server to answer that it listens.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(10);
/// The time for a server to stop listening.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);
