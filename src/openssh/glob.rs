//! Patterns of names (`ssh_config(5)`, PATTERNS).

/// Whether a pattern means a name: `*` stands for any run of characters, `?` for one.
pub(crate) fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to go on after the last star when what follows it does not fit: one character later.
    let mut retry = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                retry = Some((p, n));
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((after_star, from)) => {
                    (p, n) = (after_star, from + 1);
                    retry = Some((after_star, n));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_case_matters() {
        assert!(glob("HMAC-*", "HMAC-md5") && !glob("HMAC-*", "hmac-md5"));
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!glob(&"*a".repeat(40), &"a".repeat(39)));
        assert!(glob(&"*a".repeat(40), &"a".repeat(200)));
        assert!(!glob(&format!("{}b", "a*".repeat(30)), &"a".repeat(100)));
    }

    /// Says it the slow way.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                naive(rest, name) || name.split_first().is_some_and(|(_, n)| naive(pattern, n))
            }
            (Some((p, rest)), Some((n, tail))) => (*p == b'?' || p == n) && naive(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn as_the_slow_way_says(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            prop_assert_eq!(glob(&pattern, &name), naive(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
