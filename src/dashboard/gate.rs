//! Access control of the dashboard. Its address is on this machine, but other local users can connect to it, and so
//! can every page in the user's browser: with a form, a script, or a name that resolves to this address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hyper::header::{
    AUTHORIZATION, CONNECTION, COOKIE, HOST, HeaderMap, HeaderName, ORIGIN, UPGRADE,
};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use crate::control::Keys;
use crate::control::reply::Failure;

/// The host names that requests may use, and the name of the cookie.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    hosts: Vec<String>,
    /// The name of the cookie, with the port, since browsers do not separate the cookies of two ports.
    pub(super) cookie: String,
}

/// The owner of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// The user; or anyone, if the system does not tell users apart.
    User,
    /// Another local user, or a client that left before it was identified. A browser sends the cookie of one port to
    /// all ports of the host, and thus to the servers of other users; a token comes from the user alone.
    Stranger,
}

/// The credential that an admitted request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// The token or the cookie.
    Shown,
    /// None, which gives access to very little.
    Missing,
}

impl Gate {
    /// The gate of a dashboard that listens at these addresses.
    pub(super) fn new(addresses: &[SocketAddr]) -> Self {
        let mut hosts = Vec::new();
        for address in addresses {
            let names = [Ipv4Addr::LOCALHOST.into(), IpAddr::from(Ipv6Addr::LOCALHOST)];
            hosts.push(address.to_string());
            if names.contains(&address.ip()) {
                hosts.push(format!("localhost:{}", address.port()));
            }
        }
        // A browser omits the default port of HTTP.
        let bare = hosts.iter().filter_map(|host| host.strip_suffix(":80").map(str::to_owned));
        let bare: Vec<_> = bare.collect();
        hosts.extend(bare);
        let port = addresses.first().map_or(0, SocketAddr::port);
        Self { hosts, cookie: format!("sockeye-{port}") }
    }

    /// Checks a request by its head.
    pub(super) fn check(&self, request: &Parts, peer: Peer, keys: &Keys) -> Result<Pass, Failure> {
        let headers = &request.headers;
        let host = only(headers, &HOST).ok().flatten().filter(|host| self.is_here(host));
        let named = request.uri.authority().is_none_or(|name| self.is_here(name.as_str()));
        let (Some(host), true) = (host, named) else {
            return Err(Failure::new(StatusCode::MISDIRECTED_REQUEST, "not here"));
        };
        let origin = match only(headers, &ORIGIN) {
            Ok(None) => Origin::Unsaid,
            Ok(Some(origin)) if origin.strip_prefix("http://") == Some(host) => Origin::Here,
            Ok(Some(_)) | Err(Several) => return Err(foreign()),
        };
        let origin = match (only(headers, &SEC_FETCH_SITE), origin) {
            (Ok(Some("same-origin")), _) => Origin::Here,
            // The user typed the address, or another program opened it.
            (Ok(Some("none") | None), origin) => origin,
            (Ok(Some(_)) | Err(Several), _) => return Err(foreign()),
        };
        let has_cookie = peer == Peer::User && self.has_cookie(headers, keys);
        if is_upgrade(headers) {
            let has_cookie = has_cookie && origin == Origin::Here;
            let shown = has_cookie || is_for_script(request, keys);
            return Ok(if shown { Pass::Shown } else { Pass::Missing });
        }
        if bearer(headers).is_some_and(|token| keys.token.is(token)) {
            return Ok(Pass::Shown);
        }
        if !has_cookie {
            return Ok(Pass::Missing);
        }
        // A browser adds the cookie to any page's request, so a change must come from the dashboard's own page.
        let is_harmless = matches!(request.method, Method::GET | Method::HEAD);
        if is_harmless || origin == Origin::Here { Ok(Pass::Shown) } else { Err(foreign()) }
    }

    fn is_here(&self, host: &str) -> bool {
        self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    fn has_cookie(&self, headers: &HeaderMap, keys: &Keys) -> bool {
        let cookies = headers
            .get_all(COOKIE)
            .iter()
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        let ours = cookies.filter_map(|cookie| {
            let value = cookie.trim_ascii().strip_prefix(self.cookie.as_bytes())?;
            value.strip_prefix(b"=")
        });
        ours.fold(false, |found, value| found | keys.cookie.is(value))
    }
}

/// The page that sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Here,
    /// Unknown: not a page, or a page's plain navigation.
    Unsaid,
}

/// The error if a header that may occur once occurs several times, or is not text.
struct Several;

/// Whether a WebSocket request carries the token. Every page may open a WebSocket, but cannot set headers on it.
fn is_for_script(request: &Parts, keys: &Keys) -> bool {
    let query = request.uri.query().unwrap_or_default();
    let mut parameters = url::form_urlencoded::parse(query.as_bytes());
    let token = parameters.find(|(name, _)| name == "token").map(|(_, token)| token);
    bearer(&request.headers).is_some_and(|token| keys.token.is(token))
        || token.is_some_and(|token| keys.token.is(token.as_bytes()))
}

