//! Who is to blame for a failed request, and its code in each protocol, in one table.

use super::DialError;
use crate::ssh::Refusal;

/// Who is to blame for a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Blame {
    /// The tunnel: there is no session to the SSH server, or the session does not answer.
    Tunnel,
    /// The SSH server, which forbids the request or lacks resources for it.
    Server,
    /// The target, as far as is known.
    Target,
    /// The client, which requested something that is not allowed.
    Client,
    /// This machine, or its network.
    Machine,
}

/// The codes of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FailureCodes {
    pub(crate) blame: Blame,
    /// REP of RFC 1928 section 6. (SOCKS4 has one code for everything.)
    pub(crate) socks5: u8,
    /// A status code of RFC 9110 section 15.
    pub(crate) http: u16,
    /// An error type of RFC 9209 section 2.3.
    pub(crate) proxy_status: &'static str,
    /// A reason of RFC 4254 section 5.1, for a client of the server (`-R`).
    pub(crate) ssh: Refusal,
}

impl DialError {
    /// Who is to blame.
    pub fn blame(&self) -> Blame {
        self.codes().blame
    }

    /// The codes of the failure.
    pub(crate) fn codes(&self) -> FailureCodes {
        use Blame::{Client, Machine, Server, Target, Tunnel};
        use Refusal::{ConnectFailed as Failed, Prohibited};
        let (blame, socks5, http, proxy_status, ssh) = match self {
            // "X'05' Connection refused"
            Self::ConnectionRefused => (Target, 5, 502, "connection_refused", Failed),
            // "X'04' Host unreachable"; RFC 1928 has no code of its own for names.
            Self::NameNotFound => (Target, 4, 502, "dns_error", Failed),
            Self::LookUpFailed => (Machine, 4, 502, "dns_error", Failed),
            Self::NoRouteToHost => (Target, 4, 502, "destination_ip_unroutable", Failed),
            // "X'03' Network unreachable"
            Self::NetworkUnreachable => (Target, 3, 502, "destination_ip_unroutable", Failed),
            // "X'06' TTL expired", the code in use for time-outs.
            Self::TimedOut => (Target, 6, 504, "connection_timeout", Failed),
            // "X'01' general SOCKS server failure"
            Self::Unreachable => (Target, 1, 502, "destination_unavailable", Failed),
            Self::NoSession { .. } | Self::NoAnswer { .. } => {
                (Tunnel, 1, 503, "destination_unavailable", Failed)
            }
            Self::Exhausted => (Machine, 1, 503, "proxy_internal_error", Failed),
            Self::Killed => (Machine, 1, 502, "connection_terminated", Failed),
            // "X'02' connection not allowed by ruleset"
            Self::Prohibited { .. } => (Server, 2, 403, "destination_ip_prohibited", Prohibited),
            Self::ServerFull { .. } => (Server, 1, 503, "connection_limit_reached", Failed),
            Self::Rejected { .. } => (Client, 2, 403, "http_request_denied", Prohibited),
            Self::Loop => (Client, 2, 502, "proxy_loop_detected", Prohibited),
        };
        FailureCodes { blame, socks5, http, proxy_status, ssh }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dial::MissingSession;

    /// One error of each kind.
    fn all() -> Vec<DialError> {
        let server = || "box".into();
        let missing = MissingSession { server: server(), reason: String::new() };
        let all = vec![
            DialError::ConnectionRefused,
            DialError::NameNotFound,
            DialError::LookUpFailed,
            DialError::NoRouteToHost,
            DialError::NetworkUnreachable,
            DialError::TimedOut,
            DialError::Unreachable,
            DialError::NoSession { servers: vec![missing] },
            DialError::NoAnswer { server: server() },
            DialError::Exhausted,
            DialError::Prohibited { server: server() },
            DialError::ServerFull { server: server() },
            DialError::Rejected { rule: None },
            DialError::Loop,
            DialError::Killed,
        ];
        assert_eq!(all.len(), 15, "as many as the table has rows");
        all
    }

    #[test]
    fn the_codes_of_all_protocols_agree_on_the_blame() {
        for error in all() {
            let FailureCodes { blame, socks5, http, proxy_status, ssh } = error.codes();
            assert_eq!(blame, error.blame());
            match blame {
                // A failure of a target must not look like one of the tunnel, nor the reverse.
                Blame::Tunnel => assert_eq!((socks5, http), (1, 503), "{error}"),
                Blame::Target => {
                    assert!(matches!(socks5, 1 | 3..=6), "{error}");
                    assert!(matches!(http, 502 | 504), "{error}");
                }
                Blame::Server => assert!(matches!((socks5, http), (2, 403) | (1, 503)), "{error}"),
                Blame::Client => assert_eq!(socks5, 2, "{error}"),
                Blame::Machine => assert!(matches!(socks5, 1 | 4), "{error}"),
            }
            assert_eq!(socks5 == 2, ssh == Refusal::Prohibited, "{error}");
            assert!(!proxy_status.is_empty());
            // Each text names the party to blame, or the rule.
            let text = error.to_string();
            let named = match blame {
                Blame::Tunnel | Blame::Server => "SSH server",
                Blame::Target => return_word(&error),
                Blame::Client => "destination",
                Blame::Machine => "here",
            };
            assert!(text.contains(named) || text.contains("this machine"), "{text}");
        }
    }

    /// The table in the guide agrees.
    #[test]
    fn the_guide_has_the_same_codes() {
        let page = include_str!("../guide/failures.md");
        for error in all() {
            let FailureCodes { socks5, http, .. } = error.codes();
            let text = error.to_string().replace("box", "S");
            let row = page.lines().find(|line| line.starts_with(&format!("| {text}")));
            let row = row.unwrap_or_else(|| panic!("src/guide/failures.md has no row for: {text}"));
            let codes = format!("| {socks5:02X} | 5B | {http} |");
            assert!(row.contains(&codes), "{codes} is not in {row}");
        }
    }

    fn return_word(error: &DialError) -> &'static str {
        match error {
            DialError::NameNotFound => "name",
            DialError::NoRouteToHost => "host",
            DialError::NetworkUnreachable => "network",
            _ => "target",
        }
    }
}
