//! The options that a proxy takes from the command line, whether it names a host or runs a file.

use std::path::{Path, PathBuf};

use super::args::Args;
use super::problem::Problem;
use super::values::{read, read_all};
use crate::config::DashboardConfig;
use crate::control::AccessLog;
use crate::control::location::Location;
use crate::forward::exposure::{Guard, admit_proxy};
use crate::forward::listen_address::Bind;
use crate::forward::{DashboardAddress, ListenAddress, LocalListen};
use crate::observe::logs::LogOptions;
use crate::relay::BacklogLimits;
use crate::secret::Secret;

/// The options that a proxy takes from the command line, whether it names a host or runs a file.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Where to listen (`-D`), in order and in addition to the file.
    pub listeners: Vec<ListenAddress>,
    /// The file with the `user:password` lines of their clients (`--proxy-auth`).
    pub proxy_auth: Option<PathBuf>,
    /// Limits on data buffered for slow clients (`--backlog`); they override those of the file.
    pub backlog: Option<BacklogLimits>,
    /// The control socket (`--control`).
    pub control: Location,
    /// The access log (`--access-log`).
    pub access_log: Option<AccessLog>,
    /// The dashboard (`--dashboard`); it overrides that of the file.
    pub dashboard: Option<DashboardConfig>,
    /// How much to log, and in what format.
    pub log: LogOptions,
    /// The log file, in place of standard error (`-E`).
    pub log_file: Option<PathBuf>,
    /// Where to run once the proxy is up (`-f`).
    pub run_in: RunIn,
}

/// Where the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunIn {
    /// In the foreground.
    Foreground,
    /// In the background, once the first session is up (ssh's `-f`).
    Background,
}

impl RunOptions {
    /// Reads the options. The control socket is named `name` by default; without a name there is none.
    pub(super) fn read(args: &Args, name: Option<String>, problems: &mut Vec<Problem>) -> Self {
        let bare = if args.gateway_ports { Bind::All } else { Bind::Loopback };
        let listens: Vec<LocalListen> = read_all("-D", &args.listen, problems);
        let listeners: Vec<_> = listens.iter().map(|listen| listen.address(&bare)).collect();
        problems.extend(open_listeners(&listeners, args.guard()));
        Self {
            listeners,
            proxy_auth: args.proxy_auth.clone(),
            backlog: read("--backlog", args.backlog.as_deref(), problems),
            control: location(args.control.as_deref(), name),
            access_log: access_log(args),
            dashboard: dashboard(args, problems),
            log: args.log.validate(),
            log_file: args.log_file.clone(),
            run_in: if args.background { RunIn::Background } else { RunIn::Foreground },
        }
    }
}

/// Problems of `-D` listeners that other machines could use without permission.
fn open_listeners(listeners: &[ListenAddress], guard: Guard) -> impl Iterator<Item = Problem> {
    let open = listeners.iter().filter(move |listener| admit_proxy(listener, guard).is_err());
    open.map(|listener| Problem::OpenToAll { flag: 'D', text: listener.to_string() })
}

/// The access log, in the format of the log.
fn access_log(args: &Args) -> Option<AccessLog> {
    let file = args.access_log.clone()?;
    Some(AccessLog { file, format: args.log.validate().format })
}

/// The dashboard, if one is asked for.
fn dashboard(args: &Args, problems: &mut Vec<Problem>) -> Option<DashboardConfig> {
    let token = args.dashboard_token.as_deref().and_then(|file| {
        let wrong = |why| Problem::value("--dashboard-token", &file.display().to_string(), why);
        Secret::read(file).map_err(|why| problems.push(wrong(why))).ok()
    });
    let Some(address) = &args.dashboard else {
        let others = [
            ("--dashboard-files", args.dashboard_files.is_some()),
            ("--dashboard-token", args.dashboard_token.is_some()),
        ];
        let written = others.into_iter().filter(|(_, written)| *written);
        problems.extend(written.map(|(flag, _)| Problem::NoDashboard(flag)));
        return None;
    };
    let named = Some(address.as_str()).filter(|address| !address.is_empty());
    let address: Option<DashboardAddress> = read("--dashboard", named, problems);
    let address = address.unwrap_or_default();
    Some(DashboardConfig { address, files: args.dashboard_files.clone(), token })
}

/// The location of the control socket: that of `--control`, or else the default for `name`, if there is one.
fn location(control: Option<&Path>, name: Option<String>) -> Location {
    match (control, name) {
        (Some(path), _) if path.as_os_str() == "none" => Location::None,
        (Some(path), _) => Location::At(path.to_owned()),
        (None, Some(name)) => Location::Named(name),
        (None, None) => Location::None,
    }
}
