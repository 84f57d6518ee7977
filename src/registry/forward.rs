//! Forwards in the sense of ssh (`-D`, `-L`, `-R`): listeners for clients, here and on the servers.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use strum::IntoStaticStr;

use super::event::{Event, Events};
use crate::lock::lock;

/// A listener for clients, and its target.
#[derive(Debug)]
pub struct Forward {
    id: u64,
    /// Its description, which a reload may change while the socket stays.
    is: ArcSwap<NewForward>,
    accepted: AtomicU64,
    state: Mutex<ForwardState>,
}

/// The kind of a forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ForwardKind {
    /// A proxy on this machine (`-D`).
    Dynamic,
    /// One target on the far side (`-L`).
    Local,
    /// A listener on a server, with a target on this side or a proxy (`-R`).
    Remote,
}

/// Where a forward was requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Origin {
    /// The configuration file; only a reload removes it.
    Configuration,
    /// The command line or the ssh configuration.
    CommandLine,
    /// A command at run time.
    RunTime,
}

/// Whether clients can connect.
#[derive(Clone, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ForwardState {
    /// The server was asked to listen, or there is no session yet.
    Asking,
    /// They can, at these addresses; a port given as 0 is replaced by the actual one.
    Listening(Vec<Arc<str>>),
    /// They cannot, for this reason, escaped; listening is retried.
    Refused(Arc<str>),
    /// It was removed.
    Gone,
}

/// The current forwards. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Forwards(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    forwards: Mutex<Table>,
    events: Events,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    all: Vec<Arc<Forward>>,
}

/// A forward held by its listener, which is removed on drop.
#[derive(Debug)]
pub struct Registered {
    forward: Arc<Forward>,
    inner: Arc<Inner>,
}

/// The description of a forward.
#[derive(Clone, Debug)]
pub struct NewForward {
    /// Its kind.
    pub kind: ForwardKind,
    /// Where it was requested.
    pub origin: Origin,
    /// Its name in rules.
    pub name: Option<Arc<str>>,
    /// In ssh's notation, as the user wrote it.
    pub spec: Arc<str>,
    /// The server that listens.
    pub server: Option<Arc<str>>,
    /// The address on which a server listens, used in rules if there is no name.
    pub listen: Option<Arc<str>>,
}

impl Forwards {
    pub(super) fn new(events: Events) -> Self {
        Self(Arc::new(Inner { events, ..Inner::default() }))
    }

    /// Adds a forward that is not listening yet.
    pub fn register(&self, new: NewForward) -> Registered {
        let mut table = lock(&self.0.forwards);
        table.last += 1;
        let forward = Arc::new(Forward {
            id: table.last,
            is: ArcSwap::from_pointee(new),
            accepted: AtomicU64::new(0),
            state: Mutex::new(ForwardState::Asking),
        });
        table.all.push(Arc::clone(&forward));
        Registered { forward, inner: Arc::clone(&self.0) }
    }

    /// All forwards, in the order of registration.
    pub fn all(&self) -> Vec<Arc<Forward>> {
        lock(&self.0.forwards).all.clone()
    }
}

impl Registered {
    /// The forward itself, for sharing.
    pub fn forward(&self) -> &Arc<Forward> {
        &self.forward
    }

    /// Replaces its description after a reload.
    pub fn describe(&self, new: NewForward) {
        self.forward.is.store(Arc::new(new));
        self.inner.events.tell(|| Event::ForwardChanged(Arc::clone(&self.forward)));
    }

    /// Sets whether clients can connect.
    pub fn set_state(&self, state: ForwardState) {
        *lock(&self.forward.state) = state;
        self.inner.events.tell(|| Event::ForwardChanged(Arc::clone(&self.forward)));
    }
}

impl Deref for Registered {
    type Target = Forward;

    fn deref(&self) -> &Forward {
        &self.forward
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock(&self.inner.forwards).all.retain(|forward| forward.id != self.forward.id);
        self.set_state(ForwardState::Gone);
    }
}

impl Forward {
    /// Its number, unique within a run.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its current description, which a reload may change.
    pub fn about(&self) -> Arc<NewForward> {
        self.is.load_full()
    }

    /// Its names in requests: its name, the address on the server, or the address of each socket.
    pub fn names_in_requests(&self) -> Vec<Arc<str>> {
        let about = self.about();
        match (about.name.as_ref().or(about.listen.as_ref()), self.state()) {
            (Some(name), _) => vec![Arc::clone(name)],
            (None, ForwardState::Listening(addresses)) => addresses,
            (None, _) => Vec::new(),
        }
    }

    /// Whether clients can connect.
    pub fn state(&self) -> ForwardState {
        lock(&self.state).clone()
    }

    /// The number of clients accepted so far.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Counts an accepted client.
    pub(crate) fn accept(&self) {
        self.accepted.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printable::word;

    #[test]
    fn a_forward_exists_while_it_is_held() {
        let forwards = Forwards::default();
        let new = NewForward {
            kind: ForwardKind::Local,
            origin: Origin::RunTime,
            name: None,
            spec: "8080:db:5432".into(),
            server: None,
            listen: None,
        };
        let (one, two) = (forwards.register(new.clone()), forwards.register(new));
        one.set_state(ForwardState::Listening(vec!["127.0.0.1:8080".into()]));
        one.accept();
        assert_eq!(one.names_in_requests(), ["127.0.0.1:8080".into()]);
        assert!(two.names_in_requests().is_empty());
        let seen: Vec<_> =
            forwards.all().iter().map(|p| (p.id(), word(p.state()), p.accepted())).collect();
        assert_eq!(seen, [(1, "listening", 1), (2, "asking", 0)]);
        let forward = Arc::clone(one.forward());
        drop(one);
        assert_eq!((forward.state(), forwards.all().len()), (ForwardState::Gone, 1));
        drop(two);
        assert!(forwards.all().is_empty());
    }
}
