//! The fields that belong to one hop only (RFC 9110 section 7.6.1), taken out both ways.

use hyper::body::Body;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use hyper::{Request, Response, StatusCode, Uri, Version};

use crate::destination::{Destination, Host};

/// A transfer coding other than `chunked` (RFC 9112 section 7), which is not decoded here and must
/// not be passed on as if it were the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a transfer coding other than chunked")]
pub(crate) struct UnknownTransferCoding;

/// Makes a request in absolute form one that the web server at `destination` expects.
///
/// The target becomes the origin form and Host the URI's (RFC 9112 section 3.2.2 lets the URI win).
/// The framing is hyper's to write; an upgrade is offered on. `Expect: 100-continue` is taken out:
/// the client gets its 100 from here as soon as the web server takes the content.
pub(crate) fn prepare_request<B: Body>(
    request: &mut Request<B>,
    destination: &Destination,
) -> Result<(), UnknownTransferCoding> {
    check_transfer_coding(request.headers())?;
    let upgrade = offered_upgrade(request.version(), request.headers());
    let trailers = has_token(request.headers(), &TE, "trailers");
    let headers = request.headers_mut();
    remove_hop_by_hop(headers);
    if headers
        .get(EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        headers.remove(EXPECT);
    }
    headers.insert(HOST, host_field(destination));
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.append(CONNECTION, HeaderValue::from_static("te"));
    }
    if let Some(upgrade) = upgrade {
        headers.insert(UPGRADE, upgrade);
        headers.append(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    // hyper sends a GET without a length as one without content, unless it is told.
    if !request.body().is_end_stream() && request.body().size_hint().exact().is_none() {
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let target = request.uri().path_and_query().cloned();
    *request.uri_mut() = target.map_or_else(|| Uri::from_static("/"), Uri::from);
    *request.version_mut() = Version::HTTP_11;
    Ok(())
}

/// Makes a web server's response one of this proxy's.
pub(crate) fn prepare_response<B: Body>(
    response: &mut Response<B>,
) -> Result<(), UnknownTransferCoding> {
    check_transfer_coding(response.headers())?;
    let chunked = response.headers().contains_key(TRANSFER_ENCODING);
    let upgrade = (response.status() == StatusCode::SWITCHING_PROTOCOLS)
        .then(|| response.headers().get(UPGRADE).cloned())
        .flatten();
    let exact = response.body().size_hint().exact().filter(|&length| length != 0);
    let headers = response.headers_mut();
    remove_hop_by_hop(headers);
    if chunked {
        // RFC 9112 section 6.3: Transfer-Encoding overrides Content-Length, which is removed.
        headers.remove(CONTENT_LENGTH);
    } else if let Some(length) = exact {
        // One value, however often the server said it.
        headers.insert(CONTENT_LENGTH, length.into());
    } else if headers.get_all(CONTENT_LENGTH).iter().any(|value| !is_number(value)) {
        headers.remove(CONTENT_LENGTH);
    }
    if let Some(upgrade) = upgrade {
        headers.insert(UPGRADE, upgrade);
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    *response.version_mut() = Version::HTTP_11;
    Ok(())
}

/// Removes what speaks of this hop: the fields that Connection names, and those that always do.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = tokens(headers, &CONNECTION)
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        .collect();
    for name in &named {
        headers.remove(name);
    }
    for name in
        [CONNECTION, TE, TRANSFER_ENCODING, UPGRADE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION]
    {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection", "proxy-authentication-info", "http2-settings"] {
        headers.remove(name);
    }
}

/// Only `chunked`, once, is understood.
fn check_transfer_coding(headers: &HeaderMap) -> Result<(), UnknownTransferCoding> {
    let mut values = headers.get_all(TRANSFER_ENCODING).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(()),
        (Some(one), None) if one.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(UnknownTransferCoding),
    }
}

/// The protocol that the client offers to switch to (RFC 9110 section 7.8).
fn offered_upgrade(version: Version, headers: &HeaderMap) -> Option<HeaderValue> {
    let offered = version == Version::HTTP_11 && has_token(headers, &CONNECTION, "upgrade");
    headers.get(UPGRADE).filter(|_| offered).cloned()
}

fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

/// The members of a comma-separated list in all fields of this name.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
}

fn is_number(value: &HeaderValue) -> bool {
    !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit)
}

/// The Host of RFC 9110 section 7.2: the port is left out when it is the scheme's.
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
