//! Access control of the control socket: the user and root only, and no browser on anyone's behalf.

use hyper::header::{HOST, HeaderMap, HeaderName, ORIGIN, REFERER};
use hyper::{StatusCode, Version};
use rustix::process::geteuid;
use tokio::net::UnixStream;

use super::reply::Failure;

/// Whether the peer is the user or root.
pub(super) fn is_ours(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| is_user_or_root(peer.uid()))
}

/// Whether this user id is the user's own or root's.
pub(crate) fn is_user_or_root(user: u32) -> bool {
    may_speak(user, geteuid().as_raw())
}

/// Whether the server at the other end may be trusted with a request, so that no other user's socket
/// can take its place.
pub(super) fn may_be_asked(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| may_answer(peer.uid(), geteuid().as_raw()))
}

/// Whether a client of user `own` may ask a program of user `peer`: root may ask all, and all may ask root.
pub(super) fn may_answer(peer: u32, own: u32) -> bool {
    may_speak(peer, own) || own == 0
}

fn may_speak(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

/// Rejects requests from browsers. A browser cannot reach a unix socket by itself, but it can through
/// a proxy.
pub(super) fn check(version: Version, headers: &HeaderMap) -> Result<(), Failure> {
    let refused = |why| Err(Failure::new(StatusCode::FORBIDDEN, why));
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next(), version) {
        (Some(host), None, _) if HOSTS.iter().any(|known| host.as_bytes() == known.as_bytes()) => {}
        (None, _, Version::HTTP_10) => {}
        _ => {
            return Err(Failure::new(
                StatusCode::MISDIRECTED_REQUEST,
                "the host is to be localhost",
            ));
        }
    }
    if headers.contains_key(ORIGIN) || headers.contains_key(REFERER) {
        return refused("a page has no business here");
    }
    match headers.get(SEC_FETCH_SITE) {
        None => Ok(()),
        Some(site) if site == "none" || site == "same-origin" => Ok(()),
        Some(_) => refused("another site has no business here"),
    }
}

/// The host names that requests may use.
const HOSTS: [&str; 2] = ["localhost", "sockeye"];
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

#[cfg(test)]
mod tests {
    use super::*;

    fn told(fields: &[(&'static str, &'static str)]) -> Result<(), Failure> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().expect("a value"));
        }
        check(Version::HTTP_11, &headers)
    }

    #[test]
    fn only_the_user_and_root_are_admitted() {
        assert!(may_speak(1000, 1000) && may_speak(0, 1000));
        assert!(!may_speak(1001, 1000) && !may_speak(1000, 0));
        assert!(may_answer(1000, 1000) && may_answer(0, 1000) && may_answer(1000, 0));
        assert!(!may_answer(1001, 1000));
    }

    #[test]
    fn only_the_known_host_names_are_accepted() {
        told(&[("host", "localhost")]).expect("curl --unix-socket");
        for host in ["evil.example", "localhost.", "localhost:80", "LOCALHOST", "127.0.0.1", ""] {
            assert!(told(&[("host", host)]).is_err(), "{host}");
        }
        assert!(told(&[]).is_err());
        assert!(told(&[("host", "localhost"), ("host", "localhost")]).is_err());
    }

    #[test]
    fn requests_of_web_pages_are_rejected() {
        for field in [
            ("origin", "http://localhost"),
            ("origin", "null"),
            ("referer", "http://localhost/"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(told(&[("host", "localhost"), field]).is_err(), "{field:?}");
        }
        told(&[("host", "localhost"), ("sec-fetch-site", "none")]).expect("a user's own doing");
    }
}
