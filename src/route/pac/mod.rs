//! Rules as a proxy auto-configuration (PAC) file: JavaScript that tells a browser which requests need not use
//! the proxy.
//!
//! A browser only decides which requests go direct. Everything else goes to the proxy, which carries or refuses
//! it, including whatever the file cannot know: the proxy user, the source, the listener, the addresses of a
//! name, an expression that JavaScript may interpret differently, a list too long for a browser.

mod expression;

use std::collections::BTreeMap;
use std::fmt::Write;

use regex::bytes::RegexSet;
use serde::Serialize;

use super::conditions::{Conditions, Resolve};
use super::decision::Action;
use super::destinations::Destinations;
use super::router::Router;
use super::rule::Rule;
use crate::destination::Destination;

/// A file that defines `FindProxyForURL` for these rules. `proxies` are the listeners as a browser reaches
/// them, in order of preference; without any, the file allows no destination.
pub fn pac(router: &Router, proxies: &[Destination], localhost: Localhost) -> String {
    let proxies: Vec<_> =
        proxies.iter().map(|proxy| format!("PROXY {proxy}; SOCKS5 {proxy}")).collect();
    let default = if is_direct(router.default()) { "\"DIRECT\"" } else { "PROXY" };
    let own = (localhost == Localhost::Direct).then(PacRule::localhost);
    let rules = own.into_iter().chain(decisive(router).iter().map(PacRule::new));
    let rules: Vec<_> = rules.map(|rule| format!("  {}", literal(&rule))).collect();
    format!(
        "// Made by sockeye. What is not certain to be direct goes to the proxy, which decides.\n\
         var PROXY = {};\nvar DEFAULT = {default};\nvar RULES = [\n{}\n];\n{FIND_PROXY}",
        literal(&proxies.join("; ")),
        rules.join(",\n"),
    )
}

/// How requests to the browser's own machine are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Localhost {
    /// The rules decide, as for any other host.
    ByRules,
    /// The browser connects directly, whatever the rules say.
    Direct,
}

/// A rule in the form that the script reads.
#[derive(Default, Serialize)]
struct PacRule<'a> {
    name: &'a str,
    ports: Vec<(u16, u16)>,
    /// Names after `=`, suffixes after `*`, prefixes as bits after `4` or `6`; none if there is no condition on
    /// the destination.
    entries: Option<BTreeMap<String, u8>>,
    keywords: Vec<&'a str>,
    expressions: Vec<&'a str>,
    /// Whether names (or addresses) that are not among the entries may still match.
    perhaps_names: bool,
    perhaps_addresses: bool,
    /// Whether a certain match goes direct.
    direct: bool,
}

impl<'a> PacRule<'a> {
    fn new(rule: &'a Rule) -> Self {
        let conditions = &rule.conditions;
        let mut pac = Self {
            name: &rule.name,
            ports: conditions.ports.iter().map(|p| p.ports().into_inner()).collect(),
            direct: is_direct(&rule.action) && !needs_proxy(conditions),
            ..Self::default()
        };
        if let Some(destinations) = &conditions.destinations {
            pac.add(destinations);
        }
        pac
    }

    /// The loopback names of RFC 6761 section 6.3, and the loopback addresses.
    fn localhost() -> Self {
        let loopback = format!("4{:08b}", 127);
        let loopback6 = format!("6{:0128b}", 1);
        let entries = ["=localhost", "*localhost", &loopback, &loopback6];
        Self {
            name: "localhost",
            entries: Some(entries.into_iter().map(|entry| (entry.to_owned(), 1)).collect()),
            direct: true,
            ..Self::default()
        }
    }

    fn add(&mut self, destinations: &'a Destinations) {
        let entries = self.entries.get_or_insert_default();
        let sets = [(&destinations.names, &destinations.prefixes)].into_iter();
        let (short, long): (Vec<_>, Vec<_>) =
            destinations.lists.iter().partition(|list| list.len() <= LONGEST_LIST);
        for (names, prefixes) in sets.chain(short.iter().map(|list| list.sets())) {
            names.for_each(|mark, name| _ = entries.insert(format!("{mark}{name}"), 1));
            prefixes.for_each(|bits| _ = entries.insert(bits, 1));
        }
        if let Some(keywords) = &destinations.keywords {
            self.keywords.extend(keywords.texts.iter().map(|text| &**text));
        }
        let expressions = destinations.expressions.iter().flat_map(RegexSet::patterns);
        let (same, other): (Vec<&String>, _) =
            expressions.partition(|text| expression::is_the_same_in_javascript(text));
        self.expressions.extend(same.iter().map(|text| text.as_str()));
        self.perhaps_names = !other.is_empty()
            || long.iter().any(|list| list.has_names())
            || (destinations.resolve == Resolve::Local && destinations.has_addresses());
        self.perhaps_addresses = long.iter().any(|list| list.has_addresses());
    }
}

/// The relevant rules: after the last `direct` rule, everything goes to the proxy anyway.
fn decisive(router: &Router) -> &[Rule] {
    let rules = router.rules();
    if is_direct(router.default()) {
        return rules;
    }
    let last = rules.iter().rposition(|rule| is_direct(&rule.action));
    &rules[..last.map_or(0, |last| last + 1)]
}

/// Whether there are conditions that a browser cannot evaluate.
fn needs_proxy(conditions: &Conditions) -> bool {
    conditions.sources.is_some() || !conditions.listeners.is_empty() || !conditions.users.is_empty()
}

fn is_direct(action: &Action) -> bool {
    match action {
        Action::Direct { .. } => true,
        Action::Via(_) | Action::Reject => false,
    }
}

/// A value that any version of JavaScript can parse: JSON in ASCII.
fn literal(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("texts, numbers and maps of them");
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && c != '\x7f' {
            ascii.push(c);
        } else {
            // In JSON, such characters occur only in strings.
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(ascii, "\\u{unit:04x}").expect("memory takes everything");
            }
        }
    }
    ascii
}

/// The maximum length of a list in the file; longer lists are left to the proxy.
const LONGEST_LIST: usize = 10_000;

/// The script that evaluates the rules.
const FIND_PROXY: &str = include_str!("find_proxy.js");
