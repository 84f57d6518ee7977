//! The destination of a request: the forms of a request target (RFC 9112 section 3.2).

use super::wire::target::Target;
use crate::destination::{Destination, InvalidDestination};

/// Why a request has no destination.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadRequest {
    #[error("CONNECT takes host:port, and nothing else")]
    ConnectTarget,
    #[error("https goes through CONNECT: the client has to ask for that")]
    Https,
    #[error("only http can be forwarded")]
    Scheme,
    #[error("a user name or password in the address is not passed on")]
    UserInfo,
    #[error("bad destination: {0}")]
    Destination(InvalidDestination),
}

/// RFC 9110 section 9.3.6: the authority form, with a port.
pub(crate) fn connect(target: &Target) -> Result<Destination, BadRequest> {
    let Target::Other(authority) = target else { return Err(BadRequest::ConnectTarget) };
    if authority.iter().any(|byte| b"/?#".contains(byte)) {
        return Err(BadRequest::ConnectTarget);
    }
    destination(authority, None)
}

/// RFC 9110 section 4.2.1: `http`, with port 80 by default; section 4.2.4: no user information.
pub(crate) fn absolute(scheme: &str, authority: &[u8]) -> Result<Destination, BadRequest> {
    match scheme {
        "http" => destination(authority, Some(80)),
        "https" => Err(BadRequest::Https),
        _ => Err(BadRequest::Scheme),
    }
}

fn destination(authority: &[u8], port: Option<u16>) -> Result<Destination, BadRequest> {
    if authority.contains(&b'@') {
        return Err(BadRequest::UserInfo);
    }
    // RFC 3986 section 3.2.3: an optional port may be empty.
    let authority = authority.strip_suffix(b":").filter(|_| port.is_some()).unwrap_or(authority);
    std::str::from_utf8(authority)
        .map_err(|_| InvalidDestination::InvalidAuthority)
        .and_then(|text| Destination::parse(text, port))
        .map_err(BadRequest::Destination)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(method: &str, target: &str) -> Result<String, BadRequest> {
        let destination = match (method, Target::parse(target.as_bytes())) {
            ("CONNECT", target) => connect(&target),
            (_, Target::Absolute { scheme, authority, .. }) => absolute(&scheme, &authority),
            (_, target) => panic!("{target:?} is for a web server"),
        };
        destination.map(|destination| destination.to_string())
    }

    #[test]
    fn accepted_targets() {
        for (method, target, to) in [
            ("CONNECT", "Example.com:443", "example.com:443"),
            ("CONNECT", "[::1]:443", "[::1]:443"),
            ("GET", "http://example.com", "example.com:80"),
            ("GET", "http://example.com:/", "example.com:80"),
            ("GET", "HTTP://EXAMPLE.com:8080/path", "example.com:8080"),
            ("POST", "http://[2001:db8::1]/x?y", "[2001:db8::1]:80"),
            ("GET", "http://example.com?http://other/", "example.com:80"),
            ("GET", "http://b\u{fc}cher.example/", "xn--bcher-kva.example:80"),
            ("OPTIONS", "http://127.1:80", "127.0.0.1:80"),
        ] {
            assert_eq!(parsed(method, target).as_deref(), Ok(to), "{method} {target}");
        }
    }

    #[test]
    fn refused_targets() {
        use BadRequest::{ConnectTarget, Destination, Https, Scheme, UserInfo};
        use InvalidDestination::{InvalidHost, InvalidPort, PortZero};
        for (method, target, why) in [
            ("CONNECT", "http://example.com:443/", ConnectTarget),
            ("CONNECT", "example.com:443/", ConnectTarget),
            ("CONNECT", "example.com:443?a", ConnectTarget),
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
            assert_eq!(parsed(method, target), Err(why), "{method} {target}");
        }
    }
}
