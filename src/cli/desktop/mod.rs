//! Commands that point shells, browsers and the desktop at the proxy.

mod browser;
mod env;
mod settings;
mod system_proxy;
#[cfg(test)]
mod tests;

use crate::cli::configured::{self, ConfigFile, FileError};
use crate::cli::{operate, pac};
use crate::config;
use crate::destination::Destination;

pub(super) use browser::BrowserArgs;
pub(super) use browser::BrowserCommand;
pub(super) use env::EnvCommand;
pub(super) use system_proxy::SystemProxyCommand;

/// The flags that name the proxy.
#[derive(Clone, Debug, clap::Args)]
struct ProxyArgs {
    /// The proxy [default: the file's, the running one, 127.0.0.1:1080]
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    proxy: Option<Destination>,

    #[command(flatten)]
    file: ConfigFile,
}

impl ProxyArgs {
    /// Finds the address of the proxy for programs on this machine.
    async fn find(&self) -> Result<Destination, FileError> {
        if let Some(proxy) = &self.proxy {
            return Ok(proxy.clone());
        }
        let is_there = || config::default_path().is_some_and(|path| path.exists());
        if self.file.named.is_none() && !is_there() {
            let usual = pac::default_proxy().ok_or(FileError::NoProxy)?;
            return match operate::running_proxies().await.as_slice() {
                [] => Ok(usual),
                [only] => Ok(only.clone()),
                several if several.contains(&usual) => Ok(usual),
                several => Err(FileError::WhichProxy(configured::list(several))),
            };
        }
        let config = self.file.load().await?;
        pac::proxies(&config).into_iter().next().ok_or(FileError::NoProxy)
    }
}

fn address(text: &str) -> Result<Destination, String> {
    Destination::parse(text, None).map_err(|_| "write it as 127.0.0.1:1080".to_owned())
}
