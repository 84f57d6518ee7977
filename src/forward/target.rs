//! A target as ssh writes it: `host:port`, or the path of a unix socket.

use std::fmt;
use std::str::FromStr;

use super::fields::{self, Expand, Field};
use super::{InvalidForward, service};
use crate::destination::Destination;
use crate::target::Target;

/// A target as a field of a specification, where a colon in a path is escaped.
pub(super) struct AsField<'a>(pub(super) &'a Target);

pub(super) fn read(fields: &[Field]) -> Result<Target, InvalidForward> {
    match fields {
        [Field::Path(path)] => socket(path),
        [Field::Word(name), Field::Word(port)] => host(name, port),
        _ => Err(InvalidForward::TargetForm),
    }
}

fn host(host: &str, port: &str) -> Result<Target, InvalidForward> {
    let destination = match service::named_port(port) {
        Some(port) => host.parse().and_then(|host| Destination::new(host, port)),
        None => Destination::from_parts(host, port),
    };
    destination.map(Target::Host).map_err(InvalidForward::Target)
}

fn socket(path: &str) -> Result<Target, InvalidForward> {
    Ok(Target::Socket(fields::checked_path(path)?.into()))
}

pub(super) fn expanded(target: Target, expand: Expand<'_>) -> Result<Target, InvalidForward> {
    match target {
        Target::Socket(path) => socket(&fields::expanded(&path, expand)?),
        host @ Target::Host(_) => Ok(host),
    }
}

impl FromStr for Target {
    type Err = InvalidForward;

    /// Reads `host:port`, an IPv6 address in brackets, or a path with a slash, as ssh would.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(&fields::split(text)?)
    }
}

impl fmt::Display for AsField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Target::Host(destination) => destination.fmt(f),
            Target::Socket(path) => f.write_str(&fields::path(path)),
        }
    }
}
