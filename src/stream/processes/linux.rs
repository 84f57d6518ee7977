//! Lookups in the socket and process tables of `/proc`.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use procfs::net::{tcp, tcp6};
use procfs::process::{FDTarget, all_processes};

use super::{Owner, Process, canonical};
use crate::printable::{Lines, printable};

/// The programs whose sockets have these addresses and are connected to one of these local ports. Programs that
/// the system hides (those of other users) are omitted.
///
/// Reads the tables of all sockets, and the descriptors of one program after another until all are found, which
/// takes some milliseconds on a small machine and up to some hundred. Blocking: not for the runtime's threads.
pub(crate) fn holders(
    clients: &HashSet<SocketAddr>,
    ports: &HashSet<u16>,
) -> HashMap<SocketAddr, Process> {
    let mut wanted = sockets(clients, ports);
    let mut found = HashMap::new();
    let Ok(processes) = all_processes() else { return found };
    for process in processes.flatten() {
        if wanted.is_empty() {
            break;
        }
        let Ok(open) = process.fd() else { continue };
        let mut name = None;
        for file in open.flatten() {
            let FDTarget::Socket(inode) = file.target else { continue };
            let Some(client) = wanted.remove(&inode) else { continue };
            let name = name.get_or_insert_with(|| process.stat().map(|stat| shown(&stat.comm)));
            // A program that has ended meanwhile has no name.
            if let Ok(name) = name {
                found.insert(client, Process { pid: process.pid(), name: name.clone() });
            }
        }
    }
    found
}

fn shown(name: &str) -> String {
    printable(name, LONGEST, Lines::One)
}

/// The owner of the socket with this address that is connected to the local port `port`. Blocking.
pub(crate) fn owner_of(client: SocketAddr, port: u16) -> Owner {
    let client = canonical(client);
    let mut owner = Owner::Unknown;
    for table in [tcp, tcp6] {
        let Ok(entries) = table() else { continue };
        let found = entries.into_iter().find(|entry| {
            // A socket in TIME_WAIT has no owner.
            let is_it =
                canonical(entry.local_address) == client && entry.remote_address.port() == port;
            is_it && entry.inode != 0
        });
        match found {
            Some(entry) => return Owner::User(entry.uid),
            None => owner = Owner::Nobody,
        }
    }
    owner
}

/// The clients' sockets by inode.
fn sockets(clients: &HashSet<SocketAddr>, ports: &HashSet<u16>) -> HashMap<u64, SocketAddr> {
    let mut sockets = HashMap::new();
    // An IPv6 socket may be connected to an IPv4 address.
    for table in [tcp(), tcp6()] {
        for entry in table.unwrap_or_default() {
            let client = canonical(entry.local_address);
            let ours = ports.contains(&entry.remote_address.port());
            // A socket without an inode has no owner.
            if ours && entry.inode != 0 && clients.contains(&client) {
                sockets.insert(entry.inode, client);
            }
        }
    }
    sockets
}

/// The maximum length of a name, in characters, once escaped.
const LONGEST: usize = 150;

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn the_holder_of_a_client_s_socket_is_found() {
        let own = i32::try_from(std::process::id()).expect("a number of a process");
        for bound in ["127.0.0.1:0", "[::1]:0"] {
            // A machine without IPv6 has no such address.
            let Ok(listener) = TcpListener::bind(bound) else { continue };
            let address = listener.local_addr().expect("bound");
            let client = TcpStream::connect(address).expect("it listens");
            let client = client.local_addr().map(|local| (client, local)).expect("connected");
            let (clients, ports) = ([client.1].into(), [address.port()].into());
            let user = rustix::process::geteuid().as_raw();
            assert_eq!(owner_of(client.1, address.port()), Owner::User(user), "{bound}");
            assert_eq!(owner_of(client.1, 1), Owner::Nobody, "{bound}");
            until(&format!("{bound}: it is ours"), || {
                let found = holders(&clients, &ports);
                assert!(found.values().all(|process| !process.name.is_empty()), "{found:?}");
                found.get(&client.1).map(|process| process.pid) == Some(own)
            });
            // Another connection of that address is another's affair.
            assert!(holders(&clients, &[1].into()).is_empty());
            assert!(holders(&[address].into(), &ports).is_empty(), "the listener is no client");
            let _accepted = listener.accept().expect("it is connected");
            drop(client.0);
            until(&format!("{bound}: it is closed"), || {
                owner_of(client.1, address.port()) == Owner::Nobody
            });
        }
    }

    /// Waits for what is so in the end: a process that another test is about to start may have the sockets of
    /// this one open for a moment.
    fn until(what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_so() {
            assert!(Instant::now() < deadline, "{what}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_name_is_escaped() {
        assert_eq!(shown("a\x1b[2J\u{202e}"), "a\\u{1b}[2J\\u{202e}");
    }
}
