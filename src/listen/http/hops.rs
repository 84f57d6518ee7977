//! Max-Forwards: the number of hops left to a TRACE or OPTIONS request (RFC 9110 section 7.6.2).

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, MAX_FORWARDS,
    PROXY_AUTHORIZATION, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Response};

use super::wire::target::Path;
use crate::destination::Destination;

/// Whether a request has reached its last hop; otherwise its count is decremented. Only these two methods have one.
pub(crate) fn is_last(method: &Method, headers: &mut HeaderMap) -> bool {
    if ![Method::TRACE, Method::OPTIONS].contains(method) {
        return false;
    }
    let given = headers.get(MAX_FORWARDS).and_then(|value| value.to_str().ok());
    let left = given.and_then(|text| text.trim().parse::<u32>().ok());
    if let Some(left @ 1..) = left {
        headers.insert(MAX_FORWARDS, HeaderValue::from(left - 1));
    }
    left == Some(0)
}

/// The answer of the last hop: to a TRACE request its head as received (RFC 9110 section 9.3.8), without the
/// fields that contain secrets; to an OPTIONS request an empty response.
pub(crate) fn answer(
    method: &Method,
    destination: &Destination,
    path: &Path,
    headers: &HeaderMap,
) -> Response<Full<Bytes>> {
    if *method != Method::TRACE {
        return Response::new(Full::default());
    }
    let mut seen = format!("TRACE http://{destination}").into_bytes();
    seen.extend_from_slice(path.as_bytes());
    seen.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in headers.iter().filter(|(name, _)| !SECRETS.contains(name)) {
        super::wire::head::write(&mut seen, name.as_str(), value.as_bytes());
    }
    seen.extend_from_slice(b"\r\n");
    let mut response = Response::new(Full::from(seen));
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("message/http"));
    fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

const SECRETS: [HeaderName; 3] = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_is_counted_for_methods_with_max_forwards() {
        for (method, before, last, after) in [
            (Method::TRACE, "0", true, "0"),
            (Method::TRACE, "3", false, "2"),
            (Method::OPTIONS, "5", false, "4"),
            (Method::OPTIONS, "many", false, "many"),
            (Method::GET, "0", false, "0"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(MAX_FORWARDS, HeaderValue::from_static(before));
            assert_eq!(is_last(&method, &mut headers), last, "{method} {before}");
            assert_eq!(headers[MAX_FORWARDS], after, "{method} {before}");
        }
    }
}
