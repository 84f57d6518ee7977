//! Rate limits per source: wrong passwords are slowed down, and repeated log lines are summed up.

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

/// A value for each source, while it is in use. A source is an IPv4 address, or an IPv6 network that may belong
/// to a single machine.
#[derive(Debug)]
pub(crate) struct BySource<T>(Mutex<HashMap<SourceKey, Arc<T>>>);

/// The source of clients, which are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SourceKey {
    /// Clients without an address: those of a unix socket, here or on the server.
    Local,
    /// An IPv4 address, or the first 64 bits of an IPv6 one (RFC 6177).
    Ip(IpAddr),
    /// All sources beyond the limit on their number.
    Others,
}

/// Checks a client's user name and password.
#[derive(Debug)]
pub(crate) struct Checker<'a> {
    credentials: &'a ProxyCredentials,
    brakes: &'a BySource<Brake>,
    source: Source,
}

/// Limits the guesses of one source: only a few attempts run concurrently, and a wrong one takes a while. While
/// nobody is wrong, nobody waits.
#[derive(Debug)]
pub(crate) struct Brake {
    tries: Semaphore,
    wrong: Arc<Repeats>,
}

/// Logs failed connections of a proxy or a forward.
#[derive(Debug, Default)]
pub(crate) struct Failures(BySource<Repeats>);

/// An event that is logged the first few times in a minute, and summed up after that.
#[derive(Debug)]
pub(crate) struct Repeats {
    /// How often it is logged before it is summed up.
    alone: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The number of occurrences in this minute.
    count: u64,
    /// The task that waits for the end of the minute.
    minute: Option<AbortOnDropHandle<()>>,
}

/// A value that is kept while something is in progress.
pub(crate) trait InProgress: Default {
    /// Whether something is in progress even though nobody holds the value.
    fn is_in_progress(&self) -> bool;
}

impl<'a> Checker<'a> {
    pub(crate) fn new(
        credentials: &'a ProxyCredentials,
        brakes: &'a BySource<Brake>,
        source: Source,
    ) -> Self {
        Self { credentials, brakes, source }
    }

    /// The user, if the name and the password match. A wrong attempt takes at least [`PENALTY`], and longer if
    /// the same source makes many attempts.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time. The source may then try again sooner.
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
    /// Logged `alone` times a minute before it is summed up.
    pub(crate) fn new(alone: u64) -> Self {
        Self { alone, state: Mutex::default() }
    }

    /// Counts an occurrence: `log` logs it, or `sum` logs at the end of the minute how many were not logged.
    pub(crate) fn note(
        self: &Arc<Self>,
        log: impl FnOnce(),
        sum: impl Fn(u64) + Send + Sync + 'static,
    ) {
        let is_logged = {
            let mut state = lock(&self.state);
            state.count += 1;
            if state.minute.is_none() {
                state.minute = Some(task::spawn(sum_up(Arc::downgrade(self), sum)));
            }
            state.count <= self.alone
        };
        if is_logged {
            log();
        }
    }

    /// The number of occurrences not logged in the last minute. After a minute without any, counting stops.
    fn next_minute(&self) -> u64 {
        let mut state = lock(&self.state);
        let unlogged = state.count.saturating_sub(self.alone);
        // A continuing event is summed up from its first occurrence.
        state.count = if unlogged > 0 { self.alone } else { 0 };
        if unlogged == 0 {
            state.minute = None;
        }
        unlogged
    }
}

/// Logs at the end of each minute how many occurrences were not logged, until there are none.
async fn sum_up(repeats: Weak<Repeats>, sum: impl Fn(u64)) {
    loop {
        sleep(MINUTE).await;
        match repeats.upgrade().map(|repeats| repeats.next_minute()) {
            Some(0) | None => return,
            Some(unlogged) => sum(unlogged),
        }
    }
}

impl InProgress for Repeats {
    fn is_in_progress(&self) -> bool {
        lock(&self.state).minute.is_some()
    }
}

impl InProgress for Brake {
    fn is_in_progress(&self) -> bool {
        self.wrong.is_in_progress()
    }
}

impl Default for Repeats {
    fn default() -> Self {
        Self::new(10)
    }
}

impl Failures {
    pub(crate) fn note(&self, request: &Request, failure: &DialFailure) {
        let Request { listener, target, .. } = request;
        let source = SourceKey::of(request.source);
        let of_all = Arc::clone(listener);
        self.0.of(source).note(
            || info!("{listener} to {target}: {}", connect::in_one_line(failure)),
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

impl<T: InProgress> BySource<T> {
    pub(crate) fn of(&self, key: SourceKey) -> Arc<T> {
        let mut all = lock(&self.0);
        if all.len() >= MOST && !all.contains_key(&key) {
            all.retain(|_, one| Arc::strong_count(one) > 1 || one.is_in_progress());
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

/// The number of concurrent attempts of one source.
const AT_ONCE: usize = 8;
/// The duration of a wrong attempt.
const PENALTY: Duration = Duration::from_secs(1);
/// The interval of summing up.
const MINUTE: Duration = Duration::from_secs(60);
/// The maximum number of separate sources.
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
    async fn concurrent_guesses_of_one_source_are_slowed_down() {
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
        assert_eq!(begun.elapsed(), Duration::from_secs(13), "8 per second");
        // The right password causes no wait, and neither do guesses of another source.
        let begun = Instant::now();
        let checker = Checker::new(&credentials, &brakes, source("192.0.2.1:9"));
        assert!(checker.verify(b"ada", b"secret").await.is_some());
        let checker = Checker::new(&credentials, &brakes, source("192.0.2.2:9"));
        assert!(checker.verify(b"ada", b"secret").await.is_some());
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_continuing_event_is_logged_once_and_then_summed_up() {
        let repeats = Arc::new(Repeats::new(2));
        let (logged, summed) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
        let note = |count| {
            for _ in 0..count {
                let summed = Arc::clone(&summed);
                repeats.note(
                    || {
                        logged.fetch_add(1, Relaxed);
                    },
                    move |count| {
                        summed.fetch_add(count, Relaxed);
                    },
                );
            }
        };
        let so_far = || (logged.load(Relaxed), summed.load(Relaxed));
        note(10);
        assert_eq!(so_far(), (2, 0));
        sleep(MINUTE + Duration::from_secs(1)).await;
        assert_eq!(so_far(), (2, 8));
        note(5);
        sleep(MINUTE).await;
        assert_eq!(so_far(), (2, 13));
        sleep(2 * MINUTE).await;
        note(1);
        assert_eq!(so_far(), (3, 13), "after a quiet minute it is logged again");
    }

    #[test]
    fn a_network_of_one_machine_is_one_source_and_sources_are_bounded() {
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
        assert!(Arc::ptr_eq(&a, &b), "beyond the bound they are counted together");
        assert_eq!(lock(&all.0).len(), MOST + 1);
        drop((held, a, b));
        assert!(!Arc::ptr_eq(&all.of(key("[fd00::1]:1")), &all.of(key("[fd00:1::1]:1"))));
        assert_eq!(lock(&all.0).len(), 2);
    }
}
