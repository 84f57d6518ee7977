//! Hop-by-hop fields (RFC 9110 section 7.6.1), removed in both directions.

use hyper::body::Body;
use hyper::header::{
    CONNECTION, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use hyper::{Request, Response, StatusCode, Uri, Version};

use super::wire::head;
use super::wire::request::RequestHead;
use crate::destination::{Destination, Host};

/// Turns a request in absolute form into one for the web server at `destination`.
///
/// The target becomes `uri`, and Host that of the target (the target takes precedence, RFC 9112 section 3.2.2).
/// hyper writes the framing; an offered upgrade is kept, as is the wait for a 100.
pub(crate) fn prepare_request<B: Body>(
    request: &mut Request<B>,
    head: &RequestHead,
    destination: &Destination,
    uri: Uri,
) {
    let upgrade = offered_upgrade(head.version, request.headers());
    let headers = request.headers_mut();
    remove_hop_by_hop(headers);
    headers.insert(HOST, host_field(destination));
    if head.expects_continue {
        headers.append(EXPECT, HeaderValue::from_static("100-continue"));
    }
    if head.takes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.append(CONNECTION, HeaderValue::from_static("TE"));
    }
    if let Some(upgrade) = upgrade {
        headers.insert(UPGRADE, upgrade);
        headers.append(CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    // hyper sends a GET without a length as one without content, unless told otherwise.
    if !request.body().is_end_stream() && request.body().size_hint().exact().is_none() {
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_11;
}

/// Turns a web server's response into one of this proxy.
pub(crate) fn prepare_response<B>(response: &mut Response<B>) {
    let upgrade = (response.status() == StatusCode::SWITCHING_PROTOCOLS)
        .then(|| response.headers().get(UPGRADE).cloned())
        .flatten();
    let headers = response.headers_mut();
    remove_hop_by_hop(headers);
    if let Some(upgrade) = upgrade {
        headers.insert(UPGRADE, upgrade);
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    *response.version_mut() = Version::HTTP_11;
}

/// Removes hop-by-hop fields: those named by Connection, and those that always are. The others keep their order.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = tokens(headers, &CONNECTION)
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .collect();
    let is_hop = |name: &HeaderName| {
        KNOWN.contains(name) || OTHERS.contains(&name.as_str()) || named.contains(name)
    };
    if !headers.keys().any(is_hop) {
        return;
    }
    let all = std::mem::take(headers);
    headers.reserve(all.len());
    let mut last = None;
    for (name, value) in all {
        // Only the first of several values comes with the name.
        last = name.or(last);
        if let Some(name) = last.as_ref().filter(|name| !is_hop(name)) {
            headers.append(name, value);
        }
    }
}

const KNOWN: [HeaderName; 6] =
    [CONNECTION, TE, TRANSFER_ENCODING, UPGRADE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION];
/// Further hop-by-hop fields, for which hyper has no constants. HTTP2-Settings belongs to an upgrade to h2c,
/// which is not supported.
const OTHERS: [&str; 4] =
    ["keep-alive", "proxy-connection", "proxy-authentication-info", "http2-settings"];

/// The protocol to which the client offers to switch (RFC 9110 section 7.8).
fn offered_upgrade(version: Version, headers: &HeaderMap) -> Option<HeaderValue> {
    let offered = version == Version::HTTP_11
        && tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case(b"upgrade"));
    headers.get(UPGRADE).filter(|_| offered).cloned()
}

/// The members of the comma-separated lists in all fields of this name.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lists = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    lists.flat_map(|list| list.split(|&byte| byte == b',')).map(head::trim)
}

/// The Host of RFC 9110 section 7.2, without the default port of the scheme.
fn host_field(destination: &Destination) -> HeaderValue {
    let text = match (destination.port(), destination.host()) {
        (80, Host::Ip(std::net::IpAddr::V6(ip))) => format!("[{ip}]"),
        (80, host) => host.to_string(),
        _ => destination.to_string(),
    };
    HeaderValue::try_from(text).expect("a destination is printable ASCII")
}

#[cfg(test)]
mod tests;
