//! Why a channel was not opened, and which open a failure text belongs to.
//!
//! The opener of a channel receives only the failure's code, and sshd uses one code for refused, unreachable
//! and not found. The text that distinguishes them reaches the session's handler, under a channel number that
//! the opener never learns. So the handler collects the texts, and an opener claims one only if it is certain:
//! if no other open is pending, or if all unclaimed texts mean the same. Otherwise the opener relies on the
//! code, and nothing is guessed.

use std::sync::Mutex;

use russh::ChannelOpenFailure;
use tokio::sync::Notify;

use crate::lock::lock;

/// Why the target could not be reached, or why the server did not try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TargetFault {
    #[strum(to_string = "it refuses the connection")]
    Refused,
    #[strum(to_string = "the server knows no such name")]
    NameNotFound,
    #[strum(to_string = "the server has no route to it")]
    NoRoute,
    #[strum(to_string = "the server cannot reach its network")]
    NetworkUnreachable,
    #[strum(to_string = "it does not answer the server")]
    TimedOut,
    /// `SSH_OPEN_ADMINISTRATIVELY_PROHIBITED`, or `SSH_OPEN_UNKNOWN_CHANNEL_TYPE` from a server without such
    /// channels.
    #[strum(to_string = "the server does not allow it")]
    Prohibited,
    /// `SSH_OPEN_RESOURCE_SHORTAGE`.
    #[strum(to_string = "the server opens no further connection")]
    ServerFull,
    /// The reason is not certain.
    #[strum(to_string = "it cannot be reached")]
    Uncertain,
}

/// The failures of a session that their openers have not claimed yet.
#[derive(Debug, Default)]
pub(crate) struct OpenFailures {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Pending opens.
    outstanding: usize,
    unclaimed: Vec<Unclaimed>,
    /// Whether a failure was claimed without certainty while other opens were pending: nothing is certain until
    /// none of those is pending any more.
    doubt: bool,
    count: usize,
    /// Set if the session ended because of an undecodable text.
    unreadable: Option<Unreadable>,
}

/// Which open an undecodable text may have belonged to. russh ends the session on such a text, and would do so
/// again if every opener simply tried another session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    OnlyOpen,
    OneOfSeveral,
}

#[derive(Clone, Copy, Debug)]
struct Unclaimed {
    fault: TargetFault,
    /// Whether an opener gave up without knowing whether this failure was its own.
    doubtful: bool,
}

/// A pending open, counted until dropped.
#[derive(Debug)]
pub(crate) struct Outstanding<'a> {
    failures: &'a OpenFailures,
    /// Whether the session had already ended when the open began.
    late: bool,
}

impl TargetFault {
    /// The fault that a failure's code means; `text` is the fault that its text means, as far as it can be
    /// attributed.
    pub(crate) fn from_code(code: &ChannelOpenFailure, text: Self) -> Self {
        match code {
            ChannelOpenFailure::AdministrativelyProhibited
            | ChannelOpenFailure::UnknownChannelType => Self::Prohibited,
            ChannelOpenFailure::ResourceShortage => Self::ServerFull,
            ChannelOpenFailure::ConnectFailed => text,
            ChannelOpenFailure::Other { .. } => Self::Uncertain,
        }
    }

    /// The fault that the text of an `SSH_OPEN_CONNECT_FAILED` means.
    pub(crate) fn from_text(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|w| text.contains(w));
        let of = |(fault, words): &(Self, &[&str])| says(words).then_some(*fault);
        WORDS.iter().find_map(of).unwrap_or(Self::Uncertain)
    }
}

