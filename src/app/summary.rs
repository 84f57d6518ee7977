//! The program's state in one line.

use crate::pool::Availability;
use crate::printable::counted;

/// The state at one moment, as a service manager shows it: `2 of 3 servers up, 41 connections; backup: no
/// route to host`. Each server comes with its name and the reason why it is not up, both printable.
pub(super) fn summary<'a>(
    servers: impl IntoIterator<Item = (&'a str, Availability, String)>,
    connections: usize,
) -> String {
    let (mut all, mut up, mut trouble) = (0, 0, String::new());
    for (name, availability, reason) in servers {
        all += 1;
        if availability == Availability::Ready {
            up += 1;
        } else if trouble.is_empty() {
            let reason = if reason.is_empty() { "connecting" } else { &reason };
            trouble = format!("; {name}: {reason}");
        }
    }
    let servers = match (all, up) {
        (0, _) => "no server".to_owned(),
        (1, 1) => "the server is up".to_owned(),
        (1, _) => "the server is not up".to_owned(),
        _ => format!("{up} of {all} servers up"),
    };
    format!("{servers}, {}{trouble}", counted(connections, "connection"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Availability::{Down, Pending, Ready};

    #[test]
    fn a_summary_is_a_sentence() {
        for (servers, connections, told) in [
            (&[][..], 0, "no server, 0 connections"),
            (&[("a", Ready, "")], 1, "the server is up, 1 connection"),
            (
                &[("a", Ready, ""), ("backup", Down, "no route to host"), ("b", Ready, "")],
                41,
                "2 of 3 servers up, 41 connections; backup: no route to host",
            ),
            (&[("a", Pending, "")], 0, "the server is not up, 0 connections; a: connecting"),
            (
                &[("a", Pending, "refused"), ("b", Down, "gone")],
                0,
                "0 of 2 servers up, 0 connections; a: refused",
            ),
        ] {
            let servers = servers.iter().map(|(name, at, why)| (*name, *at, (*why).to_owned()));
            assert_eq!(summary(servers, connections), told);
        }
    }
}
