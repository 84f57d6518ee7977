//! Probes whether a server really forwards: a session proves only the login, a channel proves the path.

use std::cell::LazyCell;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{error::Elapsed, timeout};

use super::program::Program;
use crate::destination::{Destination, Host};
use crate::lock::lock;
use crate::pool::Availability;
use crate::registry::{Connection, State};
use crate::ssh::{OpenError, TargetFault};
use crate::target::Target;
use crate::task;

/// What is known about the path through a server.
#[derive(Clone, Debug, Default)]
pub(super) struct Proof {
    pub(super) proved: Proved,
    /// Why the path is not proved, in a sentence.
    pub(super) reason: Option<String>,
    at: Option<Instant>,
}

/// Whether the path works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Proved {
    /// It has not been tried, or the result is uncertain.
    #[default]
    Unknown,
    /// The server has connected to a target, or tried to.
    #[strum(serialize = "proved")]
    Yes,
    /// The server refuses to forward.
    Forbidden,
    /// The server does not answer.
    Silent,
}

/// The result of a probe; `None` if no session had room for it.
type Probed = (Arc<str>, Result<Option<Result<(), OpenError>>, Elapsed>);

impl Proof {
    fn now(proved: Proved, reason: Option<String>) -> Self {
        Self { proved, reason, at: Some(Instant::now()) }
    }

    /// Whether the proof is too old to answer a request for one.
    fn is_old(&self) -> bool {
        self.proved != Proved::Yes || self.is_older_than(FRESH)
    }

    /// Whether the path did not work, which may have changed.
    fn is_doubtful(&self) -> bool {
        match self.proved {
            Proved::Forbidden => self.is_older_than(FORBIDDEN),
            Proved::Silent => true,
            Proved::Yes | Proved::Unknown => false,
        }
    }

    fn is_older_than(&self, age: Duration) -> bool {
        self.at.is_none_or(|at| at.elapsed() >= age)
    }
}

impl Program {
    /// What is known about the path through a server.
    pub(super) fn proof(&self, server: &str) -> Proof {
        let proof = self.proofs().get(server).cloned().unwrap_or_default();
        let is_past = proof.proved == Proved::Yes && proof.is_older_than(LATELY);
        let living = || self.0.registry.connections.living();
        if is_past && !living().iter().any(|connection| carries(connection, server)) {
            return Proof::default();
        }
        proof
    }

    /// Probes every server that has a session and has not been seen to forward lately. Takes at
    /// most [`PATIENCE`].
    pub(super) async fn prove(&self) {
        self.prove_those(Proof::is_old).await;
    }

    /// Probes broken paths again, for ever. Otherwise observers that do not request a probe, such as `/readyz`,
    /// would not learn that a path works again.
    pub(crate) async fn prove_again(&self) {
        let mut every = task::every(AGAIN);
        loop {
            every.tick().await;
            self.prove_those(Proof::is_doubtful).await;
        }
    }

    async fn prove_those(&self, are_meant: fn(&Proof) -> bool) {
        let mut probes = self.probes(are_meant);
        while let Some(probed) = probes.join_next().await {
            let Ok((name, outcome)) = probed else { continue };
            let (proved, reason) = match outcome {
                Ok(Some(outcome)) => interpret(outcome),
                Ok(None) => continue,
                Err(_) => (Proved::Silent, Some("the server does not answer".to_owned())),
            };
            self.proofs().insert(name, Proof::now(proved, reason));
        }
    }

    /// Probes the servers for which no open connection proves the path.
    fn probes(&self, are_meant: fn(&Proof) -> bool) -> JoinSet<Probed> {
        let routes = self.0.routes.load();
        let living = LazyCell::new(|| self.0.registry.connections.living());
        let mut probes = JoinSet::new();
        for (name, pool) in &routes.servers {
            if pool.availability() != Availability::Ready {
                self.proofs().remove(name);
                continue;
            }
            if !are_meant(&self.proof(name)) {
                continue;
            }
            if living.iter().any(|connection| carries(connection, name)) {
                self.proofs().insert(Arc::clone(name), Proof::now(Proved::Yes, None));
                continue;
            }
            let (name, pool) = (Arc::clone(name), pool.clone());
            probes.spawn(async move {
                let opened = async {
                    let target = probe_target(pool.port());
                    match pool.try_place(&target) {
                        Some(placed) => Some(placed.open(&target, NOBODY).await.map(drop)),
                        None => None,
                    }
                };
                (name, timeout(PATIENCE, opened).await)
            });
        }
        probes
    }

    fn proofs(&self) -> MutexGuard<'_, std::collections::HashMap<Arc<str>, Proof>> {
        lock(&self.0.proofs)
    }
}

/// Whether a connection proves that its server forwards: it was opened just now, or has just received data.
fn carries(connection: &Connection, server: &str) -> bool {
    let is_open = matches!(connection.state(), State::Relaying | State::HalfClosed);
    let is_alive = || connection.traffic().down_rate > 0 || connection.since().elapsed() < FRESH;
    is_open && is_alive() && connection.server().as_deref() == Some(server)
}

