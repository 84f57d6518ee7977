//! `[[rule]]`: conditions and what follows from them, in order.

use std::collections::HashMap;
use std::sync::Arc;

use ipnet::IpNet;
use toml::Spanned;
use toml::de::DeValue;

use crate::route::{ConditionError, ConditionsBuilder, InvalidPortRange, PortRange, Resolve, Rule};

use super::fields::{Fields, Text, as_number, as_text};
use super::listen::also;
use super::listener_names;
use super::lists::{InvalidLines, Lists};
use super::source::Source;
use super::way::{self, Names};

/// Reads all rules, in file order. Those with a mistake are left out.
pub(super) fn read(
    source: &Source<'_>,
    sections: Vec<Fields<'_>>,
    names: &Names,
    lists: &mut Lists<'_>,
) -> Vec<Rule> {
    let mut seen = HashMap::new();
    let mut catch_all: Option<Arc<str>> = None;
    let mut rules = Vec::with_capacity(sections.len());
    for (number, mut section) in (1_usize..).zip(sections) {
        let place = section.span();
        let name = read_name(&mut section, number);
        if let Some(first) = seen.insert(Arc::clone(&name), place.clone()) {
            source.error(&place, format!("two rules have the name '{name}'"), also(source, &first));
        }
        // A rule without a condition matches everything.
        let mut keys = TEXTS.iter().map(|(key, _)| *key).chain(["listener", "list", "port"]);
        let is_for_all = keys.all(|key| section.span_of(key).is_none());
        let errors = source.report().errors();
        rules.extend(read_one(source, section, Arc::clone(&name), names, lists));
        if let Some(first) = &catch_all {
            let what = format!("the rule '{name}' is never reached");
            let hint = format!("the rule '{first}' before it matches everything");
            source.warning(&place, what, hint);
        } else if is_for_all && source.report().errors() == errors {
            // A rule with a mistake may be missing the condition that it was meant to have.
            catch_all = Some(name);
        }
    }
    rules
}

fn read_name(section: &mut Fields<'_>, number: usize) -> Arc<str> {
    match section.text("name") {
        Some(name) if !name.get_ref().is_empty() => (*name.get_ref()).into(),
        _ => number.to_string().into(),
    }
}

fn read_one(
    source: &Source<'_>,
    mut section: Fields<'_>,
    name: Arc<str>,
    names: &Names,
    lists: &mut Lists<'_>,
) -> Option<Rule> {
    let errors = source.report().errors();
    let mut conditions = ConditionsBuilder::default();
    for (key, add) in TEXTS {
        for text in section.texts(key).unwrap_or_default() {
            if matches!(key, "cidr" | "source") {
                check_prefix(source, key, &text);
            }
            if let Err(error) = add(&mut conditions, text.get_ref()) {
                refuse(source, key, &text, &error);
            }
        }
    }
    for text in section.texts("listener").unwrap_or_default() {
        for name in listener_names::named(source, &text, names) {
            if let Err(error) = conditions.listener(&name) {
                refuse(source, "listener", &text, &error);
            }
        }
    }
    let invalid = read_invalid_lines(source, &mut section);
    for text in section.texts("list").unwrap_or_default() {
        if let Some(list) = lists.load(source, &text, invalid) {
            conditions.list(list);
        }
    }
    for value in section.values("port").unwrap_or_default() {
        match port_range(value) {
            Some(Ok(range)) => conditions.port(range),
            Some(Err(why)) => {
                let text = value.get_ref().as_str().unwrap_or_default();
                source.error(&value.span(), format!("port: {why}"), several("port", text));
            }
            None => section.wrong("port", "ports, as 443 or \"8000-8999\"", value),
        }
    }
    let resolve_at = section.span_of("resolve").unwrap_or(section.span());
    conditions.resolve(read_resolve(source, &mut section));
    let action = way::action(source, &mut section, names);
    section.finish();
    // A rule whose lists or prefixes have mistakes is not also reported for lacking them.
    let is_sound = source.report().errors() == errors;
    let conditions = conditions.build().map_err(|error| {
        if is_sound {
            source.error(&resolve_at, format!("the rule '{name}': {error}"), "");
        }
    });
    Some(Rule { name, conditions: conditions.ok()?, action: action? })
}

