//! Log lines for machines: one JSON object a line.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use crate::printable::is_deceptive;

/// Writes an event as one object: `timestamp` (RFC 3339, UTC), `level`, `module` (of the program),
/// `message`, the event's fields beside them, and `spans`, outermost first, each with its `name` and
/// fields. Keys are unique within an object.
///
/// JSON escapes C0 only. Other characters that control a terminal are escaped too, because lines may be
/// read on one; the JSON value stays the same.
#[derive(Debug)]
pub(super) struct JsonFormat;

impl<S> FormatEvent<S, JsonFields> for JsonFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Object::default();
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        line.add("timestamp", time);
        line.add("level", event.metadata().level().as_str());
        line.add("module", event.metadata().target());
        event.record(&mut line);
        let spans: Vec<_> = ctx
            .event_scope()
            .into_iter()
            .flat_map(Scope::from_root)
            .map(|span| {
                let mut object = Object::default();
                object.add("name", span.name());
                let extensions = span.extensions();
                let fields = extensions.get::<FormattedFields<JsonFields>>();
                let fields = fields.and_then(|text| serde_json::from_str::<Map<_, _>>(text).ok());
                fields.into_iter().flatten().for_each(|(name, value)| object.add(&name, value));
                object
            })
            .collect();
        if !spans.is_empty() {
            line.add("spans", serde_json::to_value(spans).unwrap_or_default());
        }
        let line = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        for c in line.chars() {
            if is_deceptive(c) {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            } else {
                writer.write_char(c)?;
            }
        }
        writer.write_char('\n')
    }
}

/// Members in order. A duplicate key gets a trailing `_`.
#[derive(Debug, Default)]
struct Object(Vec<(String, Value)>);

impl Object {
    fn add(&mut self, name: &str, value: impl Into<Value>) {
        let mut name = name.to_owned();
        while self.0.iter().any(|(taken, _)| *taken == name) {
            name.push('_');
        }
        let mut value = value.into();
        if let Value::String(text) = &mut value
            && let Some((end, _)) = text.char_indices().nth(MAX_VALUE)
        {
            text.truncate(end);
            text.push('…');
        }
        self.0.push((name, value));
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl Visit for Object {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), value);
    }
}

/// The object that reports lost lines.
pub(super) fn lost_lines(count: u64) -> String {
    format!(
        "{{\"level\":\"WARN\",\"module\":\"sockeye\",\
         \"message\":\"log lines were dropped: they could not be written\",\
         \"lines\":{count}}}\n"
    )
}

/// The most characters of a string value; a longer one is cut and ends with `…`.
const MAX_VALUE: usize = 2048;
