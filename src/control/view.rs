//! Converts the state to the objects of the schema.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::counts::{counts, programs};
use super::path::Proved;
use super::program::{Phase, Program};
use super::{remark, schema};
use crate::pool::{JumpView, PoolSize, PoolView, SessionView};
use crate::printable::word;
use crate::registry::{self, DEFAULT_RULE, ForwardKind, ForwardState, RuleTally, STDIO};
use crate::route::Action;
use crate::stream::Process;

impl Program {
    pub(crate) fn status(&self) -> schema::Status {
        let pools = self.pools();
        let forwards = self.forwards();
        let servers: Vec<_> = pools.iter().map(|(name, pool)| self.server(name, pool)).collect();
        let configuration = self.0.facts.reloads.as_ref().map(|reloads| schema::Configuration {
            file: reloads.file().display().to_string(),
            reloads: reloads.in_force(),
            mistakes: reloads.mistakes(),
        });
        let health = troubles(&servers, &forwards, configuration.as_ref());
        schema::Status {
            instance: self.instance(),
            state: self.state(&servers, &health).to_owned(),
            health,
            configuration,
            connections: counts(&self.0.registry),
            traffic: self.0.registry.connections.traffic(),
            programs: programs(&self.0.registry),
            servers,
            forwards,
        }
    }

    fn instance(&self) -> schema::Instance {
        let volume = self.0.facts.volume.as_ref();
        schema::Instance {
            name: self.0.name.get().cloned().unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            run: self.0.run.clone(),
            started: epoch(self.0.started_at),
            uptime: whole(self.0.started.elapsed()),
            log: volume.map_or("", |volume| word(volume.verbosity())).to_owned(),
        }
    }

