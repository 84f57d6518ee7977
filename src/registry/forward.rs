//! Listeners and forwards: where clients come in, here and on the servers.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;

use super::event::{Event, Events};
use crate::lock::lock;

/// A place where clients come in.
#[derive(Debug)]
pub struct Place {
    id: u64,
    /// What it is; a reload may change that, while the socket stays.
    is: ArcSwap<NewPlace>,
    accepted: AtomicU64,
    state: Mutex<PlaceState>,
}

/// What is behind a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlaceKind {
    /// A proxy on this machine (`-D`).
    Dynamic,
    /// One target on the far side (`-L`).
    Local,
    /// On a server, with a target on this side, or a proxy (`-R`).
    Remote,
}

/// Who asked for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration file, which alone takes it back.
    Configuration,
    /// The command line, or the configuration of ssh.
    CommandLine,
    /// Somebody while the program ran.
    RunTime,
}

/// Whether clients can come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceState {
    /// The server is asked, or there is no session to ask it on.
    Asking,
    /// They can, at these addresses (a port that was to be chosen is the one that was).
    Listening(Vec<Arc<str>>),
    /// They cannot, for this reason, in printable words; it is tried again.
    Refused(Arc<str>),
    /// It was taken back.
    Gone,
}

/// The places that there are. A clone is another handle to the same.
#[derive(Clone, Debug, Default)]
pub struct Places(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    places: Mutex<Table>,
    events: Events,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    all: Vec<Arc<Place>>,
}

/// A place, held by whoever listens there. It is gone when this is dropped.
#[derive(Debug)]
pub struct Registered {
    place: Arc<Place>,
    inner: Arc<Inner>,
}

/// What a place is, as whoever opens it says.
#[derive(Clone, Debug)]
pub struct NewPlace {
    /// What is behind it.
    pub kind: PlaceKind,
    /// Who asked for it.
    pub origin: Origin,
    /// What the rules call it.
    pub name: Option<Arc<str>>,
    /// As the user wrote it, in ssh's form.
    pub spec: Arc<str>,
    /// The server that listens.
    pub server: Option<Arc<str>>,
}

impl Places {
    pub(super) fn new(events: Events) -> Self {
        Self(Arc::new(Inner { events, ..Inner::default() }))
    }

    /// Notes a place at which nobody listens yet.
    pub fn register(&self, new: NewPlace) -> Registered {
        let mut table = lock(&self.0.places);
        table.last += 1;
        let place = Arc::new(Place {
            id: table.last,
            is: ArcSwap::from_pointee(new),
            accepted: AtomicU64::new(0),
            state: Mutex::new(PlaceState::Asking),
        });
        table.all.push(Arc::clone(&place));
        Registered { place, inner: Arc::clone(&self.0) }
    }

    /// All of them, in the order in which they came.
    pub fn all(&self) -> Vec<Arc<Place>> {
        lock(&self.0.places).all.clone()
    }
}

impl Registered {
    /// The place itself, to be shared.
    pub fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// It is something else from now on: the configuration was read again.
    pub fn describe(&self, new: NewPlace) {
        self.place.is.store(Arc::new(new));
        self.inner.events.tell(|| Event::PlaceChanged(Arc::clone(&self.place)));
    }

    /// Clients can come in, or no longer.
    pub fn set_state(&self, state: PlaceState) {
        *lock(&self.place.state) = state;
        self.inner.events.tell(|| Event::PlaceChanged(Arc::clone(&self.place)));
    }
}

impl Deref for Registered {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock(&self.inner.places).all.retain(|place| place.id != self.place.id);
        self.set_state(PlaceState::Gone);
    }
}

impl Place {
    /// Its number, never given twice in one run.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What is behind it.
    pub fn kind(&self) -> PlaceKind {
        self.is.load().kind
    }

    /// Who asked for it.
    pub fn origin(&self) -> Origin {
        self.is.load().origin
    }

    /// What the rules call it; none where that is its address.
    pub fn name(&self) -> Option<Arc<str>> {
        self.is.load().name.clone()
    }

    /// As the user wrote it, in ssh's form.
    pub fn spec(&self) -> Arc<str> {
        Arc::clone(&self.is.load().spec)
    }

    /// The server that listens, where it is one.
    pub fn server(&self) -> Option<Arc<str>> {
        self.is.load().server.clone()
    }

    /// Whether clients can come in.
    pub fn state(&self) -> PlaceState {
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

impl PlaceKind {
    /// Its word in answers, and its flag.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dynamic => "dynamic",
            Self::Local => "local",
            Self::Remote => "remote",
        }
    }

    /// The letter that ssh has for it.
    pub fn flag(self) -> char {
        match self {
            Self::Dynamic => 'D',
            Self::Local => 'L',
            Self::Remote => 'R',
        }
    }
}

impl Origin {
    /// Its word in answers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::CommandLine => "command_line",
            Self::RunTime => "run_time",
        }
    }
}

impl PlaceState {
    /// Its word in answers and labels.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Asking => "asking",
            Self::Listening(_) => "listening",
            Self::Refused(_) => "refused",
            Self::Gone => "gone",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_there_while_somebody_holds_it() {
        let places = Places::default();
        let new = NewPlace {
            kind: PlaceKind::Local,
            origin: Origin::RunTime,
            name: None,
            spec: "8080:db:5432".into(),
            server: None,
        };
        let (one, two) = (places.register(new.clone()), places.register(new));
        one.set_state(PlaceState::Listening(vec!["127.0.0.1:8080".into()]));
        one.accept();
        let seen: Vec<_> =
            places.all().iter().map(|p| (p.id(), p.state().word(), p.accepted())).collect();
        assert_eq!(seen, [(1, "listening", 1), (2, "asking", 0)]);
        let place = Arc::clone(one.place());
        drop(one);
        assert_eq!((place.state(), places.all().len()), (PlaceState::Gone, 1));
        drop(two);
        assert!(places.all().is_empty());
    }
}
