//! Tests a server for `sockeye check --connect`: logs in, and opens channels to targets that do not exist.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::ServerOptions;
use crate::openssh::{ClientConfig, Prompter};
use crate::pool::{FirstSession, JumpHosts, Pool, PoolSize, Report};
use crate::relay::{BacklogLimits, Relayer};
use crate::ssh::{ConnectError, OpenError, TargetFault};
use crate::stream::ByteStream;
use crate::target::Target;

/// The results of a probe.
#[derive(Debug)]
pub struct Findings {
    /// The first session.
    pub first: FirstSession,
    /// Whether the server permits forwarding.
    pub forwarding: Forwarding,
    /// How it answers a request for a name that does not exist.
    pub names: Names,
    /// The time of the fastest answer.
    pub round_trip: Duration,
    /// How many concurrent sessions it permits.
    pub sessions: Sessions,
}

/// Whether a server permits forwarding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// It permits it.
    Allowed,
    /// It forbids it (`AllowTcpForwarding`, `PermitOpen`, a key's or an account's restriction).
    Forbidden,
    /// It opens no more connections for now.
    Full,
    /// It did not answer.
    Unanswered,
}

/// How a server answers a request for a name that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// It says that the name does not exist; with the time that the answer took.
    Resolved(Duration),
    /// It does not say why it could not connect; with the time that the answer took.
    Uncertain(Duration),
    /// It did not answer within 10 s: its name service does not respond.
    Slow,
    /// Not tested.
    Unasked,
}

/// How many concurrent sessions a server permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// At least this many: all that were tried.
    AtLeast(usize),
    /// Exactly this many; the next one was refused.
    Exactly(usize),
    /// One was tried, since each login asks a person.
    OneByPerson,
}

impl Forwarding {
    /// Interprets the answer to a channel request: whatever the target did, the server has tried to connect to it.
    fn of(answer: Option<TargetFault>) -> Self {
        match answer {
            Some(TargetFault::Prohibited) => Self::Forbidden,
            Some(TargetFault::ServerFull) => Self::Full,
            Some(_) => Self::Allowed,
            None => Self::Unanswered,
        }
    }
}

/// Logs in to a server, and probes it.
///
/// # Cancel safety
///
/// All sessions end when the future is dropped.
pub async fn probe(server: &ServerOptions, prompter: &Prompter) -> Result<Findings, ConnectError> {
    let relayer = Relayer::new(BacklogLimits::default());
    let carry = Box::new(move |channel| Box::new(relayer.pipe(channel)) as Box<dyn ByteStream>);
    let jumps =
        JumpHosts::new(prompter.clone(), carry, crate::ssh::LineMemory::default(), Report::Info);
    let most = server.sessions.map_or(PoolSize::default().max(), PoolSize::max);
    let started = Pool::start(server.config.clone(), &jumps, Some(PoolSize::single())).await;
    let (pool, first) = match started {
        Ok(started) => started,
        Err(error) => {
            jumps.shutdown().await;
            return Err(error);
        }
    };
    let (mut forwarding, mut round_trip) = (Forwarding::Unanswered, Duration::MAX);
    for _ in 0..ROUNDS {
        let (answer, took) = ask(&pool, NOBODY).await;
        forwarding = Forwarding::of(answer);
        round_trip = round_trip.min(took);
    }
    let names = match forwarding {
        Forwarding::Allowed => match ask(&pool, NO_NAME).await {
            (Some(TargetFault::NameNotFound), took) => Names::Resolved(took),
            (Some(_), took) => Names::Uncertain(took),
            (None, _) => Names::Slow,
        },
        Forwarding::Forbidden | Forwarding::Full | Forwarding::Unanswered => Names::Unasked,
    };
    let sessions = if first.is_unattended() {
        open_more(&server.config, &jumps, most).await
    } else {
        Sessions::OneByPerson
    };
    pool.shutdown().await;
    jumps.shutdown().await;
    Ok(Findings { first, forwarding, names, round_trip, sessions })
}

/// Opens a channel. Returns the server's failure for the target, and the time; a channel that does open counts
/// as an uncertain answer.
async fn ask(pool: &Pool, target: &str) -> (Option<TargetFault>, Duration) {
    let target: Target = target.parse().expect("a host and a port");
    let begun = Instant::now();
    let asking = async {
        let placed = pool.place_or_fail(&target).await.ok()?;
        match placed.open(&target, ORIGIN).await {
            Ok(_open) => Some(TargetFault::Uncertain),
            Err(OpenError::Target(fault)) => Some(fault),
            Err(OpenError::Unreadable) => Some(TargetFault::Uncertain),
            Err(OpenError::SessionLost) => None,
        }
    };
    let answer = timeout(LIMIT, asking).await.ok().flatten();
    (answer, begun.elapsed())
}

/// Opens sessions in addition to the first, one after another.
async fn open_more(config: &ClientConfig, jumps: &JumpHosts, most: usize) -> Sessions {
    let mut pools = Vec::new();
    let mut sessions = Sessions::AtLeast(most);
    while pools.len() + 1 < most {
        let started = Pool::start(config.clone(), jumps, Some(PoolSize::single())).await;
        let Ok((pool, _)) = started else {
            sessions = Sessions::Exactly(pools.len() + 1);
            break;
        };
        pools.push(pool);
    }
    for pool in pools {
        pool.shutdown().await;
    }
    sessions
}

/// A port of the server itself on which nothing listens (tcpmux, RFC 1078).
const NOBODY: &str = "127.0.0.1:1";
/// A name that does not exist (RFC 6761).
const NO_NAME: &str = "sockeye-check.invalid:80";
/// The number of requests; the fastest answer counts.
const ROUNDS: usize = 3;
/// The longest wait for an answer.
const LIMIT: Duration = Duration::from_secs(10);
/// The originator that `ssh` sends when there is no client.
const ORIGIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), u16::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_opens_no_channel_is_not_reported_as_forwarding() {
        for (answer, forwarding) in [
            (Some(TargetFault::Refused), Forwarding::Allowed),
            (Some(TargetFault::Uncertain), Forwarding::Allowed),
            (Some(TargetFault::Prohibited), Forwarding::Forbidden),
            (Some(TargetFault::ServerFull), Forwarding::Full),
            (None, Forwarding::Unanswered),
        ] {
            assert_eq!(Forwarding::of(answer), forwarding, "{answer:?}");
        }
    }
}
