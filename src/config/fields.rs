//! Reads one table of the file, key by key: a value of the wrong type is reported, and the rest is
//! read all the same.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Cause, TableId};
use super::source::Source;
use super::suggest;

/// A text and its place.
pub(super) type Text<'a> = Spanned<&'a str>;

/// One table, and the keys that have been read.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    source: &'a Source<'a>,
    /// Its name for the user, such as `[[rule]]`.
    name: String,
    table: &'a DeTable<'a>,
    span: Range<usize>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The fields of a table, which the user knows by this name.
    pub(super) fn new(
        source: &'a Source<'a>,
        name: impl Into<String>,
        table: &'a DeTable<'a>,
        span: Range<usize>,
    ) -> Self {
        Self { source, name: name.into(), table, span, known: Vec::new() }
    }

    /// The fields of a value that is a table; `None` after reporting that it is not.
    pub(super) fn of(
        source: &'a Source<'a>,
        name: impl Into<String>,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Option<Self> {
        let name = name.into();
        match value.get_ref() {
            DeValue::Table(table) => Some(Self::new(source, name, table, value.span())),
            other => {
                source.error(&value.span(), wrong_type(&name, "a table", other), "");
                None
            }
        }
    }

    /// The possible cause of a mistake: that none of these keys is present.
    pub(super) fn missing(&self, keys: &'static [&'static str]) -> Cause {
        Cause::Missing(self.id(), keys)
    }

    /// The table's name for the user.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The table's identity.
    pub(super) fn id(&self) -> TableId {
        if self.name.is_empty() { TableId::Root } else { TableId::At(self.span.start) }
    }

    /// The table's place.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The place of a key, whatever its value; `None` if it is missing.
    pub(super) fn span_of(&self, key: &str) -> Option<Range<usize>> {
        let (name, _) = self.table.get_key_value(key)?;
        Some(name.span())
    }

    /// A value of any type.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.table.get(key)
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<Text<'a>> {
        let value = self.value(key)?;
        let text = as_text(value);
        if text.is_none() {
            self.wrong(key, "a string", value);
        }
        text
    }

    /// A list of strings; a single string is a list of one. Other values are reported and left out.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<Text<'a>>> {
        let values = self.values(key)?;
        let texts = values.into_iter().filter_map(|value| {
            let text = as_text(value);
            if text.is_none() {
                self.wrong(key, "a list of strings", value);
            }
            text
        });
        Some(texts.collect())
    }

    /// The values of a list; any other value is a list of one.
    pub(super) fn values(&mut self, key: &'static str) -> Option<Vec<&'a Spanned<DeValue<'a>>>> {
        let value = self.value(key)?;
        let values: Vec<_> = match value.get_ref() {
            DeValue::Array(values) => values.iter().collect(),
            _ => vec![value],
        };
        if values.is_empty() {
            let what = format!("'{key}' in {} is an empty list", self.name);
            self.source.error(&value.span(), what, "leave it out, or name something");
        }
        Some(values)
    }

    /// A boolean.
    pub(super) fn switch(&mut self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        let switch = value.get_ref().as_bool();
        if switch.is_none() {
            self.wrong(key, "true or false", value);
        }
        switch
    }

    /// An integer in `range`.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let value = self.value(key)?;
        let number = as_number(value.get_ref()).filter(|number| range.contains(number));
        if number.is_none() {
            let expected = format!("a number from {} to {}", range.start(), range.end());
            self.wrong(key, &expected, value);
        }
        number
    }

    pub(super) fn table(&mut self, key: &'static str) -> Option<Fields<'a>> {
        let value = self.value(key)?;
        Fields::of(self.source, format!("[{key}]"), value)
    }

    /// The tables of `[[key]]`, in the order of the file.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Fields<'a>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Array(values) = value.get_ref() else {
            let what = wrong_type(&format!("[[{key}]]"), "a list of tables", value.get_ref());
            self.source.error(&value.span(), what, format!("write [[{key}]]"));
            return Vec::new();
        };
        let name = format!("[[{key}]]");
        values.iter().filter_map(|value| Fields::of(self.source, name.as_str(), value)).collect()
    }

    /// The tables of `[key.NAME]` with their names, in the order of the file.
    pub(super) fn named(&mut self, key: &'static str) -> Vec<(Text<'a>, Fields<'a>)> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Table(table) = value.get_ref() else {
            let what = wrong_type(&format!("[{key}.NAME]"), "a table", value.get_ref());
            self.source.error(&value.span(), what, format!("write [{key}.NAME]"));
            return Vec::new();
        };
        let mut named: Vec<_> = table
            .iter()
            .filter_map(|(name, value)| {
                let text = Spanned::new(name.span(), &**name.get_ref());
                let label = format!("[{key}.{}]", name.get_ref());
                Some((text, Fields::of(self.source, label, value)?))
            })
            .collect();
        named.sort_by_key(|(name, _)| name.span().start);
        named
    }

    /// Reports a value of the wrong type.
    pub(super) fn wrong(&self, key: &str, expected: &str, value: &Spanned<DeValue<'_>>) {
        let subject = format!("'{key}' in {}", self.name);
        let what = wrong_type(&subject, expected, value.get_ref());
        self.source.error(&value.span(), what, "");
    }

    /// Reports the keys that were never read.
    pub(super) fn finish(self) {
        for name in self.table.keys() {
            let key = &**name.get_ref();
            if !self.known.contains(&key) {
                let place =
                    if self.name.is_empty() { String::new() } else { format!(" in {}", self.name) };
                let hint = suggest::hint(key, self.known.iter().copied(), "the keys are");
                if let Some(meant) = suggest::nearest(key, self.known.iter().copied()) {
                    self.source.report().slip(self.id(), meant);
                }
                self.source.error(&name.span(), format!("unknown key '{key}'{place}"), hint);
            }
        }
    }
}

/// A non-negative integer.
pub(super) fn as_number(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

pub(super) fn as_text<'a>(value: &'a Spanned<DeValue<'a>>) -> Option<Text<'a>> {
    value.get_ref().as_str().map(|text| Spanned::new(value.span(), text))
}

/// The message for a value of the wrong type.
fn wrong_type(subject: &str, expected: &str, found: &DeValue<'_>) -> String {
    let found = match found {
        DeValue::String(text) => format!("the string '{text}'"),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(on) => format!("{on}"),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    };
    format!("{subject} should be {expected}, not {found}")
}
