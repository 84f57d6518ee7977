//! A place for one value, shared by the parts of one task.

use std::sync::{Mutex, MutexGuard};

use crate::lock::lock;

/// Holds a value or none. The lock is never held while anything else runs.
#[derive(Debug)]
pub(crate) struct Slot<T>(Mutex<Option<T>>);

impl<T> Slot<T> {
    pub(crate) fn new(value: Option<T>) -> Self {
        Self(Mutex::new(value))
    }

    /// Puts a value in; the one before is dropped.
    pub(crate) fn put(&self, value: T) {
        let before = self.lock().replace(value);
        drop(before);
    }

    pub(crate) fn take(&self) -> Option<T> {
        self.lock().take()
    }

    pub(crate) fn is_some(&self) -> bool {
        self.lock().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        lock(&self.0)
    }
}
