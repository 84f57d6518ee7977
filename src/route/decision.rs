//! The decision on a request.

use std::net::IpAddr;
use std::sync::Arc;

/// The result of the walk over the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A rule or the default decides.
    Decided(Decision),
    /// A rule with `resolve = "local"` needs the addresses of the name. The caller looks it up here and
    /// asks again with the addresses, even if there are none.
    Resolve,
}

/// The way of a request, and the rule that decides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The rule's name; none where no rule matched and the default applies.
    pub rule: Option<Arc<str>>,
    /// The action.
    pub action: Action,
}

/// The action for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The request goes over one of these SSH servers.
    Via(Arc<Via>),
    /// This machine connects directly.
    Direct {
        /// The addresses that were evaluated, where the name was resolved for that: only these may be
        /// connected to. None where it was not.
        addresses: Option<Vec<IpAddr>>,
    },
    /// The request is refused.
    Reject,
}

/// The SSH servers that may carry a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// Their names in the configuration, in its order; at least one, none twice.
    pub servers: Vec<Arc<str>>,
    /// How one of them is chosen.
    pub select: Select,
}

/// How one of several servers is chosen (`select`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Select {
    /// The first that has a session (`order`): it fails over, and returns on recovery. The default.
    #[default]
    Order,
    /// The one with the lowest round-trip time (`latency`), with hysteresis.
    Latency,
    /// The least loaded (`balance`).
    Balance,
}
