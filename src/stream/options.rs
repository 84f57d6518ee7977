//! Socket options that Linux has and other systems lack.

pub(crate) use system::{
    LIMITS_AHEAD, acknowledge_now, bind_device, delivery, is_listener, segment, set_ahead,
    set_unacknowledged, set_unsent,
};

use std::time::Duration;

/// The kernel's view of the sending side of a connection (`TCP_INFO`). It covers segments and their
/// acknowledgements, without the peer's thinking time or its delay of small messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    /// The smoothed round trip (RFC 6298).
    pub(crate) round_trip: Duration,
    /// The shortest round trip of the last minutes.
    pub(crate) least: Duration,
    /// The bytes written to the socket that have not arrived yet, as far as is known.
    pub(crate) outstanding: u64,
    /// The part of these bytes that has not been sent yet.
    pub(crate) unsent: u64,
}

#[cfg(target_os = "linux")]
mod system {
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::{AsFd, AsRawFd as _};
    use std::time::Duration;

    use libc::{
        IPPROTO_TCP, TCP_INFO, TCP_WINDOW_CLAMP, c_int, getsockopt, setsockopt, socklen_t, tcp_info,
    };
    use socket2::SockRef;

    use super::Delivery;

    /// Whether [`set_ahead`] has an effect.
    pub(crate) const LIMITS_AHEAD: bool = true;

    /// Binds a connection to an interface. `ssh` only binds to an address of the interface, and the system may
    /// still route elsewhere.
    pub(crate) fn bind_device(socket: &impl AsFd, name: &str) -> io::Result<()> {
        SockRef::from(socket).bind_device(Some(name.as_bytes()))
    }

    /// Whether an inherited socket listens. On other systems, only accepting shows it.
    pub(crate) fn is_listener(socket: &impl AsFd) -> io::Result<bool> {
        SockRef::from(socket).is_listener()
    }

    /// Ends the connection when sent data has been unacknowledged for this long. On other systems, only
    /// keep-alive detects a dead peer.
    pub(crate) fn set_unacknowledged(socket: &impl AsFd, longest: Duration) -> io::Result<()> {
        SockRef::from(socket).set_tcp_user_timeout(Some(longest))
    }

    /// Makes the kernel acknowledge received data at once. Errors are ignored, since this is only advice.
    pub(crate) fn acknowledge_now(socket: &impl AsFd) {
        let _ = SockRef::from(socket).set_tcp_quickack(true);
    }

    /// The payload of a full segment, in bytes; `usize::MAX` if it is unknown.
    pub(crate) fn segment(socket: &impl AsFd) -> usize {
        let segment = SockRef::from(socket).tcp_mss().ok();
        segment.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX).max(1)
    }

    /// Limits how many unsent bytes a socket may hold. Errors are ignored, since this only bounds a delay.
    pub(crate) fn set_unsent(socket: &impl AsFd, most: u32) {
        let _ = SockRef::from(socket).set_tcp_notsent_lowat(most);
    }

    /// Limits how many bytes the peer may send ahead of what is read; `None` leaves it to the kernel. Errors
    /// are ignored, since this only bounds a queue.
    #[allow(unsafe_code, reason = "no library sets TCP_WINDOW_CLAMP")]
    pub(crate) fn set_ahead(socket: &impl AsFd, most: Option<u32>) {
        let most = most.and_then(|most| c_int::try_from(most).ok()).unwrap_or(c_int::MAX);
        let (value, size) = ((&raw const most).cast(), size_of::<c_int>());
        let size = socklen_t::try_from(size).expect("a few bytes");
        let socket = socket.as_fd().as_raw_fd();
        // SAFETY: The descriptor is borrowed for the call, which reads `size` bytes from `value` and keeps nothing.
        unsafe {
            setsockopt(socket, IPPROTO_TCP, TCP_WINDOW_CLAMP, value, size);
        }
    }

    /// The delivery of sent data; `None` on kernels that do not count all of it (before Linux 4.19).
    #[allow(unsafe_code, reason = "no library reads TCP_INFO")]
    pub(crate) fn delivery(socket: &impl AsFd) -> Option<Delivery> {
        let mut info = MaybeUninit::<tcp_info>::zeroed();
        let mut size = socklen_t::try_from(size_of::<tcp_info>()).expect("a few bytes");
        let socket = socket.as_fd().as_raw_fd();
        // SAFETY: The descriptor is borrowed for the call, which writes at most `size` bytes to `info`. An
        // older kernel writes less: all fields of `tcp_info` are integers, for which zero is valid.
        let info = unsafe {
            getsockopt(socket, IPPROTO_TCP, TCP_INFO, info.as_mut_ptr().cast(), &raw mut size);
            info.assume_init()
        };
        let micros = |micros: u32| Duration::from_micros(u64::from(micros));
        let (round_trip, least) = (micros(info.tcpi_rtt), micros(info.tcpi_min_rtt));
        let unsent = u64::from(info.tcpi_notsent_bytes);
        // The acknowledged bytes include the SYN.
        let sent = (info.tcpi_bytes_sent + 1).checked_sub(info.tcpi_bytes_retrans)?;
        let in_flight = sent.checked_sub(info.tcpi_bytes_acked)?;
        // Segments that arrived behind a gap (SACK).
        let arrived = u64::from(info.tcpi_sacked) * u64::from(info.tcpi_snd_mss);
        let outstanding = in_flight.saturating_sub(arrived) + unsent;
        Some(Delivery { round_trip, least, outstanding, unsent })
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::time::Duration;

    use super::Delivery;

    pub(crate) const LIMITS_AHEAD: bool = false;

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

    pub(crate) fn set_ahead<S>(_: &S, _: Option<u32>) {}

    pub(crate) fn segment<S>(_: &S) -> usize {
        usize::MAX
    }

    pub(crate) fn delivery<S>(_: &S) -> Option<Delivery> {
        None
    }
}
