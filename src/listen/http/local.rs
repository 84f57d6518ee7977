//! The pages of this program: a description of this port, and the rules as a PAC file.
//!
//! A browser that shows another site must not obtain them. Host must be an address of this machine or a
//! loopback name, so that no other name can be made to resolve to it; requests by pages of other sites are
//! refused; and such pages cannot use the response.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    ORIGIN, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Response};

use std::net::SocketAddr;

use super::wire::target::Path;
use crate::destination::{Destination, Host};

/// One of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Local {
    /// `/`.
    Welcome,
    /// `/proxy.pac`.
    Pac,
}

/// Whether a password is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Open,
    Password,
}

impl Local {
    /// The requested page, and the address by which the request reached this program; none if the client may
    /// not see it. `local` is this end of the connection.
    pub(crate) fn of(
        method: &Method,
        path: &Path,
        headers: &HeaderMap,
        local: Option<SocketAddr>,
    ) -> Option<(Self, Destination)> {
        let page = match path.as_bytes() {
            b"/" => Self::Welcome,
            b"/proxy.pac" => Self::Pac,
            _ => return None,
        };
        let host = headers.get(HOST)?.to_str().ok()?;
        let reached = Destination::parse(host, Some(80)).ok()?;
        let reads = [Method::GET, Method::HEAD].contains(method);
        let asked = reads && is_own_address(&reached, local) && is_same_site(headers, host);
        asked.then_some((page, reached))
    }
}

/// A description of this port and its use.
pub(crate) fn welcome(
    reached: &Destination,
    access: Access,
    has_pac: bool,
) -> Response<Full<Bytes>> {
    let password = match access {
        Access::Open => "",
        Access::Password => "<p>It asks for a user name and a password.</p>\n",
    };
    let pac = if has_pac {
        format!(
            "<p>A browser: give <code>http://{reached}/proxy.pac</code> as the address of its automatic \
             proxy configuration.</p>\n"
        )
    } else {
        String::new()
    };
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>sockeye</title>\n\
         <h1>This is a proxy</h1>\n\
         <p>sockeye carries what comes to {reached} over SSH. It speaks SOCKS and HTTP.</p>\n{password}\
         <p>curl: <code>curl --proxy socks5h://{reached} URL</code></p>\n\
         <p>Most programs: <code>export ALL_PROXY=socks5h://{reached} http_proxy=http://{reached} \
         https_proxy=http://{reached}</code></p>\n{pac}</html>\n"
    );
    respond(page, "text/html; charset=utf-8", "no-store")
}

pub(crate) fn pac(script: String) -> Response<Full<Bytes>> {
    respond(script, "application/x-ns-proxy-autoconfig; charset=utf-8", "no-cache")
}

fn respond(text: String, kind: &'static str, cache: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, cache),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("referrer-policy"), "no-referrer"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A name server cannot make another name resolve to an address literal, and `localhost` is not looked up.
fn is_own_address(reached: &Destination, local: Option<SocketAddr>) -> bool {
    match reached.host() {
        Host::Name(name) => &**name == "localhost",
        Host::Ip(ip) => {
            ip.is_loopback() || local.is_some_and(|local| local.ip().to_canonical() == *ip)
        }
    }
}

/// Whether the browser names no other site as the origin. Another port is another origin.
fn is_same_site(headers: &HeaderMap, host: &str) -> bool {
    let site = headers.get_all("sec-fetch-site").iter();
    let mut site = site.map(HeaderValue::as_bytes);
    let own = format!("http://{host}");
    site.all(|site| site == b"none" || site == b"same-origin")
        && headers.get_all(ORIGIN).iter().all(|origin| origin.as_bytes() == own.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::wire::target::Target;
    use super::*;

    fn of(method: &str, path: &str, fields: &[(&'static str, &'static str)]) -> Option<String> {
        let Target::Origin(path) = Target::parse(path.as_bytes()) else { panic!("{path}") };
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let method = Method::from_bytes(method.as_bytes()).expect(method);
        let local = "[::ffff:192.0.2.1]:1080".parse().ok();
        let (page, reached) = Local::of(&method, &path, &headers, local)?;
        Some(format!("{page:?} {reached}"))
    }

    #[test]
    fn access_to_pages() {
        for (host, reached) in [
            ("127.0.0.1:1080", Some("127.0.0.1:1080")),
            ("127.8.9.1:1080", Some("127.8.9.1:1080")),
            ("LocalHost:1080", Some("localhost:1080")),
            ("[::1]:1080", Some("[::1]:1080")),
            ("192.0.2.1:1080", Some("192.0.2.1:1080")),
            ("localhost", Some("localhost:80")),
            ("192.0.2.2:1080", None),
            ("evil.example:1080", None),
            ("localhost.evil.example:1080", None),
            ("", None),
        ] {
            let page = of("GET", "/proxy.pac", &[("host", host)]);
            assert_eq!(page, reached.map(|reached| format!("Pac {reached}")), "{host}");
        }
        assert_eq!(of("GET", "/", &[]), None, "no Host");
        let host = ("host", "localhost:1080");
        assert!(of("HEAD", "/", &[host]).is_some());
        for method in ["POST", "OPTIONS", "DELETE"] {
            assert_eq!(of(method, "/", &[host]), None, "{method}");
        }
        for path in ["/proxy.pac/", "/proxy.pac?x", "//", "/x", "/PROXY.PAC"] {
            assert_eq!(of("GET", path, &[host]), None, "{path}");
        }
    }

    #[test]
    fn a_page_of_another_site_is_refused() {
        let host = ("host", "localhost:1080");
        for (field, seen) in [
            (("sec-fetch-site", "none"), true),
            (("sec-fetch-site", "same-origin"), true),
            (("sec-fetch-site", "same-site"), false),
            (("sec-fetch-site", "cross-site"), false),
            (("sec-fetch-site", ""), false),
            (("origin", "http://localhost:1080"), true),
            (("origin", "http://localhost:3000"), false),
            (("origin", "null"), false),
        ] {
            assert_eq!(of("GET", "/", &[host, field]).is_some(), seen, "{field:?}");
        }
        let twice = [host, ("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")];
        assert_eq!(of("GET", "/", &twice), None);
    }
}
