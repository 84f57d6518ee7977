//! The agent (`ssh-agent` and its kin), which may hang or ask a person.

use std::path::Path;
use std::time::Duration;

use russh::keys::HashAlg;
use russh::keys::agent::client::AgentClient;
use russh::keys::agent::{AgentIdentity, AgentSessionBinding};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// A connection to the agent.
pub(super) struct Agent {
    client: AgentClient<UnixStream>,
}

/// Why the agent did not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum AgentError {
    /// It did not answer. Its connection is of no more use: the answer may still come.
    #[error("the agent did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// It refused, or its answer made no sense.
    #[error("the agent: {0}")]
    Key(#[from] russh::keys::Error),
    /// The SSH session is gone.
    #[error("the connection is gone")]
    Send(#[from] russh::SendError),
}

impl Agent {
    /// Connects and asks for the keys, all within 5 s.
    ///
    /// The agent is told which session it signs for, so that it can use keys that are meant for
    /// one server only; an agent that does not know of that is none the worse.
    pub(super) async fn connect(
        socket: &Path,
        binding: Option<&AgentSessionBinding>,
    ) -> Result<(Self, Vec<AgentIdentity>), AgentError> {
        let ask = async {
            let mut client = AgentClient::connect_uds(socket).await?;
            if let Some(binding) = binding {
                let bound = client.bind_session(binding, NOT_FORWARDING).await;
                tracing::trace!(bound = bound.is_ok(), "agent session binding");
            }
            let keys = client.request_identities().await?;
            Ok((Self { client }, keys))
        };
        timeout(LIST_LIMIT, ask).await.map_err(|_| AgentError::TimedOut(LIST_LIMIT))?
    }
}

impl russh::Signer for Agent {
    type Error = AgentError;

    async fn auth_sign(
        &mut self,
        key: &AgentIdentity,
        hash_alg: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, AgentError> {
        let signed = self.client.sign_request(key, hash_alg, to_sign);
        Ok(timeout(SIGN_LIMIT, signed).await.map_err(|_| AgentError::TimedOut(SIGN_LIMIT))??)
    }
}

/// How long the agent may take to tell its keys.
const LIST_LIMIT: Duration = Duration::from_secs(5);
/// How long the agent may take to sign: it may ask a person, or wait for a touch.
const SIGN_LIMIT: Duration = Duration::from_secs(60);
/// The agent signs for us, not for a host behind the server.
const NOT_FORWARDING: bool = false;
