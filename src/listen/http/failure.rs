//! The response to a failed HTTP request: a status, a Proxy-Status field (RFC 9209) and a human-readable page.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, PROXY_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

use super::form::BadRequest;
use super::page::page;
use super::wire::answer::BadAnswer;
use super::wire::framing::FramingFault;
use super::wire::request::Malformed;
use crate::destination::Destination;
use crate::dial::{Carrier, DialError, DialFailure, Way};

/// Why a request got neither a web server's response nor a tunnel.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("this is a proxy, not a web server: set it as the proxy of your client")]
    NotForAProxy,
    #[error(transparent)]
    BadRequest(#[from] BadRequest),
    #[error("this proxy asks for a user name and a password")]
    AuthenticationRequired,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("{destination}: {failure}")]
    Dial { destination: Destination, failure: DialFailure },
    #[error("{destination}: {fault}")]
    Upstream { destination: Destination, fault: Fault, way: Way },
}

/// The fault of a web server after it was connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the connection ended before a response came")]
    Closed,
    #[error("the SSH session that carried the request was lost before a response came")]
    Cut,
    #[error("the request was ended by hand on this machine")]
    Killed,
    #[error(transparent)]
    Answer(#[from] BadAnswer),
    #[error("the response is not written as HTTP/1.1 has it")]
    Protocol,
    #[error("the server switched to a protocol that was not offered")]
    Upgrade,
}

/// Whether the client's connection remains usable after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Afterwards {
    KeepAlive,
    Close,
}

