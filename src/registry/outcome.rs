//! Where a connection stands, and how it ended: closed sets, so that they may be labels.

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// It waits: for a look-up on this side, or for a session.
    Waiting,
    /// The far side was asked, and has not answered.
    Opening,
    /// Bytes go both ways.
    Relaying,
    /// One side has said all it had to say.
    HalfClosed,
    /// It is over.
    Ended,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Outcome {
    /// Both sides said all they had to say.
    Clean,
    /// The session ended in the middle.
    Cut,
    /// The client left, be it before or after there was a connection.
    ClientGone,
    /// The client was so slow that there was no room for what waited for it.
    NoRoom,
    /// Somebody ended it by hand.
    Killed,
    /// The target refused.
    ConnectionRefused,
    /// There is no such name.
    NameNotFound,
    /// The look-up on this side failed.
    LookUpFailed,
    /// There is no route to the target.
    NoRoute,
    /// The target's network cannot be reached.
    NetworkUnreachable,
    /// The target did not answer in time.
    TimedOut,
    /// The target could not be connected to, and why is not certain.
    Unreachable,
    /// The server forbids it.
    Prohibited,
    /// A rule rejects it, or none allows it.
    Rejected,
    /// No server had a session in time.
    NoSession,
    /// The server did not answer in time.
    NoAnswer,
    /// This machine has run out of what a connection takes.
    Exhausted,
    /// It would have led to this program itself.
    Loop,
}

impl State {
    /// All of them, in order.
    pub const ALL: [Self; 5] =
        [Self::Waiting, Self::Opening, Self::Relaying, Self::HalfClosed, Self::Ended];

    /// Its word in logs, labels and answers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Opening => "opening",
            Self::Relaying => "relaying",
            Self::HalfClosed => "half_closed",
            Self::Ended => "ended",
        }
    }
}

impl Outcome {
    /// All of them, in order.
    pub const ALL: [Self; 18] = [
        Self::Clean,
        Self::Cut,
        Self::ClientGone,
        Self::NoRoom,
        Self::Killed,
        Self::ConnectionRefused,
        Self::NameNotFound,
        Self::LookUpFailed,
        Self::NoRoute,
        Self::NetworkUnreachable,
        Self::TimedOut,
        Self::Unreachable,
        Self::Prohibited,
        Self::Rejected,
        Self::NoSession,
        Self::NoAnswer,
        Self::Exhausted,
        Self::Loop,
    ];

    /// Its word in logs, labels and answers.
    pub fn word(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Cut => "cut",
            Self::ClientGone => "client_gone",
            Self::NoRoom => "no_room",
            Self::Killed => "killed",
            Self::ConnectionRefused => "connection_refused",
            Self::NameNotFound => "name_not_found",
            Self::LookUpFailed => "look_up_failed",
            Self::NoRoute => "no_route",
            Self::NetworkUnreachable => "network_unreachable",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::Prohibited => "prohibited",
            Self::Rejected => "rejected",
            Self::NoSession => "no_session",
            Self::NoAnswer => "no_answer",
            Self::Exhausted => "exhausted",
            Self::Loop => "loop",
        }
    }

    /// Whether the client did not get what it asked for, and did not leave by itself.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Clean | Self::ClientGone | Self::Killed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_whole_and_in_the_order_of_the_numbers() {
        assert!(State::ALL.iter().enumerate().all(|(at, state)| *state as usize == at));
        assert!(Outcome::ALL.iter().enumerate().all(|(at, outcome)| *outcome as usize == at));
        assert_eq!(Outcome::ALL.last(), Some(&Outcome::Loop), "the last of the enum");
    }
}
