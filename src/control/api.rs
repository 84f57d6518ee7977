//! The requests of the API, and the answers to them.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::filter::Filter;
use super::order::{ForwardKind, ForwardOrder, ForwardRefusal, Order, StopKind};
use super::program::Program;
use super::query::Query;
use super::reply::{Answer, Body, Failure, json, ok, plain, text_of};
use super::{events, metrics, schema, view};
use crate::config::ReloadOutcome;
use crate::observe::logs::Verbosity;
use crate::printable::line;

impl Program {
    /// Answers a request that has passed the guard.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        self.try_answer(request).await.unwrap_or_else(Failure::into_response)
    }

    async fn try_answer(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        let path: Vec<_> = path.trim_start_matches('/').split('/').collect();
        let mut query = Query::new(request.uri().query());
        // The server omits the content for HEAD.
        let get = matches!(*request.method(), Method::GET | Method::HEAD);
        let delete = request.method() == Method::DELETE;
        match path.as_slice() {
            ["v1", "status"] if get => self.status_now(query).await,
            ["v1", "servers"] if get => Ok(ok(&self.status().servers)),
            ["v1", "events"] if get => {
                let filter = Filter::take(&mut query)?;
                query.finish()?;
                Ok(events::stream(self, filter))
            }
            ["v1", "rules"] if get => Ok(ok(&schema::Rules { rules: self.rules() })),
            ["v1", "listeners"] if get => {
                Ok(ok(&schema::Listeners { listeners: self.listeners() }))
            }
            ["v1", "status" | "servers" | "rules" | "listeners" | "events"] => {
                Err(Failure::method("GET, HEAD"))
            }
            ["v1", "connections"] if get => {
                self.identify().await;
                self.list(query)
            }
            ["v1", "connections"] if delete => self.kill_some(query),
            ["v1", "connections", id] if get => {
                self.identify().await;
                self.one(id)
            }
            ["v1", "connections", id] if delete => self.kill_one(id),
            ["v1", "connections", ..] => Err(Failure::method("GET, HEAD, DELETE")),
            ["v1", "forwards"] if get => Ok(ok(&schema::Forwards { forwards: self.forwards() })),
            ["v1", "forwards"] if request.method() == Method::POST => self.forward(request).await,
            ["v1", "forwards"] => Err(Failure::method("GET, HEAD, POST")),
            ["v1", "forwards", id] if delete => self.remove_forward(id).await,
            ["v1", "forwards", _] => Err(Failure::method("DELETE")),
            ["v1", "log"] if request.method() == Method::PUT => self.log(request).await,
            ["v1", "log"] => Err(Failure::method("PUT")),
            ["v1", "dashboard"] if request.method() == Method::POST => self.link(),
            ["v1", "dashboard"] => Err(Failure::method("POST")),
            ["v1", "ping" | "reload" | "stop"] if request.method() != Method::POST => {
                Err(Failure::method("POST"))
            }
            ["v1", "ping"] => Ok(ok(&self.ping(read(request).await?).await?)),
            ["v1", "reload"] => self.reload().await,
            ["v1", "stop"] => self.stop(read(request).await?).await,
            ["metrics" | "livez" | "readyz"] if !get => Err(Failure::method("GET, HEAD")),
            ["metrics"] => self.scrape(),
            ["livez"] => Ok(plain(StatusCode::OK, "ok\n")),
            ["readyz"] => Ok(self.readiness()),
            _ => Err(Failure::unknown("there is no such resource")),
        }
    }

    async fn status_now(&self, mut query: Query) -> Answer {
        let probe = query.is_set("probe")?;
        query.finish()?;
        if probe {
            tokio::join!(self.prove(), self.identify());
        }
        Ok(ok(&self.status()))
    }

    fn scrape(&self) -> Answer {
        let text = self
            .metrics()
            .map_err(|error| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        Ok(text_of(StatusCode::OK, metrics::CONTENT_TYPE, text.into()))
    }

    /// Whether the state is `ready`, as in `status`; otherwise the problems, one a line.
    fn readiness(&self) -> Response<Body> {
        let status = self.status();
        if status.state == "ready" {
            return plain(StatusCode::OK, "ok\n");
        }
        let missing = status.health.iter().map(|trouble| {
            let schema::Trouble { what, name, text } = trouble;
            line(&format!("{what} {name}: {text}")) + "\n"
        });
        let text = format!("{}\n{}", status.state, missing.collect::<String>());
        plain(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    fn list(&self, mut query: Query) -> Answer {
        let limit = query.take_as("limit")?.unwrap_or(MOST_SHOWN);
        let filter = Filter::take(&mut query)?;
        query.finish()?;
        let registry = &self.registry().connections;
        let all = if filter.wants_ended() { registry.ended() } else { registry.living() };
        let mut found: Vec<_> = all.into_iter().filter(|c| filter.matches(c)).collect();
        let truncated = found.len() > limit;
        found.truncate(limit);
        Ok(ok(&schema::Connections { connections: self.connections(&found), truncated }))
    }

    fn one(&self, id: &str) -> Answer {
        let id = number(id)?;
        let registry = &self.registry().connections;
        let ended = || registry.ended().into_iter().find(|connection| connection.id() == id);
        let found = registry.find(id).or_else(ended).ok_or_else(|| no_connection(id))?;
        Ok(ok(&self.connections(&[found])[0]))
    }

    fn kill_one(&self, id: &str) -> Answer {
        let id = number(id)?;
        self.registry().connections.find(id).ok_or_else(|| no_connection(id))?.kill();
        Ok(ok(&schema::Closed { closed: 1 }))
    }

    fn kill_some(&self, mut query: Query) -> Answer {
        let all = query.is_set("all")?;
        let filter = Filter::take(&mut query)?;
        query.finish()?;
        if filter.is_empty() && !all {
            return Err(Failure::bad("name the connections with a filter, or all=true"));
        }
        let living = self.registry().connections.living();
        let found: Vec<_> = living.iter().filter(|c| filter.matches(c)).collect();
        for connection in &found {
            connection.kill();
        }
        Ok(ok(&schema::Closed { closed: found.len() }))
    }

    async fn forward(&self, request: Request<Incoming>) -> Answer {
        let order = forward_order(read(request).await?)?;
        let forward = self.ordered(|tell| Order::AddForward(order, tell)).await?;
        Ok(json(StatusCode::CREATED, &view::forward(&forward)))
    }

    async fn remove_forward(&self, id: &str) -> Answer {
        let id = number(id)?;
        self.ordered(|tell| Order::RemoveForward(id, tell)).await?;
        Ok(ok(&schema::Closed { closed: 1 }))
    }

    async fn log(&self, request: Request<Incoming>) -> Answer {
        let schema::LogRequest { level } = read(request).await?;
        let verbosity = level
            .parse::<Verbosity>()
            .map_err(|_| Failure::bad("level: quiet, normal, debug or trace"))?;
        if let Some(volume) = &self.0.facts.volume {
            volume.set(verbosity);
        }
        Ok(ok(&schema::LogRequest { level }))
    }

    pub(crate) async fn reload(&self) -> Answer {
        let Some(reloads) = &self.0.facts.reloads else {
            let why = "there is no configuration file: the command line says all";
            return Err(Failure::new(StatusCode::CONFLICT, why));
        };
        match reloads.ask().await {
            ReloadOutcome::InForce(changes) => Ok(ok(&schema::Reloaded { changes })),
            ReloadOutcome::Refused(mistakes) => {
                let title = "the configuration was not reloaded, the old one stays in force";
                Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, title).with(mistakes))
            }
        }
    }

    /// Makes a link to the dashboard, for one more browser.
    fn link(&self) -> Answer {
        let front = self.front().ok_or_else(|| {
            Failure::new(StatusCode::CONFLICT, "there is no dashboard: --dashboard opens one")
        })?;
        let link = front.link();
        let link = link
            .map_err(|error| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        let (address, token) = (front.address.clone(), front.keys.token.text().to_owned());
        Ok(json(StatusCode::CREATED, &schema::DashboardLink { address, link, token }))
    }

    async fn stop(&self, request: schema::StopRequest) -> Answer {
        let kind = if request.now { StopKind::Now } else { StopKind::Drain };
        self.order(Order::Stop(kind)).await?;
        Ok(json(StatusCode::ACCEPTED, &request))
    }

    /// Sends an order to add or remove a forward, and waits until it is carried out.
    async fn ordered<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, ForwardRefusal>>) -> Order,
    ) -> Result<T, Failure> {
        let (tell, done) = oneshot::channel();
        self.order(order(tell)).await?;
        done.await.unwrap_or(Err(ForwardRefusal::Ending)).map_err(|refusal| refused(&refusal))
    }

    async fn order(&self, order: Order) -> Result<(), Failure> {
        self.0.orders.send(order).await.map_err(|_| refused(&ForwardRefusal::Ending))
    }
}