impl Failure {
    /// The response. The connection is closed if the request asks for it or was not understood.
    pub(crate) fn into_response(self, afterwards: Afterwards) -> Response<Full<Bytes>> {
        let (status, error) = self.kind();
        let page = page(status, &self.to_string(), self.way().as_ref());
        let mut response = Response::new(Full::from(page));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        page_fields(headers);
        if let Some(error) = error {
            headers.insert(PROXY_STATUS, proxy_status(error, &self.details(), self.next_hop()));
        }
        if matches!(self, Self::AuthenticationRequired) {
            headers.insert(PROXY_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
        }
        if self.afterwards() == Afterwards::Close || afterwards == Afterwards::Close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// The status code, and the error type of RFC 9209 section 2.3, if one fits.
    fn kind(&self) -> (StatusCode, Option<&'static str>) {
        let (status, error) = match self {
            // RFC 9110 section 15.5.1.
            Self::NotForAProxy | Self::BadRequest(_) => {
                (StatusCode::BAD_REQUEST, "http_request_error")
            }
            // RFC 9110 section 15.5.8: the challenge says everything.
            Self::AuthenticationRequired => {
                return (StatusCode::PROXY_AUTHENTICATION_REQUIRED, None);
            }
            Self::Malformed(malformed) => (malformed_kind(malformed), "http_request_error"),
            Self::Dial { failure, .. } => {
                let codes = failure.error.codes();
                let status = StatusCode::from_u16(codes.http).expect("the table has statuses");
                (status, codes.proxy_status)
            }
            Self::Upstream { fault, .. } => (StatusCode::BAD_GATEWAY, fault.kind()),
        };
        (status, Some(error))
    }

    fn afterwards(&self) -> Afterwards {
        match self {
            // Nothing more is read from a possibly hostile page, or after a misunderstood request.
            Self::NotForAProxy | Self::BadRequest(_) | Self::Malformed(_) => Afterwards::Close,
            // The client may go on, unless it asked for a tunnel.
            Self::AuthenticationRequired | Self::Dial { .. } | Self::Upstream { .. } => {
                Afterwards::KeepAlive
            }
        }
    }

    fn details(&self) -> String {
        match self {
            Self::Dial { failure, .. } => failure.to_string(),
            Self::Upstream { fault, .. } => fault.to_string(),
            other => other.to_string(),
        }
    }

    /// The route of the request, without what the message itself names.
    fn way(&self) -> Option<Way> {
        match self {
            Self::Dial { failure: DialFailure { error, way }, .. } => {
                let mut way = way.clone();
                if self.next_hop().is_some() {
                    way.carrier = Carrier::None;
                }
                if matches!(error, DialError::Rejected { .. }) {
                    way.rule = None;
                }
                Some(way)
            }
            Self::Upstream { way, .. } => Some(way.clone()),
            Self::NotForAProxy
            | Self::BadRequest(_)
            | Self::AuthenticationRequired
            | Self::Malformed(_) => None,
        }
    }

    /// The SSH server, if it is the next hop (RFC 9209 section 2.1.2).
    fn next_hop(&self) -> Option<&str> {
        let failure = match self {
            Self::Dial { failure, .. } => failure,
            Self::Upstream { fault: Fault::Cut, way, .. } => return way.server(),
            Self::Upstream { .. }
            | Self::NotForAProxy
            | Self::BadRequest(_)
            | Self::AuthenticationRequired
            | Self::Malformed(_) => return None,
        };
        match &failure.error {
            DialError::Prohibited { server }
            | DialError::ServerFull { server }
            | DialError::NoAnswer { server } => Some(server),
            DialError::NoSession { servers } => match servers.as_slice() {
                [only] => Some(&only.server),
                _ => None,
            },
            DialError::ConnectionRefused
            | DialError::NameNotFound
            | DialError::LookUpFailed
            | DialError::NoRouteToHost
            | DialError::NetworkUnreachable
            | DialError::TimedOut
            | DialError::Unreachable
            | DialError::Exhausted
            | DialError::Loop
            | DialError::Rejected { .. }
            | DialError::Killed => None,
        }
    }
}

impl Fault {
    /// The error type of RFC 9209 section 2.3.
    fn kind(self) -> &'static str {
        match self {
            // Closed before any part of a response arrived.
            Self::Closed | Self::Cut | Self::Killed => "connection_terminated",
            // A protocol error without a type of its own.
            Self::Protocol | Self::Upgrade => "http_protocol_error",
            Self::Answer(answer) => match answer {
                // A coding that cannot be decoded.
                BadAnswer::Framing(FramingFault::UnknownCoding) => "http_response_transfer_coding",
                BadAnswer::TooLong | BadAnswer::TooManyFields => {
                    "http_response_header_section_size"
                }
                BadAnswer::NotHttp | BadAnswer::Framing(_) => "http_protocol_error",
            },
        }
    }
}

/// The status code for a malformed request.
fn malformed_kind(malformed: &Malformed) -> StatusCode {
    match malformed {
        // RFC 6585 section 5.
        Malformed::TooLong | Malformed::TooManyFields => {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
        }
        // RFC 9110 section 15.6.6.
        Malformed::Version(_) => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        // RFC 9112 section 6.1.
        Malformed::Framing(FramingFault::UnknownCoding) => StatusCode::NOT_IMPLEMENTED,
        Malformed::RequestLine
        | Malformed::Field(_)
        | Malformed::Framing(_)
        | Malformed::NoHost
        | Malformed::ManyHosts
        | Malformed::Host
        | Malformed::ConnectContent
        | Malformed::HeadCut
        | Malformed::ContentCut
        | Malformed::Chunk => StatusCode::BAD_REQUEST,
    }
}

/// The Proxy-Status field of RFC 9209 section 2.
fn proxy_status(error: &str, details: &str, next_hop: Option<&str>) -> HeaderValue {
    let mut value = format!("sockeye; error={error}");
    if let Some(next_hop) = next_hop {
        value.push_str("; next-hop=");
        push_string(&mut value, next_hop);
    }
    value.push_str("; details=");
    push_string(&mut value, details);
    HeaderValue::try_from(value).expect("quoted strings are printable ASCII")
}

/// A string of RFC 9651 section 3.3.3: quoted printable ASCII. Other characters become `?`.
fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars().take(MAX_STRING) {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            ' '..='~' => out.push(character),
            _ => out.push('?'),
        }
    }
    out.push('"');
}

