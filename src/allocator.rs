//! The allocator, and how it returns memory to the system.
//!
//! A download allocates on one thread and frees on another, megabytes at a time: the system's allocator returns
//! them to the kernel and faults them in again, which takes a tenth of the CPU time. With mimalloc, memory
//! freed by another thread stays with the allocating thread until that thread allocates again; after thousands
//! of connections have ended at once, that may take hours.

#![expect(
    unsafe_code,
    reason = "the allocator is a C library, and its crate has no safe call for this"
)]

use std::cell::Cell;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

thread_local! {
    static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Returns this thread's free memory to the system, at most once per [`INTERVAL`]; called by a thread that is
/// about to park. It takes some 50 µs, and milliseconds if much is returned: 13 for a thread with 17 000
/// connections that have just ended.
pub(crate) fn give_back() {
    let now = Instant::now();
    if LAST.get().is_none_or(|last| now - last >= INTERVAL) {
        LAST.set(Some(now));
        // SAFETY: it has no preconditions; it accesses only the calling thread's heap.
        unsafe { libmimalloc_sys::mi_collect(true) }
    }
}

/// Memory freed sooner after a collection is returned when the thread next parks: the beats of a session alone
/// wake threads twice a second.
const INTERVAL: Duration = Duration::from_secs(1);
