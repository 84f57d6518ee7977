//! `ssh -D`, for comparisons.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};

use super::login::HOST;
use super::{command, free_port, wait};

/// A running `ssh -D`. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct OpenSsh {
    child: Child,
    address: SocketAddr,
}

impl OpenSsh {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(ssh_config: &Path) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        Self::with(ssh_config, &["-D", &address.to_string()], address)
    }

    /// Like [`OpenSsh::start`], with another forward, which listens at `address`.
    pub(crate) fn with(ssh_config: &Path, arguments: &[&str], address: SocketAddr) -> Self {
        let child = command("ssh")
            .arg("-F")
            .arg(ssh_config)
            .args(["-N", "-o", "ExitOnForwardFailure=yes"])
            .args(arguments)
            .arg(HOST)
            .stdin(Stdio::null())
            .spawn()
            .expect("ssh");
        let ssh = Self { child, address };
        wait::until("ssh listens", || TcpStream::connect(address).is_ok());
        ssh
    }

    /// The address of its SOCKS port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for OpenSsh {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
