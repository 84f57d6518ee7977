//! Which names a server has resolved lately.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::destination::Host;
use crate::ssh::OpenKind;
use crate::target::Target;

/// Names that led to a channel, and when. A server that has just resolved a name has it at hand.
#[derive(Debug, Default)]
pub(super) struct ResolvedNames(Mutex<HashMap<Arc<str>, Instant>>);

impl ResolvedNames {
    /// Whether `target` may take the server a while.
    pub(super) fn kind(&self, target: &Target) -> OpenKind {
        match target.host() {
            None | Some(Host::Ip(_)) => OpenKind::Plain,
            Some(Host::Name(name)) => match self.lock().get(name) {
                Some(when) if when.elapsed() < FRESH => OpenKind::Plain,
                _ => OpenKind::Scout,
            },
        }
    }

    /// The server has connected to `target`.
    pub(super) fn add(&self, target: &Target) {
        let Some(Host::Name(name)) = target.host() else { return };
        let mut names = self.lock();
        if names.len() >= MOST && !names.contains_key(name) {
            names.retain(|_, when| when.elapsed() < FRESH);
            if names.len() >= MOST {
                names.clear();
            }
        }
        names.insert(Arc::clone(name), Instant::now());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a resolver keeps a name, for all we know.
const FRESH: Duration = Duration::from_secs(60);
/// The most names kept.
const MOST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::Destination;

    fn name(text: &str) -> Target {
        Destination::parse(text, Some(80)).expect(text).into()
    }

    #[test]
    fn a_name_is_scouted_once() {
        let names = ResolvedNames::default();
        assert_eq!(names.kind(&name("127.0.0.1")), OpenKind::Plain);
        assert_eq!(names.kind(&name("a.example")), OpenKind::Scout);
        names.add(&name("a.example"));
        assert_eq!(names.kind(&name("A.example.")), OpenKind::Plain);
        assert_eq!(names.kind(&name("b.example")), OpenKind::Scout);
        assert_eq!(names.kind(&Target::Socket("/run/x".into())), OpenKind::Plain);
    }

    #[test]
    fn the_names_are_bounded() {
        let names = ResolvedNames::default();
        (0..3 * MOST).for_each(|i| names.add(&name(&format!("h{i}.example"))));
        assert!(names.lock().len() <= MOST);
    }
}
