//! Finds running programs.

use std::io;
use std::path::PathBuf;

use socket2::{Domain, SockAddr, Socket, Type};

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

    /// Whether a program listens on its socket. One that is stopped, so that its queue is full, is not waited for.
    fn answers(&self) -> bool {
        let connect = || {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            socket.connect(&SockAddr::unix(&self.socket)?)
        };
        connect().map_or_else(|error| error.kind() == io::ErrorKind::WouldBlock, |()| true)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use crate::control::client::{Client, ClientError};

    use super::*;

    #[tokio::test]
    async fn a_program_that_accepts_nobody_runs_and_is_silent() {
        let folder = tempfile::tempdir().expect("a folder");
        let instance = Instance { name: "stopped".into(), socket: folder.path().join("s") };
        assert!(!instance.answers(), "nothing is there");
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
        let address = SockAddr::unix(&instance.socket).expect("a path");
        listener.bind(&address).and_then(|()| listener.listen(0)).expect("bound");
        // Whoever comes when the queue is full would wait for ever.
        let (tell, answers) = mpsc::channel();
        let asked = instance.clone();
        thread::spawn(move || (0..4).try_for_each(|_| tell.send(asked.answers())));
        for _ in 0..4 {
            assert_eq!(answers.recv_timeout(Duration::from_secs(60)), Ok(true));
        }
        let told = Client::new(&instance.socket).get::<()>("/").await;
        assert!(matches!(told, Err(ClientError::Silent { .. })), "{told:?}");
    }
}
