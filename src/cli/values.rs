//! Parsing of flag values. A wrong one adds a problem, and the others are parsed nevertheless.

use std::path::Path;
use std::str::FromStr;

use crate::config::DashboardConfig;
use crate::control::AccessLog;
use crate::control::location::Location;
use crate::forward::exposure::{self, Guard, Offer, Reach};
use crate::forward::{DashboardAddress, ListenAddress, RemoteForward, service};
use crate::openssh::{AddressFamily, SshOptions, Switch};
use crate::secret::Secret;
use crate::target::Target;

use super::args::Args;
use super::problem::Problem;

/// Parses the flags about the server, as ssh has them.
pub(super) fn read_ssh_options(args: &mut Args, problems: &mut Vec<Problem>) -> SshOptions {
    let port = args.port.first().and_then(|text| read_port(text, problems));
    let jumps = match args.jumps.as_slice() {
        [] => None,
        [list] => read(Some(list), Problem::jumps, problems),
        // As in ssh: their order would be a guess.
        [_, ..] => {
            problems.push(Problem::SeveralJumps);
            None
        }
    };
    let address_family = match (args.inet, args.inet6) {
        (false, false) => None,
        (true, false) => Some(AddressFamily::Inet),
        (false, true) => Some(AddressFamily::Inet6),
        (true, true) => {
            problems.push(Problem::BothFamilies);
            None
        }
    };
    SshOptions {
        config_file: args.config_file.take(),
        options: std::mem::take(&mut args.option),
        port,
        // The first of them counts, as in ssh.
        user: std::mem::take(&mut args.login).into_iter().next(),
        identities: std::mem::take(&mut args.identity),
        address_family,
        jumps,
        bind_address: args.bind_address.pop(),
        bind_interface: args.bind_interface.pop(),
        compression: if args.compression { Switch::On } else { Switch::Off },
        ciphers: args.ciphers.pop(),
        macs: args.macs.pop(),
        // The first of them counts, as in ssh.
        tag: std::mem::take(&mut args.tag).into_iter().next(),
        stdio: Switch::Off,
    }
}

/// Reads the value of an option, where there is one.
pub(super) fn read<T: FromStr>(
    text: Option<&str>,
    problem: impl FnOnce(&str, &T::Err) -> Problem,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let text = text?;
    text.parse().map_err(|why| problems.push(problem(text, &why))).ok()
}

/// Reads the values of an option that may be repeated.
pub(super) fn read_all<T: FromStr>(
    texts: &[String],
    problem: impl Fn(&str, &T::Err) -> Problem,
    problems: &mut Vec<Problem>,
) -> Vec<T> {
    texts.iter().filter_map(|text| read(Some(text), &problem, problems)).collect()
}

/// Reads the value of `-W`, which may stand once, and needs a standard input.
pub(super) fn read_stdio_forward(args: &Args, problems: &mut Vec<Problem>) -> Option<Target> {
    if args.stdio_forward.len() > 1 {
        problems.push(Problem::TwoStdioForwards);
    }
    let target =
        read(args.stdio_forward.first().map(String::as_str), Problem::stdio_forward, problems)?;
    if args.background {
        problems.push(Problem::StdioInBackground);
    }
    Some(target)
}

/// Problems of `-D` listeners that other machines could use without permission.
pub(super) fn open_listeners(
    listeners: &[ListenAddress],
    guard: Guard,
) -> impl Iterator<Item = Problem> {
    let is_open = move |listener: &&ListenAddress| {
        exposure::admit(Reach::of(listener), Offer::Anything, guard).is_err()
    };
    let open = listeners.iter().filter(is_open);
    open.map(|listener| Problem::OpenToAll { flag: 'D', text: listener.to_string() })
}

/// Problems of `-R` proxies that other machines could use without permission.
pub(super) fn open_remote_forwards(
    forwards: &[RemoteForward],
    guard: Guard,
) -> impl Iterator<Item = Problem> {
    let is_open = move |forward: &&RemoteForward| {
        exposure::admit(Reach::of_remote(&forward.listen), Offer::of_remote(forward), guard)
            .is_err()
    };
    let open = forwards.iter().filter(is_open);
    open.map(|forward| Problem::OpenToAll { flag: 'R', text: forward.to_string() })
}

/// The access log, in the format of the log.
pub(super) fn access_log(args: &Args) -> Option<AccessLog> {
    let file = args.access_log.clone()?;
    Some(AccessLog { file, format: args.log.validate().format })
}

/// The dashboard, if one is asked for.
pub(super) fn dashboard(args: &Args, problems: &mut Vec<Problem>) -> Option<DashboardConfig> {
    let token = args.dashboard_token.as_deref().and_then(|file| {
        let wrong =
            |why| Problem::dashboard("--dashboard-token", &file.display().to_string(), &why);
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
    let wrong = |text: &str, why: &_| Problem::dashboard("--dashboard", text, why);
    let address = read::<DashboardAddress>(named, wrong, problems).unwrap_or_default();
    Some(DashboardConfig { address, files: args.dashboard_files.clone(), token })
}

/// The location of the control socket: that of `--control`, or else under `name`, if there is one.
pub(super) fn location(control: Option<&Path>, name: Option<String>) -> Location {
    match (control, name) {
        (Some(path), _) if path.as_os_str() == "none" => Location::None,
        (Some(path), _) => Location::At(path.to_owned()),
        (None, Some(name)) => Location::Named(name),
        (None, None) => Location::None,
    }
}

/// The default listener: the SOCKS port (IANA) on loopback.
pub(super) fn default_listener(family: AddressFamily) -> ListenAddress {
    let address = match family {
        AddressFamily::Any | AddressFamily::Inet => "127.0.0.1:1080",
        AddressFamily::Inet6 => "[::1]:1080",
    };
    address.parse().expect("the default is an address")
}

/// Reads the value of `-p`, 1 to 65535 or the name of a service.
fn read_port(text: &str, problems: &mut Vec<Problem>) -> Option<u16> {
    let port = service::port(text).filter(|port| *port != 0);
    if port.is_none() {
        problems.push(Problem::Port(text.to_owned()));
    }
    port
}
