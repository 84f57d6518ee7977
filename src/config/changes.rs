//! Describes the differences between two configurations.

use std::collections::HashMap;
use std::sync::Arc;

use super::lists::Loaded;
use super::{Config, ForwardConfig};
use crate::printable::{self, counted};

/// The differences, as in `+1 listener, -2 servers, ~1 forward` (`~`: changed), and `rules changed`, since rules
/// are replaced as a whole. Lists are included if their file has changed.
pub(super) fn changes(old: &Config, new: &Config) -> String {
    let address = |listener: &super::ListenerConfig| listener.address.to_string();
    let name = |server: &super::ServerConfig| server.name.to_string();
    let are_rules_changed =
        old.written_rules != new.written_rules || old.router.default() != new.router.default();
    let others = [
        (are_rules_changed, "rules changed"),
        (old.backlog != new.backlog, "[backlog] takes effect at the next start"),
    ];
    let others = others.into_iter().filter(|(is_changed, _)| *is_changed);
    let others = others.map(|(_, words)| words.to_owned()).collect();
    let words = [
        differences(&old.listeners, &new.listeners, address, "listener"),
        differences(&old.servers, &new.servers, name, "server"),
        differences(&old.forwards, &new.forwards, ForwardConfig::place, "forward"),
        others,
        lists(&old.lists, &new.lists),
    ]
    .concat();
    match words.as_slice() {
        [] => "the same listeners, servers and forwards".to_owned(),
        words => words.join(", "),
    }
}

/// The lists that were read again, with the number of entries in each.
fn lists(old: &Loaded, new: &Loaded) -> Vec<String> {
    let mut read: Vec<_> = new
        .iter()
        .filter_map(|(path, now)| {
            // An unchanged list is the same allocation, not merely an equal one.
            let before = old.get(path).filter(|before| !Arc::ptr_eq(&before.list, &now.list))?;
            let (path, before, now) = (printable::path(path), before.list.len(), now.list.len());
            Some(format!("list {path} reloaded (entries: {before} before, {now} now)"))
        })
        .collect();
    read.sort_unstable();
    match read.len() {
        count if count > MOST_LISTS => vec![format!("{} reloaded", counted(count, "list"))],
        _ => read,
    }
}

/// The differences between two sets of items that are identified by a key.
fn differences<T: PartialEq>(
    old: &[T],
    new: &[T],
    key: impl Fn(&T) -> String,
    thing: &str,
) -> Vec<String> {
    let by_key = |all| -> HashMap<_, _> { <[T]>::iter(all).map(|one| (key(one), one)).collect() };
    let (old, new) = (by_key(old), by_key(new));
    let added = new.keys().filter(|key| !old.contains_key(*key)).count();
    let removed = old.keys().filter(|key| !new.contains_key(*key)).count();
    let is_changed =
        |(key, one): &(&String, &&T)| old.get(*key).is_some_and(|before| before != *one);
    let changed = new.iter().filter(is_changed).count();
    let counts = [('+', added), ('-', removed), ('~', changed)].into_iter();
    let counts = counts.filter(|(_, count)| *count > 0);
    counts.map(|(sign, count)| format!("{sign}{}", counted(count, thing))).collect()
}

/// The most lists that are named; more are only counted.
const MOST_LISTS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_identified_by_their_keys() {
        let words = |old: &[(u8, u8)], new: &[(u8, u8)]| {
            differences(old, new, |(key, _)| key.to_string(), "server").join(", ")
        };
        for (old, new, told) in [
            (&[][..], &[(1, 0)][..], "+1 server"),
            (&[(1, 0), (2, 0)], &[], "-2 servers"),
            (&[(1, 0), (2, 0)], &[(2, 0), (1, 1)], "~1 server"),
            (&[(1, 0), (2, 0), (3, 0)], &[(3, 1), (4, 0)], "+1 server, -2 servers, ~1 server"),
            (&[(1, 0), (2, 0)], &[(2, 0), (1, 0)], ""),
        ] {
            assert_eq!(words(old, new), told, "{old:?} {new:?}");
        }
    }
}
