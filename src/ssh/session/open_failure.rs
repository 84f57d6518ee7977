//! Why a channel was not opened, and whose failure a text belongs to.
//!
//! The opener of a channel learns the failure's code alone, and sshd has one code for refused,
//! unreachable and not found. The text that tells them apart reaches the session's handler, under a
//! channel number that the opener never learns. So the texts are collected, and an opener takes
//! one only where it is certain: where it is the only opener that waits, or where all the texts
//! that nobody took say the same. Otherwise the code has to do. Nothing is guessed.

use std::sync::Mutex;

use russh::ChannelOpenFailure;
use tokio::sync::Notify;

use crate::lock::lock;

/// What the target, or the server on its behalf, did to our attempt to connect.
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
    /// `SSH_OPEN_ADMINISTRATIVELY_PROHIBITED`, or `SSH_OPEN_UNKNOWN_CHANNEL_TYPE` where the server has no such
    /// channels at all.
    #[strum(to_string = "the server does not allow it")]
    Prohibited,
    /// `SSH_OPEN_RESOURCE_SHORTAGE`.
    #[strum(to_string = "the server opens no further connection")]
    ServerFull,
    /// Why is not certain.
    #[strum(to_string = "it cannot be reached")]
    Uncertain,
}

/// The failures of one session that have not been taken by their openers yet.
#[derive(Debug, Default)]
pub(crate) struct OpenFailures {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Opens that have been asked for and not resolved.
    outstanding: usize,
    untaken: Vec<Untaken>,
    /// Somebody has taken a failure without knowing whose it was, while others waited: until none
    /// of those waits any more, nothing is certain.
    doubt: bool,
    count: usize,
    /// The session ended at a text that cannot be read.
    unreadable: Option<Unreadable>,
}

/// Whose failure a text that cannot be read may have been. russh ends the session at one, and
/// would again and again if each opener simply tried another session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    OnlyOpen,
    OneOfSeveral,
}

#[derive(Clone, Copy, Debug)]
struct Untaken {
    fault: TargetFault,
    /// Somebody had to answer without knowing whether this one was theirs.
    doubtful: bool,
}

/// An open that has been asked for. It counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Outstanding<'a> {
    failures: &'a OpenFailures,
    /// The session had ended before it was asked for.
    late: bool,
}

impl TargetFault {
    /// Reads the code of a failure; `text` is what its words say, as far as it is known whose they
    /// are.
    pub(crate) fn from_code(code: &ChannelOpenFailure, text: Self) -> Self {
        match code {
            ChannelOpenFailure::AdministrativelyProhibited
            | ChannelOpenFailure::UnknownChannelType => Self::Prohibited,
            ChannelOpenFailure::ResourceShortage => Self::ServerFull,
            ChannelOpenFailure::ConnectFailed => text,
            ChannelOpenFailure::Other { .. } => Self::Uncertain,
        }
    }

    /// Reads the words of an `SSH_OPEN_CONNECT_FAILED`.
    pub(crate) fn from_text(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|w| text.contains(w));
        let of = |(fault, words): &(Self, &[&str])| says(words).then_some(*fault);
        WORDS.iter().find_map(of).unwrap_or(Self::Uncertain)
    }
}

/// The words of servers, in lower case: of the C library (OpenSSH and dropbear pass
/// `strerror` and `gai_strerror` on; glibc, musl, BSD), Windows, Go's net package, Python (asyncssh: the
/// numbers of Linux, macOS and Windows), Twisted, Java and Node.js. Of several addresses of a name, the one
/// that answered tells most.
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
            state.untaken.push(Untaken { fault, doubtful: false });
            state.count += 1;
        }
        self.arrived.notify_waiters();
    }

    /// The session ends at a text that cannot be read.
    pub(crate) fn end_unreadable(&self) {
        let mut state = self.lock();
        state.unreadable = match state.outstanding {
            0 => None,
            1 => Some(Unreadable::OnlyOpen),
            _ => Some(Unreadable::OneOfSeveral),
        };
    }

    /// Whether the session ended at a text that cannot be read.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.lock().unreadable.is_some()
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().count
    }

    /// How many failures the handler saw that no opener has taken.
    #[cfg(test)]
    fn untaken(&self) -> usize {
        self.lock().untaken.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Outstanding<'_> {
    /// Takes this open's failure. `caught_up` waits until the handler has seen it, and tells whether it
    /// certainly has.
    ///
    /// Cancel safe until it returns.
    pub(crate) async fn take(self, caught_up: impl Future<Output = bool>) -> TargetFault {
        if let Some(fault) = self.take_if_alone() {
            return fault;
        }
        if caught_up.await { self.take_if_unambiguous() } else { self.forfeit().await }
    }

    /// Whether what ended the session may have been this open's failure.
    pub(crate) fn unreadable(&self) -> Option<Unreadable> {
        self.failures.lock().unreadable.filter(|_| !self.late)
    }

    /// As the only one who waits, what there is must be ours.
    fn take_if_alone(&self) -> Option<TargetFault> {
        let mut state = self.failures.lock();
        if state.outstanding != 1 || state.untaken.len() != 1 {
            return None;
        }
        let ours = state.untaken.pop()?;
        Some(if ours.doubtful || state.doubt { TargetFault::Uncertain } else { ours.fault })
    }

    /// Where all that is there says the same, it does not matter whose is whose.
    fn take_if_unambiguous(&self) -> TargetFault {
        let mut state = self.failures.lock();
        let Some(taken) = state.untaken.pop() else { return TargetFault::Uncertain };
        let same = state.untaken.iter().all(|u| u.fault == taken.fault && !u.doubtful);
        if same && !taken.doubtful {
            return taken.fault;
        }
        // The one we removed may not be ours, so none of the others is certain any more.
        state.untaken.iter_mut().for_each(|u| u.doubtful = true);
        TargetFault::Uncertain
    }

    /// Gives up on knowing, but takes one away, so that the numbers stay right.
    async fn forfeit(&self) -> TargetFault {
        loop {
            let arrived = self.failures.arrived.notified();
            {
                let mut state = self.failures.lock();
                if state.untaken.pop().is_some() {
                    state.doubt = state.outstanding > 1;
                    state.untaken.iter_mut().for_each(|u| u.doubtful = true);
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