    fn state(&self, servers: &[schema::Server], health: &[schema::Trouble]) -> &'static str {
        match self.phase() {
            Phase::Starting => "starting",
            Phase::Draining => "draining",
            Phase::Running if health.is_empty() => "ready",
            Phase::Running => {
                let dead = [Proved::Forbidden, Proved::Silent].map(word);
                let carries = |server: &schema::Server| {
                    server.state == "ready" && !dead.contains(&server.path.as_str())
                };
                if servers.is_empty() || servers.iter().any(carries) { "degraded" } else { "down" }
            }
        }
    }

    fn server(&self, name: &Arc<str>, pool: &PoolView) -> schema::Server {
        let sessions: Vec<_> = pool.sessions.iter().map(|s| self.session(s)).collect();
        let rate = |of: fn(&schema::Traffic) -> u64| sessions.iter().map(|s| of(&s.traffic)).sum();
        let shortest = pool.sessions.iter().filter_map(|s| s.round_trip).map(|(now, _)| now).min();
        let proof = self.proof(name);
        schema::Server {
            name: name.to_string(),
            state: word(pool.availability).to_owned(),
            reason: pool.reason.clone(),
            path: word(proof.proved).to_owned(),
            path_reason: proof.reason,
            failures: pool.failures,
            next_attempt: pool.next_attempt.map(whole),
            last_loss: pool
                .last_loss
                .as_ref()
                .map(|(age, reason)| schema::Loss { age: whole(*age), reason: reason.clone() }),
            waiting: pool.waiting,
            min: pool.size.map(PoolSize::min),
            max: pool.size.map(PoolSize::max),
            traffic: schema::Traffic {
                up: pool.sent,
                down: pool.received,
                up_rate: rate(|traffic| traffic.up_rate),
                down_rate: rate(|traffic| traffic.down_rate),
            },
            round_trip: shortest.map(fine),
            sessions,
            jumps: pool.jumps.iter().map(jump_view).collect(),
        }
    }

    fn session(&self, session: &SessionView) -> schema::Session {
        schema::Session {
            id: session.id,
            state: word(session.state).to_owned(),
            age: whole(session.age),
            round_trip: session.round_trip.map(|(now, _)| fine(now)),
            best_round_trip: session.round_trip.map(|(_, best)| fine(best)),
            channels: session.channels,
            opening: session.opening,
            active: session.active,
            bulk: session.bulk,
            slow_readers: session.slow_readers,
            held: session.held,
            traffic: self.0.rates.of(session),
            window: session.window,
            host_key_type: session.host_key_type.clone(),
            host_key: session.host_key_fingerprint.clone(),
            key_exchange: session.key_exchange.clone(),
            cipher: session.cipher.clone(),
        }
    }

    /// The connections, each with a remark on what holds it up.
    pub(crate) fn connections(
        &self,
        connections: &[Arc<registry::Connection>],
    ) -> Vec<schema::Connection> {
        let remarks = self.remarks(connections).into_iter();
        connections.iter().zip(remarks).map(|(one, remark)| connection_view(one, remark)).collect()
    }

    /// The remarks on what holds each of the connections up.
    pub(super) fn remarks(&self, connections: &[Arc<registry::Connection>]) -> Vec<Option<String>> {
        let pools = self.pools();
        let sessions = pools.iter().flat_map(|(_, pool)| &pool.sessions);
        let sessions: HashMap<u64, &SessionView> = sessions.map(|s| (s.id, s)).collect();
        let remark = |connection: &Arc<registry::Connection>| {
            let session = connection.session().and_then(|id| sessions.get(&id)).copied();
            remark::of(connection, session)
        };
        connections.iter().map(remark).collect()
    }

    /// The rules in order, then the default.
    pub(crate) fn rules(&self) -> Vec<schema::Rule> {
        let routes = self.0.routes.load();
        let tallies = &self.0.registry.tallies;
        let rules = routes.router.rules().iter();
        let rules =
            rules.map(|rule| rule_view(&rule.name, &rule.action, &tallies.rules.of(&rule.name)));
        let default =
            rule_view(DEFAULT_RULE, routes.router.default(), &tallies.rules.of(DEFAULT_RULE));
        rules.chain([default]).collect()
    }

    /// Listeners and forwards, in the order of their creation.
    pub(super) fn forwards(&self) -> Vec<schema::Forward> {
        let view = |one: &Arc<registry::Forward>| {
            let tallies = &self.0.registry.tallies;
            let names = one.names_in_requests();
            let seen = names.iter().filter_map(|name| tallies.listeners.find(name));
            let suspicious = seen.map(|tally| tally.suspicious()).sum();
            schema::Forward { suspicious, ..forward(one) }
        };
        self.0.registry.forwards.all().iter().map(view).collect()
    }

    /// The totals of the current listeners, by their names in rules.
    pub(super) fn listener_tallies(&self) -> BTreeMap<Arc<str>, Arc<registry::ListenerTally>> {
        let registry = &self.0.registry;
        let forwards = registry.forwards.all();
        let names = forwards.iter().flat_map(|forward| forward.names_in_requests());
        let names = names.chain([STDIO.into()]);
        names.filter_map(|name| registry.tallies.listeners.find(&name).map(|t| (name, t))).collect()
    }

    /// The totals by listener.
    pub(super) fn listeners(&self) -> Vec<schema::Listener> {
        let listeners = self.listener_tallies();
        let view = |(name, tally): (Arc<str>, Arc<registry::ListenerTally>)| {
            let (names, addresses) = tally.kinds();
            let suspicious = tally.suspicious();
            schema::Listener { name: name.to_string(), names, addresses, suspicious }
        };
        listeners.into_iter().map(view).collect()
    }
}

fn jump_view(jump: &JumpView) -> schema::Jump {
    schema::Jump {
        name: jump.name.clone(),
        state: word(jump.availability).to_owned(),
        reason: jump.reason.clone(),
        sessions: jump.sessions,
        round_trip: jump.round_trip.map(fine),
    }
}

pub(super) fn forward(forward: &registry::Forward) -> schema::Forward {
    let (about, state) = (forward.about(), forward.state());
    let (addresses, reason) = match &state {
        ForwardState::Listening(addresses) => {
            (addresses.iter().map(ToString::to_string).collect(), None)
        }
        ForwardState::Refused(reason) => (Vec::new(), Some(reason.to_string())),
        ForwardState::Asking | ForwardState::Gone => (Vec::new(), None),
    };
    schema::Forward {
        id: forward.id(),
        kind: word(about.kind).to_owned(),
        origin: word(about.origin).to_owned(),
        name: about.name.as_deref().filter(|name| **name != *about.spec).map(str::to_owned),
        spec: about.spec.to_string(),
        server: about.server.as_deref().map(str::to_owned),
        state: word(&state).to_owned(),
        addresses,
        reason,
        accepted: forward.accepted(),
        suspicious: 0,
    }
}

