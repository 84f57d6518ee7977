//! Conditions on the destination: names, parts of names, addresses, lists.

use std::net::IpAddr;
use std::sync::Arc;

use aho_corasick::AhoCorasick;
use ipnet::IpNet;
use regex::bytes::RegexSet;

use super::addresses::AddressSet;
use super::conditions::{Evaluation, Resolve};
use super::list::List;
use super::names::{NameMatch, NameSet};
use super::trace::{Finding, Kind, Tracer};
use crate::destination::{Host, leads_to};

/// Alternative conditions, one of which must hold.
#[derive(Clone, Debug)]
pub(super) struct Destinations {
    pub(super) names: NameSet,
    pub(super) keywords: Option<Keywords>,
    /// Regular expressions, matched in one pass.
    pub(super) expressions: Option<RegexSet>,
    pub(super) prefixes: AddressSet,
    pub(super) lists: Vec<Arc<List>>,
    pub(super) resolve: Resolve,
    /// The kinds that are present, to explain a mismatch.
    pub(super) kinds: Vec<Kind>,
}

/// Parts of names, searched for in one pass.
#[derive(Clone, Debug)]
pub(super) struct Keywords {
    pub(super) automaton: AhoCorasick,
    /// The configured texts, in the automaton's order.
    pub(super) texts: Vec<Box<str>>,
}

impl Destinations {
    /// `resolved` contains the addresses found by a look-up on this side, if there was one.
    pub(super) fn evaluate(
        &self,
        host: Option<&Host>,
        resolved: Option<&[IpAddr]>,
        tracer: &mut Tracer,
    ) -> Evaluation {
        match host {
            Some(Host::Name(name)) => {
                if self.name_matches(name, tracer) {
                    Evaluation::Matched { addresses: None }
                } else {
                    self.evaluate_addresses_of(name, resolved, tracer)
                }
            }
            Some(Host::Ip(ip)) => {
                if self.address_matches(*ip, tracer) {
                    return Evaluation::Matched { addresses: None };
                }
                self.all_failed(tracer, |_| format!("{ip} is not there"));
                Evaluation::Passed
            }
            None => {
                self.all_failed(tracer, |_| "a unix socket has no host".to_owned());
                Evaluation::Passed
            }
        }
    }

    /// Whether a condition compares addresses, or would do so if its list contained any.
    pub(super) fn may_have_addresses(&self) -> bool {
        !self.prefixes.is_empty() || !self.lists.is_empty()
    }

    pub(super) fn has_addresses(&self) -> bool {
        !self.prefixes.is_empty() || self.lists.iter().any(|list| list.has_addresses())
    }

    fn name_matches(&self, name: &str, tracer: &mut Tracer) -> bool {
        if let Some(found) = self.names.find(name) {
            let kind = match found {
                NameMatch::Exact => Kind::Domain,
                NameMatch::Suffix(_) => Kind::DomainSuffix,
            };
            tracer.condition(kind, Finding::Held, || found.spell(name));
            return true;
        }
        if let Some(keywords) = &self.keywords
            && let Some(found) = keywords.automaton.find(name)
        {
            let text = || keywords.texts[found.pattern().as_usize()].to_string();
            tracer.condition(Kind::DomainKeyword, Finding::Held, text);
            return true;
        }
        if let Some(set) = &self.expressions
            && set.is_match(name.as_bytes())
        {
            let first = || set.matches(name.as_bytes()).iter().next().map(|n| &set.patterns()[n]);
            let text = || first().cloned().unwrap_or_default();
            tracer.condition(Kind::DomainRegex, Finding::Held, text);
            return true;
        }
        for list in &self.lists {
            if let Some(found) = list.find_name(name) {
                let text = || format!("{} in {}", found.spell(name), list.name());
                tracer.condition(Kind::List, Finding::Held, text);
                return true;
            }
        }
        false
    }

    /// Evaluates the conditions on addresses for a name that matches no other condition.
    fn evaluate_addresses_of(
        &self,
        name: &str,
        resolved: Option<&[IpAddr]>,
        tracer: &mut Tracer,
    ) -> Evaluation {
        let missed = |tracer: &mut Tracer| {
            self.all_failed(tracer, |kind| match kind {
                Kind::Cidr if resolved.is_none() => ONLY_LITERALS.to_owned(),
                _ => format!("{name} is not there"),
            });
        };
        if self.resolve == Resolve::Remote || !self.has_addresses() {
            missed(tracer);
            return Evaluation::Passed;
        }
        let Some(resolved) = resolved else {
            let kind = if self.prefixes.is_empty() { Kind::List } else { Kind::Cidr };
            let text = || format!("{name} has to be looked up here first");
            tracer.condition(kind, Finding::Unknown, text);
            return Evaluation::Resolve;
        };
        let addresses = resolved.iter().map(IpAddr::to_canonical);
        let matched: Vec<_> = addresses.filter(|ip| self.address_matches(*ip, tracer)).collect();
        if matched.is_empty() {
            missed(tracer);
            Evaluation::Passed
        } else {
            Evaluation::Matched { addresses: Some(matched) }
        }
    }

    /// Whether the set contains the address, or one that it leads to.
    fn address_matches(&self, ip: IpAddr, tracer: &mut Tracer) -> bool {
        leads_to(ip).any(|ip| self.is_among(ip, tracer))
    }

    fn is_among(&self, ip: IpAddr, tracer: &mut Tracer) -> bool {
        if let Some(prefix) = self.prefixes.find(ip) {
            tracer.condition(Kind::Cidr, Finding::Held, || spell(ip, prefix));
            return true;
        }
        for list in &self.lists {
            if let Some(prefix) = list.find_address(ip) {
                let text = || format!("{} in {}", spell(ip, prefix), list.name());
                tracer.condition(Kind::List, Finding::Held, text);
                return true;
            }
        }
        false
    }

    fn all_failed(&self, tracer: &mut Tracer, why: impl Fn(Kind) -> String) {
        for kind in &self.kinds {
            tracer.condition(*kind, Finding::Failed, || match kind {
                Kind::List => {
                    let names: Vec<_> = self.lists.iter().map(|list| list.name()).collect();
                    format!("{} ({})", why(*kind), names.join(", "))
                }
                _ => why(*kind),
            });
        }
    }
}

fn spell(ip: IpAddr, prefix: IpNet) -> String {
    if prefix.prefix_len() == prefix.max_prefix_len() {
        ip.to_string()
    } else {
        format!("{ip} in {prefix}")
    }
}

const ONLY_LITERALS: &str = "only literal addresses are compared";
