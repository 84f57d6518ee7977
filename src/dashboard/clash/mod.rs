//! The part of the Clash API that dashboards need: the state of the registry, in its terms.

mod connections;
mod log;
mod proxies;

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::json;
use tokio::time::timeout;

pub(super) use connections::snapshot;
pub(super) use log::{Level, log_line};

use super::feed::Feed;
use crate::control::query::Query;
use crate::control::reply::{Answer, Body, Failure, ok, text_of};
use crate::control::schema::PingRequest;
use crate::control::{Phase, Program};

pub(super) enum Answered {
    Whole(Response<Body>),
    Stream(Feed),
}

impl From<Response<Body>> for Answered {
    fn from(response: Response<Body>) -> Self {
        Self::Whole(response)
    }
}

pub(super) async fn answer(
    program: &Program,
    request: &Request<Incoming>,
) -> Result<Answered, Failure> {
    let path = request.uri().path().trim_start_matches('/').split('/');
    let path: Option<Vec<_>> =
        path.map(|part| percent_decode_str(part).decode_utf8().ok()).collect();
    let path = path.ok_or_else(unknown)?;
    let path: Vec<&str> = path.iter().map(|part| &**part).collect();
    let mut query = Query::new(request.uri().query());
    match *request.method() {
        Method::GET => get(program, request, &path, &mut query).await,
        Method::DELETE => delete(program, &path).map(Answered::Whole),
        Method::PUT if path == ["configs"] => {
            program.reload().await?;
            Ok(no_content().into())
        }
        Method::PUT if path.first() == Some(&"proxies") => {
            Err(Failure::bad("the rules say which server is taken"))
        }
        Method::PATCH if path == ["configs"] => {
            let why = "the configuration file says that, and the control socket";
            Err(Failure::new(StatusCode::FORBIDDEN, why))
        }
        _ => Err(unknown()),
    }
}

async fn get(
    program: &Program,
    request: &Request<Incoming>,
    path: &[&str],
    query: &mut Query,
) -> Result<Answered, Failure> {
    let found = match path {
        [""] => ok(&json!({ "hello": "clash" })),
        ["version"] => ok(&json!({ "version": version(), "premium": true, "meta": true })),
        ["configs"] => ok(&configs(program)),
        ["proxies"] => ok(&json!({ "proxies": proxies::all(program) })),
        ["group"] => ok(&json!({ "proxies": proxies::groups(program) })),
        ["proxies" | "group", name] => ok(&proxies::one(program, name).ok_or_else(unknown)?),
        ["proxies", name, "delay"] => {
            let taken =
                delay(program, proxies::server(program, name)?, &Test::take(query)?).await?;
            ok(&json!({ "delay": taken }))
        }
        ["group", name, "delay"] => {
            let members = proxies::members(program, name).ok_or_else(unknown)?;
            ok(&delays(program, members, &Test::take(query)?).await)
        }
        ["rules"] => ok(&json!({ "rules": proxies::rules(program) })),
        ["providers", "proxies" | "rules"] => ok(&json!({ "providers": {} })),
        ["connections"] if super::gate::is_upgrade(request.headers()) => {
            let period = query.take_as("interval")?.map_or(SECOND, Duration::from_millis);
            return Ok(Answered::Stream(Feed::connections(program, period)));
        }
        ["connections"] => {
            program.identify().await;
            ok(&snapshot(program))
        }
        ["traffic"] => return Ok(Answered::Stream(Feed::traffic(program))),
        ["memory"] => return Ok(Answered::Stream(Feed::memory(program))),
        ["logs"] => {
            let level = query.take_as("level")?.unwrap_or_default();
            return Ok(Answered::Stream(Feed::logs(program, level)));
        }
        _ => return Err(unknown()),
    };
    Ok(found.into())
}

fn delete(program: &Program, path: &[&str]) -> Answer {
    let registry = &program.registry().connections;
    match path {
        ["connections"] => registry.living().iter().for_each(|connection| connection.kill()),
        ["connections", id] => {
            let found = id.parse().ok().and_then(|id| registry.find(id));
            found.ok_or_else(unknown)?.kill();
        }
        _ => return Err(unknown()),
    }
    Ok(no_content())
}

/// A delay test: how long a server takes to connect.
struct Test {
    destination: String,
    patience: Duration,
}

impl Test {
    /// Reads the test: to the host of `url`, for at most `timeout` milliseconds.
    fn take(query: &mut Query) -> Result<Self, Failure> {
        let url = query.take("url").unwrap_or_default();
        let url = url::Url::parse(&url).map_err(|why| Failure::bad(format!("url: {why}")))?;
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(Failure::bad("url: it has no host and port"));
        };
        let patience = query.take_as("timeout")?.map_or(PATIENCE, Duration::from_millis);
        Ok(Self { destination: format!("{host}:{port}"), patience: patience.min(LONGEST) })
    }
}

/// Measures the delay of a server, in milliseconds.
async fn delay(program: &Program, server: String, test: &Test) -> Result<u64, Failure> {
    let destination = Some(test.destination.clone());
    let ping = program.ping(PingRequest { destination, server: Some(server), http: false });
    let ping = timeout(test.patience, ping).await;
    let ping = ping.map_err(|_| Failure::new(StatusCode::GATEWAY_TIMEOUT, "Timeout"))??;
    if !ping.opened {
        return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, ping.verdict));
    }
    let taken = ping.stages.waited.unwrap_or_default() + ping.stages.opened.unwrap_or_default();
    // The value 0 stands for a failure in this API.
    Ok(u64::try_from(Duration::from_secs_f64(taken / 1000.0).as_millis())
        .unwrap_or(u64::MAX)
        .max(1))
}

/// Measures several servers at once; failed ones are left out.
async fn delays(
    program: &Program,
    members: Vec<String>,
    test: &Test,
) -> serde_json::Map<String, serde_json::Value> {
    let taken = members.into_iter().map(async |member| {
        let taken = delay(program, member.clone(), test).await.ok()?;
        Some((member, taken.into()))
    });
    join_all(taken).await.into_iter().flatten().collect()
}

/// The part of the configuration that dashboards ask for.
fn configs(program: &Program) -> serde_json::Value {
    let status = program.status();
    let addresses = status.forwards.iter().filter(|forward| forward.kind == "dynamic");
    let mut ports = addresses.flat_map(|forward| &forward.addresses).filter_map(|address| {
        address.parse::<std::net::SocketAddr>().ok().map(|address| address.port())
    });
    let level = match status.instance.log.as_str() {
        "quiet" => "error",
        "debug" | "trace" => "debug",
        _ => "info",
    };
    json!({
        "port": 0, "socks-port": 0, "redir-port": 0, "tproxy-port": 0,
        "mixed-port": ports.next().unwrap_or(0),
        "allow-lan": false, "bind-address": "*", "mode": "Rule", "mode-list": ["Rule"],
        "modes": ["Rule"], "log-level": level, "ipv6": true, "tun": null,
        "running": program.phase() == Phase::Running,
    })
}

fn version() -> String {
    format!("sockeye {}", env!("CARGO_PKG_VERSION"))
}

fn no_content() -> Response<Body> {
    text_of(StatusCode::NO_CONTENT, "text/plain", Bytes::new())
}

fn unknown() -> Failure {
    Failure::unknown("Resource not found")
}

const SECOND: Duration = Duration::from_secs(1);
/// The default time limit of a delay test.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest time limit of a delay test.
const LONGEST: Duration = Duration::from_secs(60);
