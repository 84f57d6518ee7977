//! Servers and rules in Clash's terms: each server is a proxy, and a rule with several servers is a group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use hyper::StatusCode;
use serde::Serialize;

use crate::control::Program;
use crate::control::reply::Failure;
use crate::control::schema::Server;
use crate::registry::DEFAULT_RULE;
use crate::route::{Action, Select, Via};

/// A server, a group of servers, or a built-in pseudo-proxy.
#[derive(Debug, Serialize)]
pub(super) struct Proxy {
    name: String,
    r#type: &'static str,
    udp: bool,
    history: Vec<Measured>,
    alive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    all: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
struct Measured {
    time: String,
    /// The delay in milliseconds.
    delay: u64,
}

/// A rule, and how often it matched.
#[derive(Debug, Serialize)]
pub(super) struct Rule {
    r#type: &'static str,
    payload: String,
    proxy: String,
    size: i64,
    extra: Hits,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Hits {
    disabled: bool,
    hit_count: u64,
}

pub(super) fn all(program: &Program) -> BTreeMap<String, Proxy> {
    let servers = program.status().servers;
    let mut all: BTreeMap<_, _> = servers.iter().map(|s| (s.name.clone(), of_server(s))).collect();
    for (name, kind) in [(DIRECT, "Direct"), (REJECT, "Reject")] {
        all.entry(name.to_owned()).or_insert_with(|| plain(name, kind));
    }
    for (name, via) in named_groups(program) {
        all.entry(name.to_string()).or_insert_with(|| of_group(&name, &via, &servers));
    }
    let names = servers.iter().map(|server| server.name.clone());
    let members: Vec<_> = names.chain([DIRECT.to_owned(), REJECT.to_owned()]).collect();
    let global =
        Proxy { now: members.first().cloned(), all: Some(members), ..plain(GLOBAL, "Fallback") };
    all.entry(GLOBAL.to_owned()).or_insert(global);
    all
}

pub(super) fn groups(program: &Program) -> Vec<Proxy> {
    all(program).into_values().filter(|proxy| proxy.all.is_some()).collect()
}

pub(super) fn one(program: &Program, name: &str) -> Option<Proxy> {
    all(program).remove(name)
}

pub(super) fn members(program: &Program, name: &str) -> Option<Vec<String>> {
    let mut members = one(program, name)?.all?;
    members.retain(|member| member != DIRECT && member != REJECT);
    Some(members)
}

/// The server with this name, or the one that the group with this name uses now.
pub(super) fn server(program: &Program, name: &str) -> Result<String, Failure> {
    let proxy = one(program, name).ok_or_else(|| Failure::unknown("Resource not found"))?;
    match (proxy.r#type, proxy.now) {
        (SSH, _) => Ok(proxy.name),
        (_, Some(now)) if now != DIRECT && now != REJECT => Ok(now),
        _ => Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "only servers are tested")),
    }
}

/// The rules in order, then the default.
pub(super) fn rules(program: &Program) -> Vec<Rule> {
    let routes = program.routes();
    let actions = routes.router.rules().iter().map(|rule| &rule.action);
    let actions = actions.chain([routes.router.default()]);
    let rule = |(rule, action): (crate::control::schema::Rule, &Action)| Rule {
        r#type: if rule.name == DEFAULT_RULE { "Match" } else { "Rule" },
        proxy: match action {
            Action::Via(via) => match via.servers.as_slice() {
                [server] => server.to_string(),
                _ => rule.name.clone(),
            },
            Action::Direct { .. } => DIRECT.to_owned(),
            Action::Reject => REJECT.to_owned(),
        },
        payload: rule.name,
        size: -1,
        extra: Hits { disabled: false, hit_count: rule.hits },
    };
    program.rules().into_iter().zip(actions).map(rule).collect()
}

/// The rules with several servers, including the default.
fn named_groups(program: &Program) -> Vec<(Arc<str>, Arc<Via>)> {
    let routes = program.routes();
    let rules = routes.router.rules().iter().map(|rule| (Arc::clone(&rule.name), &rule.action));
    let rules = rules.chain([(DEFAULT_RULE.into(), routes.router.default())]);
    let several = rules.filter_map(|(name, action)| match action {
        Action::Via(via) if via.servers.len() > 1 => Some((name, Arc::clone(via))),
        Action::Via(_) | Action::Direct { .. } | Action::Reject => None,
    });
    several.collect()
}

fn of_server(server: &Server) -> Proxy {
    let delay = server.round_trip.map(|trip| {
        let whole = std::time::Duration::from_secs_f64(trip / 1000.0).as_millis();
        u64::try_from(whole).unwrap_or(u64::MAX).max(1)
    });
    let is_ready = server.state == READY;
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let history = match (is_ready, delay) {
        (true, Some(delay)) => vec![Measured { time, delay }],
        // The value 0 stands for a failure.
        (false, _) => vec![Measured { time, delay: 0 }],
        (true, None) => Vec::new(),
    };
    Proxy { history, alive: is_ready, ..plain(&server.name, SSH) }
}

fn of_group(name: &str, via: &Via, servers: &[Server]) -> Proxy {
    let members: Vec<_> = via.servers.iter().map(ToString::to_string).collect();
    let found = members.iter().filter_map(|name| servers.iter().find(|s| s.name == **name));
    let ready: Vec<_> = found.filter(|server| server.state == READY).collect();
    let channels = |server: &&&Server| server.sessions.iter().map(|s| s.channels).sum::<usize>();
    let (kind, now) = match via.select {
        Select::Order => ("Fallback", ready.first()),
        Select::Latency => {
            let trip = |server: &Server| server.round_trip.unwrap_or(f64::INFINITY);
            ("URLTest", ready.iter().min_by(|a, b| trip(a).total_cmp(&trip(b))))
        }
        Select::Balance => ("LoadBalance", ready.iter().min_by_key(channels)),
    };
    let now = now.map(|server| server.name.clone()).or_else(|| members.first().cloned());
    Proxy { alive: !ready.is_empty(), now, all: Some(members), ..plain(name, kind) }
}

fn plain(name: &str, kind: &'static str) -> Proxy {
    let name = name.to_owned();
    Proxy { name, r#type: kind, udp: false, history: Vec::new(), alive: true, now: None, all: None }
}

/// The pseudo-proxy for connections without a server.
pub(super) const DIRECT: &str = "DIRECT";
const REJECT: &str = "REJECT";
const GLOBAL: &str = "GLOBAL";
const SSH: &str = "Ssh";
const READY: &str = "ready";
