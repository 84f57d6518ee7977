//! The duration and the size of measurements.

use std::time::Duration;

use crate::bed::Way;

/// The extent of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// A full run, from which the README's figures come.
    Full,
    /// A first look.
    Quick,
    /// A smoke test that everything works.
    Smoke,
}

/// The two phases of a turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// The time until the load is steady, which does not count.
    pub(crate) warm_up: Duration,
    /// The time that counts.
    pub(crate) span: Duration,
}

impl Effort {
    /// The duration of a load; with a long round trip it takes longer to become steady.
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

    /// The same beside a load on a line, whose queues take time to fill.
    pub(crate) fn on_a_line(self) -> Timing {
        match self {
            Self::Full | Self::Quick => {
                Timing { warm_up: Duration::from_secs(2), span: Duration::from_secs(2) }
            }
            // On the slowest line, the first byte takes several hundred milliseconds.
            Self::Smoke => {
                Timing { warm_up: Duration::from_millis(500), span: Duration::from_secs(1) }
            }
        }
    }

    /// A transfer on a line, long enough that occasional events do not weigh too much.
    pub(crate) fn transfer_on_a_line(self) -> Timing {
        let Timing { warm_up, span } = self.on_a_line();
        Timing { warm_up, span: span * 2 }
    }

    /// The number of small messages to exchange.
    pub(crate) fn messages(self) -> u32 {
        match self {
            Self::Full => 40_000,
            Self::Quick => 20_000,
            Self::Smoke => 500,
        }
    }

    /// The duration of a database benchmark, in whole seconds.
    pub(crate) fn transactions(self) -> Duration {
        match self {
            Self::Full => Duration::from_secs(3),
            Self::Quick | Self::Smoke => Duration::from_secs(1),
        }
    }

    /// The number of idle connections over which memory is averaged.
    pub(crate) fn idle_connections(self) -> usize {
        match self {
            Self::Full | Self::Quick => 1000,
            Self::Smoke => 50,
        }
    }

    /// The time that a peer has to recover before it counts as failed.
    pub(crate) fn recovery_limit(self) -> Duration {
        match self {
            Self::Full | Self::Quick => Duration::from_secs(10),
            Self::Smoke => Duration::from_secs(3),
        }
    }
}
