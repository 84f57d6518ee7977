//! Server-initiated rekeying during transfers.

use std::io::{self, Write as _};
use std::net::Shutdown;
use std::thread;

use crate::support::content::{Content, Sum};
use crate::support::program::Sockeye;
use crate::support::socks::Protocol;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{scaled, wait};

#[test]
#[ignore = "needs sshd"]
fn transfers_are_exact_while_the_server_rekeys() {
    const EACH_WAY: u64 = 8;
    // The server counts each direction separately.
    let (rekeys, limit) = (scaled(60, 1000), 512 * 1024);
    let length = rekeys * limit / EACH_WAY;
    let (source, (sink, received)) = (Target::source(length), Target::sums());
    let sshd = Sshd::with(&[&format!("RekeyLimit {limit}"), "LogLevel DEBUG1"]);
    let proxy = Sockeye::single(&sshd.ssh_config());
    let whole = Content::of(length).sum();
    thread::scope(|scope| {
        for _ in 0..EACH_WAY {
            scope.spawn(|| {
                let mut client = Protocol::Socks5.open(proxy.address(), "127.0.0.1", source.port());
                client.write_all(b"!").expect("sent");
                assert_eq!(Sum::of(client).expect("a clean end"), whole);
            });
            scope.spawn(|| {
                let mut client = Protocol::Socks5.open(proxy.address(), "127.0.0.1", sink.port());
                io::copy(&mut Content::of(length), &mut client).expect("sent");
                client.shutdown(Shutdown::Write).expect("half-closed");
            });
        }
    });
    for _ in 0..EACH_WAY {
        assert_eq!(received.recv_timeout(wait::LONG).expect("the target's sum"), whole);
    }
    let (asked, renewed) = (sshd.log().matches(ASKS).count(), sshd.log().matches(RENEWED).count());
    eprintln!("the server asked for new keys {asked} times and got them {renewed} times");
    assert!(renewed as u64 >= rekeys, "new keys {renewed} times only");
    assert!(!proxy.log().contains("lost a session"), "the session ended");
}

/// The lines that `sshd` logs when it starts to rekey, and when the client uses the new keys.
const ASKS: &str = "SSH2_MSG_KEXINIT sent";
const RENEWED: &str = "SSH2_MSG_NEWKEYS received";
