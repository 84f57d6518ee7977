//! The servers that run, each with its pool.

use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use super::{Error, ServerOptions};
use crate::dial::Servers;
use crate::forward::PermitOpen;
use crate::openssh::Prompter;
use crate::pool::{FirstAttempt, FirstSession, JumpHosts, Pool};
use crate::registry::Registry;
use crate::relay::Relayer;
use crate::ssh::{ConnectError, LineMemory};
use crate::stream::ByteStream;

/// The servers that run.
#[derive(Debug)]
pub(super) struct ServerSet {
    jumps: JumpHosts,
    registry: Registry,
    running: Vec<Server>,
    /// Those that are not asked any more and end with what they still carry.
    retired: Vec<Pool>,
    /// Those that a reload has left out, and that are still to be retired.
    former: Vec<Pool>,
    /// Waits for what comes of the first attempts that a reload has begun.
    telling: JoinSet<()>,
}

#[derive(Clone, Debug)]
struct Server {
    options: ServerOptions,
    pool: Pool,
}

/// How loud good news is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// The user hears of it.
    Aloud,
    /// Only who debugs does: the terminal belongs to another program.
    Quietly,
}

/// A server's first attempt, under way.
struct First {
    name: Arc<str>,
    attempt: FirstAttempt,
}

impl ServerSet {
    /// No servers. `prompter` asks where a login needs a person; `relayer` carries the sessions that
    /// go over other servers; what comes of each session is told to `registry`.
    pub(super) fn new(prompter: Prompter, relayer: Relayer, registry: Registry) -> Self {
        let carry = Box::new(move |channel| Box::new(relayer.pipe(channel)) as Box<dyn ByteStream>);
        let jumps = JumpHosts::new(prompter, carry, LineMemory::of_user());
        Self {
            jumps,
            registry,
            running: Vec::new(),
            retired: Vec::new(),
            former: Vec::new(),
            telling: JoinSet::new(),
        }
    }

    /// Connects to all of them at the same time, and waits until each has a session or has failed for
    /// the first time.
    ///
    /// # Errors
    ///
    /// None could be reached, and there is one.
    ///
    /// # Cancel safety
    ///
    /// What has begun goes on; [`shutdown`](Self::shutdown) ends it.
    pub(super) async fn connect(
        &mut self,
        servers: Vec<ServerOptions>,
        telling: Telling,
    ) -> Result<(), Error> {
        let count = servers.len();
        let mut attempts = JoinSet::new();
        for options in servers {
            let First { name, attempt } = self.begin(options);
            attempts.spawn(async move { (name, attempt.outcome().await) });
        }
        let mut failures = Vec::new();
        while let Some(attempt) = attempts.join_next().await {
            let Ok((name, outcome)) = attempt else { continue };
            match outcome {
                Ok(first) => tell(&name, &first, telling),
                Err(error) if count == 1 => {
                    return Err(Error::Connect { server: name.to_string(), cause: error });
                }
                Err(error) => {
                    warn!("cannot connect to {name}: {error}");
                    failures.push(name);
                }
            }
        }
        if count > 0 && failures.len() == count { Err(Error::ConnectToAny(count)) } else { Ok(()) }
    }

    /// Changes over to these servers. Those that are the same stay as they are, with their sessions;
    /// of the new ones, what comes of the first attempt is told when it is there.
    pub(super) fn reload(&mut self, servers: Vec<ServerOptions>) {
        self.retired.retain(|pool| !pool.has_ended());
        while self.telling.try_join_next().is_some() {}
        let mut before = std::mem::take(&mut self.running);
        for options in servers {
            if let Some(same) = before.iter().position(|server| server.options == options) {
                self.running.push(before.swap_remove(same));
            } else {
                let first = self.begin(options);
                self.telling.spawn(first.told());
            }
        }
        self.former.extend(before.into_iter().map(|server| server.pool));
    }

    /// Ends those that the last reload has left out, once the routes lead to them no more.
    pub(super) fn retire_former(&mut self) {
        for pool in self.former.drain(..) {
            pool.retire();
            self.retired.push(pool);
        }
    }

    /// The pools by their names.
    pub(super) fn pools(&self) -> Servers {
        let named = |server: &Server| (Arc::clone(&server.options.name), server.pool.clone());
        self.running.iter().map(named).collect()
    }

    /// Where the clients of a proxy on a server may be led to.
    pub(super) fn permit(&self, server: &str) -> PermitOpen {
        ServerOptions::permit(self.running.iter().map(|server| &server.options), server)
    }

    /// Ends every session.
    pub(super) async fn shutdown(self) {
        let mut ending = JoinSet::new();
        for pool in self.running.into_iter().map(|server| server.pool).chain(self.retired) {
            ending.spawn(async move { pool.shutdown().await });
        }
        ending.join_all().await;
        self.jumps.shutdown().await;
    }

    fn begin(&mut self, options: ServerOptions) -> First {
        let (pool, attempt) = Pool::begin(
            options.config.clone(),
            &self.jumps,
            options.sessions,
            self.registry.server_log(&options.name),
        );
        let name = Arc::clone(&options.name);
        self.running.push(Server { options, pool });
        First { name, attempt }
    }
}

impl First {
    /// Waits for it, and says what came of it.
    async fn told(self) {
        match self.attempt.outcome().await {
            Ok(first) => tell(&self.name, &first, Telling::Aloud),
            Err(ConnectError::Stopped) => {}
            Err(error) => warn!("cannot connect to {}, will try again: {error}", self.name),
        }
    }
}

/// Says what the first session is like.
fn tell(name: &str, first: &FirstSession, telling: Telling) {
    let line = format!("connected to {}", first.describe(name));
    match telling {
        Telling::Aloud => info!("{line}"),
        Telling::Quietly => debug!("{line}"),
    }
    debug!(by = first.login, host_key = first.host_key_fingerprint, "logged in");
}
