//! Sockets bound by a service manager: systemd's socket activation (`sd_listen_fds(3)`).

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use listenfd::ListenFd;

use super::Listener;
use crate::forward::ListenAddress;
use crate::forward::exposure::Reach;
use crate::forward::listen_address::Bind;
use crate::lock::lock;
use crate::stream::options::is_listener;

/// Sockets that were bound for this process, until a listener takes them. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Inherited(Arc<Mutex<Vec<Handed>>>);

#[derive(Debug)]
struct Handed {
    /// Its `FileDescriptorName=`, if it has one.
    name: Option<String>,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, PathBuf),
}

/// A socket that a listener may not use, since other machines can reach it and the listener is not meant for them.
#[derive(Debug, thiserror::Error)]
#[error("the socket {0} of the service manager can be reached by other machines")]
struct TooExposed(SocketAddr);

impl Inherited {
    /// Takes over the sockets bound for this process, usually none. Must be called once, at the start.
    ///
    /// # Errors
    ///
    /// One of them is not a listening stream socket.
    pub fn from_environment() -> io::Result<Self> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':').map(|name| Some(name).filter(|name| !name.is_empty()));
        let mut descriptors = ListenFd::from_env();
        let mut handed = Vec::with_capacity(descriptors.len());
        for index in 0..descriptors.len() {
            let name = names.next().flatten().map(str::to_owned);
            handed.push(Handed { name, socket: socket(&mut descriptors, index)? });
        }
        Ok(Self(Arc::new(Mutex::new(handed))))
    }

    /// The sockets for a listener: those with its name, or with one of its addresses.
    ///
    /// # Errors
    ///
    /// One can be reached by other machines, unlike the listener's address; or it cannot be used.
    pub fn take(&self, name: Option<&str>, address: &ListenAddress) -> io::Result<Vec<Listener>> {
        let mut all = lock(&self.0);
        let is_wanted = |handed: &mut Handed| {
            name.is_some_and(|name| handed.name.as_deref() == Some(name))
                || handed.socket.is_at(address)
        };
        let wanted: Vec<_> = all.extract_if(.., is_wanted).collect();
        wanted.into_iter().map(|Handed { socket, .. }| socket.listener(address)).collect()
    }

    /// The names of the sockets that no listener took.
    pub fn left(&self) -> Vec<String> {
        let all = lock(&self.0);
        all.iter().map(|handed| handed.name.clone().unwrap_or(handed.socket.place())).collect()
    }
}

fn socket(descriptors: &mut ListenFd, index: usize) -> io::Result<Socket> {
    let socket = if let Ok(Some(listener)) = descriptors.take_tcp_listener(index) {
        let address = listener.local_addr()?;
        Socket::Tcp(listener, address)
    } else {
        let listener = descriptors.take_unix_listener(index)?;
        let listener = listener.ok_or(io::ErrorKind::NotFound)?;
        let path = listener.local_addr()?.as_pathname().map(Path::to_owned);
        Socket::Unix(listener, path.unwrap_or_default())
    };
    let listens = match &socket {
        Socket::Tcp(listener, _) => is_listener(listener)?,
        Socket::Unix(listener, _) => is_listener(listener)?,
    };
    let what = || io::Error::other(format!("{} does not listen", socket.place()));
    if listens { Ok(socket) } else { Err(what()) }
}

impl Socket {
    /// Whether the socket has one of the addresses that `address` stands for.
    fn is_at(&self, address: &ListenAddress) -> bool {
        match (self, address) {
            (Self::Tcp(_, at), ListenAddress::Tcp { bind, port }) => {
                at.port() == *port && bind.addresses().contains(&at.ip())
            }
            (Self::Unix(_, at), ListenAddress::Unix(path)) => at == path,
            (Self::Tcp(..), ListenAddress::Unix(_))
            | (Self::Unix(..), ListenAddress::Tcp { .. }) => false,
        }
    }

    fn place(&self) -> String {
        match self {
            Self::Tcp(_, at) => at.to_string(),
            Self::Unix(_, path) => path.display().to_string(),
        }
    }

    fn listener(self, address: &ListenAddress) -> io::Result<Listener> {
        match self {
            Self::Tcp(_, at) if is_more_exposed(at, address) => {
                Err(io::Error::new(io::ErrorKind::PermissionDenied, TooExposed(at)))
            }
            Self::Tcp(listener, _) => Listener::adopt_tcp(listener),
            Self::Unix(listener, path) => Listener::adopt_unix(listener, &path),
        }
    }
}

/// Whether other machines can reach `at`, although the listener was checked as unreachable for them.
fn is_more_exposed(at: SocketAddr, address: &ListenAddress) -> bool {
    let bound = ListenAddress::Tcp { bind: Bind::Address(at.ip()), port: at.port() };
    Reach::of(&bound) == Reach::Others && Reach::of(address) == Reach::Machine
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed(name: Option<&str>, bind: &str) -> (Inherited, SocketAddr) {
        let listener = TcpListener::bind(bind).expect("a free port");
        let at = listener.local_addr().expect("an address");
        let socket = Socket::Tcp(listener, at);
        let handed = Handed { name: name.map(str::to_owned), socket };
        (Inherited(Arc::new(Mutex::new(vec![handed]))), at)
    }

    fn address(text: &str) -> ListenAddress {
        text.parse().expect(text)
    }

    #[tokio::test]
    async fn a_listener_takes_sockets_with_its_name_or_address_once() {
        let (inherited, at) = handed(Some("main"), "127.0.0.1:0");
        assert!(inherited.take(Some("other"), &address("1")).expect("none").is_empty());
        assert_eq!(inherited.left(), ["main"]);
        let taken = inherited.take(Some("main"), &address("1")).expect("taken");
        assert_eq!(taken[0].local_address(), Some(at));
        assert!(inherited.take(Some("main"), &address("1")).expect("none").is_empty());

        let (inherited, at) = handed(None, "127.0.0.1:0");
        assert_eq!(inherited.left(), [at.to_string()]);
        let taken = inherited.take(None, &address(&at.port().to_string())).expect("taken");
        assert_eq!((taken.len(), inherited.left().len()), (1, 0));
    }

    #[tokio::test]
    async fn a_socket_reachable_by_others_is_no_loopback_listener() {
        let (inherited, _) = handed(Some("main"), "0.0.0.0:0");
        let refused = inherited.take(Some("main"), &address("1080")).expect_err("refused");
        assert!(refused.to_string().contains("other machines"), "{refused}");
        let (inherited, _) = handed(Some("main"), "0.0.0.0:0");
        assert_eq!(inherited.take(Some("main"), &address("*:1080")).expect("taken").len(), 1);
    }
}
