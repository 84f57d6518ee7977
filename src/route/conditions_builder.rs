//! Builds [`Conditions`] from the values of a configuration file.

use std::slice;
use std::sync::Arc;

use aho_corasick::AhoCorasick;
use regex::bytes::{RegexSet, RegexSetBuilder};

use super::addresses::{AddressSetBuilder, parse_prefix};
use super::conditions::{Conditions, Resolve};
use super::destinations::{Destinations, Keywords};
use super::list::List;
use super::names::{NameSetBuilder, is_host_name};
use super::port_range::PortRange;
use super::trace::Kind;
use crate::destination::{Host, InvalidDestination};

/// Collects the conditions of one rule one at a time, so that the caller can report the position of each
/// mistake. An invalid condition leaves the builder unchanged. The default has no conditions, which match everything.
#[derive(Debug, Default)]
pub struct ConditionsBuilder {
    names: NameSetBuilder,
    keywords: Vec<Box<str>>,
    expressions: Vec<Box<str>>,
    prefixes: AddressSetBuilder,
    sources: AddressSetBuilder,
    lists: Vec<Arc<List>>,
    resolve: Resolve,
    kinds: Vec<Kind>,
    others: Conditions,
}

/// Why a condition is invalid.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ConditionError {
    #[error(transparent)]
    Name(#[from] InvalidDestination),
    #[error("this is an address: addresses are matched by `cidr`")]
    Address,
    #[error("`*` is no part of a name: for a name and all below it use `domain_suffix`")]
    Wildcard,
    #[error("a host name has only letters, digits, `-`, `_` and `.`")]
    Character,
    #[error("no host name contains this in its ASCII form (xn--...)")]
    Keyword,
    #[error("not a regular expression that can be used: {0}")]
    Expression(Box<regex::Error>),
    #[error("not an address or a range of addresses, as 10.0.0.0/8 or fd00::/8")]
    Prefix,
    #[error("it is empty")]
    Empty,
    #[error("the keywords are too many for one rule: {0}")]
    Keywords(aho_corasick::BuildError),
    #[error("the names or addresses are too many for one rule: {0}")]
    TooLarge(fst::Error),
    #[error("`resolve` has no effect without `cidr` or `list`")]
    NothingToResolve,
}

impl ConditionsBuilder {
    /// `domain`: this name only.
    pub fn domain(&mut self, name: &str) -> Result<(), ConditionError> {
        let name = parse_name(name)?;
        self.names.exact(&name);
        self.note(Kind::Domain);
        Ok(())
    }

    /// `domain_suffix`: this name and its subdomains. A leading `*.`, `+.` or `.` makes no difference.
    pub fn domain_suffix(&mut self, name: &str) -> Result<(), ConditionError> {
        let name = parse_name(strip_suffix_mark(name).unwrap_or(name))?;
        self.names.suffix(&name);
        self.note(Kind::DomainSuffix);
        Ok(())
    }

    /// `domain_keyword`: names that contain this text, in any case.
    pub fn domain_keyword(&mut self, keyword: &str) -> Result<(), ConditionError> {
        if keyword.is_empty() {
            return Err(ConditionError::Empty);
        }
        // The keyword is compared with names in their normal spelling.
        let lower = keyword.to_ascii_lowercase();
        let around = format!("a{lower}a");
        match around.parse() {
            Ok(Host::Name(name)) if *name == *around && is_host_name(&name) => {}
            _ => return Err(ConditionError::Keyword),
        }
        self.keywords.push(lower.into());
        self.note(Kind::DomainKeyword);
        Ok(())
    }

    /// `domain_regex`: the `regex` crate's syntax, ASCII only and case-insensitive; unless anchored, it matches
    /// anywhere in the name.
    pub fn domain_regex(&mut self, expression: &str) -> Result<(), ConditionError> {
        if !expression.is_ascii() {
            return Err(ConditionError::Keyword);
        }
        let expression: Box<str> = expression.into();
        expressions(slice::from_ref(&expression))?;
        self.expressions.push(expression);
        self.note(Kind::DomainRegex);
        Ok(())
    }

    /// `cidr`: an address or a prefix. Bits beyond the prefix are ignored.
    pub fn cidr(&mut self, prefix: &str) -> Result<(), ConditionError> {
        self.prefixes.insert(parse_prefix(prefix).ok_or(ConditionError::Prefix)?);
        self.note(Kind::Cidr);
        Ok(())
    }

