//! Options of listening sockets.

use crate::forward::SocketFiles;
use crate::openssh::AddressFamily;

/// The settings of `ssh_config` for all listeners on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// The files of unix sockets.
    pub files: SocketFiles,
    /// The addresses of a TCP port (`AddressFamily`).
    pub family: AddressFamily,
}
