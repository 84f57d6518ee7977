//! What a person unlocked, and what was learnt of the server, kept for the next login of this run.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use russh::CryptoVec;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::public::KeyData;

use crate::lock::lock;

/// Keys whose passphrase was asked for, so that a new session does not ask again. Clones share
/// them. Passwords are not kept.
///
/// Between logins they lie in memory that is locked, as far as the system's limit allows
/// (`RLIMIT_MEMLOCK`), so that it does not reach a disk, and that is wiped in the end.
#[derive(Clone, Default)]
pub struct Credentials {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    unlocked: HashMap<PathBuf, Unlocked>,
    warned: HashSet<PathBuf>,
    offered: HashSet<PathBuf>,
    order: KeyOrder,
}

/// In which order keys are tried, where the server may not listen to all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum KeyOrder {
    /// That of `ssh`.
    #[default]
    Ssh,
    /// What somebody named before what the agent has besides, and a person before the last of so many refusals:
    /// after these the server has stopped listening at the next.
    NamedFirst { refusals: usize },
}

struct Unlocked {
    public: KeyData,
    /// The private key in OpenSSH's encoding.
    secret: CryptoVec,
}

impl Credentials {
    /// The key of a file that was unlocked before, unless the file has another key by now.
    pub(super) fn unlocked(&self, path: &Path, public: Option<&KeyData>) -> Option<PrivateKey> {
        let shared = self.lock();
        let kept = shared.unlocked.get(path)?;
        let same = public.is_none_or(|public| *public == kept.public);
        same.then(|| PrivateKey::from_bytes(&kept.secret).ok()).flatten()
    }

    pub(super) fn keep(&self, path: &Path, key: &PrivateKey) {
        let public = key.public_key().key_data().clone();
        // Only a key of a kind that has no encoding fails; it is asked for again.
        let Ok(bytes) = key.to_bytes() else { return };
        let secret = CryptoVec::from(bytes.as_slice());
        self.lock().unlocked.insert(path.to_owned(), Unlocked { public, secret });
    }

    /// Whether this is the first time that a file, or an agent's socket, is worth a warning.
    pub(super) fn first_warning(&self, path: &Path) -> bool {
        self.lock().warned.insert(path.to_owned())
    }

    /// Whether this is the first time that the key of a file is offered to the agent.
    pub(super) fn first_offered(&self, path: &Path) -> bool {
        self.lock().offered.insert(path.to_owned())
    }

    pub(crate) fn order(&self) -> KeyOrder {
        self.lock().order
    }

    /// The server stopped listening after so many refusals, and did not listen to a key that somebody named or to
    /// a person: the next login has the other order.
    pub(super) fn turn_order(&self, refusals: usize) {
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