    /// `list`: the entries of a file, which rules may share.
    pub fn list(&mut self, list: Arc<List>) {
        self.lists.push(list);
        self.note(Kind::List);
    }

    /// `port`: one of these ports.
    pub fn port(&mut self, range: PortRange) {
        self.others.ports.push(range);
    }

    /// `source`: the client's address, or a prefix that contains it.
    pub fn source(&mut self, prefix: &str) -> Result<(), ConditionError> {
        self.sources.insert(parse_prefix(prefix).ok_or(ConditionError::Prefix)?);
        Ok(())
    }

    /// `listener`: the name of the listener that accepted the request.
    pub fn listener(&mut self, name: &str) -> Result<(), ConditionError> {
        add_text(&mut self.others.listeners, name)
    }

    /// `user`: the proxy user, compared literally.
    pub fn user(&mut self, name: &str) -> Result<(), ConditionError> {
        add_text(&mut self.others.users, name)
    }

    /// `resolve`: whether names are resolved on this machine for this rule's `cidr` and lists.
    pub fn resolve(&mut self, resolve: Resolve) {
        self.resolve = resolve;
    }

    /// Builds the conditions.
    ///
    /// # Errors
    /// Mistakes of no single condition: `resolve` without a condition on addresses; expressions or
    /// keywords that are too large together.
    pub fn build(self) -> Result<Conditions, ConditionError> {
        let destinations = Destinations {
            names: self.names.build().map_err(ConditionError::TooLarge)?,
            keywords: keywords(self.keywords)?,
            expressions: expressions(&self.expressions)?,
            prefixes: self.prefixes.build().map_err(ConditionError::TooLarge)?,
            lists: self.lists,
            resolve: self.resolve,
            kinds: self.kinds,
        };
        if self.resolve == Resolve::Local && !destinations.may_have_addresses() {
            return Err(ConditionError::NothingToResolve);
        }
        let sources = if self.sources.is_empty() {
            None
        } else {
            Some(self.sources.build().map_err(ConditionError::TooLarge)?)
        };
        let destinations = (!destinations.kinds.is_empty()).then_some(destinations);
        Ok(Conditions { sources, destinations, ..self.others })
    }

    fn note(&mut self, kind: Kind) {
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
        }
    }
}

/// The text after the prefix of a suffix, `*.`, `.` or Clash's `+.`; none without such a prefix.
pub(super) fn strip_suffix_mark(text: &str) -> Option<&str> {
    ["*.", "+.", "."].into_iter().find_map(|mark| text.strip_prefix(mark))
}

fn parse_name(text: &str) -> Result<Arc<str>, ConditionError> {
    match text.parse()? {
        Host::Name(name) if name.contains('*') => Err(ConditionError::Wildcard),
        Host::Name(name) if !is_host_name(&name) => Err(ConditionError::Character),
        Host::Name(name) => Ok(name),
        Host::Ip(_) => Err(ConditionError::Address),
    }
}

fn add_text(texts: &mut Vec<Arc<str>>, text: &str) -> Result<(), ConditionError> {
    if text.is_empty() {
        return Err(ConditionError::Empty);
    }
    texts.push(text.into());
    Ok(())
}

fn keywords(texts: Vec<Box<str>>) -> Result<Option<Keywords>, ConditionError> {
    if texts.is_empty() {
        return Ok(None);
    }
    let patterns = texts.iter().map(|text| text.as_bytes());
    let automaton = AhoCorasick::new(patterns).map_err(ConditionError::Keywords)?;
    Ok(Some(Keywords { automaton, texts }))
}

fn expressions(texts: &[Box<str>]) -> Result<Option<RegexSet>, ConditionError> {
    if texts.is_empty() {
        return Ok(None);
    }
    let set = RegexSetBuilder::new(texts)
        .unicode(false)
        .case_insensitive(true)
        .size_limit(REGEX_BYTES)
        .dfa_size_limit(REGEX_CACHE_BYTES)
        .nest_limit(REGEX_NESTING)
        .build()
        .map_err(|error| ConditionError::Expression(Box::new(error)))?;
    Ok(Some(set))
}

/// The most memory for the compiled expressions of one rule, in bytes.
const REGEX_BYTES: usize = 8 << 20;
/// The memory limit of a thread's cache to run them, in bytes.
const REGEX_CACHE_BYTES: usize = 2 << 20;
/// The maximum nesting depth of the expressions.
const REGEX_NESTING: u32 = 50;
