//! How many hops a TRACE or an OPTIONS may still take (RFC 9110 section 7.6.2).

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, MAX_FORWARDS,
    PROXY_AUTHORIZATION, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Response};

use super::wire::target::Path;
use crate::destination::Destination;

/// Whether a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hops {
    /// It goes on, with one hop less where it counts them.
    Onward,
    /// It has come as far as it wanted: here.
    Last,
}

/// Takes this hop off the count. Only these two methods have one.
pub(crate) fn count(method: &Method, headers: &mut HeaderMap) -> Hops {
    if ![Method::TRACE, Method::OPTIONS].contains(method) {
        return Hops::Onward;
    }
    let given = headers.get(MAX_FORWARDS).and_then(|value| value.to_str().ok());
    match given.and_then(|text| text.trim().parse::<u32>().ok()) {
        Some(0) => Hops::Last,
        Some(left) => {
            headers.insert(MAX_FORWARDS, HeaderValue::from(left - 1));
            Hops::Onward
        }
        None => Hops::Onward,
    }
}

/// What the last recipient answers: to a TRACE the request as it came (RFC 9110 section 9.3.8),
/// without the fields that hold secrets; to an OPTIONS nothing but that it is there.
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
    fn a_hop_is_counted_where_hops_are() {
        for (method, before, hops, after) in [
            (Method::TRACE, "0", Hops::Last, "0"),
            (Method::OPTIONS, "5", Hops::Onward, "4"),
            (Method::OPTIONS, "many", Hops::Onward, "many"),
            (Method::GET, "0", Hops::Onward, "0"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(MAX_FORWARDS, HeaderValue::from_static(before));
            assert_eq!(count(&method, &mut headers), hops, "{method} {before}");
            assert_eq!(headers[MAX_FORWARDS], after, "{method} {before}");
        }
    }
}