/// Reports why a text is not a valid condition.
fn refuse(source: &Source<'_>, key: &str, text: &Text<'_>, error: &ConditionError) {
    let hint = match error {
        ConditionError::Address => &*format!("write cidr = [\"{}\"]", text.get_ref()),
        ConditionError::Expression(_) if text.get_ref().contains('\\') => {
            "in single quotes TOML leaves backslashes alone"
        }
        ConditionError::Name(_) | ConditionError::Character | ConditionError::Prefix => {
            &*several(key, text.get_ref())
        }
        ConditionError::Empty => "leave it out",
        _ => "",
    };
    let why = match error {
        // The regex crate draws a caret below the expression; the reason is on the last line.
        ConditionError::Expression(error) => {
            let drawn = error.to_string();
            let last = drawn.lines().last().unwrap_or_default();
            format!("not a regular expression: {}", last.trim_start_matches("error: "))
        }
        other => other.to_string(),
    };
    source.error(&text.span(), format!("{key} '{}': {why}", text.get_ref()), hint);
}

/// The hint for a text with several values separated by commas; empty for a single value.
fn several(key: &str, text: &str) -> String {
    let values: Vec<_> = text.split(',').map(str::trim).collect();
    if values.len() == 1 {
        return String::new();
    }
    format!("write {key} = [\"{}\"]", values.join("\", \""))
}

/// Reports a prefix with host bits set, since it is unclear which addresses are meant.
fn check_prefix(source: &Source<'_>, key: &str, text: &Text<'_>) {
    if let Ok(block) = text.get_ref().parse::<IpNet>()
        && block.trunc() != block
    {
        let what = format!("{key} '{block}' has bits behind its prefix");
        let hint = format!("write {}, or {} for the one address", block.trunc(), block.addr());
        source.error(&text.span(), what, hint);
    }
}

/// Reads a number, or a string such as `8000-8999`; `None` if the value is neither.
fn port_range(value: &Spanned<DeValue<'_>>) -> Option<Result<PortRange, InvalidPortRange>> {
    if let Some(number) = as_number(value.get_ref()) {
        let port = u16::try_from(number).map_err(|_| InvalidPortRange::Port);
        return Some(port.and_then(PortRange::try_from));
    }
    as_text(value).map(|text| text.get_ref().parse())
}

fn read_resolve(source: &Source<'_>, section: &mut Fields<'_>) -> Resolve {
    let words = [("local", Resolve::Local), ("remote", Resolve::Remote)];
    let text = section.text("resolve");
    text.and_then(|text| source.choose("resolve", &text, &words)).unwrap_or_default()
}

/// Reads `invalid_lines`: how to treat invalid lines in the rule's lists.
fn read_invalid_lines(source: &Source<'_>, section: &mut Fields<'_>) -> InvalidLines {
    let Some(text) = section.text("invalid_lines") else { return InvalidLines::default() };
    if section.span_of("list").is_none() {
        let what = format!("{} has 'invalid_lines' without 'list'", section.name());
        source.error_of(section.missing(&["list"]), &text.span(), what, "leave it out");
    }
    let words = [("refuse", InvalidLines::Refuse), ("skip", InvalidLines::Skip)];
    source.choose("invalid_lines", &text, &words).unwrap_or_default()
}

type Add = fn(&mut ConditionsBuilder, &str) -> Result<(), ConditionError>;

/// The conditions that are strings.
const TEXTS: [(&str, Add); 7] = [
    ("domain", ConditionsBuilder::domain),
    ("domain_suffix", ConditionsBuilder::domain_suffix),
    ("domain_keyword", ConditionsBuilder::domain_keyword),
    ("domain_regex", ConditionsBuilder::domain_regex),
    ("user", ConditionsBuilder::user),
    ("cidr", ConditionsBuilder::cidr),
    ("source", ConditionsBuilder::source),
];
