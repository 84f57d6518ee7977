//! The connections in the format of the Clash API.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use serde::Serialize;

use super::super::feed::resident;
use crate::control::Program;
use crate::registry::{Connection, DEFAULT_RULE};
use crate::request::{Protocol, Source};

/// All open connections at one moment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::dashboard) struct Snapshot {
    download_total: u64,
    upload_total: u64,
    memory: u64,
    connections: Vec<View>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    id: String,
    metadata: Metadata,
    upload: u64,
    download: u64,
    /// RFC 3339.
    start: String,
    /// The hops, last one first.
    chains: Vec<String>,
    rule: String,
    rule_payload: String,
}

/// Strings, even for numbers: dashboards expect them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    network: &'static str,
    r#type: &'static str,
    #[serde(rename = "sourceIP")]
    source_ip: String,
    source_port: String,
    #[serde(rename = "destinationIP")]
    destination_ip: String,
    destination_port: String,
    host: String,
    dns_mode: &'static str,
    process_path: &'static str,
    process: String,
    inbound_name: String,
    inbound_user: String,
    remote_destination: &'static str,
    sniff_host: &'static str,
}

/// The open connections; only the newest if there are more than a dashboard can take.
pub(in crate::dashboard) fn snapshot(program: &Program) -> Snapshot {
    let connections = &program.registry().connections;
    let (living, totals) = (connections.living(), connections.traffic());
    let newest = &living[living.len().saturating_sub(MOST)..];
    Snapshot {
        download_total: totals.down,
        upload_total: totals.up,
        memory: resident(),
        connections: newest.iter().map(view).collect(),
    }
}

fn view(connection: &Arc<Connection>) -> View {
    let traffic = connection.traffic();
    let rule = connection.rule().unwrap_or_else(|| DEFAULT_RULE.into());
    View {
        id: connection.id().to_string(),
        metadata: metadata(connection),
        upload: traffic.up,
        download: traffic.down,
        start: time_of(connection.began()),
        chains: chains(connection, &rule),
        rule: "Rule".to_owned(),
        rule_payload: rule.to_string(),
    }
}

/// The session, its server and the rule; only the rule for a request that still waits.
fn chains(connection: &Connection, rule: &str) -> Vec<String> {
    let hops = match (connection.server(), connection.session()) {
        (Some(server), Some(session)) => vec![format!("{server}#{session}"), server.to_string()],
        (Some(server), None) => vec![server.to_string()],
        (None, _) if connection.stages().opened.is_some() => vec![super::proxies::DIRECT.into()],
        (None, _) => Vec::new(),
    };
    hops.into_iter().chain([rule.to_owned()]).collect()
}

fn metadata(connection: &Connection) -> Metadata {
    let request = connection.request();
    let (source_ip, source_port) = match request.source {
        Source::Tcp(address) | Source::Remote(address) => {
            (address.ip().to_canonical().to_string(), address.port().to_string())
        }
        Source::Unix => (String::new(), String::new()),
    };
    let (host, destination_ip) = match request.target.host() {
        Some(host) => match host.to_string().parse::<std::net::IpAddr>() {
            Ok(ip) => (String::new(), ip.to_string()),
            Err(_) => (host.to_string(), String::new()),
        },
        // The path of a unix socket.
        None => (request.target.to_string(), String::new()),
    };
    Metadata {
        network: "tcp",
        r#type: match request.protocol {
            Protocol::Socks4 | Protocol::Socks4a => "Socks4",
            Protocol::Socks5 => "Socks5",
            Protocol::HttpConnect => "HTTPConnect",
            Protocol::Http => "HTTP",
            Protocol::Forward => "Forward",
        },
        source_ip,
        source_port,
        destination_ip,
        destination_port: request.target.port().map_or_else(String::new, |port| port.to_string()),
        host,
        dns_mode: "normal",
        process_path: "",
        process: connection.process().map_or_else(String::new, |process| process.name.clone()),
        inbound_name: request.listener.to_string(),
        inbound_user: request.user.as_deref().unwrap_or_default().to_owned(),
        remote_destination: "",
        sniff_host: "",
    }
}

/// A point in time, in RFC 3339 format.
fn time_of(moment: Instant) -> String {
    let time = SystemTime::now().checked_sub(moment.elapsed()).unwrap_or(SystemTime::UNIX_EPOCH);
    humantime::format_rfc3339_millis(time).to_string()
}

/// The most connections in a snapshot.
const MOST: usize = 5000;
