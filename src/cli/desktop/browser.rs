//! `sockeye browser`: a browser with a separate profile that uses the proxy for everything.

use std::ffi::OsString;
use std::fs;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::{CommandFactory as _, Parser};
use strum::{EnumString, IntoStaticStr};

use super::ProxyArgs;
use crate::cli::configured::{quoted, shown};
use crate::destination::Destination;
use crate::file;
use crate::printable::word;

/// The validated arguments of `sockeye browser`.
#[derive(Clone, Debug)]
pub struct BrowserCommand {
    proxy: ProxyArgs,
    kind: Option<Kind>,
    url: Option<String>,
}

/// How a browser is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(super) enum Kind {
    /// Through its command line.
    #[strum(serialize = "chromium", serialize = "chrome")]
    Chromium,
    /// Through its profile.
    Firefox,
}

#[derive(Debug, Parser)]
#[command(
    about = "Starts a browser with a separate profile that uses the proxy for everything.",
    override_usage = "sockeye browser [options] [chromium|firefox] [URL]",
    after_help = "It ends when the browser does. Other windows and profiles are not affected."
)]
pub(in crate::cli) struct BrowserArgs {
    /// chromium (or chrome), or firefox; and a page to open
    #[arg(value_name = "BROWSER|URL", num_args = 0..=2)]
    words: Vec<String>,

    #[command(flatten)]
    proxy: ProxyArgs,
}

impl BrowserCommand {
    pub(in crate::cli) fn validate(args: BrowserArgs) -> Result<Self, clap::Error> {
        let mut words = args.words.into_iter().peekable();
        let kind: Option<Kind> = words.peek().and_then(|word| word.parse().ok());
        if kind.is_some() {
            words.next();
        }
        let url = words.next();
        // A browser would take such a word for an option of its own.
        let odd = url.clone().filter(|url| url.starts_with('-')).or(words.next());
        if let Some(word) = odd {
            let what = format!("{} is neither a browser nor a URL\n", quoted(&word));
            return Err(BrowserArgs::command().error(clap::error::ErrorKind::InvalidValue, what));
        }
        Ok(Self { proxy: args.proxy, kind, url })
    }

    /// Starts the browser and waits until it ends.
    pub(in crate::cli) async fn run(&self) -> anyhow::Result<()> {
        let proxy = self.proxy.find().await?;
        let (program, kind) = self.program()?;
        ensure!(listens(&proxy), "nothing listens on {proxy}; start `sockeye` first");
        let profile = profile(kind)?;
        let cannot_write = || format!("cannot write the profile {}", shown(&profile));
        fs::create_dir_all(&profile).with_context(cannot_write)?;
        if kind == Kind::Firefox {
            fs::write(profile.join("user.js"), preferences(&proxy)).with_context(cannot_write)?;
        }
        let mut command = tokio::process::Command::new(program);
        command.args(arguments(kind, &profile, &proxy)).args(&self.url);
        let cannot_start = || format!("cannot start {program}");
        command.spawn().with_context(cannot_start)?.wait().await.with_context(cannot_start)?;
        Ok(())
    }

    /// The first installed program of the wanted kind, or of any kind.
    fn program(&self) -> anyhow::Result<(&'static str, Kind)> {
        let wanted = || PROGRAMS.iter().filter(|(_, kind)| self.kind.is_none_or(|k| k == *kind));
        if let Some(found) = wanted().find(|(program, _)| file::on_path(program)) {
            return Ok(*found);
        }
        let names: Vec<_> = wanted().map(|(name, _)| *name).collect();
        bail!("no such browser on the PATH: {}", names.join(", "))
    }
}

/// The arguments, except for the page to open.
pub(super) fn arguments(kind: Kind, profile: &Path, proxy: &Destination) -> Vec<OsString> {
    let with_profile = |flag: &str| {
        let mut word = OsString::from(flag);
        word.push(profile);
        word
    };
    match kind {
        Kind::Firefox => vec!["--no-remote".into(), "--profile".into(), with_profile("")],
        Kind::Chromium => {
            let host = proxy.host();
            vec![
                with_profile("--user-data-dir="),
                format!("--proxy-server=socks5://{proxy}").into(),
                // Loopback names go to the proxy too.
                "--proxy-bypass-list=<-loopback>".into(),
                // These keep the browser from prefetching DNS on this machine, and WebRTC from bypassing the proxy.
                format!("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {host}").into(),
                "--force-webrtc-ip-handling-policy=disable_non_proxied_udp".into(),
                "--no-first-run".into(),
                "--no-default-browser-check".into(),
            ]
        }
    }
}

pub(super) fn preferences(proxy: &Destination) -> String {
    let host = proxy.host().to_string();
    let host = host.trim_matches(['[', ']']);
    let port = proxy.port();
    format!(
        "// Written by `sockeye browser` at each start.\n\
         user_pref(\"network.proxy.type\", 1);\n\
         user_pref(\"network.proxy.socks\", \"{host}\");\n\
         user_pref(\"network.proxy.socks_port\", {port});\n\
         user_pref(\"network.proxy.socks_version\", 5);\n\
         user_pref(\"network.proxy.socks_remote_dns\", true);\n\
         user_pref(\"network.proxy.no_proxies_on\", \"\");\n\
         user_pref(\"network.proxy.allow_hijacking_localhost\", true);\n\
         user_pref(\"network.proxy.failover_direct\", false);\n\
         user_pref(\"network.trr.mode\", 5);\n\
         user_pref(\"network.dns.disablePrefetch\", true);\n\
         user_pref(\"network.http.http3.enable\", false);\n\
         user_pref(\"media.peerconnection.ice.proxy_only\", true);\n"
    )
}

fn profile(kind: Kind) -> anyhow::Result<PathBuf> {
    let data = file::xdg_directory("XDG_DATA_HOME", ".local/share");
    Ok(data.context("no home directory for a profile")?.join(word(kind)))
}

fn listens(proxy: &Destination) -> bool {
    let addresses = proxy.to_string().to_socket_addrs();
    addresses.is_ok_and(|mut all| all.any(|at| TcpStream::connect_timeout(&at, PATIENCE).is_ok()))
}

/// The time limit for connecting to a local proxy.
const PATIENCE: Duration = Duration::from_secs(2);
/// The programs, in order of preference.
const PROGRAMS: [(&str, Kind); 11] = [
    ("chromium", Kind::Chromium),
    ("chromium-browser", Kind::Chromium),
    ("google-chrome", Kind::Chromium),
    ("google-chrome-stable", Kind::Chromium),
    ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", Kind::Chromium),
    ("brave-browser", Kind::Chromium),
    ("microsoft-edge", Kind::Chromium),
    ("vivaldi", Kind::Chromium),
    ("firefox", Kind::Firefox),
    ("firefox-esr", Kind::Firefox),
    ("/Applications/Firefox.app/Contents/MacOS/firefox", Kind::Firefox),
];
