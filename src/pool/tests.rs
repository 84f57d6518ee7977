//! A pool whose server is not there.

use std::net::TcpListener;
use std::pin::pin;

use futures_util::FutureExt as _;

use super::*;
use crate::destination::Destination;
use crate::openssh::SshOptions;
use crate::openssh::prompt::Prompter;
use crate::ssh::connect::LineMemory;

/// A pool for a port on which nobody listens.
fn pool() -> Pool {
    let free = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let name = format!("me@{}", free.local_addr().expect("bound")).parse().expect("a server");
    drop(free);
    let (config, _) = ClientConfig::without_ssh(&name, &SshOptions::default()).expect("defaults");
    let carry: Carry = Box::new(|_| unreachable!("nothing lies behind it"));
    let jumps = JumpHosts::new(Prompter::nobody(), carry, LineMemory::default(), Report::Debug);
    Pool::begin(config, &jumps, None, ServerLog::default()).0
}

#[tokio::test]
async fn whoever_waits_for_a_session_hears_of_each_failure() {
    let pool = pool();
    let target = Destination::parse("web.example:80", None).expect("good").into();
    for _ in 0..2 {
        let placed = timeout(HANG, pool.place_or_fail(&target)).await.expect("it hangs");
        assert_eq!(placed.err(), Some(NoSession));
    }
    assert!(pool.view().failures >= 2);
    pool.shutdown().await;
}

#[tokio::test]
async fn whoever_shuts_a_pool_down_waits_for_its_end() {
    let pool = pool();
    let mut first = pin!(pool.shutdown());
    assert!(first.as_mut().now_or_never().is_none());
    assert!(pool.shutdown().now_or_never().is_none(), "it has not ended yet");
    assert!(!pool.has_ended());
    timeout(HANG, first).await.expect("it hangs");
    assert!(pool.has_ended());
    pool.shutdown().await;
}

/// Longer than anything here takes, on however busy a machine.
const HANG: Duration = Duration::from_secs(60);
