//! Authentication in both directions: host keys, their record, and the login.

pub(crate) mod auth;
pub(crate) mod host_key;
pub(crate) mod known_hosts;

pub use auth::{AuthError, Tried};
pub use host_key::{CertificateFault, HostKeyError, RefusedKey, RevocationError};
pub use known_hosts::{KnownHostsError, Place, RecordedKey};

/// The minimum size of RSA keys in bits: OpenSSH accepts no smaller ones, regardless of `RequiredRSASize`.
const MIN_RSA: u32 = 1024;
/// The maximum size of a file of keys, in bytes.
const MAX_FILE: u64 = 64 << 20;
