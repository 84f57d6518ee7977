//! This program's own listeners, which no request may be connected to from here.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::destination::leads_to;
use crate::lock::lock;

/// The addresses on which this program listens. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct OwnAddresses(Arc<Mutex<Vec<Arc<Own>>>>);

/// A registered address, which is removed on drop.
#[derive(Debug)]
#[must_use = "the address is forgotten when this is dropped"]
pub struct Registered {
    own: Arc<Own>,
    own_addresses: OwnAddresses,
}

/// The bound address of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoundAddress {
    /// The address of a TCP socket, with its actual port.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

/// The kind of listener, which decides which requests may be connected to it; the strictest is last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A proxy or a forward. A request to a proxy would loop; a forward may target one, as in ssh.
    Listener,
    /// The control socket or the dashboard, to which no request is connected.
    Control,
}

#[derive(Debug)]
struct Own {
    address: BoundAddress,
    kind: Kind,
}

impl OwnAddresses {
    /// Registers an address.
    pub fn register(&self, address: BoundAddress, kind: Kind) -> Registered {
        let own = Arc::new(Own { address, kind });
        lock(&self.0).push(Arc::clone(&own));
        Registered { own, own_addresses: self.clone() }
    }

    /// What a connection from here to this address would reach.
    pub fn at(&self, address: SocketAddr) -> Option<Kind> {
        self.strictest(|own| matches!(own, BoundAddress::Tcp(bound) if is_at(*bound, address)))
    }

    /// What a connection to this path would reach.
    pub fn at_path(&self, path: &Path) -> Option<Kind> {
        self.strictest(|own| matches!(own, BoundAddress::Unix(bound) if is_same_file(bound, path)))
    }

    fn strictest(&self, is_reached: impl Fn(&BoundAddress) -> bool) -> Option<Kind> {
        let owns = lock(&self.0);
        owns.iter().filter(|own| is_reached(&own.address)).map(|own| own.kind).max()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock(&self.own_addresses.0).retain(|own| !Arc::ptr_eq(own, &self.own));
    }
}

/// Whether a connection to `address` reaches a socket bound to `bound`.
fn is_at(bound: SocketAddr, address: SocketAddr) -> bool {
    bound.port() == address.port()
        && leads_to(address.ip()).any(|ip| {
            let bound = bound.ip().to_canonical();
            if bound.is_unspecified() {
                // A socket can be bound to this machine's addresses only.
                bound.is_ipv4() == ip.is_ipv4() && UdpSocket::bind((ip, 0)).is_ok()
            } else {
                bound == ip
            }
        })
}

/// Whether both paths lead to the same socket, following links.
fn is_same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let file = |path: &Path| path.metadata().map(|file| (file.dev(), file.ino())).ok();
    a == b || file(a).is_some_and(|a| Some(a) == file(b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect(text)
    }

    #[test]
    fn every_address_of_an_own_listener_is_recognized() {
        let own_addresses = OwnAddresses::default();
        let _v4 =
            own_addresses.register(BoundAddress::Tcp(address("127.0.0.1:1080")), Kind::Listener);
        let _v6 = own_addresses.register(BoundAddress::Tcp(address("[::1]:1080")), Kind::Listener);
        for text in [
            "127.0.0.1:1080",
            "[::1]:1080",
            "0.0.0.0:1080",
            "[::]:1080",
            "[::ffff:127.0.0.1]:1080",
            "[::127.0.0.1]:1080",
            "[64:ff9b::7f00:1]:1080",
            "[2002:7f00:1::]:1080",
        ] {
            assert_eq!(own_addresses.at(address(text)), Some(Kind::Listener), "{text}");
        }
        for text in ["127.0.0.1:1081", "127.0.0.2:1080", "192.0.2.1:1080", "[fd00::2]:1080"] {
            assert_eq!(own_addresses.at(address(text)), None, "{text}");
        }
    }

    #[test]
    fn a_listener_on_every_interface_is_at_every_address_of_this_machine() {
        let own_addresses = OwnAddresses::default();
        let _all =
            own_addresses.register(BoundAddress::Tcp(address("0.0.0.0:1080")), Kind::Listener);
        for text in ["127.0.0.1:1080", "127.77.0.1:1080", "0.0.0.0:1080"] {
            assert_eq!(own_addresses.at(address(text)), Some(Kind::Listener), "{text}");
        }
        assert_eq!(own_addresses.at(address("192.0.2.1:1080")), None, "of another machine");
    }

    #[test]
    fn a_dropped_address_is_removed_and_control_takes_precedence() {
        let own_addresses = OwnAddresses::default();
        let bound = || BoundAddress::Tcp(address("127.0.0.1:9"));
        let listener = own_addresses.register(bound(), Kind::Listener);
        let control = own_addresses.register(bound(), Kind::Control);
        let at = || own_addresses.at(address("0.0.0.0:9"));
        assert_eq!(at(), Some(Kind::Control));
        drop(control);
        assert_eq!(at(), Some(Kind::Listener));
        drop(listener);
        assert_eq!(at(), None);
    }

    #[test]
    fn a_socket_is_recognized_by_any_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, link) = (folder.path().join("s"), folder.path().join("l"));
        let _socket = std::os::unix::net::UnixListener::bind(&path).expect("a free path");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        let own_addresses = OwnAddresses::default();
        let _control = own_addresses.register(BoundAddress::Unix(path.clone()), Kind::Control);
        for path in [&path, &link, &folder.path().join(".").join("s")] {
            assert_eq!(own_addresses.at_path(path), Some(Kind::Control), "{}", path.display());
        }
        assert_eq!(own_addresses.at_path(&folder.path().join("other")), None);
    }

    proptest! {
        /// The kernel is the oracle: an address that connects to a listener must be recognized.
        #[test]
        fn every_address_that_reaches_a_listener_is_recognized(host in prop_oneof![
            Just("0.0.0.0".to_owned()), Just("[::]".to_owned()), Just("[::1]".to_owned()),
            "127\\.[0-9]\\.[0-9]\\.[1-9]", "0\\.0\\.0\\.[0-3]", "\\[::ffff:127\\.0\\.0\\.[1-3]\\]",
            "\\[::127\\.0\\.0\\.[1-3]\\]", "\\[64:ff9b::7f00:[1-3]\\]",
        ], all in any::<bool>()) {
            use std::net::{TcpListener, TcpStream};
            let listener = TcpListener::bind(if all { "0.0.0.0:0" } else { "127.0.0.1:0" });
            let bound = listener.as_ref().expect("a port").local_addr().expect("bound");
            let own_addresses = OwnAddresses::default();
            let _ours = own_addresses.register(BoundAddress::Tcp(bound), Kind::Listener);
            let there = address(&format!("{host}:{}", bound.port()));
            let wait = std::time::Duration::from_millis(300);
            if let Ok(stream) = TcpStream::connect_timeout(&there, wait)
                && stream.peer_addr().is_ok()
            {
                prop_assert!(own_addresses.at(there).is_some(), "{} reaches {}", there, bound);
            }
        }
    }
}
