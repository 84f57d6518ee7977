//! The number of descriptors that the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one or to `ENOUGH`, if it can. Systems set it to 1024 (256 on macOS) for the
/// sake of select(2), and each open connection takes at least one descriptor.
///
/// Child processes inherit the limit.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH));
    if limit.current.is_some_and(|current| current < most) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..limit });
    }
}

/// The limit to raise to; macOS accepts no more than its `OPEN_MAX`.
const ENOUGH: u64 = if cfg!(target_os = "macos") { 10_240 } else { 65_536 };
