//! Finds running programs.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::Failure;
use super::args::Which;
use crate::control::location;

/// A running program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Instance {
    pub(super) name: String,
    pub(super) socket: PathBuf,
}

impl Instance {
    /// Those that a command is for: all that are running where none is named.
    ///
    /// # Errors
    ///
    /// The one that is named is not running.
    pub(super) fn all(which: Which) -> Result<Vec<Self>, Failure> {
        let directory = location::directory();
        let (name, socket) = match which {
            Which { socket: Some(socket), .. } => (socket.display().to_string(), socket),
            Which { name: Some(name), .. } => {
                let socket = location::socket(&directory, &name);
                // The names of a directory that may be another user's do not count.
                if socket.starts_with(&directory) && !location::names(&directory).contains(&name) {
                    return Err(Failure::NotRunning(format!("{name} is not running")));
                }
                (name, socket)
            }
            Which { name: None, socket: None } => {
                let names = location::names(&directory).into_iter();
                let found = names.map(|name| {
                    let socket = location::socket(&directory, &name);
                    Self { name, socket }
                });
                return Ok(found.filter(Self::answers).collect());
            }
        };
        let instance = Self { name, socket };
        if instance.answers() {
            Ok(vec![instance])
        } else {
            Err(Failure::NotRunning(format!("{} is not running", instance.name)))
        }
    }

    /// The only one that a command is for.
    ///
    /// # Errors
    ///
    /// There is none, or several.
    pub(super) fn one(which: Which) -> Result<Self, Failure> {
        let mut all = Self::all(which)?;
        match all.len() {
            0 => Err(Failure::NotRunning("no sockeye is running".to_owned())),
            1 => Ok(all.remove(0)),
            _ => {
                let names: Vec<_> = all.into_iter().map(|instance| instance.name).collect();
                Err(Failure::WhichOne(names.join(", ")))
            }
        }
    }

    /// Whether a program listens on its socket.
    fn answers(&self) -> bool {
        UnixStream::connect(&self.socket).is_ok()
    }
}
