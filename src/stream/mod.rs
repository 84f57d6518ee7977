//! Byte streams, and the system's options for them, regardless of what they carry.

pub(crate) mod happy_eyeballs;
pub(crate) mod options;
pub(crate) mod processes;
mod relay_end;
mod socket;
mod stdio;

pub use processes::Process;
pub use relay_end::RelayEnd;
pub(crate) use relay_end::{READ_SIZE, append, drain};
pub use socket::Socket;
pub(crate) use stdio::Stdio;

use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream of any kind. A cut is reported as an error, never as EOF.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for T {}
