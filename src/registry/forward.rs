//! Forwards in the sense of ssh (`-D`, `-L`, `-R`): the listeners that clients connect to, here and on
//! the servers.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use strum::IntoStaticStr;

use super::event::{Event, Events};
use crate::lock::lock;

/// A listener for clients, and what is behind it.
#[derive(Debug)]
pub struct Forward {
    id: u64,
    /// What it is; a reload may change that, while the socket stays.
    is: ArcSwap<NewForward>,
    accepted: AtomicU64,
    state: Mutex<ForwardState>,
}

/// What is behind a forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ForwardKind {
    /// A proxy on this machine (`-D`).
    Dynamic,
    /// One target on the far side (`-L`).
    Local,
    /// On a server, with a target on this side, or a proxy (`-R`).
    Remote,
}

/// Who asked for a forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Origin {
    /// The configuration file; only a reload removes it.
    Configuration,
    /// The command line, or the configuration of ssh.
    CommandLine,
    /// Somebody while the program ran.
    RunTime,
}

/// Whether clients can connect.
#[derive(Clone, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ForwardState {
    /// The server has been asked, or there is no session yet to ask it over.
    Asking,
    /// They can, at these addresses; a port given as 0 is the one that was chosen.
    Listening(Vec<Arc<str>>),
    /// They cannot, for this reason, escaped; it is tried again.
    Refused(Arc<str>),
    /// It was removed.
    Gone,
}

/// The forwards that there are. A clone is another handle to the same.
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

/// A forward, held by whoever listens there. It is gone when this is dropped.
#[derive(Debug)]
pub struct Registered {
    forward: Arc<Forward>,
    inner: Arc<Inner>,
}

/// What a forward is, as whoever opens it says.
#[derive(Clone, Debug)]
pub struct NewForward {
    /// What is behind it.
    pub kind: ForwardKind,
    /// Who asked for it.
    pub origin: Origin,
    /// What the rules call it.
    pub name: Option<Arc<str>>,
    /// As the user wrote it, in ssh's form.
    pub spec: Arc<str>,
    /// The server that listens.
    pub server: Option<Arc<str>>,
    /// The place where a server listens, which stands for the name where there is none.
    pub listen: Option<Arc<str>>,
}

impl Forwards {
    pub(super) fn new(events: Events) -> Self {
        Self(Arc::new(Inner { events, ..Inner::default() }))
    }

    /// Adds a forward that does not listen yet.
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

    /// All of them, in the order in which they came.
    pub fn all(&self) -> Vec<Arc<Forward>> {
        lock(&self.0.forwards).all.clone()
    }
}

impl Registered {
    /// The forward itself, to be shared.
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
    /// Its number, never given twice in one run.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What it is now: a reload may change that.
    pub fn about(&self) -> Arc<NewForward> {
        self.is.load_full()
    }

    /// What requests call it: its name, the place on the server, or the address of each socket.
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

    /// How many clients have come in.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// A client has come in.
    pub(crate) fn accept(&self) {
        self.accepted.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printable::word;

    #[test]
    fn a_place_is_there_while_somebody_holds_it() {
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