/// The page may only be read, and is never cached.
fn page_fields(headers: &mut HeaderMap) {
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
/// The challenge of RFC 7617 section 2.
const CHALLENGE: &str = "Basic realm=\"sockeye\"";
/// The maximum length of a string in a Proxy-Status field, in characters.
const MAX_STRING: usize = 300;

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::dial::MissingSession;

    #[test]
    fn strings_in_a_field_are_quoted() {
        let value = proxy_status("dns_error", "a \"b\" \\ \r\nX: y é", Some("me@host"));
        assert_eq!(
            value,
            r#"sockeye; error=dns_error; next-hop="me@host"; details="a \"b\" \\ ??X: y ?""#
        );
        let long = proxy_status("dns_error", &"x".repeat(1000), None);
        assert_eq!(long.len(), "sockeye; error=dns_error; details=\"\"".len() + MAX_STRING);
    }

    #[tokio::test]
    async fn every_dial_error_has_its_status() {
        let server = || "me@host".into();
        let missing = || MissingSession { server: server(), reason: "x".into() };
        for (error, status, kind) in [
            (DialError::ConnectionRefused, 502, "connection_refused"),
            (DialError::NameNotFound, 502, "dns_error"),
            (DialError::LookUpFailed, 502, "dns_error"),
            (DialError::NoRouteToHost, 502, "destination_ip_unroutable"),
            (DialError::NetworkUnreachable, 502, "destination_ip_unroutable"),
            (DialError::TimedOut, 504, "connection_timeout"),
            (DialError::Unreachable, 502, "destination_unavailable"),
            (DialError::Prohibited { server: server() }, 403, "destination_ip_prohibited"),
            (DialError::ServerFull { server: server() }, 503, "connection_limit_reached"),
            (DialError::Rejected { rule: Some("ads".into()) }, 403, "http_request_denied"),
            (DialError::NoSession { servers: vec![missing()] }, 503, "destination_unavailable"),
            (DialError::NoAnswer { server: server() }, 503, "destination_unavailable"),
            (DialError::Exhausted, 503, "proxy_internal_error"),
            (DialError::Loop, 502, "proxy_loop_detected"),
            (DialError::Killed, 502, "connection_terminated"),
        ] {
            let destination = Destination::parse("example.com:443", None).expect("good");
            let carrier = match error {
                DialError::NoSession { .. } | DialError::Rejected { .. } => Carrier::None,
                _ => Carrier::Server(server()),
            };
            let named = usize::from(!matches!(error, DialError::Rejected { .. }));
            let failure = DialFailure { error, way: Way { rule: Some("ads".into()), carrier } };
            let failure = Failure::Dial { destination, failure };
            let response = failure.into_response(Afterwards::KeepAlive);
            assert_eq!(response.status(), status, "{kind}");
            let field = response.headers()["proxy-status"].to_str().expect("ASCII");
            assert!(field.starts_with(&format!("sockeye; error={kind};")), "{field}");
            let is_the_server_s = ["destination_ip_prohibited", "connection_limit_reached"]
                .contains(&kind)
                || kind == "destination_unavailable" && status == 503;
            assert_eq!(field.contains("next-hop=\"me@host\""), is_the_server_s, "{field}");
            assert!(!response.headers().contains_key(CONNECTION));
            let page = response.into_body().collect().await.expect("in memory").to_bytes();
            let page = String::from_utf8(page.into()).expect("UTF-8");
            assert_eq!(page.matches("SSH server me@host").count(), named, "{page}");
            assert_eq!(page.matches("rule ads").count(), 1, "{page}");
            assert!(page.contains("example.com:443"), "{page}");
        }
    }
}
