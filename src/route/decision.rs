//! The decision on a request.

use std::net::IpAddr;
use std::sync::Arc;

/// The result of evaluating the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A rule or the default has decided.
    Decided(Decision),
    /// A rule with `resolve = "local"` needs the addresses of the name. The caller looks it up on this machine
    /// and asks again with the addresses, even if there are none.
    Resolve,
}

/// The action for a request, and the rule that decides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The rule's name; none if no rule matched and the default applies.
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
        /// The only addresses that may be connected to, if the name was resolved for a rule. None if it was not
        /// resolved.
        addresses: Option<Vec<IpAddr>>,
    },
    /// The request is refused.
    Reject,
}

/// The SSH servers that may carry a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// Their names in the order of the configuration; at least one, without duplicates.
    pub servers: Vec<Arc<str>>,
    /// How one of them is chosen.
    pub select: Select,
}

/// How one of several servers is chosen (`select`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Select {
    /// The first one with a session (`order`): fails over, and returns on recovery. The default.
    #[default]
    Order,
    /// The one with the lowest round-trip time (`latency`), with hysteresis.
    Latency,
    /// The least loaded (`balance`).
    Balance,
}