fn no_connection(id: u64) -> Failure {
    Failure::unknown(format!("there is no connection {id}"))
}

fn number(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| Failure::bad("not a number"))
}

/// Reads the content of a request; no content is the same as an empty object.
async fn read<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Failure> {
    let content = Limited::new(request.into_body(), MOST_READ).collect().await;
    let content = content.map_err(|_| {
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "the content is too long, or broke off")
    })?;
    let content = content.to_bytes();
    let content = if content.is_empty() { Bytes::from_static(b"{}") } else { content };
    serde_json::from_slice(&content).map_err(|error| Failure::bad(error.to_string()))
}

fn forward_order(request: schema::ForwardRequest) -> Result<ForwardOrder, Failure> {
    let schema::ForwardRequest { kind, spec, server, name } = request;
    let wrong =
        |why: String| Failure::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{spec}: {why}"));
    let kind = match kind.as_str() {
        "local" => ForwardKind::Local(spec.parse().map_err(|why| wrong(format!("{why}")))?),
        "remote" => ForwardKind::Remote(spec.parse().map_err(|why| wrong(format!("{why}")))?),
        "dynamic" => ForwardKind::Dynamic(spec.parse().map_err(|why| wrong(format!("{why}")))?),
        _ => return Err(Failure::bad("kind: local, remote or dynamic")),
    };
    let text = |text: Option<String>| text.filter(|text| !text.is_empty()).map(Arc::from);
    Ok(ForwardOrder { kind, server: text(server), name: text(name) })
}

