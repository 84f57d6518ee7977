//! The keys to an address that every user of this machine can reach: a token, a cookie, and
//! single-use links.

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::lock::lock;
use crate::secret::Secret;

/// The keys of one run. Never printed, and compared in constant time.
#[derive(Debug)]
pub(crate) struct Keys {
    /// The token that scripts send, as `Authorization: Bearer`.
    pub(crate) token: Secret,
    /// The cookie that a browser gets for the code of a link.
    pub(crate) cookie: Secret,
    codes: Mutex<VecDeque<(Instant, Secret)>>,
}

impl Keys {
    /// Generates the keys; `token` is the configured token, if any.
    pub(crate) fn new(token: Option<Secret>) -> io::Result<Self> {
        let token = token.map_or_else(Secret::random, Ok)?;
        Ok(Self { token, cookie: Secret::random()?, codes: Mutex::default() })
    }

    /// Issues a single-use code that is valid for 10 minutes. If there are many unused codes, the oldest is dropped.
    pub(crate) fn issue(&self) -> io::Result<Secret> {
        let code = Secret::random()?;
        let mut codes = lock(&self.codes);
        if codes.len() >= MOST_CODES {
            codes.pop_front();
        }
        codes.push_back((Instant::now(), code.clone()));
        Ok(code)
    }

    /// Whether the code is valid. It is no longer valid afterwards.
    pub(crate) fn redeem(&self, text: &[u8]) -> bool {
        let mut codes = lock(&self.codes);
        codes.retain(|(issued, _)| issued.elapsed() < CODE_LIFE);
        // All codes are compared, so that the time does not depend on which one matches.
        let found: Vec<_> = codes.iter().map(|(_, code)| code.is(text)).collect();
        let at = found.iter().position(|is_it| *is_it);
        at.is_some_and(|at| codes.remove(at).is_some())
    }
}

/// The lifetime of a code.
const CODE_LIFE: Duration = Duration::from_secs(600);
/// The most codes that are valid at a time.
const MOST_CODES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_valid_once_and_the_keys_are_not_codes() {
        let keys = Keys::new(None).expect("random numbers");
        let (one, other) = (keys.issue().expect("a code"), keys.issue().expect("a code"));
        assert!(keys.redeem(one.text().as_bytes()) && !keys.redeem(one.text().as_bytes()));
        assert!(!keys.redeem(keys.token.text().as_bytes()) && !keys.redeem(b""));
        assert!(keys.redeem(other.text().as_bytes()));
        for _ in 0..MOST_CODES {
            keys.issue().expect("a code");
        }
        let last = keys.issue().expect("a code");
        assert_eq!(lock(&keys.codes).len(), MOST_CODES);
        assert!(keys.redeem(last.text().as_bytes()));
    }

    #[test]
    fn a_code_is_good_for_ten_minutes() {
        let keys = Keys::new(None).expect("random numbers");
        for (minutes, is_good) in [(9, true), (10, false)] {
            let code = keys.issue().expect("a code");
            let issued = Instant::now().checked_sub(Duration::from_secs(60 * minutes));
            lock(&keys.codes).back_mut().expect("the code").0 =
                issued.expect("a clock that knows that time");
            assert_eq!(keys.redeem(code.text().as_bytes()), is_good, "{minutes} min");
        }
    }

    #[test]
    fn a_key_opens_its_own_door_only() {
        let (keys, others) = (Keys::new(None).expect("keys"), Keys::new(None).expect("keys"));
        assert!(
            keys.token.is(keys.token.text().as_bytes())
                && keys.cookie.is(keys.cookie.text().as_bytes())
        );
        assert!(!keys.token.is(keys.cookie.text().as_bytes()));
        assert!(!keys.cookie.is(keys.token.text().as_bytes()));
        for text in
            ["", &keys.token.text()[..63], &format!("{}0", keys.token.text()), others.token.text()]
        {
            assert!(!keys.token.is(text.as_bytes()), "{text}");
        }
        assert_eq!(keys.token.text().len(), 64);
        let code = keys.issue().expect("a code");
        let shown = format!("{keys:?}{code:?}");
        for secret in [&keys.token, &keys.cookie, &code] {
            assert!(!shown.contains(secret.text()), "{shown}");
        }
    }
}
