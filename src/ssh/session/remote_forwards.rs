//! What the server of one session was asked to listen on.

use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use super::forwarded::{Arrival, At, Forwarded, Refusal};
use super::load::{Listening, Load};
use crate::forward::RemoteListen;
use crate::lock::lock;

/// The listeners of one session. The handler asks it about every channel that the server opens.
#[derive(Debug, Default)]
pub(crate) struct RemoteForwards {
    entries: Entries,
    /// Where the server listens though nobody here does any more: it has refused to stop.
    abandoned: Mutex<Vec<RemoteListen>>,
    /// Held while the server is asked for a listener, so that a port of its choice is known before
    /// the next one is asked for.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// What waits for the server's answers. It ends with the session.
    pub(crate) asking: TaskTracker,
}

/// A listener is on record until this is dropped.
#[derive(Debug)]
pub(crate) struct Entered {
    entries: Entries,
    id: u64,
    _listening: Listening,
}

/// Where the connections of a listener go, a bounded number of them at a time.
#[derive(Clone, Debug)]
pub(crate) struct ForwardedQueue {
    sender: mpsc::UnboundedSender<Forwarded>,
    slots: Arc<Semaphore>,
}

type Entries = Arc<Mutex<Vec<Entry>>>;

#[derive(Clone, Debug)]
struct Entry {
    id: u64,
    listen: RemoteListen,
    queue: ForwardedQueue,
    load: Arc<Load>,
}

impl RemoteForwards {
    /// Puts a listener on record, before the server is asked for it.
    pub(crate) fn enter(
        &self,
        listen: RemoteListen,
        queue: ForwardedQueue,
        load: Arc<Load>,
    ) -> Entered {
        let listening = load.listen();
        let mut entries = lock(&self.entries);
        let id = entries.last().map_or(0, |entry| entry.id + 1);
        entries.push(Entry { id, listen, queue, load });
        Entered { entries: Arc::clone(&self.entries), id, _listening: listening }
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.entries).is_empty()
    }

    /// The server goes on listening there, and nobody here does.
    pub(crate) fn abandon(&self, listen: RemoteListen) {
        lock(&self.abandoned).push(listen);
    }

    /// Whether the server listens there, and nobody here does.
    pub(crate) fn has_abandoned(&self, listen: &RemoteListen) -> bool {
        lock(&self.abandoned).contains(listen)
    }

    /// Takes a place over that was abandoned. Whether there was one.
    pub(crate) fn adopt(&self, listen: &RemoteListen) -> bool {
        let mut abandoned = lock(&self.abandoned);
        let found = abandoned.iter().position(|place| place == listen);
        found.map(|index| abandoned.swap_remove(index)).is_some()
    }

    /// A place for a channel at the listener that it belongs to: it takes the channel and has it wait for
    /// its answer there.
    ///
    /// # Errors
    ///
    /// It belongs to none, or too many wait there.
    pub(crate) fn slot(&self, at: &At) -> Result<impl FnOnce(Arrival) + use<>, Refusal> {
        let Entry { queue, load, .. } =
            find(&lock(&self.entries), at).ok_or(Refusal::Prohibited)?;
        let ForwardedQueue { sender, slots } = queue;
        let slot = slots.try_acquire_owned().map_err(|_| Refusal::Full)?;
        Ok(move |arrival| {
            // Where nobody listens any more, dropping it refuses it.
            let _ = sender.send(Forwarded { arrival, load, _slot: slot });
        })
    }
}

/// The listener that a channel belongs to. The port decides; the address only between listeners on
/// the same port, since some servers name the address that was connected and not the one that they
/// were asked for.
fn find(entries: &[Entry], at: &At) -> Option<Entry> {
    let mut found: Vec<_> = entries.iter().filter(|entry| may_be(&entry.listen, at)).collect();
    if found.len() > 1 {
        found.retain(|entry| is_named(&entry.listen, at));
    }
    match found.as_slice() {
        [entry] => Some((*entry).clone()),
        _ => None,
    }
}

/// Whether the listener's port or path is the one that was connected.
pub(crate) fn may_be(listen: &RemoteListen, at: &At) -> bool {
    match (listen, at) {
        // A port of the server's choice that is not yet known here. It is looked at again then.
        (RemoteListen::Tcp { port: 0, .. }, At::Tcp { .. }) => true,
        (RemoteListen::Tcp { port, .. }, At::Tcp { port: at, .. }) => u32::from(*port) == *at,
        (RemoteListen::Unix(path), At::Socket(at)) => **path == **at,
        (RemoteListen::Tcp { .. }, At::Socket(_)) | (RemoteListen::Unix(_), At::Tcp { .. }) => {
            false
        }
    }
}