fn refused(refusal: &ForwardRefusal) -> Failure {
    let status = match refusal {
        ForwardRefusal::Address { .. } | ForwardRefusal::Taken(_) | ForwardRefusal::Configured => {
            StatusCode::CONFLICT
        }
        ForwardRefusal::Server(_) => StatusCode::BAD_GATEWAY,
        ForwardRefusal::NoServer { .. }
        | ForwardRefusal::WhichServer(_)
        | ForwardRefusal::OpenToAll => StatusCode::UNPROCESSABLE_ENTITY,
        ForwardRefusal::Unknown(_) => StatusCode::NOT_FOUND,
        ForwardRefusal::Ending => StatusCode::SERVICE_UNAVAILABLE,
    };
    Failure::new(status, refusal.to_string())
}

/// The most bytes in the content of a request.
const MOST_READ: usize = 64 * 1024;
/// The most connections in an answer, unless the request has a limit of its own.
const MOST_SHOWN: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing::program;

    async fn content(answer: Answer) -> serde_json::Value {
        let body = answer.expect("an answer").into_body().collect().await.expect("memory");
        serde_json::from_slice(&body.to_bytes()).expect("JSON")
    }

    fn wanted() -> crate::request::Request {
        crate::request::Request::for_test("db.example:5432")
    }

    #[tokio::test]
    async fn a_list_that_is_cut_off_says_so() {
        let (program, _) = program();
        let begin = || program.registry().connections.begin(&wanted());
        let _two = [begin(), begin()];
        for (query, count, truncated) in
            [("limit=1", 1, true), ("limit=2", 2, false), ("", 2, false)]
        {
            let list = content(program.list(Query::new(Some(query)))).await;
            assert_eq!(list["connections"].as_array().map(Vec::len), Some(count), "{query}");
            assert_eq!(list["truncated"], truncated, "{query}");
        }
    }

    #[tokio::test]
    async fn all_connections_are_ended_only_where_somebody_says_all() {
        let (program, _) = program();
        let connection = program.registry().connections.begin(&wanted());
        for query in [None, Some("all=false"), Some("all=true&sever=box")] {
            program.kill_some(Query::new(query)).expect_err("nothing is named");
            assert!(!connection.is_killed(), "{query:?}");
        }
        for (query, closed) in [("host=other.example", 0), ("all=true", 1)] {
            let done = content(program.kill_some(Query::new(Some(query)))).await;
            assert_eq!(done["closed"], closed, "{query}");
            assert_eq!(connection.is_killed(), closed == 1, "{query}");
        }
    }
}
