//! Ports as numbers or service names, as accepted by ssh.

use std::fs;

use crate::destination::is_number;

/// The port given as a number from 0 to 65535, or as the name of a TCP service in `/etc/services`.
pub(crate) fn port(text: &str) -> Option<u16> {
    if is_number(text) { text.parse().ok() } else { named_port(text) }
}

/// The port of a TCP service in `/etc/services`.
pub(crate) fn named_port(name: &str) -> Option<u16> {
    // Most ports are numbers, for which the file need not be read.
    if name.is_empty() || is_number(name) {
        return None;
    }
    named(name, &fs::read_to_string(SERVICES).ok()?)
}

/// Finds a service in the lines of services(5): name, `port/tcp`, aliases.
fn named(name: &str, services: &str) -> Option<u16> {
    services.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let (first, place) = (words.next()?, words.next()?);
        let port = place.strip_suffix("/tcp")?;
        std::iter::once(first).chain(words).any(|word| word == name).then(|| port.parse().ok())?
    })
}

const SERVICES: &str = "/etc/services";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names() {
        assert_eq!(port("65535"), Some(65535));
        for text in ["", "65536", "+1", "-1", "no such service"] {
            assert_eq!(port(text), None, "{text:?}");
        }
        let file = "# a comment\ndomain 53/udp\nhttp\t80/tcp\twww # web\nssh 22/tcp\n";
        assert_eq!(named("http", file), Some(80));
        assert_eq!(named("www", file), Some(80));
        assert_eq!(named("ssh", file), Some(22));
        assert_eq!(named("domain", file), None, "not over TCP");
        assert_eq!(named("web", file), None);
    }
}