/// Whether the server names the address that it was asked for.
fn is_named(listen: &RemoteListen, at: &At) -> bool {
    match (listen, at) {
        (RemoteListen::Tcp { port: 0, .. }, _) => false,
        (RemoteListen::Tcp { bind, .. }, At::Tcp { address, .. }) => bind.on_the_wire() == address,
        _ => true,
    }
}

impl ForwardedQueue {
    /// A queue in which `bound` connections may wait for an answer, and what comes out of it.
    pub(crate) fn new(bound: usize) -> (Self, mpsc::UnboundedReceiver<Forwarded>) {
        let (sender, connections) = mpsc::unbounded_channel();
        (Self { sender, slots: Arc::new(Semaphore::new(bound)) }, connections)
    }
}

impl Entered {
    /// The server has chosen the port.
    pub(crate) fn set_port(&self, listen: &RemoteListen) {
        for entry in lock(&self.entries).iter_mut().filter(|entry| entry.id == self.id) {
            entry.listen = listen.clone();
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        lock(&self.entries).retain(|entry| entry.id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(listens: &[&str], at: &At) -> Option<String> {
        let forwards = RemoteForwards::default();
        let enter = |text: &&str| {
            let listen = text.parse().expect("a place to listen");
            forwards.enter(listen, ForwardedQueue::new(1).0, Arc::default())
        };
        let _entered: Vec<_> = listens.iter().map(enter).collect();
        find(&lock(&forwards.entries), at).map(|entry| entry.listen.to_string())
    }

    fn tcp(address: &str, port: u32) -> At {
        At::Tcp { address: address.into(), port }
    }

    #[test]
    fn a_channel_belongs_to_the_listener_on_its_port() {
        let listens = ["80", "*:81", "/r.sock"];
        assert_eq!(found(&listens, &tcp("localhost", 80)), Some("80".into()));
        assert_eq!(found(&listens, &tcp("127.0.0.1", 80)), Some("80".into()), "servers differ");
        assert_eq!(found(&listens, &tcp("", 81)), Some("*:81".into()));
        assert_eq!(found(&listens, &At::Socket("/r.sock".into())), Some("/r.sock".into()));
        assert_eq!(found(&listens, &tcp("localhost", 82)), None);
        assert_eq!(found(&listens, &tcp("localhost", 65536 + 80)), None);
        assert_eq!(found(&listens, &At::Socket("/other".into())), None);
        assert_eq!(found(&[], &tcp("localhost", 80)), None);
    }

    #[test]
    fn the_address_decides_between_listeners_on_one_port() {
        let listens = ["127.0.0.1:80", "[::1]:80"];
        assert_eq!(found(&listens, &tcp("::1", 80)), Some("[::1]:80".into()));
        assert_eq!(found(&listens, &tcp("127.0.0.1", 80)), Some("127.0.0.1:80".into()));
        assert_eq!(found(&listens, &tcp("10.0.0.1", 80)), None);
    }

    #[test]
    fn a_listener_is_on_record_until_it_is_dropped() {
        let forwards = RemoteForwards::default();
        let enter = |text: &str| {
            forwards.enter(text.parse().expect(text), ForwardedQueue::new(1).0, Arc::default())
        };
        let (first, second) = (enter("80"), enter("0"));
        second.set_port(&"40000".parse().expect("a port"));
        drop(first);
        let listens = |port| find(&lock(&forwards.entries), &tcp("localhost", port)).is_some();
        assert!(!listens(80) && listens(40000));
        let third = enter("81");
        drop(second);
        assert!(listens(81) && !forwards.is_empty());
        drop(third);
        assert!(forwards.is_empty());
    }

    #[test]
    fn a_port_that_the_server_is_choosing_may_be_any() {
        assert_eq!(found(&["0"], &tcp("localhost", 40000)), Some("0".into()));
        assert_eq!(found(&["0", "80"], &tcp("localhost", 80)), Some("80".into()));
        assert_eq!(found(&["0", "80"], &tcp("localhost", 40000)), Some("0".into()));
    }
}
