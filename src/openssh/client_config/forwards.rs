//! The forwards that a host's configuration sets, as printed by `ssh -G` or written with `-o`.

use super::local::Local;
use super::settings::{self, Settings};
use super::tokens::Tokens;
use super::{ClientConfig, ConfigError, Switch};
use crate::destination::is_number;
use crate::forward::{
    InvalidForward, LocalForward, LocalListen, PermitOpen, RemoteForward, RemoteListen, RemoteTo,
    SocketFiles, Taken,
};
use crate::printable::{Lines, printable};
use crate::target::Target;

/// The forwards of a host's configuration, in order, with the related settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfiguredForwards {
    /// `LocalForward`.
    pub local: Vec<LocalForward>,
    /// `RemoteForward`.
    pub remote: Vec<RemoteForward>,
    /// `DynamicForward`.
    pub dynamic: Vec<LocalListen>,
    /// Whether other machines may use a local port without a bind address (`GatewayPorts`).
    pub gateway_ports: Switch,
    /// Whether a forward that fails at start ends the program (`ExitOnForwardFailure`).
    pub exit_on_forward_failure: Switch,
    /// Whether all forwards are left out, including those of the command line (`ClearAllForwardings`).
    pub clear_all: Switch,
    /// How socket files are created (`StreamLocalBindMask`, `StreamLocalBindUnlink`).
    pub sockets: SocketFiles,
    /// The destinations on this side that a proxy on the server permits (`PermitRemoteOpen`).
    pub permit_remote_open: PermitOpen,
}

/// The author of the lines.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wording<'a> {
    /// `ssh -G`: hosts in brackets, paths as they are.
    Printed,
    /// The user, as in `ssh_config(5)`: the two halves of a `-L` argument, with tokens in paths.
    Written(Tokens<'a>),
}

/// Reads the forwards. `ssh -G` has already applied `ClearAllForwardings`.
pub(super) fn read(
    settings: &Settings,
    wording: Wording<'_>,
) -> Result<ConfiguredForwards, ConfigError> {
    let mut forwards = ConfiguredForwards {
        gateway_ports: settings.switch("gatewayports", Switch::Off),
        exit_on_forward_failure: settings.switch("exitonforwardfailure", Switch::Off),
        clear_all: settings.switch("clearallforwardings", Switch::Off),
        sockets: socket_files(settings)?,
        permit_remote_open: permitted(settings)?,
        ..ConfiguredForwards::default()
    };
    if forwards.clear_all.is_on() {
        return Ok(forwards);
    }
    let mut to_sockets = Vec::new();
    for line in settings.all("localforward") {
        let forward = local(line, wording).map_err(|why| invalid("LocalForward", line, &why))?;
        if let Target::Socket(_) = forward.to {
            to_sockets.push(forward.listen.clone());
        }
        forwards.local.push(forward);
    }
    for line in settings.all("remoteforward") {
        let forward = remote(line, wording).map_err(|why| invalid("RemoteForward", line, &why))?;
        forwards.remote.push(forward);
    }
    for line in settings.all("dynamicforward") {
        let listen = listen(line, wording).map_err(|why| invalid("DynamicForward", line, &why))?;
        // `ssh -G` prints a local forward to a socket twice; this is the second line.
        match to_sockets.iter().position(|twice| *twice == listen) {
            Some(index) if matches!(wording, Wording::Printed) => {
                to_sockets.swap_remove(index);
            }
            _ => forwards.dynamic.push(listen),
        }
    }
    Ok(forwards)
}

impl ClientConfig {
    /// Expands the tokens and variables in the socket paths of a `-L`, as `ssh` does for its flags.
    ///
    /// # Errors
    ///
    /// A token or variable is unknown.
    pub fn expand_local(&self, forward: LocalForward) -> Result<LocalForward, ConfigError> {
        let shown = forward.to_string();
        let local = Local::from_environment();
        let expanded = forward.expanded(&|path| self.tokens(&local).text(path, ""));
        expanded.map_err(|why| invalid_flag("-L", &shown, &why))
    }

    /// Expands the tokens and variables in the socket paths of a `-R`.
    ///
    /// # Errors
    ///
    /// A token or variable is unknown.
    pub fn expand_remote(&self, forward: RemoteForward) -> Result<RemoteForward, ConfigError> {
        let shown = forward.to_string();
        let local = Local::from_environment();
        let expanded = forward.expanded(&|path| self.tokens(&local).text(path, ""));
        expanded.map_err(|why| invalid_flag("-R", &shown, &why))
    }
}

