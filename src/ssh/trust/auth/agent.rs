//! The agent (`ssh-agent` and the like), which may hang or ask a person.

use std::path::Path;
use std::time::Duration;

use russh::keys::agent::client::{AgentClient, AgentStream};
use russh::keys::agent::{AgentIdentity, AgentSessionBinding, Constraint};
use russh::keys::{HashAlg, PrivateKey};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::agent_keys;
use crate::openssh::prompt::Prompter;

/// A connection to the agent.
pub(super) struct Agent {
    client: AgentClient<Box<dyn AgentStream + Send + Unpin>>,
}

/// An agent, and the keys that it holds.
pub(super) type Listed = Result<(Agent, Vec<AgentIdentity>), AgentError>;

/// A key of the agent, which signs for the key itself or for a certificate of it.
pub(super) struct AgentSigner<'a> {
    pub(super) agent: &'a mut Agent,
    /// The agent's identity of the key.
    pub(super) identity: &'a AgentIdentity,
    /// Notifies those that wait for the login that the agent may be asking a person.
    pub(super) prompter: &'a Prompter,
}

/// Why the agent failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum AgentError {
    /// It did not answer. Its connection can no longer be used, since the answer may still arrive.
    #[error("the agent did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// It has the key but does not sign: a person declined, or a security key was not touched.
    #[error("the agent refused to sign")]
    Refused,
    /// It is unreachable, or its answer is invalid.
    #[error("the agent: {0}")]
    Key(russh::keys::Error),
    /// The SSH session has ended.
    #[error("the connection is gone")]
    Gone,
}

impl From<russh::keys::Error> for AgentError {
    fn from(error: russh::keys::Error) -> Self {
        Self::Key(error)
    }
}

impl From<russh::SendError> for AgentError {
    fn from(_: russh::SendError) -> Self {
        Self::Gone
    }
}

impl Agent {
    /// Connects and lists the keys, without a time limit.
    ///
    /// The agent is told for which session it signs, so that it can use keys restricted to one server. An agent
    /// that hangs up because of that is asked again without it.
    pub(super) async fn connect(socket: &Path, binding: Option<&AgentSessionBinding>) -> Listed {
        if let Some(binding) = binding {
            let mut client = AgentClient::connect_uds(socket).await?;
            let bound = client.bind_session(binding, NOT_FORWARDING).await;
            tracing::trace!(bound = bound.is_ok(), "agent session binding");
            if !matches!(bound, Err(russh::keys::Error::IO(_))) {
                return Self::list(client).await;
            }
        }
        Self::list(AgentClient::connect_uds(socket).await?).await
    }

    /// Adds a key, within 5 s.
    pub(super) async fn add(
        socket: &Path,
        key: &PrivateKey,
        constraints: &[Constraint],
    ) -> Result<(), AgentError> {
        let add = async {
            let mut client = AgentClient::connect_uds(socket).await?;
            Ok(client.add_identity(key, constraints).await?)
        };
        timeout(ADD_LIMIT, add).await.map_err(|_| AgentError::TimedOut(ADD_LIMIT))?
    }

    /// Lists the keys, without a time limit.
    pub(super) async fn list(client: AgentClient<UnixStream>) -> Listed {
        let mut stream = client.into_inner();
        let keys = agent_keys::request(&mut stream).await?;
        Ok((Self { client: AgentClient::connect(stream) }, keys))
    }
}

impl AgentError {
    /// Whether there is simply no agent: no socket, or a stale one. That is common, and `ssh` does not mention it.
    pub(super) fn is_absence(&self) -> bool {
        use std::io::ErrorKind::{ConnectionRefused, NotFound};
        match self {
            Self::Key(russh::keys::Error::IO(error)) => {
                matches!(error.kind(), NotFound | ConnectionRefused)
            }
            Self::Key(_) | Self::Refused | Self::TimedOut(_) | Self::Gone => false,
        }
    }
}

impl russh::Signer for AgentSigner<'_> {
    type Error = AgentError;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        hash: Option<HashAlg>,
        request: Vec<u8>,
    ) -> Result<Vec<u8>, AgentError> {
        let _waiting = self.prompter.asked_elsewhere();
        let signed = self.agent.client.sign_request(self.identity, hash, request);
        match timeout(SIGN_LIMIT, signed).await {
            Ok(Err(russh::keys::Error::AgentFailure)) => Err(AgentError::Refused),
            Ok(signed) => Ok(signed?),
            Err(_) => Err(AgentError::TimedOut(SIGN_LIMIT)),
        }
    }
}

/// How long the agent may take to add a key.
const ADD_LIMIT: Duration = Duration::from_secs(5);
/// How long the agent may take to sign: it may ask a person, or wait for a touch.
const SIGN_LIMIT: Duration = Duration::from_secs(60);
/// The agent signs for this client, not for a host behind the server.
const NOT_FORWARDING: bool = false;
