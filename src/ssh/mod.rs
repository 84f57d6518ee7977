//! Everything that uses russh. None of its types leaves this folder.

pub(crate) mod connect;
pub(crate) mod session;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod trust;

pub use connect::{ConnectError, LineMemory, NoCommonAlgorithm, ReachError, Stage};
pub use session::{
    Channel, ChannelGone, ChannelReader, ChannelWriter, Forwarded, Incoming, OpenError, OpenKind,
    Refusal, TargetFault,
};
pub(crate) use session::{Leftover, Reading};
pub use trust::{
    AuthError, CertificateFault, HostKeyError, KnownHostsError, Place, RecordedKey, RefusedKey,
    RevocationError, Tried,
};
