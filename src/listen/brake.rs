//! Limits on what one source repeats: wrong passwords are slowed, and log lines are summed up.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::connect;
use super::proxy_auth::ProxyCredentials;
use crate::dial::DialFailure;
use crate::lock::lock;
use crate::request::{Request, Source};
use crate::task;

/// A value for each source, as long as it is in use. A source is an IPv4 address, or an IPv6 network that one
/// machine may have to itself.
#[derive(Debug)]
pub(crate) struct BySource<T>(Mutex<HashMap<SourceKey, Arc<T>>>);

/// The source of clients that is counted as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SourceKey {
    /// Clients of a unix socket, or of the server's, which have no address.
    Local,
    /// An IPv4 address, or the first 64 bits of an IPv6 one (RFC 6177).
    Ip(IpAddr),
    /// More sources than are told apart.
    Others,
}

/// Checks a client's name and password.
#[derive(Debug)]
pub(crate) struct Checker<'a> {
    credentials: &'a ProxyCredentials,
    brakes: &'a BySource<Brake>,
    source: Source,
}

/// Bounds how fast one source may guess: only so many of its tries are under way, and a wrong one
/// takes a while. As long as nobody is wrong nobody waits.
#[derive(Debug)]
pub(crate) struct Brake {
    tries: Semaphore,
    wrong: Arc<Repeats>,
}

/// Logs the connections that fail, of a proxy or a forward.
#[derive(Clone, Debug, Default)]
pub struct Failures(Arc<BySource<Repeats>>);

/// An event that is logged the first few times in a minute, and then summed up.
#[derive(Debug)]
pub(crate) struct Repeats {
    /// How often it is logged before it is summed up.
    alone: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How often it has happened in this minute.
    count: u64,
    /// Waits for the end of the minute.
    minute: Option<AbortOnDropHandle<()>>,
}

/// What is kept while something of it is under way.
pub(crate) trait UnderWay: Default {
    /// Whether something is, though nobody holds it.
    fn is_under_way(&self) -> bool;
}

impl<'a> Checker<'a> {
    pub(crate) fn new(
        credentials: &'a ProxyCredentials,
        brakes: &'a BySource<Brake>,
        source: Source,
    ) -> Self {
        Self { credentials, brakes, source }
    }

    /// The user, if the name and the password are right together. What is wrong takes [`PENALTY`] at
    /// least, and longer where the same source tries much.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time. The next try of the source then comes sooner.
    pub(crate) async fn verify(&self, name: &[u8], password: &[u8]) -> Option<Arc<str>> {
        let key = SourceKey::of(self.source);
        let brake = self.brakes.of(key);
        let _turn = brake.tries.acquire().await.ok()?;
        let user = self.credentials.verify(name, password);
        if user.is_none() {
            brake.wrong.note(
                || warn!("a wrong user name or password for the proxy, from {key}"),
                move |count| {
                    warn!("{count} more wrong user names or passwords for the proxy, from {key}");
                },
            );
            sleep(PENALTY).await;
        }
        user
    }
}

impl Default for Brake {
    fn default() -> Self {
        Self { tries: Semaphore::new(AT_ONCE), wrong: Arc::new(Repeats::new(1)) }
    }
}

impl Repeats {
    /// Logs it `alone` times a minute before it sums it up.
    pub(crate) fn new(alone: u64) -> Self {
        Self { alone, state: Mutex::default() }
    }

    /// Counts one: `tell` logs it, or at the end of the minute `sum` logs how many there were beyond
    /// those.
    pub(crate) fn note(
        self: &Arc<Self>,
        tell: impl FnOnce(),
        sum: impl Fn(u64) + Send + Sync + 'static,
    ) {
        let is_told = {
            let mut state = lock(&self.state);
            state.count += 1;
            if state.minute.is_none() {
                state.minute = Some(task::spawn(sum_up(Arc::downgrade(self), sum)));
            }
            state.count <= self.alone
        };
        if is_told {
            tell();
        }
    }

    /// The number of those not logged in the last minute. After a minute without, counting stops.
    fn next_minute(&self) -> u64 {
        let mut state = lock(&self.state);
        let unlogged = state.count.saturating_sub(self.alone);
        // What goes on is summed up from its first time.
        state.count = if unlogged > 0 { self.alone } else { 0 };
        if unlogged == 0 {
            state.minute = None;
        }
        unlogged
    }
}

/// Logs at the end of each minute how many were not logged, until there are none.
async fn sum_up(repeats: Weak<Repeats>, sum: impl Fn(u64)) {
    loop {
        sleep(MINUTE).await;
        match repeats.upgrade().map(|repeats| repeats.next_minute()) {
            Some(0) | None => return,
            Some(unlogged) => sum(unlogged),
        }
    }
}

impl UnderWay for Repeats {
    fn is_under_way(&self) -> bool {
        lock(&self.state).minute.is_some()
    }
}

impl UnderWay for Brake {
    fn is_under_way(&self) -> bool {
        self.wrong.is_under_way()
    }
}

impl Default for Repeats {
    fn default() -> Self {
        Self::new(10)
    }
}

