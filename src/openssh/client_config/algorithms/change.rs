//! How a configured list of algorithms changes another list: `+` appends, `-` removes, `^` puts in
//! front, and anything else replaces it (`ssh_config(5)`).

use std::collections::HashSet;

use wildmatch::WildMatch;

/// A change to a list of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Change {
    /// `+`: appends these names.
    Add(Vec<String>),
    /// `-`: removes the names that match these patterns.
    Remove(Vec<String>),
    /// `^`: puts these names first.
    First(Vec<String>),
    /// Replaces the list by these names, in this order.
    Only(Vec<String>),
}

impl Change {
    /// Parses the value of an option.
    pub(in super::super) fn parse(value: &str) -> Self {
        match value.split_at_checked(1) {
            Some(("+", names)) => Self::Add(split(names)),
            Some(("-", names)) => Self::Remove(split(names)),
            Some(("^", names)) => Self::First(split(names)),
            _ => Self::Only(split(value)),
        }
    }

    /// Infers the change that turned the `usual` list into `result`, since `ssh -G` prints only the
    /// result. A removal cannot be told from a list of the remaining names, and counts as one.
    pub(super) fn between(usual: &str, result: &str) -> Self {
        let (usual, result) = (split(usual), split(result));
        if usual.is_empty() {
            return Self::Only(result);
        }
        if let Some(added) = result.strip_prefix(&usual[..]) {
            return Self::Add(added.to_vec());
        }
        for first in 1..=result.len() {
            let (first, rest) = result.split_at(first);
            if usual.iter().filter(|name| !first.contains(name)).eq(rest) {
                // A reordered list may just as well have been written out.
                return Self::First(first.to_vec());
            }
        }
        Self::Only(result)
    }

    /// Applies the change to a list of names. The result has no duplicates.
    pub(in super::super) fn apply<'a>(
        &'a self,
        names: impl Iterator<Item = &'a str>,
    ) -> Vec<&'a str> {
        let listed = |names: &'a [String]| names.iter().map(String::as_str);
        let mut list: Vec<&str> = match self {
            Self::Add(more) => names.chain(listed(more)).collect(),
            Self::First(first) => listed(first).chain(names).collect(),
            Self::Only(only) => listed(only).collect(),
            Self::Remove(patterns) => {
                let patterns: Vec<_> = patterns.iter().map(|p| WildMatch::new(p)).collect();
                names.filter(|name| !patterns.iter().any(|p| p.matches(name))).collect()
            }
        };
        let mut seen = HashSet::new();
        list.retain(|name| seen.insert(*name));
        list
    }

    /// Applies the change to `ours`, a list of names out of those in `known`.
    pub(super) fn of<N: Copy + AsRef<str>>(&self, ours: &[N], known: &[N]) -> Vec<N> {
        let names = self.apply(ours.iter().map(AsRef::as_ref)).into_iter();
        names.filter_map(|name| known.iter().find(|n| n.as_ref() == name).copied()).collect()
    }
}

pub(super) fn split(names: &str) -> Vec<String> {
    names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> Vec<String> {
        split(list)
    }

    #[test]
    fn a_change_is_inferred_from_its_result() {
        for (result, change) in [
            ("a,b,c,x", Change::Add(names("x"))),
            ("x,a,b,c", Change::First(names("x"))),
            ("c,a,b", Change::First(names("c"))),
            ("x,b,a,c", Change::First(names("x,b"))),
            ("a,c", Change::Only(names("a,c"))),
            ("x", Change::Only(names("x"))),
            ("c,x", Change::Only(names("c,x"))),
        ] {
            assert_eq!(Change::between("a,b,c", result), change, "{result}");
        }
        assert_eq!(
            Change::between("", "a,b"),
            Change::Only(names("a,b")),
            "an ssh that is not there"
        );
    }

    #[test]
    fn a_changed_list_has_no_duplicates_and_no_unknown_names() {
        let (ours, known) = (["q", "a", "b"], ["q", "a", "b", "old"]);
        for (value, list) in [
            ("+old,b,unknown", "q,a,b,old"),
            ("^old,b,unknown", "old,b,q,a"),
            ("-b,?", ""),
            ("-b", "q,a"),
            ("-B", "q,a,b"),
            ("b,old,unknown,b", "b,old"),
            ("unknown", ""),
        ] {
            assert_eq!(Change::parse(value).of(&ours, &known).join(","), list, "{value}");
        }
    }
}
