//! Who the server is, and who we are to it: host keys, the record of them, and the login.

pub(crate) mod auth;
pub(crate) mod host_key;
pub(crate) mod known_hosts;

pub use auth::{AuthError, Credentials, Tried};
pub use host_key::{CertificateFault, HostKeyError, RefusedKey, RevocationError};
pub use known_hosts::{KnownHostsError, RecordedKey};