/// Converts a connection, with the remark on what holds it up.
pub(super) fn connection_view(
    connection: &registry::Connection,
    remark: Option<String>,
) -> schema::Connection {
    let (request, stages) = (connection.request(), connection.stages());
    let waiting = connection.waiting();
    schema::Connection {
        id: connection.id(),
        state: word(connection.state()).to_owned(),
        in_state: whole(connection.since().elapsed()),
        outcome: connection.outcome().map(|outcome| word(outcome).to_owned()),
        failure: connection.failure().map(String::from),
        listener: request.listener.to_string(),
        protocol: request.protocol.to_string(),
        source: request.source.to_string(),
        user: request.user.as_deref().map(str::to_owned),
        process: connection.process().map(|process| Process::clone(process)),
        target: request.target.to_string(),
        rule: connection.rule().as_deref().map(str::to_owned),
        server: connection.server().as_deref().map(str::to_owned),
        session: connection.session(),
        began: epoch_of(connection.began()),
        age: whole(connection.began().elapsed()),
        stages: stages_view(stages),
        traffic: connection.traffic(),
        waiting_memory: waiting.memory,
        waiting_disk: waiting.disk,
        stalled: fine(connection.stalled()),
        remark,
    }
}

pub(super) fn stages_view(stages: registry::Stages) -> schema::Stages {
    schema::Stages {
        decided: stages.decided.map(fine),
        waited: stages.waited.map(fine),
        opened: stages.opened.map(fine),
        first_byte: stages.first_byte.map(fine),
        total: stages.total.map(fine),
    }
}

fn rule_view(name: &str, action: &Action, tally: &RuleTally) -> schema::Rule {
    let (hits, bytes, last_hit) = tally.read();
    let action = match action {
        Action::Via(via) => format!("via {}", via.servers.join(", ")),
        Action::Direct { .. } => "direct".to_owned(),
        Action::Reject => "reject".to_owned(),
    };
    schema::Rule { name: name.to_owned(), action, hits, bytes, last_hit }
}

fn troubles(
    servers: &[schema::Server],
    forwards: &[schema::Forward],
    configuration: Option<&schema::Configuration>,
) -> Vec<schema::Trouble> {
    let mut troubles = Vec::new();
    let mut add = |what: &str, name: &str, text: String| {
        troubles.push(schema::Trouble { what: what.to_owned(), name: name.to_owned(), text });
    };
    for server in servers {
        let text = match (server.state.as_str(), &server.path_reason) {
            ("ready", Some(reason)) => reason.clone(),
            ("ready", None) => continue,
            ("pending", _) if server.reason.is_empty() => "connecting".to_owned(),
            _ => server.reason.clone(),
        };
        add("server", &server.name, text);
    }
    for forward in forwards.iter().filter(|forward| forward.state != "listening") {
        let what = if forward.kind == word(ForwardKind::Dynamic) { "listener" } else { "forward" };
        let text =
            forward.reason.clone().unwrap_or_else(|| "the server has not been asked yet".into());
        add(what, forward.name.as_ref().unwrap_or(&forward.spec), text);
    }
    if let Some(schema::Configuration { file, mistakes, .. }) = configuration
        && !mistakes.is_empty()
    {
        let text = format!("not in force as it is now: {}", mistakes.join("; "));
        add("configuration", file, text);
    }
    troubles
}

/// Whole milliseconds.
pub(super) fn whole(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds with fractions.
pub(super) fn fine(time: Duration) -> f64 {
    // Rounded to the microsecond: the rest is noise.
    #[expect(clippy::cast_precision_loss, reason = "a duration of less than 285 years")]
    let micros = time.as_micros() as f64;
    micros / 1000.0
}

/// Milliseconds since the epoch.
fn epoch(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, whole)
}

fn epoch_of(time: Instant) -> u64 {
    epoch(SystemTime::now()).saturating_sub(whole(time.elapsed()))
}
