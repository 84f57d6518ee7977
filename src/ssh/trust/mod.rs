//! Who the server is, and who we are to it: host keys, the record of them, and the login.

pub(crate) mod auth;
pub(crate) mod host_key;
pub(crate) mod known_hosts;

pub use auth::{AuthError, Credentials, Tried};
pub use host_key::{CertificateFault, HostKeyError, RefusedKey, RevocationError};
pub use known_hosts::{KnownHostsError, Place, RecordedKey};

/// OpenSSH reads no RSA key with fewer bits, and takes none, whatever `RequiredRSASize` says.
const MIN_RSA: u32 = 1024;
/// A longer file is no list of keys that somebody keeps. In bytes.
const MAX_FILE: u64 = 64 << 20;
