//! How the sockets of listeners are made.

use crate::forward::SocketFiles;
use crate::openssh::AddressFamily;

/// What `ssh_config` says of all listeners on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// The files of unix sockets.
    pub files: SocketFiles,
    /// The addresses of a TCP port (`AddressFamily`).
    pub family: AddressFamily,
}
