//! How a lock is taken.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes the lock. What a panic has left behind it is taken as it is: nothing here is held across a step
/// that would leave it half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