fn socket_files(settings: &Settings) -> Result<SocketFiles, ConfigError> {
    let mask = settings.first("streamlocalbindmask").unwrap_or("0177");
    let unlink = settings.switch("streamlocalbindunlink", Switch::Off);
    Ok(SocketFiles {
        mask: u32::from_str_radix(mask, 8)
            .ok()
            .filter(|mask| *mask <= 0o777)
            .ok_or_else(|| settings::invalid("StreamLocalBindMask", mask))?,
        taken: if unlink.is_on() { Taken::Replaced } else { Taken::Kept },
    })
}

/// Reads what a proxy on the server permits. An invalid value is an error, and permits nothing.
fn permitted(settings: &Settings) -> Result<PermitOpen, ConfigError> {
    let Some(text) = settings.first("permitremoteopen") else { return Ok(PermitOpen::Any) };
    text.parse().map_err(|_| settings::invalid("PermitRemoteOpen", text))
}

fn local(line: &str, wording: Wording<'_>) -> Result<LocalForward, InvalidForward> {
    if let Wording::Written(tokens) = wording {
        return joined(line).parse::<LocalForward>()?.expanded(&|path| tokens.text(path, ""));
    }
    let (near, far) = halves(line).ok_or(InvalidForward::LocalForm)?;
    Ok(LocalForward { listen: listen(near, wording)?, to: target(far)? })
}

fn remote(line: &str, wording: Wording<'_>) -> Result<RemoteForward, InvalidForward> {
    if let Wording::Written(tokens) = wording {
        return joined(line).parse::<RemoteForward>()?.expanded(&|path| tokens.text(path, ""));
    }
    let (far, near) = halves(line).unwrap_or((line, PROXY));
    let listen = if is_address(far) { far.parse()? } else { RemoteListen::Unix(far.into()) };
    let to = match near {
        PROXY => RemoteTo::Proxy,
        _ => RemoteTo::Fixed(target(near)?),
    };
    Ok(RemoteForward { listen, to })
}

fn listen(line: &str, wording: Wording<'_>) -> Result<LocalListen, InvalidForward> {
    match wording {
        Wording::Written(tokens) => {
            line.parse::<LocalListen>()?.with_path(&|path| tokens.text(path, ""))
        }
        Wording::Printed if is_address(line) => line.parse(),
        Wording::Printed => Ok(LocalListen::Unix(line.into())),
    }
}

fn target(text: &str) -> Result<Target, InvalidForward> {
    if is_address(text) { text.parse() } else { Ok(Target::Socket(text.into())) }
}

/// Splits a line into the listen address and the target. Only a path may contain spaces, so the end
/// of one is ambiguous: the split is before an address, or else before a slash.
fn halves(line: &str) -> Option<(&str, &str)> {
    let (first, rest) = line.split_once(' ')?;
    if is_address(first) {
        return Some((first, rest));
    }
    let address = line.rfind(" [").filter(|at| is_address(&line[at + 1..]));
    let at = address.or_else(|| line.find(" /")).or_else(|| line.rfind(' '))?;
    Some((&line[..at], &line[at + 1..]))
}

/// Whether the text is a port, or an address in brackets and a port.
fn is_address(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|rest| rest.rsplit_once("]:"));
    is_number(inner.map_or(text, |(_, port)| port))
}

/// Joins the two words of `ssh_config(5)` into an argument of `-L` or `-R`.
fn joined(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(":")
}

fn invalid(keyword: &'static str, line: &str, why: &InvalidForward) -> ConfigError {
    ConfigError::Forward {
        keyword,
        value: printable(line, 200, Lines::One),
        why: printable(&why.to_string(), 200, Lines::One),
    }
}

fn invalid_flag(flag: &'static str, value: &str, why: &InvalidForward) -> ConfigError {
    ConfigError::Flag {
        flag,
        value: printable(value, 200, Lines::One),
        why: printable(&why.to_string(), 200, Lines::One),
    }
}

/// The target that `ssh -G` prints for a remote forward without one.
const PROXY: &str = "[socks]:0";

#[cfg(test)]
mod tests;
