//! What a server is like: it is logged in to, and asked for channels that lead nowhere.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::ServerOptions;
use crate::openssh::{ClientConfig, Prompter};
use crate::pool::{FirstSession, JumpHosts, Pool, PoolSize};
use crate::relay::{BacklogLimits, Relayer};
use crate::ssh::{ConnectError, OpenError, TargetFault};
use crate::stream::ByteStream;
use crate::target::Target;

/// What was found.
#[derive(Debug)]
pub struct Findings {
    /// The first session.
    pub first: FirstSession,
    /// Whether the server lets connections through.
    pub forwarding: Forwarding,
    /// What it does with a name that nobody has.
    pub names: Names,
    /// How long the fastest of its answers took.
    pub round_trip: Duration,
    /// How many sessions it gave at once.
    pub sessions: Sessions,
}

/// Whether a server lets connections through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// It does.
    Allowed,
    /// It forbids it (`AllowTcpForwarding`, `PermitOpen`, a key's or an account's restriction).
    Forbidden,
    /// It did not answer.
    Unanswered,
}

/// What becomes of a name that nobody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// The server looks names up and says that there is no such name; so long it took.
    Resolved(Duration),
    /// It says that it could not connect, and not why; so long it took.
    Uncertain(Duration),
    /// It did not say anything within 10 s: its name service does not answer.
    Slow,
    /// It was not asked.
    Unasked,
}

/// How many sessions a server gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// So many as were asked for.
    AtLeast(usize),
    /// So many, and the next was refused.
    Exactly(usize),
    /// One; each further one would take a person.
    OneByPerson,
}

/// Logs in to a server, and looks what it does.
///
/// # Errors
///
/// There is no session.
///
/// # Cancel safety
///
/// Dropped in mid-way, what was opened ends.
pub async fn probe(server: &ServerOptions, prompter: &Prompter) -> Result<Findings, ConnectError> {
    let relayer = Relayer::new(BacklogLimits::default());
    let carry = Box::new(move |channel| Box::new(relayer.pipe(channel)) as Box<dyn ByteStream>);
    let jumps = JumpHosts::new(prompter.clone(), carry, crate::ssh::LineMemory::default());
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
        forwarding = match answer {
            Some(TargetFault::Prohibited) => Forwarding::Forbidden,
            Some(_) => Forwarding::Allowed,
            None => Forwarding::Unanswered,
        };
        round_trip = round_trip.min(took);
    }
    let names = match forwarding {
        Forwarding::Allowed => match ask(&pool, NO_NAME).await {
            (Some(TargetFault::NameNotFound), took) => Names::Resolved(took),
            (Some(_), took) => Names::Uncertain(took),
            (None, _) => Names::Slow,
        },
        Forwarding::Forbidden | Forwarding::Unanswered => Names::Unasked,
    };
    let sessions = if first.is_unattended() {
        further(&server.config, &jumps, most).await
    } else {
        Sessions::OneByPerson
    };
    pool.shutdown().await;
    jumps.shutdown().await;
    Ok(Findings { first, forwarding, names, round_trip, sessions })
}

/// Asks for a channel. What the server says of its target, where it leads nowhere; a channel that is
/// opened is as good as any answer.
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

/// Opens further sessions beside the first, one after the other.
async fn further(config: &ClientConfig, jumps: &JumpHosts, most: usize) -> Sessions {
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

/// Nobody listens there (tcpmux, RFC 1078), on the server itself.
const NOBODY: &str = "127.0.0.1:1";
/// No name service knows it (RFC 6761).
const NO_NAME: &str = "sockeye-check.invalid:80";
/// How often the server is asked, of which the fastest counts.
const ROUNDS: usize = 3;
/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Who asks, as `ssh` puts it where nobody does.
const ORIGIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), u16::MAX);
