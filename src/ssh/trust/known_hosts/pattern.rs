//! Matches the names of a line against a host.

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::known_hosts::HostPatterns;
use sha1::Sha1;
use wildmatch::WildMatch;

/// Whether the names of a line match `name`, which is in lower case.
///
/// A matching `!pattern` outweighs all others (`ssh_config(5)`, PATTERNS).
pub(super) fn matches(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::HashedName { salt, hash } => hash_name(salt, name) == *hash,
        HostPatterns::Patterns(patterns) => {
            let mut found = false;
            for pattern in patterns {
                let (is_negated, pattern) = match pattern.strip_prefix('!') {
                    Some(pattern) => (true, pattern),
                    None => (false, pattern.as_str()),
                };
                if WildMatch::new(&pattern.to_ascii_lowercase()).matches(name) {
                    if is_negated {
                        return false;
                    }
                    found = true;
                }
            }
            found
        }
    }
}

/// The HMAC-SHA1 of a name, keyed with the salt.
pub(super) fn hash_name(salt: &[u8], name: &str) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).expect("HMAC takes a key of any length");
    mac.update(name.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(text: &str) -> HostPatterns {
        text.parse().expect(text)
    }

    #[test]
    fn names_and_patterns() {
        for (pattern, name, expected) in [
            ("host", "host", true),
            ("HOST", "host", true),
            ("host", "hosts", false),
            ("a,host,b", "host", true),
            ("*.example", "a.b.example", true),
            ("*.example", "example", false),
            ("h?st", "host", true),
            ("h?st", "hst", false),
            ("*", "anything", true),
            ("*.example,!bad.example", "good.example", true),
            ("*.example,!bad.example", "bad.example", false),
            ("!bad.example,*.example", "bad.example", false),
            ("!bad.example", "good.example", false),
            ("[host]:22", "host", false),
            ("[host]:2222", "[host]:2222", true),
            ("[10.0.0.?]:2222", "[10.0.0.7]:2222", true),
            ("*:2222", "[host]:2222", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
        ] {
            assert_eq!(matches(&patterns(pattern), name), expected, "{pattern} {name}");
        }
        let (stars, long) = (format!("{}b", "a*".repeat(60)), "a".repeat(200));
        assert!(!matches(&patterns(&stars), &long), "it takes no time");
    }

    /// An example of `ssh-keygen`: salt and hash of `example.com`.
    #[test]
    fn a_hashed_name_matches_only_itself() {
        let salt = b"twenty bytes of salt";
        let line =
            HostPatterns::HashedName { salt: salt.to_vec(), hash: hash_name(salt, "example.com") };
        assert!(matches(&line, "example.com"));
        assert!(!matches(&line, "example.org"));
    }
}
