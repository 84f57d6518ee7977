//! Options of sockets that Linux has and other systems do not.

pub(crate) use system::{
    acknowledge_now, bind_device, is_listener, set_unacknowledged, set_unsent,
};

#[cfg(target_os = "linux")]
mod system {
    use std::io;
    use std::os::fd::AsFd;
    use std::time::Duration;

    use socket2::SockRef;

    /// Keeps a connection to an interface. `ssh` only takes an address of it, and the system may still send
    /// elsewhere.
    pub(crate) fn bind_device(socket: &impl AsFd, name: &str) -> io::Result<()> {
        SockRef::from(socket).bind_device(Some(name.as_bytes()))
    }

    /// Whether a socket that was handed over listens. Elsewhere that shows when it is to accept.
    pub(crate) fn is_listener(socket: &impl AsFd) -> io::Result<bool> {
        SockRef::from(socket).is_listener()
    }

    /// Ends the connection to a peer that has acknowledged nothing for so long. Elsewhere only keep-alive
    /// messages notice it.
    pub(crate) fn set_unacknowledged(socket: &impl AsFd, longest: Duration) -> io::Result<()> {
        SockRef::from(socket).set_tcp_user_timeout(Some(longest))
    }

    /// Has the kernel acknowledge at once what has been read. It is advice: failing to give it is no fault.
    pub(crate) fn acknowledge_now(socket: &impl AsFd) {
        let _ = SockRef::from(socket).set_tcp_quickack(true);
    }

    /// How many bytes a socket may hold that are not sent. It is a bound on a delay: without it everything
    /// works.
    pub(crate) fn set_unsent(socket: &impl AsFd, most: u32) {
        let _ = SockRef::from(socket).set_tcp_notsent_lowat(most);
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::time::Duration;

    pub(crate) fn bind_device<S>(_: &S, _: &str) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "not on this system; use BindAddress"))
    }

    #[allow(clippy::unnecessary_wraps, reason = "as on Linux")]
    pub(crate) fn is_listener<S>(_: &S) -> io::Result<bool> {
        Ok(true)
    }

    #[allow(clippy::unnecessary_wraps, reason = "as on Linux")]
    pub(crate) fn set_unacknowledged<S>(_: &S, _: Duration) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn acknowledge_now<S>(_: &S) {}

    pub(crate) fn set_unsent<S>(_: &S, _: u32) {}
}
