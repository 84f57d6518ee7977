//! Opens a channel to measure how long each stage takes, and to find the slow one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::path::probe_target;
use super::program::Program;
use super::remark::{full_line, millis, seconds, shown};
use super::reply::Failure;
use super::schema::{Ping, PingRequest};
use super::view::{fine, stages_view};
use crate::destination::{Destination, Host};
use crate::dial::{Blame, Connected, DialError, DialFailure, Routing};
use crate::listen::connect::{Connect as _, Outbound};
use crate::pool::SessionView;
use crate::printable::{size, word};
use crate::registry::{Connection, Stages, State};
use crate::request::{Protocol, Request, Source};
use crate::route::{Action, Select, Via};
use crate::target::Target;

/// The stage that is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum Culprit {
    None,
    Rule,
    Session,
    Line,
    Client,
    FarSide,
    Target,
}

/// The facts that are known at the end of a ping.
struct Facts<'a> {
    server: Option<&'a str>,
    stages: Stages,
    /// The time from the request to the far side until its answer, or until the dial was given up.
    asked: Option<Duration>,
    round_trip: Option<Duration>,
    session: Option<&'a SessionView>,
    /// The connection over the same server for whose client most waits, and how much.
    slow: Option<(u64, u64)>,
    /// Another connection on the same session whose channel is not open yet, and for how long.
    opening: Option<(u64, Duration)>,
}

impl Program {
    /// Opens a channel as a request would, and reports each stage.
    pub(crate) async fn ping(&self, request: PingRequest) -> Result<Ping, Failure> {
        let (target, routing) = self.wanted(&request)?;
        let probe = Request {
            listener: LISTENER.into(),
            protocol: Protocol::Forward,
            source: Source::Unix,
            user: None,
            target: target.clone(),
        };
        let tracked = self.registry().connections.begin(&probe);
        let connection = Arc::clone(tracked.connection());
        let connect = Outbound { routing: routing.clone(), ..self.0.connect.clone() };
        let dialled = connect.dial_tracked(tracked).await;
        let asked = connection.answered_after();
        let round_trip = self.round_trip(&connection).await;
        let stages = connection.stages();
        let (failure, first_byte) = match dialled {
            Ok(Connected { channel, .. }) => {
                let first = first_byte(connect.stream(channel), &target, request.http).await;
                (None, first)
            }
            Err(DialFailure { error, .. }) => (Some(error), None),
        };
        let pools = self.pools();
        let sessions = pools.iter().flat_map(|(_, pool)| &pool.sessions);
        let session = sessions.into_iter().find(|s| Some(s.id) == connection.session());
        let server = connection.server();
        let facts = Facts {
            server: server.as_deref(),
            stages,
            asked,
            round_trip,
            session,
            slow: self.slowest(&connection),
            opening: self.opening(&connection),
        };
        let (culprit, verdict) = diagnose(failure.as_ref(), &facts);
        let far_side =
            stages.opened.or(asked).zip(round_trip).map(|(all, trip)| all.saturating_sub(trip));
        let mut stages = stages_view(stages);
        stages.opened = stages.opened.or(asked.map(fine));
        stages.first_byte = first_byte.map(fine);
        Ok(Ping {
            target: target.to_string(),
            rule: connection.rule().as_deref().map(str::to_owned),
            server: server.as_deref().map(str::to_owned),
            session: connection.session(),
            opened: failure.is_none(),
            failure: failure.map(|error| error.to_string()),
            stages,
            round_trip: round_trip.map(fine),
            best_round_trip: session.and_then(|s| s.round_trip).map(|(_, best)| fine(best)),
            far_side: far_side.map(fine),
            culprit: word(culprit).to_owned(),
            verdict,
        })
    }

    fn wanted(&self, request: &PingRequest) -> Result<(Target, Routing), Failure> {
        let wrong = |why: String| Failure::new(StatusCode::UNPROCESSABLE_ENTITY, why);
        let routes = self.0.routes.load();
        let servers: Vec<_> = routes.servers.iter().collect();
        let named = match request.server.as_deref() {
            Some(named) => {
                let found = servers.iter().find(|(name, _)| ***name == *named);
                Some(found.ok_or_else(|| wrong(format!("there is no server {}", shown(named))))?)
            }
            None => None,
        };
        let fixed = |name: &Arc<str>| {
            let via = Via { servers: vec![Arc::clone(name)], select: Select::default() };
            Routing::Fixed(Action::Via(Arc::new(via)))
        };
        if let Some(text) = &request.destination {
            let target = Destination::parse(text, None);
            let target = target.map_err(|why| wrong(format!("{}: {why}", shown(text))))?;
            let routing = named.map_or(Routing::Rules, |(name, _)| fixed(name));
            return Ok((target.into(), routing));
        }
        let (name, pool) = match (named, servers.as_slice()) {
            (Some(server), _) | (None, [server]) => server,
            (None, []) => return Err(wrong("there is no server".to_owned())),
            (None, _) => {
                return Err(wrong("there are several servers: name one, or a destination".into()));
            }
        };
        Ok((probe_target(pool.port()), fixed(name)))
    }

