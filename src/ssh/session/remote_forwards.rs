//! The remote listeners of a session.

use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use super::forwarded::{Arrival, At, Forwarded, Refusal};
use super::load::{Listening, Load};
use crate::forward::RemoteListen;
use crate::lock::lock;

/// The remote listeners of a session, by which the handler routes the channels that the server opens.
#[derive(Debug, Default)]
pub(crate) struct RemoteForwards {
    entries: Entries,
    /// Listeners that the server has refused to cancel and that nobody serves any more.
    abandoned: Mutex<Vec<RemoteListen>>,
    /// Held during a request to listen, so that a port chosen by the server is known before the next request.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// Requests to the server that await an answer. They end with the session.
    pub(crate) asking: TaskTracker,
}

/// A registered listener, until it is dropped.
#[derive(Debug)]
pub(crate) struct Registered {
    entries: Entries,
    id: u64,
    _listening: Listening,
}

/// Where a listener's connections go; at most a bounded number of them may be unanswered.
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
    /// Registers a listener before it is requested from the server.
    pub(crate) fn register(
        &self,
        listen: RemoteListen,
        queue: ForwardedQueue,
        load: Arc<Load>,
    ) -> Registered {
        let listening = load.listen();
        let mut entries = lock(&self.entries);
        let id = entries.last().map_or(0, |entry| entry.id + 1);
        entries.push(Entry { id, listen, queue, load });
        Registered { entries: Arc::clone(&self.entries), id, _listening: listening }
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.entries).is_empty()
    }

    /// Records that the server goes on listening, although nobody here serves the listener.
    pub(crate) fn abandon(&self, listen: RemoteListen) {
        lock(&self.abandoned).push(listen);
    }

    /// Whether the server still listens there, although nobody here serves the listener.
    pub(crate) fn has_abandoned(&self, listen: &RemoteListen) -> bool {
        lock(&self.abandoned).contains(listen)
    }

    /// Takes over an abandoned listener. Returns whether there was one.
    pub(crate) fn adopt(&self, listen: &RemoteListen) -> bool {
        let mut abandoned = lock(&self.abandoned);
        let found = abandoned.iter().position(|place| place == listen);
        found.map(|index| abandoned.swap_remove(index)).is_some()
    }

    /// Reserves a place for a channel at the listener that it belongs to. The returned function queues it there.
    ///
    /// # Errors
    ///
    /// The channel belongs to no listener, or too many are unanswered.
    pub(crate) fn slot(&self, at: &At) -> Result<impl FnOnce(Arrival) + use<>, Refusal> {
        let Entry { queue, load, .. } =
            find(&lock(&self.entries), at).ok_or(Refusal::Prohibited)?;
        let ForwardedQueue { sender, slots } = queue;
        let slot = slots.try_acquire_owned().map_err(|_| Refusal::Full)?;
        Ok(move |arrival| {
            // If the listener is gone, dropping the channel refuses it.
            let _ = sender.send(Forwarded { arrival, load, _slot: slot });
        })
    }
}

/// The listener that a channel belongs to. The port decides; the address decides only between listeners on the
/// same port, since some servers send the address that was connected to instead of the one requested.
fn find(entries: &[Entry], at: &At) -> Option<Entry> {
    let mut found: Vec<_> = entries.iter().filter(|entry| may_match(&entry.listen, at)).collect();
    if found.len() > 1 {
        found.retain(|entry| names_requested_address(&entry.listen, at));
    }
    match found.as_slice() {
        [entry] => Some((*entry).clone()),
        _ => None,
    }
}

/// Whether the listener's port or path matches.
pub(crate) fn may_match(listen: &RemoteListen, at: &At) -> bool {
    match (listen, at) {
        // The port chosen by the server is not known here yet; the match is repeated once it is.
        (RemoteListen::Tcp { port: 0, .. }, At::Tcp { .. }) => true,
        (RemoteListen::Tcp { port, .. }, At::Tcp { port: at, .. }) => u32::from(*port) == *at,
        (RemoteListen::Unix(path), At::Socket(at)) => **path == **at,
        (RemoteListen::Tcp { .. }, At::Socket(_)) | (RemoteListen::Unix(_), At::Tcp { .. }) => {
            false
        }
    }
}

/// Whether the server names the requested address.
fn names_requested_address(listen: &RemoteListen, at: &At) -> bool {
    match (listen, at) {
        (RemoteListen::Tcp { port: 0, .. }, _) => false,
        (RemoteListen::Tcp { bind, .. }, At::Tcp { address, .. }) => bind.on_the_wire() == address,
        _ => true,
    }
}

impl ForwardedQueue {
    /// A queue for at most `bound` unanswered connections, and its receiver.
    pub(crate) fn new(bound: usize) -> (Self, mpsc::UnboundedReceiver<Forwarded>) {
        let (sender, connections) = mpsc::unbounded_channel();
        (Self { sender, slots: Arc::new(Semaphore::new(bound)) }, connections)
    }
}

impl Registered {
    /// Records the port that the server has chosen.
    pub(crate) fn set_port(&self, listen: &RemoteListen) {
        for entry in lock(&self.entries).iter_mut().filter(|entry| entry.id == self.id) {
            entry.listen = listen.clone();
        }
    }
}

impl Drop for Registered {
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
            forwards.register(listen, ForwardedQueue::new(1).0, Arc::default())
        };
        let _registered: Vec<_> = listens.iter().map(enter).collect();
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
    fn a_listener_is_registered_until_it_is_dropped() {
        let forwards = RemoteForwards::default();
        let enter = |text: &str| {
            forwards.register(text.parse().expect(text), ForwardedQueue::new(1).0, Arc::default())
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
    fn a_port_not_yet_chosen_matches_any() {
        assert_eq!(found(&["0"], &tcp("localhost", 40000)), Some("0".into()));
        assert_eq!(found(&["0", "80"], &tcp("localhost", 80)), Some("80".into()));
        assert_eq!(found(&["0", "80"], &tcp("localhost", 40000)), Some("0".into()));
    }
}
