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
    /// The instances that a command is for: the named one, or else all that are running.
    pub(super) fn all(which: Which) -> Result<Vec<Self>, Failure> {
        let (name, socket) = match which {
            Which { socket: Some(socket), .. } => (socket.display().to_string(), socket),
            Which { name: Some(name), .. } if name.contains('/') => {
                let socket = PathBuf::from(&name);
                (name, socket)
            }
            Which { name: Some(name), .. } => {
                let mut named = Self::found().into_iter().filter(|found| found.name == name);
                let found = named.find(Self::answers).map(|found| vec![found]);
                return found.ok_or_else(|| not_running(&name));
            }
            Which { name: None, socket: None } => {
                return Ok(Self::found().into_iter().filter(Self::answers).collect());
            }
        };
        let instance = Self { name, socket };
        if instance.answers() { Ok(vec![instance]) } else { Err(not_running(&instance.name)) }
    }

    /// The instances with a socket in the usual places, running or not. Where two share a name, the second is
    /// called by its path.
    fn found() -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for directory in location::directories() {
            for name in directory.names() {
                let socket = directory.socket(&name);
                let is_taken = all.iter().any(|other| other.name == name && other.answers());
                let name = if is_taken { socket.display().to_string() } else { name };
                all.push(Self { name, socket });
            }
        }
        all
    }

    /// The one instance that a command is for.
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

    /// Whether a program listens on the socket. A stopped program whose accept queue is full is not waited for.
    fn answers(&self) -> bool {
        let connect = || {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            socket.connect(&SockAddr::unix(&self.socket)?)
        };
        connect().map_or_else(|error| error.kind() == io::ErrorKind::WouldBlock, |()| true)
    }
}

fn not_running(name: &str) -> Failure {
    Failure::NotRunning(format!("{name} is not running"))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use crate::control::client::{Client, ClientError};

    use super::*;

    #[tokio::test]
    async fn a_program_that_accepts_nothing_counts_as_running() {
        let folder = tempfile::tempdir().expect("a folder");
        let instance = Instance { name: "stopped".into(), socket: folder.path().join("s") };
        assert!(!instance.answers(), "nothing listens");
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
        let address = SockAddr::unix(&instance.socket).expect("a path");
        listener.bind(&address).and_then(|()| listener.listen(0)).expect("bound");
        // A connection that arrives when the queue is full would wait for ever.
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
