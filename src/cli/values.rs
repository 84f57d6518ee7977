//! Parsing of flag values. An invalid one adds a problem, and the rest are parsed all the same.

use std::fmt::Display;
use std::str::FromStr;

use crate::forward::exposure::{Guard, admit_remote};
use crate::forward::{ListenAddress, RemoteForward, service};
use crate::openssh::{AddressFamily, Setting, SshOptions, Switch};
use crate::target::Target;

use super::args::Args;
use super::problem::Problem;

/// Parses the ssh flags that describe the server.
pub(super) fn read_ssh_options(args: &mut Args, problems: &mut Vec<Problem>) -> SshOptions {
    let options = read_settings(args, problems);
    let jumps = match args.jumps.as_slice() {
        [] => None,
        [list] => read("-J", Some(list), problems),
        // ssh refuses these as well: their order would be a guess.
        [_, ..] => {
            problems.push(Problem::SeveralJumps);
            None
        }
    };
    let inet6 = args.inet6.then_some(AddressFamily::Inet6);
    let address_family = args.inet.then_some(AddressFamily::Inet).or(inet6);
    SshOptions {
        config_file: args.config_file.take(),
        options,
        address_family,
        jumps,
        bind_address: args.bind_address.pop(),
        bind_interface: args.bind_interface.pop(),
        compression: if args.compression { Switch::On } else { Switch::Off },
        ciphers: args.ciphers.pop(),
        macs: args.macs.pop(),
        stdio: Switch::Off,
    }
}

/// Parses the flags that set keywords, in command-line order. The first port and the first user win, as
/// in ssh, even if they come from the server's name; key files are tried in their order.
fn read_settings(args: &mut Args, problems: &mut Vec<Problem>) -> Vec<Setting> {
    let port = args.port.first().and_then(|text| read_port(text, problems));
    let users = std::mem::take(&mut args.login).into_iter().map(Setting::User);
    let tags = std::mem::take(&mut args.tag).into_iter().map(Setting::Tag);
    let identities = std::mem::take(&mut args.identity).into_iter().map(Setting::Identity);
    let options = std::mem::take(&mut args.option).into_iter().map(Setting::Option);
    let name = args.server.is_some().then_some(Setting::Name);
    let mut placed: Vec<_> = [
        ("port", port.map(Setting::Port).into_iter().collect()),
        ("login", users.collect()),
        ("tag", tags.collect()),
        ("identity", identities.collect()),
        ("option", options.collect()),
        ("server", name.into_iter().collect::<Vec<_>>()),
    ]
    .into_iter()
    .flat_map(|(id, settings)| args.places.with(id, settings))
    .collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, setting)| setting).collect()
}

/// Reads the value of an option, if it is given.
pub(super) fn read<T: FromStr<Err: Display>>(
    flag: &'static str,
    text: Option<&str>,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let text = text?;
    text.parse().map_err(|why| problems.push(Problem::value(flag, text, why))).ok()
}

/// Reads the values of an option that may be repeated.
pub(super) fn read_all<T: FromStr<Err: Display>>(
    flag: &'static str,
    texts: &[String],
    problems: &mut Vec<Problem>,
) -> Vec<T> {
    texts.iter().filter_map(|text| read(flag, Some(text), problems)).collect()
}

/// Reads the value of `-W`, which may be given once, and needs a standard input.
pub(super) fn read_stdio_forward(args: &Args, problems: &mut Vec<Problem>) -> Option<Target> {
    if args.stdio_forward.len() > 1 {
        problems.push(Problem::TwoStdioForwards);
    }
    let target = read("-W", args.stdio_forward.first().map(String::as_str), problems)?;
    if args.background {
        problems.push(Problem::StdioInBackground);
    }
    Some(target)
}

/// Problems of `-R` proxies that other machines could use without permission.
pub(super) fn open_remote_forwards(
    forwards: &[RemoteForward],
    guard: Guard,
) -> impl Iterator<Item = Problem> {
    let open = forwards.iter().filter(move |forward| admit_remote(forward, guard).is_err());
    open.map(|forward| Problem::OpenToAll { flag: 'R', text: forward.to_string() })
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
        let why = "neither a number from 1 to 65535 nor a service of /etc/services";
        problems.push(Problem::value("-p", text, why));
    }
    port
}
