//! The page: its files are part of the program, and it loads nothing from elsewhere.

use bytes::Bytes;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use hyper::{Response, StatusCode};

use crate::control::reply::{Body, text_of};

pub(super) fn at(path: &str) -> Option<Response<Body>> {
    let (kind, text) = match path {
        "/" => (HTML, include_str!("page/index.html")),
        "/dashboard.js" => (SCRIPT, include_str!("page/dashboard.js")),
        "/table.js" => (SCRIPT, include_str!("page/table.js")),
        "/plot.js" => (SCRIPT, include_str!("page/plot.js")),
        "/dashboard.css" => ("text/css; charset=utf-8", include_str!("page/dashboard.css")),
        "/favicon.svg" | "/favicon.ico" => ("image/svg+xml", include_str!("page/favicon.svg")),
        _ => return None,
    };
    Some(under_policy(text_of(StatusCode::OK, kind, Bytes::from_static(text.as_bytes()))))
}

/// The page for a browser without a pass, which says how to get one.
pub(super) fn locked() -> Response<Body> {
    let text = Bytes::from_static(include_str!("page/locked.html").as_bytes());
    under_policy(text_of(StatusCode::UNAUTHORIZED, HTML, text))
}

fn under_policy(mut response: Response<Body>) -> Response<Body> {
    let policy = HeaderValue::from_static(POLICY);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    response
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
/// The policy: nothing from elsewhere, nothing inline, and no text that becomes markup.
const POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
