//! The one gate for exposure: who can reach a listener, and whether they may find there what they
//! would find. Whatever lets others in is judged here, and nowhere else.

use std::net::IpAddr;

use super::listen_address::Bind;
use super::{ListenAddress, RemoteBind, RemoteForward, RemoteListen, RemoteTo};

/// Who can reach a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The users of the machine that listens, or fewer: the file of a unix socket is its user's. (An
    /// sshd with `GatewayPorts yes` makes its loopback everybody's, and tells nobody so.)
    Machine,
    /// Other machines, or it is not certain that they cannot.
    Others,
}

/// What those who reach a listener find there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// The one target that the user has named, for whom its bind address (or `-g`, `GatewayPorts`) is
    /// the word that lets others in, as in ssh.
    Target,
    /// Whatever they ask for: a proxy, and all that it says of itself.
    Anything,
}

/// What the user has put before a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// A password.
    Password,
    /// The word that strangers are welcome (`--allow-remote`, `allow_remote = true`).
    Welcome,
    /// Nothing.
    None,
}

/// Other machines could use a listener without a password, and nobody has said that they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenToAll;

/// Judges a listener.
///
/// # Errors
///
/// It must not be opened as it is.
pub fn admit(reach: Reach, offer: Offer, guard: Guard) -> Result<(), OpenToAll> {
    match (reach, offer, guard) {
        (Reach::Others, Offer::Anything, Guard::None) => Err(OpenToAll),
        (Reach::Machine, _, _)
        | (_, Offer::Target, _)
        | (_, _, Guard::Password | Guard::Welcome) => Ok(()),
    }
}

impl Reach {
    /// Who can reach a listener on this machine.
    pub fn of(address: &ListenAddress) -> Self {
        match address {
            ListenAddress::Unix(_) | ListenAddress::Tcp { bind: Bind::Loopback, .. } => {
                Self::Machine
            }
            ListenAddress::Tcp { bind: Bind::All, .. } => Self::Others,
            ListenAddress::Tcp { bind: Bind::Address(ip), .. } => Self::of_ip(*ip),
        }
    }

    /// Who can reach a listener on a server, as far as it listens where it was asked to. A text that
    /// is no certain name of loopback may stand for anything there.
    pub fn of_remote(listen: &RemoteListen) -> Self {
        match listen {
            RemoteListen::Unix(_) | RemoteListen::Tcp { bind: RemoteBind::Unsaid, .. } => {
                Self::Machine
            }
            RemoteListen::Tcp { bind: RemoteBind::As(text), .. } => match text.parse::<IpAddr>() {
                Ok(ip) => Self::of_ip(ip),
                Err(_) if text.eq_ignore_ascii_case("localhost") => Self::Machine,
                Err(_) => Self::Others,
            },
        }
    }

    fn of_ip(ip: IpAddr) -> Self {
        if ip.to_canonical().is_loopback() { Self::Machine } else { Self::Others }
    }
}

impl Offer {
    /// What the clients of a remote forward find.
    pub fn of_remote(forward: &RemoteForward) -> Self {
        match forward.to {
            RemoteTo::Fixed(_) => Self::Target,
            RemoteTo::Proxy => Self::Anything,
        }
    }
}

impl Guard {
    /// A password counts for more than the word.
    pub fn new<P>(password: Option<&P>, welcome: Welcome) -> Self {
        match (password, welcome) {
            (Some(_), _) => Self::Password,
            (None, Welcome::Said) => Self::Welcome,
            (None, Welcome::Unsaid) => Self::None,
        }
    }
}

/// Whether the user has said that strangers are welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Welcome {
    /// They are.
    Said,
    /// Nothing was said.
    Unsaid,
}

impl From<bool> for Welcome {
    fn from(said: bool) -> Self {
        if said { Self::Said } else { Self::Unsaid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_proxy_for_others_that_nothing_guards_is_refused() {
        for reach in [Reach::Machine, Reach::Others] {
            for offer in [Offer::Target, Offer::Anything] {
                for guard in [Guard::Password, Guard::Welcome, Guard::None] {
                    let open =
                        (reach, offer, guard) == (Reach::Others, Offer::Anything, Guard::None);
                    assert_eq!(admit(reach, offer, guard).is_err(), open);
                }
            }
        }
    }

    #[test]
    fn who_reaches_a_listener_here() {
        for text in ["1080", "localhost:1080", "127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "/s"] {
            assert_eq!(Reach::of(&text.parse().expect(text)), Reach::Machine, "{text}");
        }
        for text in [
            "*:1080",
            ":1080",
            "0.0.0.0:1",
            "[::]:1",
            "192.0.2.1:1",
            "[fd00::1]:1",
            "[::127.0.0.1]:1",
            "[64:ff9b::7f00:1]:1",
        ] {
            assert_eq!(Reach::of(&text.parse().expect(text)), Reach::Others, "{text}");
        }
    }

    #[test]
    fn who_reaches_a_listener_on_a_server() {
        let reach = |text: &str| {
            let forward: RemoteForward = text.parse().expect(text);
            (Reach::of_remote(&forward.listen), Offer::of_remote(&forward))
        };
        for text in [
            "0",
            "localhost:0",
            "127.0.0.1:0",
            "127.3.2.1:1",
            "[::1]:0",
            "[::ffff:127.0.0.1]:0",
            "/s",
        ] {
            assert_eq!(reach(text), (Reach::Machine, Offer::Anything), "{text}");
        }
        for text in [
            "*:0",
            ":0",
            "0.0.0.0:0",
            "[::]:0",
            "192.0.2.1:0",
            // Whatever these stand for there.
            "127.1:0",
            "0:0",
            "server.example:0",
            "localhost.example:0",
            "[::127.0.0.1]:0",
        ] {
            assert_eq!(reach(text), (Reach::Others, Offer::Anything), "{text}");
            assert_eq!(reach(&format!("{text}:h:80")), (Reach::Others, Offer::Target), "{text}");
        }
    }
}
