//! Protects the memory of the process (passwords, keys, traffic) from other processes.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Disables core dumps, and tracing by other processes of the user. Failures are ignored: a sandbox may
/// forbid these calls.
///
/// Child processes (`ssh -G`, `SSH_ASKPASS`, a `ProxyCommand`) leave no core dumps either, but can
/// be traced.
pub fn seal() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
