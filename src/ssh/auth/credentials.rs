//! What a person unlocked, kept for the next login of this run.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use russh::keys::{PrivateKey, PublicKey};

/// Keys whose passphrase was asked for, so that a new session does not ask again. Clones share
/// them. Passwords are not kept.
#[derive(Clone, Default)]
pub struct Credentials {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    unlocked: HashMap<PathBuf, Arc<PrivateKey>>,
    warned: HashSet<PathBuf>,
}

impl Credentials {
    /// The key of a file that was unlocked before, unless the file has another key by now.
    pub(super) fn unlocked(
        &self,
        path: &Path,
        public: Option<&PublicKey>,
    ) -> Option<Arc<PrivateKey>> {
        let key = self.lock().unlocked.get(path).cloned()?;
        public.is_none_or(|p| p.key_data() == key.public_key().key_data()).then_some(key)
    }

    pub(super) fn keep(&self, path: &Path, key: Arc<PrivateKey>) {
        self.lock().unlocked.insert(path.to_owned(), key);
    }

    /// Whether this is the first time that a file is worth a warning.
    pub(super) fn first_warning(&self, path: &Path) -> bool {
        self.lock().warned.insert(path.to_owned())
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unlocked = self.lock().unlocked.len();
        f.debug_struct("Credentials").field("unlocked", &unlocked).finish_non_exhaustive()
    }
}