impl Failures {
    /// Logs a connection that failed.
    pub(crate) fn note(&self, request: &Request, failure: &DialFailure) {
        let Request { listener, target, .. } = request;
        let source = SourceKey::of(request.source);
        let of_all = Arc::clone(listener);
        self.0.of(source).note(
            || info!("{listener} to {target}: {}", connect::in_a_line(failure)),
            move |count| {
                info!("{of_all}: {count} more connections from {source} failed in a minute");
            },
        );
    }
}

impl<T> Default for BySource<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: UnderWay> BySource<T> {
    /// That of a source.
    pub(crate) fn of(&self, key: SourceKey) -> Arc<T> {
        let mut all = lock(&self.0);
        if all.len() >= MOST && !all.contains_key(&key) {
            all.retain(|_, one| Arc::strong_count(one) > 1 || one.is_under_way());
        }
        let key =
            if all.len() >= MOST && !all.contains_key(&key) { SourceKey::Others } else { key };
        Arc::clone(all.entry(key).or_default())
    }
}

impl SourceKey {
    pub(crate) fn of(source: Source) -> Self {
        match source.ip() {
            None => Self::Local,
            Some(IpAddr::V6(ip)) => {
                Self::Ip(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into())
            }
            Some(ip @ IpAddr::V4(_)) => Self::Ip(ip),
        }
    }
}

impl fmt::Display for SourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("a client without an address"),
            Self::Ip(ip @ IpAddr::V4(_)) => ip.fmt(f),
            Self::Ip(ip) => write!(f, "{ip}/64"),
            Self::Others => f.write_str("many other sources"),
        }
    }
}

/// How many tries of one source may be under way.
const AT_ONCE: usize = 8;
/// How long a wrong try takes.
const PENALTY: Duration = Duration::from_secs(1);
/// The time of a sum.
const MINUTE: Duration = Duration::from_secs(60);
/// So many sources are told apart.
const MOST: usize = 4096;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use tokio::task::JoinSet;
    use tokio::time::Instant;

    use super::*;
    use crate::listen::testing::credentials;

    fn source(text: &str) -> Source {
        Source::Tcp(text.parse().expect(text))
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_of_one_source_are_slow_however_many_come_at_once() {
        let (credentials, brakes) = (Arc::new(credentials()), Arc::<BySource<Brake>>::default());
        let mut guesses = JoinSet::new();
        let begun = Instant::now();
        for _ in 0..100 {
            let (credentials, brakes) = (Arc::clone(&credentials), Arc::clone(&brakes));
            guesses.spawn(async move {
                let checker = Checker::new(&credentials, &brakes, source("192.0.2.1:9"));
                assert_eq!(checker.verify(b"ada", b"guess").await, None);
            });
        }
        guesses.join_all().await;
        assert_eq!(begun.elapsed(), Duration::from_secs(13), "8 a second");
        // Whoever knows it does not wait, and another source has nothing to do with it.
        let begun = Instant::now();
        let checker = Checker::new(&credentials, &brakes, source("192.0.2.1:9"));
        assert!(checker.verify(b"ada", b"secret").await.is_some());
        let checker = Checker::new(&credentials, &brakes, source("192.0.2.2:9"));
        assert!(checker.verify(b"ada", b"secret").await.is_some());
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_goes_on_is_told_once_and_then_in_sums() {
        let repeats = Arc::new(Repeats::new(2));
        let (told, summed) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
        let note = |count| {
            for _ in 0..count {
                let summed = Arc::clone(&summed);
                repeats.note(
                    || {
                        told.fetch_add(1, Relaxed);
                    },
                    move |count| {
                        summed.fetch_add(count, Relaxed);
                    },
                );
            }
        };
        let so_far = || (told.load(Relaxed), summed.load(Relaxed));
        note(10);
        assert_eq!(so_far(), (2, 0));
        sleep(MINUTE + Duration::from_secs(1)).await;
        assert_eq!(so_far(), (2, 8));
        note(5);
        sleep(MINUTE).await;
        assert_eq!(so_far(), (2, 13));
        sleep(2 * MINUTE).await;
        note(1);
        assert_eq!(so_far(), (3, 13), "after a quiet minute it is news again");
    }

    #[test]
    fn a_network_of_one_machine_is_one_source_and_there_is_a_bound() {
        let key = |text| SourceKey::of(source(text));
        assert_eq!(key("[2001:db8::1]:1"), key("[2001:db8::ffff:1]:2"));
        assert_ne!(key("[2001:db8:0:1::1]:1"), key("[2001:db8::1]:1"));
        assert_eq!(key("[::ffff:192.0.2.1]:1"), key("192.0.2.1:2"));
        assert_ne!(key("192.0.2.1:1"), key("192.0.2.2:1"));
        let all = BySource::<Repeats>::default();
        let held: Vec<_> = (0..u32::try_from(MOST).expect("few"))
            .map(|bits| all.of(SourceKey::Ip(IpAddr::V4(bits.into()))))
            .collect();
        let (a, b) = (all.of(key("[fd00::1]:1")), all.of(key("[fd00:1::1]:1")));
        assert!(Arc::ptr_eq(&a, &b), "beyond the bound they are one");
        assert_eq!(lock(&all.0).len(), MOST + 1);
        drop((held, a, b));
        assert!(!Arc::ptr_eq(&all.of(key("[fd00::1]:1")), &all.of(key("[fd00:1::1]:1"))));
        assert_eq!(lock(&all.0).len(), 2);
    }
}
