//! The check of every listener's exposure: who can reach it, and whether that is allowed for what it offers. No
//! other place decides this.

use std::net::IpAddr;

use super::listen_address::Bind;
use super::{ListenAddress, RemoteBind, RemoteForward, RemoteListen, RemoteTo};

/// Who can reach a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The users of the listening machine, or fewer: the file of a unix socket belongs to its user. (An sshd
    /// with `GatewayPorts yes` exposes its loopback listeners to everybody and does not report it.)
    Machine,
    /// Other machines, at least possibly.
    Others,
}

/// What a listener offers to its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// One target that the user has configured. Its bind address (or `-g`, `GatewayPorts`) is the permission
    /// for others, as in ssh.
    Target,
    /// Any destination: a proxy with its own pages.
    Anything,
    /// Inspection and control: only for the users of this machine, however it is guarded, since its keys are
    /// sent unencrypted.
    Control,
}

/// How the user protects a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// A password.
    Password,
    /// Explicit permission for everybody (`--allow-remote`, `allow_remote = true`).
    Welcome,
    /// Not at all.
    None,
}

/// Other machines could use a listener without a password, and the user has not allowed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenToAll;

/// Checks a proxy on this machine.
pub fn admit_proxy(address: &ListenAddress, guard: Guard) -> Result<(), OpenToAll> {
    admit(Reach::of(address), Offer::Anything, guard)
}

/// Checks a listener on a server; without a target it is a proxy.
pub fn admit_remote(forward: &RemoteForward, guard: Guard) -> Result<(), OpenToAll> {
    let offer = match forward.to {
        RemoteTo::Fixed(_) => Offer::Target,
        RemoteTo::Proxy => Offer::Anything,
    };
    admit(Reach::of_remote(&forward.listen), offer, guard)
}

/// Checks a listener.
pub(super) fn admit(reach: Reach, offer: Offer, guard: Guard) -> Result<(), OpenToAll> {
    match (reach, offer, guard) {
        (Reach::Others, Offer::Anything, Guard::None) | (Reach::Others, Offer::Control, _) => {
            Err(OpenToAll)
        }
        (Reach::Machine, _, _)
        | (_, Offer::Target, _)
        | (_, Offer::Anything, Guard::Password | Guard::Welcome) => Ok(()),
    }
}

impl Reach {
    /// Who can reach a listener on this machine.
    pub fn of(address: &ListenAddress) -> Self {
        match address {
            ListenAddress::Unix(_) | ListenAddress::Tcp { bind: Bind::Loopback, .. } => {
                Self::Machine
            }
            // A name may have any address by the time it is bound.
            ListenAddress::Tcp { bind: Bind::All | Bind::Name(_), .. } => Self::Others,
            ListenAddress::Tcp { bind: Bind::Address(ip), .. } => Self::of_ip(*ip),
        }
    }

    /// Who can reach a listener on a server, provided it listens where requested. A text that is not certainly
    /// loopback may mean anything there.
    fn of_remote(listen: &RemoteListen) -> Self {
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

impl Guard {
    /// The guard with this password and permission; the password takes precedence.
    pub fn new<P>(password: Option<&P>, welcome: Welcome) -> Self {
        match (password, welcome) {
            (Some(_), _) => Self::Password,
            (None, Welcome::Said) => Self::Welcome,
            (None, Welcome::Unsaid) => Self::None,
        }
    }
}

/// Whether the user has allowed other machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Welcome {
    /// The user has allowed them.
    Said,
    /// The user has not allowed them.
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
    fn an_unguarded_proxy_for_others_is_refused_and_control_for_others_always() {
        for reach in [Reach::Machine, Reach::Others] {
            for offer in [Offer::Target, Offer::Anything, Offer::Control] {
                for guard in [Guard::Password, Guard::Welcome, Guard::None] {
                    let open = reach == Reach::Others
                        && (offer == Offer::Control
                            || (offer, guard) == (Offer::Anything, Guard::None));
                    assert_eq!(admit(reach, offer, guard).is_err(), open);
                }
            }
        }
    }

    #[test]
    fn reach_of_local_listeners() {
        for text in ["1080", "localhost:1080", "127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "/s"] {
            assert_eq!(Reach::of(&text.parse().expect(text)), Reach::Machine, "{text}");
        }
        for text in [
            "*:1080",
            ":1080",
            "0.0.0.0:1",
            "[::]:1",
            "192.0.2.1:1",
            "host.example:1",
            "[fd00::1]:1",
            "[::127.0.0.1]:1",
            "[64:ff9b::7f00:1]:1",
        ] {
            assert_eq!(Reach::of(&text.parse().expect(text)), Reach::Others, "{text}");
        }
    }

    #[test]
    fn reach_of_remote_listeners() {
        let is_open = |text: &str| {
            let forward: RemoteForward = text.parse().expect(text);
            assert!(admit_remote(&forward, Guard::Welcome).is_ok(), "{text}");
            admit_remote(&forward, Guard::None).is_err()
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
            assert!(!is_open(text), "{text}");
        }
        for text in [
            "*:0",
            ":0",
            "0.0.0.0:0",
            "[::]:0",
            "192.0.2.1:0",
            // Names whose meaning on the server is unknown.
            "127.1:0",
            "0:0",
            "server.example:0",
            "localhost.example:0",
            "[::127.0.0.1]:0",
        ] {
            assert!(is_open(text), "{text}");
            assert!(!is_open(&format!("{text}:h:80")), "{text}");
        }
    }
}
