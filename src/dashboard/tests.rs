//! The dashboard of a program without servers, as seen by a browser and a script.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_util::sync::CancellationToken;

use super::DashboardServer;
use crate::config::DashboardConfig;
use crate::control::Keys;
use crate::control::testing::program_with;
use crate::destination::Destination;
use crate::dial::{Kind, Routing};
use crate::listen::connect::Outbound;
use crate::registry::{Registry, Tracked};
use crate::request::{Protocol, Request, Source};
use crate::route::Action;

mod clash;
mod figures;

struct Stage {
    address: SocketAddr,
    keys: Arc<Keys>,
    link: String,
    registry: Registry,
    connect: Outbound,
    _running: tokio_util::task::AbortOnDropHandle<()>,
}

/// A response.
#[derive(Debug)]
struct Said {
    status: u16,
    head: String,
    body: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }

    fn field(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| {
            line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name))
        });
        Some(line?.split_once(':')?.1.trim())
    }
}

impl Stage {
    async fn start() -> Self {
        Self::with(&DashboardConfig {
            address: "127.0.0.1:0".parse().expect("an address"),
            ..DashboardConfig::default()
        })
        .await
    }

    async fn with(config: &DashboardConfig) -> Self {
        let (program, connect) = program_with(Action::Direct { addresses: None });
        let registry = program.registry().clone();
        let server =
            DashboardServer::bind(config, connect.dialer.own()).await.expect("a free port");
        let front = server.front.clone();
        let address = front.address.trim_start_matches("http://").trim_end_matches('/');
        let link = front.link().expect("a code");
        program.set_front(Some(front.clone()));
        Self {
            address: address.parse().expect("an address"),
            keys: front.keys,
            link: link.split_once(address).expect("its address").1.to_owned(),
            registry,
            connect,
            _running: crate::task::spawn(server.run(
                program,
                CancellationToken::new(),
                CancellationToken::new(),
            )),
        }
    }

    /// Sends a request line and headers, plus the host.
    async fn ask(&self, line: &str, fields: &str) -> Said {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        let address = self.address;
        let fields = fields.replace('\n', "\r\n");
        let head =
            format!("{line} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{fields}\r\n");
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.expect("whole");
        let said = String::from_utf8(said).expect("UTF-8");
        let (head, body) = said.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        Said { status: status.expect("a status"), head: head.into(), body: body.into() }
    }

    fn bearer(&self) -> String {
        format!("authorization: Bearer {}\n", self.keys.token.text())
    }

    /// Requests a path as a script with the token.
    async fn get(&self, path: &str) -> Said {
        self.ask(&format!("GET {path}"), &self.bearer()).await
    }

    fn begin(&self, target: &str) -> Tracked {
        let target = Destination::parse(target, None).expect("good").into();
        self.registry.connections.begin(&Request {
            listener: "127.0.0.1:1080".into(),
            protocol: Protocol::Socks5,
            source: Source::Tcp("127.0.0.1:5000".parse().expect("an address")),
            user: Some("ada".into()),
            target,
        })
    }

