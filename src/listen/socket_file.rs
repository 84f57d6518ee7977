//! The file of a unix socket: private, replaced if stale, removed at the end.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

use crate::forward::{SocketFiles, Taken};

/// The file of a bound socket, removed on drop unless another one has replaced it.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// Binds and listens at `path`. By default, only the owner of the file may connect (mode 0600).
///
/// A socket file without a listener is replaced.
///
/// # Errors
///
/// `AddrInUse` if there is a listener, `AlreadyExists` if the file is not a socket.
pub(crate) fn listen(path: &Path, files: SocketFiles) -> io::Result<(UnixListener, SocketFile)> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            make_way(path, &address, files.taken)?;
            socket.bind(&address)?;
        }
        result => result?,
    }
    let file = SocketFile { path: path.to_path_buf(), identity: identity(&fs::metadata(path)?) };
    // Between bind and listen, every connect is refused, so that nobody can connect before the mode is set,
    // whatever the umask. Setting the umask would affect the whole process.
    fs::set_permissions(path, Permissions::from_mode(files.mode()))?;
    socket.listen(super::listener::BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = UnixListener::from_std(net::UnixListener::from(socket))?;
    Ok((listener, file))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|now| identity(&now) == self.identity) {
            // A file that cannot be removed is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes the socket file of a listener that is gone or is to be replaced.
fn make_way(path: &Path, address: &SockAddr, taken: Taken) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file is not a socket"));
    }
    if taken == Taken::Replaced {
        return fs::remove_file(path);
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A live listener with a full queue must not block.
    probe.set_nonblocking(true)?;
    match probe.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // The file disappeared meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "another program listens there")),
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn private_and_removed_at_the_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("proxy");
        let (listener, file) = listen(&path, SocketFiles::default()).expect("a free path");
        assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
        let error = listen(&path, SocketFiles::default()).expect_err("a live one");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop((listener, file));
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn mode_and_replacement_follow_the_options() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("proxy");
        let files = |mask, taken| SocketFiles { mask, taken };
        for (mask, mode) in [(0o111, 0o666), (0o117, 0o660), (0, 0o777), (0o777, 0)] {
            let _kept = listen(&path, files(mask, Taken::Kept)).expect("a free path");
            assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, mode, "{mask:o}");
        }
        let first = listen(&path, SocketFiles::default()).expect("a free path");
        let second = listen(&path, files(0o177, Taken::Replaced)).expect("it is replaced");
        drop(first);
        assert!(path.exists(), "the first does not remove the file of another");
        drop(second);
        fs::write(&path, "text").expect("written");
        listen(&path, files(0o177, Taken::Replaced)).expect_err("no socket");
    }

    #[tokio::test]
    async fn only_a_stale_socket_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("proxy");
        // It never listens: a child of another test may have it open for a moment.
        let stale = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
        stale.bind(&SockAddr::unix(&path).expect("a path")).expect("a free path");
        drop(stale);
        assert!(path.exists());
        let (_listener, file) = listen(&path, SocketFiles::default()).expect("a stale socket");

        // The file of a successor stays.
        fs::remove_file(&path).expect("ours");
        let successor = net::UnixListener::bind(&path).expect("free again");
        drop(file);
        assert!(path.exists());
        drop(successor);

        let plain = folder.path().join("plain");
        fs::write(&plain, "text").expect("written");
        let error = listen(&plain, SocketFiles::default()).expect_err("no socket");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&plain).expect("untouched"), "text");
    }
}
