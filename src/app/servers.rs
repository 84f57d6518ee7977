//! The servers in use, each with its pool.

use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::{Error, ServerOptions};
use crate::dial::Servers;
use crate::forward::PermitOpen;
use crate::openssh::Prompter;
use crate::pool::{FirstAttempt, FirstSession, JumpHosts, Pool, Report};
use crate::registry::Registry;
use crate::relay::Relayer;
use crate::ssh::{ConnectError, LineMemory};
use crate::stream::ByteStream;

/// The servers in use.
#[derive(Debug)]
pub(super) struct ServerSet {
    jumps: JumpHosts,
    report: Report,
    registry: Registry,
    running: Vec<Server>,
    /// Pools that open no more channels, and end with their last one.
    retired: Vec<Pool>,
    /// Pools that the last reload removed, to be retired once the routes are replaced.
    former: Vec<Pool>,
    /// Tasks that log the outcome of the first attempts after a reload.
    reports: JoinSet<()>,
}

#[derive(Clone, Debug)]
struct Server {
    options: ServerOptions,
    pool: Pool,
}

impl ServerSet {
    /// Starts empty. `prompter` asks what a login needs from a person; `relayer` carries sessions over jump hosts;
    /// `registry` records sessions; `report` is the level at which the first session to each server is logged.
    pub(super) fn new(
        prompter: Prompter,
        relayer: Relayer,
        registry: Registry,
        report: Report,
    ) -> Self {
        let carry = Box::new(move |channel| Box::new(relayer.pipe(channel)) as Box<dyn ByteStream>);
        let jumps = JumpHosts::new(prompter, carry, LineMemory::of_user(), report);
        Self {
            jumps,
            report,
            registry,
            running: Vec::new(),
            retired: Vec::new(),
            former: Vec::new(),
            reports: JoinSet::new(),
        }
    }

    /// Connects to all servers concurrently, and waits until each has a session or its first attempt has failed;
    /// if there are several, attempts that are held up are not waited for. Unreachable servers are an error only
    /// if all of them are.
    ///
    /// # Cancel safety
    ///
    /// Attempts go on when the future is dropped; [`shutdown`](Self::shutdown) ends them.
    pub(super) async fn connect(&mut self, servers: Vec<ServerOptions>) -> Result<(), Error> {
        let count = servers.len();
        let mut attempts = JoinSet::new();
        for options in servers {
            let (name, attempt) = self.begin(options);
            attempts.spawn(async move {
                let outcome = match count {
                    1 => Ok(attempt.outcome().await),
                    _ => attempt.outcome_unless_held_up().await,
                };
                (name, outcome)
            });
        }
        let mut failures = Vec::new();
        while let Some(attempt) = attempts.join_next().await {
            let Ok((name, outcome)) = attempt else { continue };
            match outcome {
                Err(attempt) => drop(self.reports.spawn(log_outcome(name, attempt))),
                Ok(Ok(first)) => log_first(&name, &first, self.report),
                Ok(Err(error)) if count == 1 => {
                    return Err(Error::Connect { server: name.to_string(), cause: error });
                }
                Ok(Err(error)) => {
                    warn!("cannot connect to {name}: {error}");
                    failures.push(name);
                }
            }
        }
        if count > 0 && failures.len() == count { Err(Error::ConnectToAny(count)) } else { Ok(()) }
    }

    /// Replaces the servers. Unchanged ones keep their sessions; the outcome of the first attempt for a new one
    /// is logged when it is known.
    pub(super) fn reload(&mut self, servers: Vec<ServerOptions>) {
        self.retired.retain(|pool| !pool.has_ended());
        while self.reports.try_join_next().is_some() {}
        self.jumps.reload();
        let mut before = std::mem::take(&mut self.running);
        for options in servers {
            if let Some(same) = before.iter().position(|server| server.options == options) {
                self.running.push(before.swap_remove(same));
            } else {
                let (name, attempt) = self.begin(options);
                self.reports.spawn(log_outcome(name, attempt));
            }
        }
        self.former.extend(before.into_iter().map(|server| server.pool));
    }

    /// Retires the pools that the last reload has removed, once the routes are replaced.
    pub(super) fn retire_former(&mut self) {
        for pool in self.former.drain(..) {
            pool.retire();
            self.retired.push(pool);
        }
    }

    /// The pools, by server name.
    pub(super) fn pools(&self) -> Servers {
        let named = |server: &Server| (Arc::clone(&server.options.name), server.pool.clone());
        self.running.iter().map(named).collect()
    }

    /// The destinations that a proxy on a server permits.
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

    fn begin(&mut self, options: ServerOptions) -> (Arc<str>, FirstAttempt) {
        let (pool, attempt) = Pool::begin(
            options.config.clone(),
            &self.jumps,
            options.sessions,
            self.registry.server_log(&options.name),
        );
        let name = Arc::clone(&options.name);
        self.running.push(Server { options, pool });
        (name, attempt)
    }
}

/// Waits for the outcome of a first attempt, and logs it.
async fn log_outcome(name: Arc<str>, attempt: FirstAttempt) {
    match attempt.outcome().await {
        Ok(first) => log_first(&name, &first, Report::Info),
        Err(ConnectError::Stopped) => {}
        Err(error) => warn!("cannot connect to {name}, will try again: {error}"),
    }
}

fn log_first(name: &str, first: &FirstSession, report: Report) {
    report.log(&format!("connected to {}", first.describe(name)));
    debug!(by = first.login, host_key = first.host_key_fingerprint, "logged in");
}
