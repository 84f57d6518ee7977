//! Detects clients that resolve names themselves: they ask a proxy for names, and for addresses as well. Such
//! names leak to the client's resolver.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use crate::destination::Host;
use crate::lock::lock;
use crate::request::{Protocol, Request};

/// The requests of one listener's clients.
#[derive(Debug, Default)]
pub(super) struct LookUps(Mutex<HashMap<Client, Asked>>);

/// The identity of a client: programs of one machine count as one, unless they authenticate as users.
type Client = (Option<IpAddr>, Option<Arc<str>>);

#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    for_names: bool,
    for_addresses: u64,
}

impl LookUps {
    pub(super) fn count(&self, request: &Request) {
        if request.protocol == Protocol::Forward {
            return;
        }
        let is_name = match request.target.host() {
            Some(Host::Name(_)) => true,
            Some(Host::Ip(ip)) if is_public(ip.to_canonical()) => false,
            Some(Host::Ip(_)) | None => return,
        };
        let client = (request.source.ip(), request.user.clone());
        let mut clients = lock(&self.0);
        if clients.len() >= MOST && !clients.contains_key(&client) {
            return;
        }
        let asked = clients.entry(client).or_default();
        if is_name {
            asked.for_names = true;
        } else {
            asked.for_addresses += 1;
        }
    }

    /// Requests for public addresses by clients that also ask for names.
    pub(super) fn suspicious(&self) -> u64 {
        let clients = lock(&self.0);
        let both = clients.values().filter(|asked| asked.for_names);
        both.map(|asked| asked.for_addresses).sum()
    }
}

/// Whether it is an address that people rarely type.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            !(ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified())
        }
        IpAddr::V6(ip) => {
            !(ip.is_loopback()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || ip.is_unspecified())
        }
    }
}

/// The maximum number of clients counted per listener; further ones are not counted.
const MOST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::Destination;
    use crate::request::Source;

    fn request(source: &str, user: Option<&str>, target: &str, protocol: Protocol) -> Request {
        let source = Source::Tcp(source.parse().expect(source));
        let target = Destination::parse(target, None).expect(target).into();
        Request { listener: "l".into(), protocol, source, user: user.map(Arc::from), target }
    }

    #[test]
    fn addresses_are_suspicious_from_a_client_that_also_uses_names() {
        let look_ups = LookUps::default();
        let count = |source, user, target| {
            look_ups.count(&request(source, user, target, Protocol::Socks5));
        };
        count("192.0.2.1:1", None, "1.1.1.1:443");
        count("192.0.2.1:2", None, "[2606:4700::1]:443");
        assert_eq!(look_ups.suspicious(), 0, "it may use only addresses");
        count("192.0.2.1:3", None, "db.example:5432");
        assert_eq!(look_ups.suspicious(), 2, "in either order");
        for written in ["127.0.0.1:80", "10.1.2.3:22", "192.168.0.1:80", "[fd00::1]:1"] {
            count("192.0.2.1:4", None, written);
        }
        count("192.0.2.2:1", None, "1.1.1.1:443");
        count("192.0.2.1:5", Some("ada"), "1.1.1.1:443");
        let forward = request("192.0.2.1:6", None, "1.1.1.1:443", Protocol::Forward);
        look_ups.count(&forward);
        assert_eq!(look_ups.suspicious(), 2, "typed addresses and other clients do not count");
        for n in 0..2 * MOST {
            let source = format!("192.0.{}.{}:1", 3 + n / 200, n % 200);
            look_ups.count(&request(&source, None, "db.example:1", Protocol::Socks5));
        }
        assert_eq!(lock(&look_ups.0).len(), MOST);
    }
}
