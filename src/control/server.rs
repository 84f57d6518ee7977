//! The server of the control socket.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::debug;

use super::location::{self, DirectoryError, Location};
use super::program::Program;
use super::{guard, reply};
use crate::dial::{BoundAddress, Kind, OwnAddresses, Registered};
use crate::forward::SocketFiles;
use crate::listen::{SocketFile, listen_at};

/// A bound control socket. Its file is removed with it.
#[derive(Debug)]
pub(crate) struct ControlServer {
    /// Dropped before the listener, so that the file is removed first.
    _file: SocketFile,
    listener: UnixListener,
    /// Registered, so that no request through the proxy is led to it.
    _ours: Registered,
    name: String,
    pub(crate) path: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error("{}: {cause}", .path.display())]
    Socket { path: PathBuf, cause: io::Error },
}

impl ControlServer {
    /// Binds the socket; `None` if none is configured. A name that is taken gets a number.
    pub(crate) fn bind(
        location: &Location,
        own: &OwnAddresses,
    ) -> Result<Option<Self>, ControlError> {
        match location {
            Location::None => Ok(None),
            Location::At(path) => {
                let stem = path.file_stem().unwrap_or(path.as_os_str());
                Self::bind_at(path, &stem.to_string_lossy(), own).map(Some)
            }
            Location::Named(name) => {
                let directory = location::directory();
                location::prepare(&directory)?;
                let name = location::fitting(&directory, name);
                let mut number = 1;
                loop {
                    let name =
                        if number == 1 { name.to_owned() } else { format!("{name}-{number}") };
                    match Self::bind_at(&location::socket(&directory, &name), &name, own) {
                        Err(ControlError::Socket { cause, .. })
                            if cause.kind() == io::ErrorKind::AddrInUse && number < MOST =>
                        {
                            number += 1;
                        }
                        bound => return bound.map(Some),
                    }
                }
            }
        }
    }

    fn bind_at(path: &Path, name: &str, own: &OwnAddresses) -> Result<Self, ControlError> {
        let failed = |cause| ControlError::Socket { path: path.to_owned(), cause };
        let (listener, file) = listen_at(path, SocketFiles::default()).map_err(failed)?;
        let ours = own.register(BoundAddress::Unix(path.to_owned()), Kind::Control);
        let (name, path) = (name.to_owned(), path.to_owned());
        Ok(Self { _file: file, listener, _ours: ours, name, path })
    }

    /// Serves the program until it has ended. Answers in progress are finished.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends all connections.
    pub(crate) async fn run(self, program: Program) {
        program.set_name(&self.name);
        let room = Arc::new(Semaphore::new(MOST_CLIENTS));
        let mut clients = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = clients.join_next() => continue,
                () = program.ended().cancelled() => break,
            };
            let Ok((stream, _)) = accepted else {
                // The process is short of some resource.
                sleep(PAUSE).await;
                continue;
            };
            if !guard::is_ours(&stream) {
                debug!("another user connected to the control socket");
                continue;
            }
            let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
            let program = program.clone();
            clients.spawn(async move {
                serve(stream, program).await;
                drop(permit);
            });
        }
        // Nobody finds the socket any more.
        drop(self);
        while clients.join_next().await.is_some() {}
    }
}

async fn serve(stream: UnixStream, program: Program) {
    let service = service_fn(|request| {
        let program = &program;
        async move {
            let (version, headers) = (request.version(), request.headers());
            let response = match guard::check(version, headers) {
                Ok(()) => program.answer(request).await,
                Err(failure) => failure.into_response(),
            };
            Ok::<_, Infallible>(response)
        }
    });
    let ended = program.ended().cancelled();
    if let Err(error) = reply::serve(stream, BUFFER, service, ended).await {
        debug!(%error, "a client of the control socket");
    }
}

/// The most programs with the same name.
const MOST: u32 = 100;
/// The most concurrent clients.
const MOST_CLIENTS: usize = 64;
/// The most bytes of a request's head.
const BUFFER: usize = 16 * 1024;
/// The pause after a failed accept.
const PAUSE: Duration = Duration::from_millis(100);