/// Texts of servers in lower case: those of C libraries (OpenSSH and dropbear forward `strerror` and
/// `gai_strerror`; glibc, musl, BSD), Windows, Go's net package, Python (asyncssh; error numbers of Linux,
/// macOS and Windows), Twisted, Java and Node.js. If a text covers several addresses of a name, the most
/// informative one comes first.
const WORDS: [(TargetFault, &[&str]); 5] = [
    (
        TargetFault::Refused,
        &[
            "connection refused",
            "actively refused",
            "refused the network connection",
            "was refused by other side",
            "econnrefused",
            "[errno 111]",
            "[errno 61]",
            "[winerror 10061]",
            "[winerror 1225]",
        ],
    ),
    (
        TargetFault::NameNotFound,
        &[
            "name or service not known",
            "name resolution",
            "no address associated",
            "no such host",
            "unknown host",
            "unknownhost",
            "unresolved",
            "nodename nor servname",
            "hostname nor servname",
            "does not resolve",
            "has no usable address",
            "error resolving",
            "dns lookup failed",
            "server misbehaving",
            "failed to lookup address",
            "enotfound",
            "eai_again",
            "[errno 11001]",
        ],
    ),
    (
        TargetFault::NoRoute,
        &[
            "no route to host",
            "noroutetohost",
            "host is unreachable",
            "unreachable host",
            "host is down",
            "ehostunreach",
            "[errno 113]",
            "[errno 65]",
            "[winerror 10065]",
        ],
    ),
    (
        TargetFault::NetworkUnreachable,
        &[
            "network is unreachable",
            "unreachable network",
            "network is down",
            "enetunreach",
            "[errno 101]",
            "[errno 51]",
            "[winerror 10051]",
        ],
    ),
    (
        TargetFault::TimedOut,
        &[
            "timed out",
            "i/o timeout",
            "timeout caused connection failure",
            "did not properly respond",
            "etimedout",
            "[errno 110]",
            "[errno 60]",
            "[winerror 10060]",
        ],
    ),
];

impl OpenFailures {
    pub(crate) fn begin(&self) -> Outstanding<'_> {
        let mut state = self.lock();
        state.outstanding += 1;
        Outstanding { failures: self, late: state.unreadable.is_some() }
    }

    pub(crate) fn add(&self, fault: TargetFault) {
        {
            let mut state = self.lock();
            state.unclaimed.push(Unclaimed { fault, doubtful: false });
            state.count += 1;
        }
        self.arrived.notify_waiters();
    }

    /// Records that the session ends because of an undecodable text.
    pub(crate) fn end_unreadable(&self) {
        let mut state = self.lock();
        state.unreadable = match state.outstanding {
            0 => None,
            1 => Some(Unreadable::OnlyOpen),
            _ => Some(Unreadable::OneOfSeveral),
        };
    }

    /// Whether the session ended because of an undecodable text.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.lock().unreadable.is_some()
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().count
    }

    /// The number of failures that no opener has claimed.
    #[cfg(test)]
    fn unclaimed(&self) -> usize {
        self.lock().unclaimed.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Outstanding<'_> {
    /// Claims this open's failure. `caught_up` waits until the handler has processed it, and returns whether it
    /// certainly has.
    ///
    /// Cancel-safe until it returns.
    pub(crate) async fn take(self, caught_up: impl Future<Output = bool>) -> TargetFault {
        if let Some(fault) = self.take_if_alone() {
            return fault;
        }
        if caught_up.await { self.take_if_unambiguous() } else { self.forfeit().await }
    }

    /// Which open the text that ended the session may have belonged to, if this one is a candidate.
    pub(crate) fn unreadable(&self) -> Option<Unreadable> {
        self.failures.lock().unreadable.filter(|_| !self.late)
    }

    /// Claims the only failure, which must be that of the only pending open.
    fn take_if_alone(&self) -> Option<TargetFault> {
        let mut state = self.failures.lock();
        if state.outstanding != 1 || state.unclaimed.len() != 1 {
            return None;
        }
        let ours = state.unclaimed.pop()?;
        Some(if ours.doubtful || state.doubt { TargetFault::Uncertain } else { ours.fault })
    }

    /// Claims any failure if all mean the same, so that it does not matter which is whose.
    fn take_if_unambiguous(&self) -> TargetFault {
        let mut state = self.failures.lock();
        let Some(taken) = state.unclaimed.pop() else { return TargetFault::Uncertain };
        let same = state.unclaimed.iter().all(|u| u.fault == taken.fault && !u.doubtful);
        if same && !taken.doubtful {
            return taken.fault;
        }
        // The removed failure may belong to another open, so that the remaining ones are uncertain.
        state.unclaimed.iter_mut().for_each(|u| u.doubtful = true);
        TargetFault::Uncertain
    }

    /// Claims a failure without attributing it, so that the counts stay right.
    async fn forfeit(&self) -> TargetFault {
        loop {
            let arrived = self.failures.arrived.notified();
            {
                let mut state = self.failures.lock();
                if state.unclaimed.pop().is_some() {
                    state.doubt = state.outstanding > 1;
                    state.unclaimed.iter_mut().for_each(|u| u.doubtful = true);
                    return TargetFault::Uncertain;
                }
            }
            arrived.await;
        }
    }
}

impl Drop for Outstanding<'_> {
    fn drop(&mut self) {
        let mut state = self.failures.lock();
        state.outstanding -= 1;
        if state.outstanding == 0 {
            state.doubt = false;
        }
    }
}

#[cfg(test)]
mod tests;
