//! A place for one value, shared by parts of one task.

use std::sync::{Mutex, MutexGuard};

use crate::lock::lock;

/// Holds an optional value. The lock is never held while other code runs.
#[derive(Debug)]
pub(crate) struct Slot<T>(Mutex<Option<T>>);

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Slot<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(Some(value)))
    }

    /// Stores a value, replacing the previous one.
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