    /// Measures a round trip on the session of a connection.
    async fn round_trip(&self, connection: &Connection) -> Option<Duration> {
        let routes = self.0.routes.load();
        let pool = routes.servers.get(&connection.server()?)?.clone();
        timeout(PATIENCE, pool.round_trip_of(connection.session()?)).await.ok()?
    }

    /// The one over the same server for whose client most waits, and how much.
    fn slowest(&self, than: &Connection) -> Option<(u64, u64)> {
        let living = self.registry().connections.living();
        let waits = |connection: &Arc<Connection>| {
            let waiting = connection.waiting();
            (connection.id(), waiting.memory + waiting.disk)
        };
        let beside = living.iter().filter(|c| c.server() == than.server() && c.id() != than.id());
        beside.map(waits).filter(|(_, bytes)| *bytes >= SLOW).max_by_key(|(_, bytes)| *bytes)
    }

    /// The connection on the same session whose channel has been opening for the longest time.
    fn opening(&self, than: &Connection) -> Option<(u64, Duration)> {
        let living = self.registry().connections.living();
        let beside = living.iter().filter(|c| {
            c.session() == than.session() && c.id() != than.id() && c.state() == State::Opening
        });
        beside.map(|c| (c.id(), c.since().elapsed())).max_by_key(|(_, waits)| *waits)
    }
}

/// Waits for the first byte that the target sends, by itself or in answer to a `HEAD`.
async fn first_byte(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    target: &Target,
    http: bool,
) -> Option<Duration> {
    let asked = std::time::Instant::now();
    let patience = if http { PATIENCE } else { SPEAKS_FIRST };
    let read = timeout(patience, async {
        if http {
            let host = target.host().map_or_else(String::new, Host::to_string);
            let head = format!("HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            stream.write_all(&Bytes::from(head)).await.ok()?;
        }
        stream.read(&mut [0; 1]).await.ok().filter(|read| *read > 0)
    });
    read.await.ok()??;
    Some(asked.elapsed())
}

/// Decides which stage is to blame, and why.
fn diagnose(failure: Option<&DialError>, facts: &Facts<'_>) -> (Culprit, String) {
    let server = shown(facts.server.unwrap_or("the server"));
    if let Some(error) = failure {
        let culprit = match (error, error.blame()) {
            (DialError::Rejected { .. } | DialError::Loop, _) => Culprit::Rule,
            (_, Blame::Tunnel) => Culprit::Session,
            (_, Blame::Server) => Culprit::FarSide,
            (_, Blame::Target) => Culprit::Target,
            (_, Blame::Client | Blame::Machine) => Culprit::Client,
        };
        let after = facts.asked.filter(|asked| *asked >= SLOW_OPEN);
        let after = after.map_or_else(String::new, |asked| format!(", after {}", seconds(asked)));
        return (culprit, format!("{}{after}", shown(&error.to_string())));
    }
    if let Some(waited) = facts.stages.waited.filter(|waited| *waited >= SLOW_OPEN) {
        return (Culprit::Session, format!("{server} had no session for {}", seconds(waited)));
    }
    if let Some(decided) = facts.stages.decided.filter(|decided| *decided >= SLOW_OPEN) {
        let took = seconds(decided);
        return (
            Culprit::Rule,
            format!("a rule wanted a look-up on this machine, which took {took}"),
        );
    }
    let trip = facts.round_trip.unwrap_or_default();
    let far = facts.stages.opened.unwrap_or_default().saturating_sub(trip);
    if let Some((id, waits)) =
        facts.opening.filter(|(_, waits)| *waits >= SLOW_OPEN && trip >= SLOW_OPEN)
    {
        let verdict = format!(
            "{server} stands still for another request: connection {id} has waited {} for its look-up",
            seconds(waits)
        );
        return (Culprit::FarSide, verdict);
    }
    if let Some(full) = facts.session.and_then(full_line) {
        return (Culprit::Line, full);
    }
    if far >= SLOW_OPEN && far >= trip {
        let verdict = format!(
            "the far side of {server} needed {} to look the name up or to connect",
            seconds(far)
        );
        return (Culprit::FarSide, verdict);
    }
    if let Some((id, bytes)) = facts.slow {
        let verdict = format!(
            "the path is fine; the client of connection {id} does not keep up: {} wait for it",
            size(bytes)
        );
        return (Culprit::Client, verdict);
    }
    (Culprit::None, format!("nothing was slow: a round trip takes {}", millis(trip)))
}

/// The listener name of the connection of a ping.
const LISTENER: &str = "(ping)";
/// The time from which a stage counts as slow.
const SLOW_OPEN: Duration = Duration::from_millis(300);
/// The amount of buffered data from which a client counts as slow, in bytes.
const SLOW: u64 = 1 << 20;
/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest wait for a target to speak first.
const SPEAKS_FIRST: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests;
