//! The allocator, and how it gives memory back.
//!
//! A download allocates on one thread and frees on another, megabytes at a time: the system's allocator
//! returns them to the kernel and faults them in again, which takes a tenth of the CPU time. With mimalloc
//! what another thread has freed stays with the thread that allocated it, until that one allocates again;
//! when thousands of connections have ended at once, there may be no such time for hours.

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

/// Returns to the system what is free of this thread's memory, at most once in [`INTERVAL`]; for a thread
/// that is about to wait. It takes some 50 µs, and milliseconds where much is given back: 13 for a thread with
/// 17 000 connections that have just ended.
pub(crate) fn give_back() {
    let now = Instant::now();
    if LAST.get().is_none_or(|last| now - last >= INTERVAL) {
        LAST.set(Some(now));
        // SAFETY: it has no preconditions; it looks at the calling thread's heap only.
        unsafe { libmimalloc_sys::mi_collect(true) }
    }
}

/// What is freed less than this after the last time is given back the next time that the thread waits: a
/// session's beats alone wake threads twice a second.
const INTERVAL: Duration = Duration::from_secs(1);
