//! The differences between two configurations.

use std::fmt;

use super::{Config, ForwardConfig, ListenerConfig, ServerConfig};

/// The differences that a reload applies. Everything else stays. Rules are not included: they are
/// replaced as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Listeners, identified by address.
    pub listeners: Difference<ListenerConfig>,
    /// Servers, identified by name.
    pub servers: Difference<ServerConfig>,
    /// Forwards, identified by the side and the address that they listen on.
    pub forwards: Difference<ForwardConfig>,
}

/// The differences between two sets of things with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference<T> {
    /// New things, in the order of the new configuration.
    pub added: Vec<T>,
    /// Removed things, in the order of the old configuration.
    pub removed: Vec<T>,
    /// Changed things with the same key, as in the new configuration.
    pub changed: Vec<T>,
}

impl Changes {
    /// The differences from `old` to `new`.
    pub fn between(old: &Config, new: &Config) -> Self {
        Self {
            listeners: Difference::between(&old.listeners, &new.listeners, |listener| {
                listener.address.to_string()
            }),
            servers: Difference::between(&old.servers, &new.servers, |server| {
                server.name.to_string()
            }),
            forwards: Difference::between(&old.forwards, &new.forwards, ForwardConfig::place),
        }
    }
}

impl<T: Clone + PartialEq> Difference<T> {
    fn between<K: PartialEq>(old: &[T], new: &[T], key: impl Fn(&T) -> K) -> Self {
        let find =
            |among: &[T], wanted: &T| among.iter().find(|other| key(other) == key(wanted)).cloned();
        let pick = |from: &[T], keep: &dyn Fn(&T) -> bool| {
            from.iter().filter(|one| keep(one)).cloned().collect()
        };
        Self {
            added: pick(new, &|one| find(old, one).is_none()),
            removed: pick(old, &|one| find(new, one).is_none()),
            changed: pick(new, &|one| find(old, one).is_some_and(|before| before != *one)),
        }
    }
}

impl<T> Difference<T> {
    /// Whether there is no difference.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    /// As `+1 listener`, `-2 servers`, `~1 forward`.
    fn words(&self, thing: &str) -> impl Iterator<Item = String> {
        let counts =
            [('+', self.added.len()), ('-', self.removed.len()), ('~', self.changed.len())];
        let counts = counts.into_iter().filter(|(_, count)| *count > 0);
        counts.map(move |(sign, count)| format!("{sign}{}", counted(count, thing)))
    }
}

impl fmt::Display for Changes {
    /// `+1 listener, -2 servers, ~1 forward` (`~`: changed), or `no other changes`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.listeners.words("listener").chain(self.servers.words("server"));
        let words: Vec<_> = words.chain(self.forwards.words("forward")).collect();
        if words.is_empty() {
            f.write_str("the same listeners, servers and forwards")
        } else {
            f.write_str(&words.join(", "))
        }
    }
}

/// `1 rule`, `2 rules`.
pub fn counted(count: usize, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        many => format!("{many} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_told_in_a_line() {
        let difference = |added: usize, removed: usize, changed: usize| Difference {
            added: vec![(); added],
            removed: vec![(); removed],
            changed: vec![(); changed],
        };
        let words = |d: &Difference<()>| d.words("server").collect::<Vec<_>>().join(", ");
        assert_eq!(words(&difference(1, 2, 3)), "+1 server, -2 servers, ~3 servers");
        assert_eq!(words(&difference(0, 0, 0)), "");
        assert!(difference(0, 0, 0).is_empty() && !difference(0, 0, 1).is_empty());
    }

    proptest! {
        #[test]
        fn it_turns_the_old_into_the_new(
            old in prop::collection::btree_map(0_u8..12, 0_u8..3, 0..10),
            new in prop::collection::btree_map(0_u8..12, 0_u8..3, 0..10),
        ) {
            let list = |map: &BTreeMap<u8, u8>| map.iter().map(|(k, v)| (*k, *v)).collect::<Vec<_>>();
            let difference = Difference::between(&list(&old), &list(&new), |(key, _)| *key);
            prop_assert_eq!(difference.is_empty(), old == new);
            let mut turned = old.clone();
            for (key, value) in difference.removed {
                prop_assert_eq!(turned.remove(&key), Some(value));
            }
            for (key, value) in difference.changed {
                prop_assert!(turned.insert(key, value).is_some_and(|before| before != value));
            }
            for (key, value) in difference.added {
                prop_assert_eq!(turned.insert(key, value), None);
            }
            prop_assert_eq!(turned, new);
        }
    }
}
