//! The program's state in one line.

use std::fmt;

use crate::pool::{Availability, PoolView};
use crate::printable::counted;

/// The state at one moment, as a service manager shows it: `2 of 3 servers up, 41 connections; backup: no
/// route to host`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    servers: usize,
    up: usize,
    connections: usize,
    /// The first server that is not up, and the reason; printable.
    trouble: Option<(String, String)>,
}

impl Summary {
    /// Summarizes these servers and this number of connections.
    pub(super) fn of<'a>(
        servers: impl IntoIterator<Item = (&'a str, PoolView)>,
        connections: usize,
    ) -> Self {
        let mut summary = Self { connections, ..Self::default() };
        for (name, view) in servers {
            summary.servers += 1;
            match view.availability {
                Availability::Ready => summary.up += 1,
                Availability::Pending | Availability::Down if summary.trouble.is_none() => {
                    summary.trouble = Some((name.to_owned(), view.reason));
                }
                Availability::Pending | Availability::Down => {}
            }
        }
        summary
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.servers, self.up) {
            (0, _) => f.write_str("no server")?,
            (1, 1) => f.write_str("the server is up")?,
            (1, _) => f.write_str("the server is not up")?,
            (all, up) => write!(f, "{up} of {all} servers up")?,
        }
        write!(f, ", {}", counted(self.connections, "connection"))?;
        match &self.trouble {
            Some((name, reason)) if reason.is_empty() => write!(f, "; {name}: connecting"),
            Some((name, reason)) => write!(f, "; {name}: {reason}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_a_sentence() {
        let trouble = Some(("backup".to_owned(), "no route to host".to_owned()));
        for (summary, told) in [
            (Summary::default(), "no server, 0 connections"),
            (
                Summary { servers: 1, up: 1, connections: 1, trouble: None },
                "the server is up, 1 connection",
            ),
            (
                Summary { servers: 3, up: 2, connections: 41, trouble: trouble.clone() },
                "2 of 3 servers up, 41 connections; backup: no route to host",
            ),
            (
                Summary {
                    servers: 1,
                    up: 0,
                    connections: 0,
                    trouble: Some(("a".into(), String::new())),
                },
                "the server is not up, 0 connections; a: connecting",
            ),
        ] {
            assert_eq!(summary.to_string(), told);
        }
    }
}
