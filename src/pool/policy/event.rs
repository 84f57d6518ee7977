//! What a pool's policy hears, and what it has done.

use std::time::Duration;

use tokio::time::Instant;

use crate::pool::placement::Growth;
use crate::ssh::connect::{Asking, FailureClass};
use crate::ssh::trust::auth::LoginKind;

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Nothing but that time has passed, or the pool has just begun.
    Time,
    /// A request waits, or would be served better by another session.
    Wanted,
    /// An attempt has brought a session, which is among the facts already.
    Connected(LoginKind),
    /// An attempt has failed.
    Failed(Failure),
    /// An attempt has ended without an outcome.
    Abandoned,
    /// The server no longer counts an attempt as a handshake.
    Settled,
    /// A session has ended; it is no longer among the facts.
    Lost(Loss),
    /// It is time to look after the sessions.
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
    /// Whether it would have gone on, had there been a person to ask.
    pub(crate) lacked_a_person: bool,
    /// In words, perhaps of several lines.
    pub(crate) text: String,
}

/// A session that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    /// Why, in words.
    pub(crate) end: String,
    /// How long it was there.
    pub(crate) age: Duration,
    /// Channels that were cut with it.
    pub(crate) channels: usize,
    pub(crate) cause: LossCause,
}

/// Who ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LossCause {
    /// It was told to take no more channels, and has carried the last.
    Retired,
    /// The server, though nothing was on it.
    Unused,
    /// The server or the network, while it was in use; or we, since the server did not answer.
    Lost,
}

/// What is so at the moment of an event.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) now: Instant,
    /// All sessions that have not ended.
    pub(crate) sessions: Vec<SessionFacts>,
    /// Requests that wait for a session.
    pub(crate) waiting: usize,
    /// Listeners that wait for a session to be on.
    pub(crate) listeners: usize,
    /// Whether a person can be asked.
    pub(crate) can_ask: bool,
    /// Whether there should be another session before anybody asks.
    pub(crate) reserve: Growth,
}

/// What is so of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionFacts {
    pub(crate) stage: SessionStage,
    /// Nothing is left for which it must stay.
    pub(crate) is_empty: bool,
    /// For how long it has been of no use.
    pub(crate) idle: Duration,
    /// A new session would be better than this one.
    pub(crate) is_worn: bool,
    /// It is full of what nobody wants any more, so that answers on it are late.
    pub(crate) is_flooded: bool,
}

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionStage {
    /// It takes channels.
    Ready,
    /// It takes none, and ends with the last that it carries.
    Draining,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Make an attempt to connect.
    Connect(Asking),
    /// End every attempt.
    AbortAttempts,
    /// Have a session take no more channels: its place among the facts, and why.
    Drain(usize, DrainReason),
    /// Say goodbye on a session: its place among the facts.
    Close(usize),
    /// Ask the server of every session whether it is there.
    ProbeAll,
    /// Show why there is no session, or one less.
    Show(Standstill),
    /// Say something to the user.
    Tell(Notice),
}

/// Why a session is to take no more channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DrainReason {
    /// There is a newer one.
    Replaced,
    /// There are enough others, and it has been empty for long.
    Idle,
    /// What nobody wants any more is in the way of others on the line.
    Flooded,
    /// The server is not configured any more.
    Retired,
}

/// Why there is no session, or one less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standstill {
    /// In words, one line.
    pub(crate) reason: String,
    /// There is none at all, and none may be had soon.
    pub(crate) down: bool,
    pub(crate) outcome: Outcome,
}

/// Whether something came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An attempt to have a session.
    Failed,
    /// Nothing was tried, or something still is.
    Open,
}

/// What the user hears of the sessions to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// There is a session where there was none.
    Connected(Before),
    /// There is one session less; so many connections were cut.
    Lost { end: String, cut: usize },
    /// The server closes what is unused.
    LetBe,
    /// The server gives no further session.
    NoFurther(String),
    /// There is no session, and another attempt will follow.
    CannotConnect(String),
    /// Nobody has logged in.
    NeedsPerson(&'static str),
    /// Everything is looked at anew.
    Woken,
}

/// Whether there was a session before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    None,
    Some,
}

/// How loud a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Volume {
    Info,
    Warning,
}

impl Notice {
    pub(crate) fn volume(&self) -> Volume {
        match self {
            Self::Connected(_) | Self::NoFurther(_) | Self::Woken | Self::LetBe => Volume::Info,
            Self::Lost { .. } | Self::CannotConnect(_) | Self::NeedsPerson(_) => Volume::Warning,
        }
    }

    /// Its words about `server`.
    pub(crate) fn about(&self, server: &str) -> String {
        match self {
            Self::Connected(Before::None) => format!("connected to {server}"),
            Self::Connected(Before::Some) => format!("connected to {server} again"),
            Self::Lost { end, cut: 0 } => format!("lost a session to {server}: {end}"),
            Self::Lost { end, cut } => {
                format!("lost a session to {server}: {end}; connections cut: {cut}")
            }
            Self::LetBe => format!(
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
    /// How many sessions take channels.
    pub(crate) fn ready(&self) -> usize {
        self.sessions.iter().filter(|session| session.stage == SessionStage::Ready).count()
    }
}