/// Interprets the answer to a probe. A target that refuses proves as much as one that accepts: the
/// server has tried to connect to it.
fn interpret(outcome: Result<(), OpenError>) -> (Proved, Option<String>) {
    match outcome {
        Err(OpenError::Target(TargetFault::Prohibited)) => {
            let reason = "the server forbids forwarding to its own port: if it permits other \
                          destinations, `sockeye ping HOST:PORT` shows that";
            (Proved::Forbidden, Some(reason.to_owned()))
        }
        Err(OpenError::Target(TargetFault::ServerFull)) => {
            (Proved::Forbidden, Some("the server opens no further connection".to_owned()))
        }
        Ok(()) | Err(OpenError::Target(_)) => (Proved::Yes, None),
        Err(OpenError::SessionLost | OpenError::Unreadable) => (Proved::Unknown, None),
    }
}

/// The server's own SSH port, as seen from the server, since no firewall is likely to be in between.
pub(super) fn probe_target(port: u16) -> Target {
    let host: Host = "127.0.0.1".parse().expect("an address");
    Destination::new(host, port.max(1)).expect("a port").into()
}

/// The originator of a probe.
const NOBODY: std::net::SocketAddr =
    std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 65535);
/// The time limit of a probe: `status` answers within two seconds.
const PATIENCE: Duration = Duration::from_millis(1500);
/// The time for which a proof answers explicit requests.
const FRESH: Duration = Duration::from_secs(1);
/// The time for which a proof is reported without a new probe.
const LATELY: Duration = Duration::from_secs(60);
/// The interval of the probes of broken paths.
const AGAIN: Duration = Duration::from_secs(5);
/// The time for which a refusal is trusted, since each probe is a line in the server's log.
const FORBIDDEN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing::program;
    use crate::request::Request;

    fn before(age: Duration) -> Instant {
        Instant::now().checked_sub(age).expect("a clock that knows that time")
    }

    #[test]
    fn a_path_that_was_proved_long_ago_is_unknown() {
        let (program, _) = program();
        let (now, then) = (before(Duration::ZERO), before(LATELY));
        for (proved, at, told) in [
            (Proved::Yes, now, Proved::Yes),
            (Proved::Yes, then, Proved::Unknown),
            (Proved::Forbidden, then, Proved::Forbidden),
        ] {
            program.proofs().insert("s".into(), Proof { proved, reason: None, at: Some(at) });
            assert_eq!(program.proof("s").proved, told);
        }
    }

    #[test]
    fn a_path_that_carries_something_now_stays_proved() {
        let (program, _) = program();
        for server in ["s", "t"] {
            let proof = Proof { proved: Proved::Yes, reason: None, at: Some(before(LATELY)) };
            program.proofs().insert(server.into(), proof);
        }
        let connection = program.registry().connections.begin(&Request::for_test("a.example:80"));
        connection.asked(Some(&"s".into()), 1);
        assert_eq!(program.proof("s").proved, Proved::Unknown, "it is not open yet");
        connection.opened();
        assert_eq!(program.proof("s").proved, Proved::Yes);
        assert_eq!(program.proof("t").proved, Proved::Unknown, "another server carries it");
    }

    /// A server that forbids it notes each probe in its log.
    #[test]
    fn what_is_asked_again_and_how_soon() {
        let (now, second, minute) =
            (Duration::ZERO, Duration::from_secs(1), Duration::from_secs(60));
        for (proved, age, is_old, is_doubtful) in [
            (Proved::Unknown, now, true, false),
            (Proved::Yes, now, false, false),
            (Proved::Yes, second, true, false),
            (Proved::Yes, minute, true, false),
            (Proved::Silent, now, true, true),
            (Proved::Forbidden, now, true, false),
            (Proved::Forbidden, second, true, false),
            (Proved::Forbidden, minute, true, true),
        ] {
            let proof = Proof { proved, reason: None, at: Some(before(age)) };
            let asked = (proof.is_old(), proof.is_doubtful());
            assert_eq!(asked, (is_old, is_doubtful), "{proved:?} {age:?} ago");
        }
    }

    #[test]
    fn what_an_answer_shows() {
        let of = |fault| interpret(Err(OpenError::Target(fault)));
        assert_eq!(interpret(Ok(())), (Proved::Yes, None));
        assert_eq!(of(TargetFault::Refused), (Proved::Yes, None), "the server has gone there");
        for fault in [TargetFault::Prohibited, TargetFault::ServerFull] {
            let (proved, why) = of(fault);
            assert_eq!(proved, Proved::Forbidden, "{fault:?}");
            assert!(why.is_some(), "{fault:?}");
        }
        assert_eq!(interpret(Err(OpenError::SessionLost)).0, Proved::Unknown);
    }
}
