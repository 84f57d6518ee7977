//! What a request asks for: the forms of a request target (RFC 9112 section 3.2).

use hyper::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use hyper::{Method, Request, Uri};

use crate::destination::{Destination, InvalidDestination};

/// The two forms that are meant for a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// CONNECT, with the authority form.
    Connect,
    /// Any other method, with the absolute form.
    Absolute,
}

/// Why a request has no destination.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadRequest {
    #[error("CONNECT takes host:port, and nothing else")]
    ConnectTarget,
    #[error("CONNECT has no content, and so no Content-Length or Transfer-Encoding")]
    ConnectContent,
    #[error("https goes through CONNECT: the client has to ask for that")]
    Https,
    #[error("only http can be forwarded")]
    Scheme,
    #[error("a user name or password in the address is not passed on")]
    UserInfo,
    #[error("bad destination: {0}")]
    Destination(#[from] InvalidDestination),
}

impl Form {
    /// The form, or `None` for a request that was meant for a web server. That is all that a hostile
    /// web page can make a browser send here.
    pub(crate) fn of<B>(request: &Request<B>) -> Option<Self> {
        match (request.method(), request.uri().scheme()) {
            (&Method::CONNECT, _) => Some(Self::Connect),
            (_, Some(_)) => Some(Self::Absolute),
            (_, None) => None,
        }
    }

    /// Where the request wants to go.
    pub(crate) fn destination<B>(self, request: &Request<B>) -> Result<Destination, BadRequest> {
        match self {
            Self::Connect => connect(request.uri(), request.headers()),
            Self::Absolute => absolute(request.uri()),
        }
    }
}

/// RFC 9110 section 9.3.6: the authority form, with a port, and no content.
fn connect(uri: &Uri, headers: &HeaderMap) -> Result<Destination, BadRequest> {
    if uri.scheme().is_some() || uri.path_and_query().is_some() {
        return Err(BadRequest::ConnectTarget);
    }
    let authority = uri.authority().ok_or(BadRequest::ConnectTarget)?;
    if headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING) {
        return Err(BadRequest::ConnectContent);
    }
    if authority.as_str().contains('@') {
        return Err(BadRequest::UserInfo);
    }
    Ok(Destination::parse(authority.as_str(), None)?)
}

/// RFC 9110 section 4.2.1: `http`, whose port is 80 when left out; section 4.2.4: no user name.
fn absolute(uri: &Uri) -> Result<Destination, BadRequest> {
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err(BadRequest::Https),
        _ => return Err(BadRequest::Scheme),
    }
    let authority = uri.authority().ok_or(InvalidDestination::InvalidAuthority)?;
    if authority.as_str().contains('@') {
        return Err(BadRequest::UserInfo);
    }
    Ok(Destination::parse(authority.as_str(), Some(80))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(method: &str, target: &str) -> Result<String, BadRequest> {
        let request = Request::builder().method(method).uri(target).body(()).expect(target);
        let form = Form::of(&request).expect("a form for proxies");
        form.destination(&request).map(|destination| destination.to_string())
    }

    #[test]
    fn what_a_proxy_takes() {
        for (method, target, to) in [
            ("CONNECT", "Example.com:443", "example.com:443"),
            ("CONNECT", "[::1]:443", "[::1]:443"),
            ("GET", "http://example.com", "example.com:80"),
            ("GET", "HTTP://EXAMPLE.com:8080/path", "example.com:8080"),
            ("POST", "http://[2001:db8::1]/x?y", "[2001:db8::1]:80"),
            ("OPTIONS", "http://127.1:80", "127.0.0.1:80"),
        ] {
            assert_eq!(destination(method, target).as_deref(), Ok(to), "{method} {target}");
        }
    }

    #[test]
    fn what_it_refuses() {
        use BadRequest::{ConnectTarget, Destination, Https, Scheme, UserInfo};
        use InvalidDestination::{InvalidHost, InvalidPort, PortZero};
        for (method, target, why) in [
            ("CONNECT", "http://example.com:443/", ConnectTarget),
            ("CONNECT", "/", ConnectTarget),
            ("CONNECT", "*", ConnectTarget),
            ("CONNECT", "example.com", Destination(InvalidPort)),
            ("CONNECT", "example.com:0", Destination(PortZero)),
            ("CONNECT", "example.com:65536", Destination(InvalidPort)),
            ("CONNECT", "me@example.com:443", UserInfo),
            ("GET", "https://example.com/", Https),
            ("GET", "ftp://example.com/", Scheme),
            ("GET", "ws://example.com/", Scheme),
            ("GET", "http://me:secret@example.com/", UserInfo),
            ("GET", "http://example.com:0/", Destination(PortZero)),
            ("GET", "http://example.com:65536/", Destination(InvalidPort)),
            ("GET", "http://a..b/", Destination(InvalidHost)),
        ] {
            assert_eq!(destination(method, target), Err(why), "{method} {target}");
        }
    }

    #[test]
    fn what_a_web_page_can_send_has_no_form() {
        for (method, target) in
            [("GET", "/"), ("POST", "/x?http://example.com/"), ("OPTIONS", "*"), ("GET", "a:80")]
        {
            let request = Request::builder().method(method).uri(target).body(()).expect(target);
            assert_eq!(Form::of(&request), None, "{method} {target}");
        }
    }

    #[test]
    fn connect_has_no_content() {
        for (name, value) in [("content-length", "0"), ("transfer-encoding", "chunked")] {
            let request = Request::connect("a:1").header(name, value).body(()).expect("built");
            assert_eq!(Form::Connect.destination(&request), Err(BadRequest::ConnectContent));
        }
    }
}
