//! What becomes of a request.

use std::net::IpAddr;
use std::sync::Arc;

/// What a request's rules say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The way is known.
    Decided(Decision),
    /// A rule with `resolve = "local"` cannot be judged before the name is looked up here. Look it up
    /// and ask again with what was found, be it nothing.
    Resolve,
}

/// Which way a request goes, and which rule says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The rule's name; none where no rule matched and the default applies.
    pub rule: Option<Arc<str>>,
    /// What to do.
    pub action: Action,
}

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Carry it over one of these SSH servers.
    Via(Arc<Via>),
    /// Connect from here.
    Direct {
        /// The addresses that were judged, where the name was looked up for that: only these may be
        /// connected to. None where it was not.
        addresses: Option<Vec<IpAddr>>,
    },
    /// Refuse it.
    Reject,
}

/// The SSH servers that may carry a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// Their names in the configuration, in its order; at least one, none twice.
    pub servers: Vec<Arc<str>>,
    /// Which of them is taken.
    pub select: Select,
}

/// How one of several servers is chosen (`select`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Select {
    /// The first that has a session (`order`): fail over, and return when it recovers. The default.
    #[default]
    Order,
    /// The one with the lowest round-trip time (`latency`), with hysteresis.
    Latency,
    /// The least loaded (`balance`).
    Balance,
}
