//! The events of a pool's policy, and its actions.

use std::time::Duration;

use tokio::time::Instant;

use crate::ssh::connect::{Asking, FailureClass};
use crate::ssh::trust::auth::LoginKind;

/// Something that has happened to the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A deadline has passed, or the pool has just started.
    Time,
    /// A request waits for a session, or would be better served by another one.
    Wanted,
    /// An attempt has succeeded; its session is already among the facts.
    Connected(LoginKind),
    /// An attempt has failed.
    Failed(Failure),
    /// An attempt has ended without an outcome.
    Abandoned,
    /// The server no longer counts an attempt as a handshake.
    Settled,
    /// A session has ended; it is no longer among the facts.
    Lost(Loss),
    /// The periodic upkeep is due.
    Upkeep,
    /// The machine was asleep, or the network has changed.
    Woken,
    /// The server is not configured any more.
    Retired,
}

/// Why an attempt to connect failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) class: FailureClass,
    /// Whether it failed only because no person could be asked.
    pub(crate) lacked_person: bool,
    /// The reason, possibly several lines.
    pub(crate) text: String,
}

/// A session that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    /// The reason.
    pub(crate) end: String,
    /// How long it lasted.
    pub(crate) age: Duration,
    /// Channels that were cut along with it.
    pub(crate) channels: usize,
    pub(crate) cause: LossCause,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LossCause {
    /// The server closed it while it was unused.
    Unused,
    /// The server or the network ended it while in use, or the monitor did for lack of an answer.
    Lost,
}

/// The state of the pool at the time of an event.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) now: Instant,
    /// All sessions that have not ended.
    pub(crate) sessions: Vec<SessionFacts>,
    /// Requests that wait for a session.
    pub(crate) waiting: usize,
    /// Remote listeners that wait for a session.
    pub(crate) listeners: usize,
    /// Whether a person can be asked.
    pub(crate) can_ask: bool,
}

/// The state of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
pub(crate) struct SessionFacts {
    /// Whether it takes channels. Otherwise it is draining, and ends after its last channel.
    pub(crate) is_ready: bool,
    /// Whether it carries no channels and no remote listener.
    pub(crate) is_empty: bool,
    /// Whether a new channel would neither disturb another on it nor wait for one.
    pub(crate) is_quiet: bool,
    /// How long it has been empty.
    pub(crate) idle: Duration,
    /// Whether it is due for replacement: too old, too much carried, or an unsuitable window.
    pub(crate) is_outdated: bool,
    /// Whether it is flooded with data for no channel, which delays its answers.
    pub(crate) is_flooded: bool,
}

/// Something for the driver to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start an attempt to connect.
    Connect(Asking),
    /// Abort every attempt.
    AbortAttempts,
    /// Drain a session, given by its index in the facts.
    Drain(usize, DrainReason),
    /// Disconnect a session, given by its index in the facts.
    Close(usize),
    /// Probe every session: one that does not answer soon is lost.
    ProbeAll,
    /// Ping every session, with the usual patience.
    AskAll,
    /// Show why a session is missing.
    Show(Outage),
    /// Log a notice.
    Log(Notice),
}

/// Why a session is drained, as a log message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub(crate) enum DrainReason {
    #[strum(to_string = "a session is replaced by a newer one: it takes no more channels")]
    Replaced,
    /// Enough others remain, and it has been empty for long.
    #[strum(to_string = "closing a session that is not needed")]
    Idle,
    /// Its data delays others on the path.
    #[strum(to_string = "closing a session that is flooded with data for no channel")]
    Flooded,
    #[strum(
        to_string = "the server is not configured any more: the session takes no more channels"
    )]
    Retired,
}

/// Why the pool has no session, or one fewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outage {
    /// The reason in one line.
    pub(crate) reason: String,
    pub(crate) outlook: Outlook,
    pub(crate) cause: OutageCause,
}

impl Outage {
    /// An outage caused by an event.
    pub(crate) fn happened(reason: String, outlook: Outlook) -> Self {
        Self { reason, outlook, cause: OutageCause::Happened }
    }
}

/// The cause of an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutageCause {
    /// An event: waiting requests ask for a session again.
    Happened,
    /// A lasting state, shown to whoever asks. It must not wake them, or they would ask for ever.
    Lasts,
}

/// The prospects while there is no session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// A session may be available soon.
    #[default]
    Soon,
    /// A session may be available once a request asks a person.
    NeedsPerson,
    /// An attempt has failed, or none may be made: requests with an alternative need not wait for this server.
    Hopeless,
}

/// A message for the log about the sessions to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The first session, or the first after an outage.
    Connected { again: bool },
    /// A session was lost, and `cut` connections with it.
    Lost { end: String, cut: usize },
    /// The server closes unused sessions.
    ClosesUnused,
    /// The server refuses a further session.
    NoFurther(String),
    /// There is no session, and another attempt will follow.
    CannotConnect(String),
    /// The login needs a person.
    NeedsPerson(&'static str),
    /// The machine woke, or its network changed: all sessions are checked.
    Woken,
}

impl Failure {
    /// The first line of the reason.
    pub(crate) fn first_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }
}

impl Notice {
    /// Whether the user should look into it; otherwise it is informational.
    pub(crate) fn is_warning(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::CannotConnect(_) | Self::NeedsPerson(_))
    }

    /// The message about `server`.
    pub(crate) fn about(&self, server: &str) -> String {
        match self {
            Self::Connected { again: false } => format!("connected to {server}"),
            Self::Connected { again: true } => format!("connected to {server} again"),
            Self::Lost { end, cut: 0 } => format!("lost a session to {server}: {end}"),
            Self::Lost { end, cut } => {
                format!("lost a session to {server}: {end}; connections cut: {cut}")
            }
            Self::ClosesUnused => format!(
                "{server} closes connections that carry nothing: the next one is opened when a \
                 request comes"
            ),
            Self::NoFurther(why) => format!(
                "cannot open another session to {server}; the existing ones still work: {why}"
            ),
            Self::CannotConnect(why) => {
                format!("cannot connect to {server}, will try again: {why}")
            }
            Self::NeedsPerson(state) => format!("no session to {server}: {state}"),
            Self::Woken => {
                "the machine was asleep or the network has changed: checking every session".into()
            }
        }
    }
}

impl Facts {
    /// The number of sessions that take channels.
    pub(crate) fn ready(&self) -> usize {
        self.sessions.iter().filter(|session| session.is_ready).count()
    }

    /// The number of these that are quiet.
    pub(crate) fn quiet(&self) -> usize {
        self.sessions.iter().filter(|session| session.is_ready && session.is_quiet).count()
    }
}