fn foreign() -> Failure {
    Failure::new(StatusCode::FORBIDDEN, "another site has no business here")
}

/// The value of a header that occurs once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Several> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Several),
        (Some(_), Some(_)) => Err(Several),
    }
}

/// The token in `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

/// Whether the request asks for a WebSocket.
pub(super) fn is_upgrade(headers: &HeaderMap) -> bool {
    let has = |name: HeaderName, word: &str| {
        let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
        let mut words = lines.flat_map(|line| line.split(',')).map(str::trim);
        words.any(|found| found.eq_ignore_ascii_case(word))
    };
    has(UPGRADE, "websocket") || has(CONNECTION, "upgrade")
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    struct Stage {
        gate: Gate,
        keys: Keys,
    }

    /// The outcome of a request: admitted with or without a pass, or refused with this status.
    #[derive(Debug, PartialEq, Eq)]
    enum Told {
        Pass,
        Missing,
        Refused(u16),
    }

    impl Stage {
        fn new() -> Self {
            let addresses = ["127.0.0.1:9090", "[::1]:9090"].map(|a| a.parse().expect(a));
            Self { gate: Gate::new(&addresses), keys: Keys::new(None).expect("keys") }
        }

        fn ask(&self, line: &str, fields: &[(&str, &str)]) -> Told {
            self.ask_as(Peer::User, line, fields)
        }

        fn ask_as(&self, peer: Peer, line: &str, fields: &[(&str, &str)]) -> Told {
            let (method, uri) = line.split_once(' ').expect("two words");
            let mut request = Request::builder().method(method).uri(uri);
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            let (parts, ()) = request.body(()).expect("a request").into_parts();
            match self.gate.check(&parts, peer, &self.keys) {
                Ok(Pass::Shown) => Told::Pass,
                Ok(Pass::Missing) => Told::Missing,
                Err(failure) => Told::Refused(failure.into_response().status().as_u16()),
            }
        }

        fn bearer(&self) -> String {
            format!("Bearer {}", self.keys.token.text())
        }

        fn cookie(&self) -> String {
            format!("other=1; sockeye-9090={}; more=2", self.keys.cookie.text())
        }
    }

    const HERE: (&str, &str) = ("host", "127.0.0.1:9090");

    #[test]
    fn only_the_known_host_names_are_accepted() {
        let stage = Stage::new();
        let bearer = stage.bearer();
        let token = ("authorization", bearer.as_str());
        for host in ["127.0.0.1:9090", "localhost:9090", "LOCALHOST:9090", "[::1]:9090"] {
            assert_eq!(stage.ask("GET /", &[("host", host), token]), Told::Pass, "{host}");
        }
        for host in [
            "",
            "127.0.0.1",
            "127.0.0.1:9091",
            "localhost",
            "localhost.:9090",
            "127.0.0.2:9090",
            "evil.example:9090",
            "127.0.0.1:9090.evil.example",
            "x@127.0.0.1:9090",
            "0.0.0.0:9090",
            "[::ffff:127.0.0.1]:9090",
        ] {
            let told = stage.ask("GET /", &[("host", host), token]);
            assert_eq!(told, Told::Refused(421), "{host}");
        }
        assert_eq!(stage.ask("GET /", &[token]), Told::Refused(421), "no host");
        assert_eq!(stage.ask("GET /", &[HERE, HERE, token]), Told::Refused(421), "two hosts");
        let elsewhere = stage.ask("GET http://evil.example/", &[HERE, token]);
        assert_eq!(elsewhere, Told::Refused(421));
        assert_eq!(stage.ask("GET http://127.0.0.1:9090/", &[HERE, token]), Told::Pass);
        let port_80 = Gate::new(&["127.0.0.1:80".parse().expect("an address")]);
        assert!(port_80.is_here("localhost") && port_80.is_here("127.0.0.1:80"));
    }

    #[test]
    fn other_sites_are_refused_whatever_they_send() {
        let stage = Stage::new();
        let (bearer, cookie) = (stage.bearer(), stage.cookie());
        for field in [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "https://127.0.0.1:9090"),
            ("origin", "http://127.0.0.1:9091"),
            // This is local too, but is not the address that the request was sent to.
            ("origin", "http://localhost:9090"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "anything"),
        ] {
            for key in [("authorization", bearer.as_str()), ("cookie", cookie.as_str())] {
                for line in ["GET /v1/status", "DELETE /connections/1", "OPTIONS /connections"] {
                    let told = stage.ask(line, &[HERE, field, key]);
                    assert_eq!(told, Told::Refused(403), "{line} {field:?}");
                }
            }
        }
        let twice = [HERE, ("origin", "http://127.0.0.1:9090"), ("origin", "http://evil.example")];
        assert_eq!(stage.ask("GET /", &twice), Told::Refused(403));
    }

    #[test]
    fn a_pass_is_the_token_or_the_cookie() {
        let stage = Stage::new();
        let (bearer, cookie) = (stage.bearer(), stage.cookie());
        let get = |field: (&str, &str)| stage.ask("GET /v1/status", &[HERE, field]);
        assert_eq!(get(("authorization", &bearer)), Told::Pass);
        assert_eq!(get(("authorization", &bearer.replace("Bearer", "bearer"))), Told::Pass);
        assert_eq!(get(("cookie", &cookie)), Told::Pass);
        let swapped = [
            format!("Bearer {}", stage.keys.cookie.text()),
            format!("Basic {}", stage.keys.token.text()),
            "Bearer ".to_owned(),
            "Bearer".to_owned(),
            stage.keys.token.text().to_owned(),
        ];
        for value in &swapped {
            assert_eq!(get(("authorization", value)), Told::Missing, "{value}");
        }
        for value in [
            cookie.replace("9090", "9091"),
            cookie.replace("sockeye", "xsockeye"),
            format!("sockeye-9090={}", stage.keys.token.text()),
            "sockeye-9090=".to_owned(),
            "sockeye-9090".to_owned(),
        ] {
            assert_eq!(get(("cookie", &value)), Told::Missing, "{value}");
        }
        let query = format!("GET /v1/status?token={}", stage.keys.token.text());
        assert_eq!(stage.ask(&query, &[HERE]), Told::Missing, "addresses are written down");
        // An extra header does not weaken a cookie: dashboards send an empty token.
        let both = [HERE, ("authorization", "Bearer "), ("cookie", cookie.as_str())];
        assert_eq!(stage.ask("GET /connections", &both), Told::Pass);
    }

    #[test]
    fn a_cookie_permits_changes_only_from_the_own_page() {
        let stage = Stage::new();
        let (bearer, cookie) = (stage.bearer(), stage.cookie());
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let line = format!("{method} /connections");
            let with = |fields: &[(&str, &str)]| {
                stage.ask(&line, &[&[HERE, ("cookie", cookie.as_str())], fields].concat())
            };
            assert_eq!(with(&[]), Told::Refused(403), "{method}");
            assert_eq!(with(&[("sec-fetch-site", "none")]), Told::Refused(403), "{method}");
            assert_eq!(with(&[("sec-fetch-site", "same-origin")]), Told::Pass, "{method}");
            assert_eq!(with(&[("origin", "http://127.0.0.1:9090")]), Told::Pass, "{method}");
            let script = stage.ask(&line, &[HERE, ("authorization", bearer.as_str())]);
            assert_eq!(script, Told::Pass, "{method}");
        }
    }

    #[test]
    fn another_user_may_use_a_token_but_not_a_cookie() {
        let stage = Stage::new();
        let (bearer, cookie) = (stage.bearer(), stage.cookie());
        let ask = |fields: &[(&str, &str)]| {
            stage.ask_as(Peer::Stranger, "GET /v1/status", &[&[HERE], fields].concat())
        };
        assert_eq!(ask(&[("cookie", &cookie)]), Told::Missing);
        assert_eq!(ask(&[("authorization", &bearer)]), Told::Pass);
        let here = ("origin", "http://127.0.0.1:9090");
        let upgrade = [here, ("upgrade", "websocket"), ("cookie", cookie.as_str())];
        assert_eq!(ask(&upgrade), Told::Missing);
    }

    #[test]
    fn a_web_socket_needs_the_own_page_or_a_token() {
        let stage = Stage::new();
        let cookie = stage.cookie();
        let upgrade = [HERE, ("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")];
        let ask = |query: &str, fields: &[(&str, &str)]| {
            stage.ask(&format!("GET /traffic{query}"), &[&upgrade, fields].concat())
        };
        let (cookie, here) = (("cookie", cookie.as_str()), ("origin", "http://127.0.0.1:9090"));
        let evil = ("origin", "http://evil.example");
        let token = format!("?interval=1000&token={}", stage.keys.token.text());
        assert_eq!(ask("", &[cookie, here]), Told::Pass);
        assert_eq!(ask("", &[cookie]), Told::Missing, "no page, so no cookie");
        assert_eq!(ask("", &[cookie, evil]), Told::Refused(403));
        assert_eq!(ask(&token, &[here]), Told::Pass);
        assert_eq!(ask(&token, &[]), Told::Pass, "a script");
        assert_eq!(ask(&token, &[evil]), Told::Refused(403));
        assert_eq!(ask("?token=", &[here]), Told::Missing);
        assert_eq!(ask("?token=", &[cookie, here]), Told::Pass);
    }
}
