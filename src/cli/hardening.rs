//! Keeps what is in memory (passwords, keys, everybody's traffic) to this process.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Leaves no core dumps, and lets no other process of the user look into this one, where the system
/// allows it. What it does not allow goes on without: a sandbox may well forbid to ask.
///
/// The programs that it starts (`ssh -G`, `SSH_ASKPASS`, a `ProxyCommand`) leave no core dumps
/// either, and are traceable as ever.
pub fn seal() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