    /// Opens a WebSocket, and waits for its first message.
    async fn listen(&self, path: &str, field: (&'static str, &str)) -> Result<Value, u16> {
        let mut request =
            format!("ws://{}{path}", self.address).into_client_request().expect("a request");
        request.headers_mut().insert(field.0, field.1.parse().expect("a value"));
        let stream = TcpStream::connect(self.address).await.expect("it listens");
        match client_async(request, stream).await {
            Ok((mut socket, _)) => match socket.next().await {
                Some(Ok(Message::Text(text))) => Ok(serde_json::from_str(&text).expect("JSON")),
                other => panic!("{path}: {other:?}"),
            },
            Err(SocketError::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{path}: {error}"),
        }
    }
}

const PAGE: &str = "accept: text/html\nsec-fetch-site: none\n";

#[tokio::test]
async fn a_link_admits_one_browser_once() {
    let stage = Stage::start().await;
    let locked = stage.ask("GET /", PAGE).await;
    assert_eq!(locked.status, 401);
    assert!(locked.body.contains("has not been let in"), "{locked:?}");
    assert_eq!(stage.ask("GET /?code=0123", PAGE).await.status, 401);

    let entered = stage.ask(&format!("GET {}", stage.link), PAGE).await;
    assert_eq!((entered.status, entered.field("location")), (303, Some("/")));
    let cookie = entered.field("set-cookie").expect("a cookie").to_owned();
    let (pair, attributes) = cookie.split_once(';').expect("attributes");
    assert_eq!(attributes, " Path=/; HttpOnly; SameSite=Strict");
    assert_eq!(pair, format!("sockeye-{}={}", stage.address.port(), stage.keys.cookie.text()));
    let cookie = format!("{PAGE}cookie: {pair}\n");
    let page = stage.ask("GET /", &cookie).await;
    assert_eq!((page.status, page.field("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.field("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'self';") && !policy.contains("unsafe"), "{policy}");

    assert_eq!(stage.ask(&format!("GET {}", stage.link), PAGE).await.status, 401, "it was used");
    // A browser that is already admitted loses nothing by it.
    assert_eq!(stage.ask(&format!("GET {}", stage.link), &cookie).await.status, 303);
}

#[tokio::test]
async fn without_a_pass_nothing_is_revealed() {
    let stage = Stage::start().await;
    for path in [
        "/",
        "/dashboard.js",
        "/dashboard.css",
        "/favicon.ico",
        "/v1/status",
        "/v1/events",
        "/metrics",
        "/version",
        "/connections",
        "/traffic",
        "/ui/",
        "/nothing",
    ] {
        let said = stage.ask(&format!("GET {path}"), "").await;
        assert_eq!((said.status, said.field("www-authenticate")), (401, Some("Bearer")), "{path}");
        assert_eq!(said.json()["message"], "Unauthorized", "{path}");
    }
    assert_eq!(stage.ask("DELETE /connections", "").await.status, 401);
    assert_eq!(stage.ask("GET /livez", "").await.status, 200);
    let ready = stage.ask("GET /readyz", "").await;
    assert_eq!((ready.status, ready.body.as_str()), (503, "not ready\n"), "and no word more");
    assert!(stage.get("/readyz").await.body.starts_with("starting"), "with the token, why");
}

#[tokio::test]
async fn other_sites_cannot_embed_or_read_a_response() {
    let stage = Stage::start().await;
    let bearer = stage.bearer();
    for path in ["/", "/dashboard.js", "/v1/status", "/metrics", "/version", "/livez", "/nothing"] {
        let foreign = format!("{bearer}origin: http://evil.example\n");
        for line in [format!("GET {path}"), format!("OPTIONS {path}")] {
            let said = stage.ask(&line, &foreign).await;
            assert_eq!(said.status, 403, "{line}");
            assert!(!said.head.to_lowercase().contains("access-control"), "{said:?}");
        }
        let said = stage.ask(&format!("GET {path}"), &format!("{bearer}accept: text/html\n")).await;
        let found = ["x-content-type-options", "referrer-policy", "cross-origin-resource-policy"]
            .map(|name| said.field(name));
        assert_eq!(found, [Some("nosniff"), Some("no-referrer"), Some("same-origin")], "{path}");
        assert_eq!(said.field("cache-control"), Some("no-store"), "{path}");
        assert!(!said.head.to_lowercase().contains("access-control"), "{said:?}");
        assert_eq!(said.field("server"), None);
    }
}

#[tokio::test]
async fn a_browser_cannot_open_forwards() {
    let stage = Stage::start().await;
    for line in [
        "POST /v1/stop",
        "POST /v1/forwards",
        "DELETE /v1/forwards/1",
        "PUT /v1/log",
        "POST /v1/dashboard",
        "PATCH /configs",
    ] {
        assert_eq!(stage.ask(line, &stage.bearer()).await.status, 403, "{line}");
    }
}

#[tokio::test]
async fn the_dashboard_serves_the_data_of_the_control_socket() {
    let stage = Stage::start().await;
    let tracked = stage.begin("db.example:5432");
    let status = stage.get("/v1/status").await.json();
    assert_eq!(status["connections"]["waiting"], 1, "{status}");
    let metrics = stage.get("/metrics").await;
    assert!(metrics.body.contains("sockeye_connections{state=\"waiting\"} 1"), "{metrics:?}");
    tracked.opened();
    tracked.received(30);
    let metrics = stage.get("/metrics").await;
    let received = "sockeye_relayed_bytes_total{server=\"(direct)\",direction=\"down\"} 30.0\n";
    assert!(metrics.body.contains(received), "{metrics:?}");
    let listed = stage.get("/v1/connections").await.json();
    assert_eq!(listed["connections"][0]["target"], "db.example:5432");
    let line = format!("DELETE /v1/connections/{}", tracked.id());
    let cookie = format!("cookie: {}={}\n", stage_cookie(&stage), stage.keys.cookie.text());
    assert_eq!(stage.ask(&line, &cookie).await.status, 403, "no page of ours has sent it");
    let ours = format!("{cookie}sec-fetch-site: same-origin\n");
    assert_eq!(stage.ask(&line, &ours).await.status, 200);
    tracked.killed().await;
}

fn stage_cookie(stage: &Stage) -> String {
    format!("sockeye-{}", stage.address.port())
}

/// The clock stands still while something is done.
#[tokio::test]
async fn whoever_asks_and_does_not_read_is_left() -> io::Result<()> {
    let stage = Stage::start().await;
    // Far more than the sockets hold.
    let living: Vec<_> = (0..40_000).map(|n| stage.begin(&format!("h{n}.example:1"))).collect();
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let mut stream = socket.connect(stage.address).await?;
    let (address, bearer) = (stage.address, stage.bearer().replace('\n', "\r\n"));
    let head =
        format!("GET /v1/connections?limit=40000 HTTP/1.1\r\nhost: {address}\r\n{bearer}\r\n");
    stream.write_all(head.as_bytes()).await?;
    // Its beginning has come over a real socket; from here on the clock runs ahead.
    let mut said = vec![0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut said).await?;
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(600)).await;
    let end = stream.read_to_end(&mut said).await;
    let is_whole = end.is_ok() && said.ends_with(b"}");
    assert!(said.starts_with(b"HTTP/1.1 200") && !is_whole, "{} bytes, {end:?}", said.len());
    drop(living);
    Ok(())
}

#[tokio::test]
async fn the_proxy_does_not_connect_to_its_own_dashboard() -> io::Result<()> {
    let stage = Stage::start().await;
    let own = stage.connect.dialer.own();
    assert_eq!(own.at(stage.address), Some(Kind::Control));
    for host in ["127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]"] {
        for routing in [Routing::Rules, Routing::Fixed(Action::Direct { addresses: None })] {
            let target = format!("{host}:{}", stage.address.port());
            for protocol in [Protocol::Socks5, Protocol::Forward] {
                let target = Destination::parse(&target, None).expect("good").into();
                let (listener, source) = ("l".into(), Source::Unix);
                let request = Request { listener, protocol, source, user: None, target };
                let tracked = stage.connect.connections.begin(&request);
                let connect = Outbound { routing: routing.clone(), ..stage.connect.clone() };
                let failure = connect.dial_tracked(tracked).await.expect_err("our own");
                assert_eq!(failure.error, crate::dial::DialError::Loop, "{host} {protocol}");
            }
        }
    }
    Ok(())
}

#[test]
fn the_page_has_nothing_inline_and_nothing_from_elsewhere() {
    let page = include_str!("page/index.html");
    for word in ["style=", "<style", " on", "javascript:", "src=\"http", "href=\"http", "//"] {
        let found = page.match_indices(word).any(|(at, _)| {
            // ` on` begins an attribute only before a letter and an `=`.
            word != " on"
                || page[at + 3..].find('=').is_some_and(|end| {
                    page[at + 3..at + 3 + end].bytes().all(|byte| byte.is_ascii_lowercase())
                        && end > 0
                })
        });
        assert!(!found, "{word}");
    }
    for script in [
        include_str!("page/dashboard.js"),
        include_str!("page/table.js"),
        include_str!("page/plot.js"),
    ] {
        for word in [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "http:",
            "https:",
        ] {
            assert!(!script.contains(word), "{word}");
        }
    }
}
