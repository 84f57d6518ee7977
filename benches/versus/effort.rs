//! How long and how much is measured.

use std::time::Duration;

use crate::bed::Way;

/// How much of a run it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// What the README's figures come from.
    Full,
    /// A first look.
    Quick,
    /// Whether everything works at all, as a test.
    Smoke,
}

/// The two parts of one turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Until the load is steady; not counted.
    pub(crate) warm_up: Duration,
    /// What counts.
    pub(crate) span: Duration,
}

impl Effort {
    /// How long a load lasts; a long round trip takes longer to become steady.
    pub(crate) fn timing(self, way: Way) -> Timing {
        let (warm_up, span) = match way {
            Way::Near => (250, 1000),
            Way::Over(_) => (800, 1500),
        };
        let part = match self {
            Self::Full => 1.0,
            Self::Quick => 0.5,
            Self::Smoke => 0.1,
        };
        let part_of = |whole| Duration::from_millis(whole).mul_f64(part);
        Timing { warm_up: part_of(warm_up), span: part_of(span) }
    }

    /// The same beside a load on a line, whose queues take their time to fill.
    pub(crate) fn on_a_line(self) -> Timing {
        match self {
            Self::Full | Self::Quick => {
                Timing { warm_up: Duration::from_secs(2), span: Duration::from_secs(2) }
            }
            // On the slowest, the first byte needs some hundred milliseconds.
            Self::Smoke => {
                Timing { warm_up: Duration::from_millis(500), span: Duration::from_secs(1) }
            }
        }
    }

    /// A transfer on a line: what it does now and then should weigh no more than it does.
    pub(crate) fn transfer_on_a_line(self) -> Timing {
        let Timing { warm_up, span } = self.on_a_line();
        Timing { warm_up, span: span * 2 }
    }

    /// How many small messages are exchanged.
    pub(crate) fn messages(self) -> u32 {
        match self {
            Self::Full => 40_000,
            Self::Quick => 20_000,
            Self::Smoke => 500,
        }
    }

    /// For how long a database is asked, in whole seconds.
    pub(crate) fn transactions(self) -> Duration {
        match self {
            Self::Full => Duration::from_secs(3),
            Self::Quick | Self::Smoke => Duration::from_secs(1),
        }
    }

    /// How many idle connections the memory is shared by.
    pub(crate) fn idle_connections(self) -> usize {
        match self {
            Self::Full | Self::Quick => 1000,
            Self::Smoke => 50,
        }
    }

    /// How long a peer has until a cut counts as the end of it.
    pub(crate) fn recovery_limit(self) -> Duration {
        match self {
            Self::Full | Self::Quick => Duration::from_secs(10),
            Self::Smoke => Duration::from_secs(3),
        }
    }
}
