//! The names that a server has resolved recently, and the targets whose failed opens ended a session.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::lock;
use crate::destination::Host;
use crate::ssh::OpenKind;
use crate::target::Target;

/// What is known about a server's targets.
#[derive(Debug, Default)]
pub(super) struct KnownTargets {
    /// Names for which a channel was opened, and when. The server's resolver has probably cached them.
    resolved: Mutex<HashMap<Arc<str>, Instant>>,
    /// Targets that were being opened when a session ended because of an undecodable answer, and when.
    suspects: Mutex<HashMap<Target, Instant>>,
}

impl KnownTargets {
    /// How an open to `target` may affect its session.
    pub(super) fn kind(&self, target: &Target) -> OpenKind {
        let suspect = lock(&self.suspects).get(target).copied();
        if suspect.is_some_and(|when| when.elapsed() < SUSPECT) {
            return OpenKind::Isolated;
        }
        match target.host() {
            None | Some(Host::Ip(_)) => OpenKind::Plain,
            Some(Host::Name(name)) => match lock(&self.resolved).get(name) {
                Some(when) if when.elapsed() < FRESH => OpenKind::Plain,
                _ => OpenKind::UnresolvedName,
            },
        }
    }

    /// Records that the server has connected to `target`.
    pub(super) fn add(&self, target: &Target) {
        lock(&self.suspects).remove(target);
        if let Some(Host::Name(name)) = target.host() {
            note(&self.resolved, Arc::clone(name), FRESH);
        }
    }

    /// Records that a session ended because of an undecodable answer while `target` was being opened.
    pub(super) fn suspect(&self, target: &Target) {
        note(&self.suspects, target.clone(), SUSPECT);
    }
}

/// Records `key` with the current time. At [`MOST`] entries, those older than `fresh` are removed, or else all.
fn note<K: Eq + Hash>(known: &Mutex<HashMap<K, Instant>>, key: K, fresh: Duration) {
    let mut known = lock(known);
    if known.len() >= MOST && !known.contains_key(&key) {
        known.retain(|_, when| when.elapsed() < fresh);
        if known.len() >= MOST {
            known.clear();
        }
    }
    known.insert(key, Instant::now());
}

/// How long a resolver is assumed to cache a name.
const FRESH: Duration = Duration::from_secs(60);
/// How long a target whose failed open ended a session gets a session of its own.
const SUSPECT: Duration = Duration::from_secs(600);
/// The maximum number of entries.
const MOST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::Destination;

    fn name(text: &str) -> Target {
        Destination::parse(text, Some(80)).expect(text).into()
    }

    #[test]
    fn a_name_is_unresolved_until_it_was_opened() {
        let names = KnownTargets::default();
        assert_eq!(names.kind(&name("127.0.0.1")), OpenKind::Plain);
        assert_eq!(names.kind(&name("a.example")), OpenKind::UnresolvedName);
        names.add(&name("a.example"));
        assert_eq!(names.kind(&name("A.example.")), OpenKind::Plain);
        assert_eq!(names.kind(&name("b.example")), OpenKind::UnresolvedName);
        assert_eq!(names.kind(&Target::Socket("/run/x".into())), OpenKind::Plain);
    }

    #[test]
    fn a_target_whose_failure_ended_a_session_is_isolated_until_it_is_reached() {
        let known = KnownTargets::default();
        let target = name("127.0.0.1:80");
        known.suspect(&target);
        assert_eq!(known.kind(&target), OpenKind::Isolated);
        assert_eq!(known.kind(&name("127.0.0.1:81")), OpenKind::Plain);
        known.add(&target);
        assert_eq!(known.kind(&target), OpenKind::Plain);
    }

    #[test]
    fn the_names_are_bounded() {
        let names = KnownTargets::default();
        (0..3 * MOST).for_each(|i| names.add(&name(&format!("h{i}.example"))));
        assert!(lock(&names.resolved).len() <= MOST);
    }
}
