//! "Did you mean": finds the known word that is nearest to an unknown one.

/// The known word that `word` may have been meant for: few letters differ, or two are swapped.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A very long word is not a typing error.
    if word.len() > MAX_WORD {
        return None;
    }
    let word = word.to_lowercase();
    let likeness = |known: &str| strsim::damerau_levenshtein(&word, known);
    known
        .into_iter()
        .map(|known| (likeness(&known.to_lowercase()), known))
        .filter(|(distance, known)| *distance <= known.chars().count().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// `did you mean 'x'?` if a known word is near, otherwise the list of all.
pub(super) fn hint<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
    there_is: &str,
) -> String {
    if let Some(near) = nearest(word, known.clone()) {
        return format!("did you mean '{near}'?");
    }
    let all: Vec<_> = known.into_iter().take(MAX_LISTED).collect();
    if all.is_empty() {
        format!("{there_is} none")
    } else {
        format!("{there_is} {}", all.join(", "))
    }
}

const MAX_WORD: usize = 64;
/// The most words in the list.
const MAX_LISTED: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_mistakes_are_recognised() {
        let known = ["domain", "domain_suffix", "cidr", "via", "port"];
        for (word, meant) in [
            ("domian", Some("domain")),
            ("Domain", Some("domain")),
            ("domain-suffix", Some("domain_suffix")),
            ("cdir", Some("cidr")),
            ("ports", Some("port")),
            ("vai", Some("via")),
            ("x", None),
            ("colour", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(10_000), known), None);
    }

    #[test]
    fn without_a_near_word_all_are_listed() {
        assert_eq!(hint("bastoin", ["bastion", "backup"], "there are"), "did you mean 'bastion'?");
        assert_eq!(hint("x", ["bastion", "backup"], "there are"), "there are bastion, backup");
        assert_eq!(hint("x", [], "there are"), "there are none");
    }
}
