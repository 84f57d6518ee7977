//! The state of a running program, built from its events.

use std::collections::{HashMap, HashSet, VecDeque};

use super::series::History;
use crate::cli::operate::show;
use crate::control::schema::{Connection, Event, Forward, Rule, Status};

/// The state of a running program.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) status: Status,
    pub(super) connections: HashMap<u64, Seen>,
    pub(super) rules: Vec<Rule>,
    /// Events for people, newest first.
    pub(super) happenings: VecDeque<Happening>,
    /// The figures of all connections together.
    pub(super) total: History,
    pub(super) servers: HashMap<String, History>,
    pub(super) sessions: HashMap<u64, History>,
}

/// A connection, as it was last reported.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) connection: Connection,
    /// The uptime of the program at that report.
    at: u64,
}

/// An event for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Happening {
    /// The uptime of the program at that event.
    pub(super) at: u64,
    pub(super) text: String,
}

impl Facts {
    /// Applies an event; returns the connection that ends with it.
    pub(super) fn hear(&mut self, event: Event) -> Option<Box<Connection>> {
        match event {
            Event::Reset { status, connections } => {
                if status.instance.run != self.status.instance.run {
                    // The program was restarted, and its ids are new.
                    *self = Self::default();
                }
                self.status = *status;
                self.connections.clear();
                self.see(connections);
            }
            Event::Tick { status, connections } => {
                self.status = *status;
                self.see(connections);
                self.measure();
            }
            Event::ConnectionOpened { connection } => self.see([*connection]),
            Event::ConnectionClosed { connection } => {
                self.connections.remove(&connection.id);
                if let Some(failure) = &connection.failure {
                    let target = show::text(&connection.target);
                    self.happened(format!("{target} failed: {}", show::text(failure)));
                }
                return Some(connection);
            }
            other => self.happened(words(&other)?),
        }
        None
    }

    /// The age of a connection, in milliseconds.
    pub(super) fn age(&self, seen: &Seen) -> u64 {
        seen.connection.age + self.status.instance.uptime.saturating_sub(seen.at)
    }

    /// The time since an event, in milliseconds.
    pub(super) fn since(&self, happening: &Happening) -> u64 {
        self.status.instance.uptime.saturating_sub(happening.at)
    }

    fn see(&mut self, connections: impl IntoIterator<Item = Connection>) {
        let at = self.status.instance.uptime;
        let seen = connections.into_iter().map(|c| (c.id, Seen { connection: c, at }));
        self.connections.extend(seen);
    }

    fn happened(&mut self, text: String) {
        self.happenings.truncate(KEPT - 1);
        self.happenings.push_front(Happening { at: self.status.instance.uptime, text });
    }

    /// Records the figures of the last second.
    fn measure(&mut self) {
        let Self { status, total, servers, sessions, .. } = self;
        total.push(status.traffic.down_rate, status.traffic.up_rate, None);
        for server in &status.servers {
            let history = servers.entry(server.name.clone()).or_default();
            history.push(server.traffic.down_rate, server.traffic.up_rate, server.round_trip);
            for session in &server.sessions {
                let history = sessions.entry(session.id).or_default();
                let traffic = &session.traffic;
                history.push(traffic.down_rate, traffic.up_rate, session.round_trip);
            }
        }
        let names: HashSet<_> = status.servers.iter().map(|server| &server.name).collect();
        servers.retain(|name, _| names.contains(name));
        let ids: HashSet<_> =
            status.servers.iter().flat_map(|s| &s.sessions).map(|s| s.id).collect();
        sessions.retain(|id, _| ids.contains(id));
    }
}

/// An event in words; `None` if it is not worth a line.
fn words(event: &Event) -> Option<String> {
    let text = show::text;
    Some(match event {
        Event::SessionUp { server, session } => {
            format!("session {session} of {} is up", text(server))
        }
        Event::SessionDown { server, session, reason, .. } => {
            format!("session {session} of {} has ended: {}", text(server), text(reason))
        }
        Event::AttemptFailed { server, reason } => {
            format!("{} cannot be reached: {}", text(server), text(reason))
        }
        Event::Forward { forward } => {
            let Forward { spec, state, reason, .. } = forward;
            let why = reason.as_ref().map_or_else(String::new, |why| format!(": {}", text(why)));
            format!("{} is {}{why}", text(spec), text(state))
        }
        Event::Reloaded { text: words } => format!("configuration: {}", text(words)),
        Event::Reset { .. }
        | Event::Tick { .. }
        | Event::ConnectionOpened { .. }
        | Event::ConnectionClosed { .. } => return None,
    })
}

/// The most events that are kept.
const KEPT: usize = 500;
