//! `sockeye pac`: the rules as a proxy auto-configuration file.

use anyhow::ensure;
use clap::Parser;

use crate::config::Config;
use crate::destination::Destination;
use crate::forward::ListenAddress;
use crate::openssh::AddressFamily;
use crate::route::{self, Localhost};

use super::configured::{self, ConfigFile, FileError};
use super::values::default_listener;

#[derive(Clone, Debug, Parser)]
#[command(about = "Prints the rules as a proxy auto-configuration (PAC) file for browsers.")]
pub struct PacCommand {
    #[command(flatten)]
    pub(super) file: ConfigFile,
}

impl PacCommand {
    pub(super) async fn run(&self) -> anyhow::Result<()> {
        let config = self.file.load().await?;
        let proxies = proxies(&config);
        ensure!(!proxies.is_empty(), FileError::NoProxy);
        configured::say(&route::pac(&config.router, &proxies, Localhost::ByRules));
        Ok(())
    }
}

/// The addresses at which a browser on this machine reaches the listeners, in order.
pub(super) fn proxies(config: &Config) -> Vec<Destination> {
    if config.listeners.is_empty() && config.forwards.is_empty() {
        return default_proxy().into_iter().collect();
    }
    config.listeners.iter().filter_map(|listener| reach(&listener.address)).collect()
}

/// The address of the default listener.
pub(super) fn default_proxy() -> Option<Destination> {
    reach(&default_listener(AddressFamily::Any))
}

/// The address at which a browser reaches a listener; `None` if the system chooses the port at each
/// start, and for a unix socket, which browsers cannot use.
fn reach(address: &ListenAddress) -> Option<Destination> {
    let ListenAddress::Tcp { bind, port } = address else { return None };
    Destination::new(bind.reached_at(), *port).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_on_this_machine_reaches_a_listener() {
        for (address, reached) in [
            ("1080", Some("127.0.0.1:1080")),
            ("*:1080", Some("127.0.0.1:1080")),
            ("[::]:1080", Some("[::1]:1080")),
            ("[::1]:1080", Some("[::1]:1080")),
            ("192.0.2.1:1080", Some("192.0.2.1:1080")),
            ("host.example:1080", Some("host.example:1080")),
            ("0", None),
            ("/s", None),
        ] {
            let found = reach(&address.parse().expect(address)).map(|found| found.to_string());
            assert_eq!(found.as_deref(), reached, "{address}");
        }
    }
}
