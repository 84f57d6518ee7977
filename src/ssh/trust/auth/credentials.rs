//! Unlocked keys, and what was learnt about the server, kept for later logins of this run.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use russh::CryptoVec;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::public::KeyData;

use crate::lock::lock;

/// Keys whose passphrase was entered, so that a new session does not ask again. Passwords are not kept.
///
/// Between logins, they are in memory that is locked, as far as the system's limit allows (`RLIMIT_MEMLOCK`),
/// so that it is not swapped to disk, and that is wiped on release.
#[derive(Default)]
pub(crate) struct Credentials {
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    unlocked: HashMap<PathBuf, Unlocked>,
    warned: HashSet<PathBuf>,
    offered: HashSet<PathBuf>,
    order: KeyOrder,
}

/// The order in which keys are tried, in case the server stops listening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum KeyOrder {
    /// The order of `ssh`.
    #[default]
    Ssh,
    /// Configured keys before the agent's other keys, and a person before the last of `refusals` attempts,
    /// after which the server stopped listening.
    NamedFirst { refusals: usize },
}

struct Unlocked {
    public: KeyData,
    /// The private key in OpenSSH's encoding.
    secret: CryptoVec,
}

impl Credentials {
    /// The unlocked key of a file, unless the file has changed since.
    pub(super) fn unlocked(&self, path: &Path, public: Option<&KeyData>) -> Option<PrivateKey> {
        let shared = self.lock();
        let kept = shared.unlocked.get(path)?;
        let same = public.is_none_or(|public| *public == kept.public);
        same.then(|| PrivateKey::from_bytes(&kept.secret).ok()).flatten()
    }

    pub(super) fn keep(&self, path: &Path, key: &PrivateKey) {
        let public = key.public_key().key_data().clone();
        // This fails only for kinds of keys without an encoding, whose passphrase is asked for again.
        let Ok(bytes) = key.to_bytes() else { return };
        let secret = CryptoVec::from(bytes.as_slice());
        self.lock().unlocked.insert(path.to_owned(), Unlocked { public, secret });
    }

    /// Whether this is the first warning about a file or an agent's socket.
    pub(super) fn first_warning(&self, path: &Path) -> bool {
        self.lock().warned.insert(path.to_owned())
    }

    /// Whether this is the first time that a file's key is offered to the agent.
    pub(super) fn first_offered(&self, path: &Path) -> bool {
        self.lock().offered.insert(path.to_owned())
    }

    pub(crate) fn order(&self) -> KeyOrder {
        self.lock().order
    }

    /// Records that the server stopped listening after `refusals`, before a configured key or a person was
    /// tried: the next login uses the other order.
    pub(super) fn switch_order(&self, refusals: usize) {
        let order = &mut self.lock().order;
        *order = match order {
            KeyOrder::Ssh => KeyOrder::NamedFirst { refusals },
            KeyOrder::NamedFirst { .. } => KeyOrder::Ssh,
        };
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unlocked = self.lock().unlocked.len();
        f.debug_struct("Credentials").field("unlocked", &unlocked).finish_non_exhaustive()
    }
}
