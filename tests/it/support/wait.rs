//! Waiting for conditions.

use std::thread;
use std::time::{Duration, Instant};

/// The time after which something counts as a hang. Generous: tests share a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Waits until `condition` holds; panics with `what` if it does not within [`LONG`].
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    until_some(what, || condition().then_some(()));
}

/// Waits until `find` returns something, and returns it.
#[track_caller]
pub(crate) fn until_some<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    until_ok(what, || find().ok_or_else(|| "not yet".to_owned()))
}

/// Waits until `find` succeeds, and returns its result. On a timeout, the last error is part of the panic.
#[track_caller]
pub(crate) fn until_ok<T>(what: &str, mut find: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + LONG;
    loop {
        match find() {
            Ok(found) => return found,
            Err(why) if Instant::now() >= deadline => {
                panic!("waited {LONG:?} in vain until {what}: {why}")
            }
            Err(_) => thread::sleep(STEP),
        }
    }
}

const STEP: Duration = Duration::from_millis(10);
