//! The events of a pool's policy, and its actions.

use std::time::Duration;

use tokio::time::Instant;

use crate::ssh::connect::{Asking, FailureClass};
use crate::ssh::trust::auth::LoginKind;

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A deadline has come, or the pool has just begun.
    Time,
    /// A request waits, or another session would serve it better.
    Wanted,
    /// An attempt has succeeded; its session is among the facts already.
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
    pub(crate) lacked_a_person: bool,
    /// The reason, perhaps of several lines.
    pub(crate) text: String,
}

/// A session that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    /// The reason.
    pub(crate) end: String,
    /// How long it lasted.
    pub(crate) age: Duration,
    /// Channels that were cut with it.
    pub(crate) channels: usize,
    pub(crate) cause: LossCause,
}

/// Who ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LossCause {
    /// The server, while it was unused.
    Unused,
    /// The server or the network, while it was in use; or the monitor, since the server did not answer.
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
    /// It takes channels. Otherwise it is draining: it takes none, and ends after the last one.
    pub(crate) is_ready: bool,
    /// It carries no channels, and no remote listener is on it.
    pub(crate) is_empty: bool,
    /// A new channel would disturb no other on it, and wait for none.
    pub(crate) is_quiet: bool,
    /// How long it has been empty.
    pub(crate) idle: Duration,
    /// It is too old, has carried too much, or has an unsuitable window: it should be replaced.
    pub(crate) is_outdated: bool,
    /// It is full of data that no channel takes, which delays answers.
    pub(crate) is_flooded: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start an attempt to connect.
    Connect(Asking),
    /// End every attempt.
    AbortAttempts,
    /// Drain a session: its index in the facts, and why.
    Drain(usize, DrainReason),
    /// Disconnect a session: its index in the facts.
    Close(usize),
    /// Probe every session: one that does not answer soon is lost.
    ProbeAll,
    /// Ask every session whether it answers, with its usual patience.
    AskAll,
    /// Show why there is no session, or one less.
    Show(Outage),
    /// Log a notice.
    Tell(Notice),
}

/// Why a session is drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DrainReason {
    /// There is a newer one.
    Replaced,
    /// There are enough others, and it has been empty for long.
    Idle,
    /// Data that no channel takes delays others on the line.
    Flooded,
    /// The server is not configured any more.
    Retired,
}

/// Why there is no session, or one less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outage {
    /// The reason, one line.
    pub(crate) reason: String,
    pub(crate) outlook: Outlook,
    pub(crate) cause: OutageCause,
}

impl Outage {
    /// One that something has brought about.
    pub(crate) fn happened(reason: String, outlook: Outlook) -> Self {
        Self { reason, outlook, cause: OutageCause::Happened }
    }
}

/// Where an outage comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutageCause {
    /// Something has happened: who waits asks for a session again.
    Happened,
    /// It lasts, and is shown whenever somebody asks: woken for it, they would ask for ever.
    Lasts,
}

/// What may be hoped for while there is no session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// There may be one soon.
    #[default]
    Soon,
    /// There may be one when a request asks a person.
    NeedsPerson,
    /// An attempt has failed, or none may be made: who has another way need not wait for this server.
    Hopeless,
}

/// What the log says about the sessions to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The first session, or the first after there was none.
    Connected { again: bool },
    /// A session was lost; `cut` connections were cut with it.
    Lost { end: String, cut: usize },
    /// The server closes unused sessions.
    ClosesUnused,
    /// The server refuses a further session.
    NoFurther(String),
    /// There is no session, and another attempt will follow.
    CannotConnect(String),
    /// Nobody has logged in.
    NeedsPerson(&'static str),
    /// The machine woke, or its network changed: all sessions are probed.
    Woken,
}

impl Failure {
    /// The reason, for where there is room for a line.
    pub(crate) fn first_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }
}

impl Notice {
    /// Whether the user should look into it; otherwise it is information.
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

impl DrainReason {
    /// In words.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Replaced => "a session is replaced by a newer one: it takes no more channels",
            Self::Idle => "closing a session that nobody needs",
            Self::Flooded => "closing a session that is full of what nobody wants any more",
            Self::Retired => {
                "the server is not configured any more: the session takes no more channels"
            }
        }
    }
}

impl Facts {
    /// The number of sessions that take channels.
    pub(crate) fn ready(&self) -> usize {
        self.sessions.iter().filter(|session| session.is_ready).count()
    }

    /// Of these, the ones that are quiet.
    pub(crate) fn quiet(&self) -> usize {
        self.sessions.iter().filter(|session| session.is_ready && session.is_quiet).count()
    }
}
