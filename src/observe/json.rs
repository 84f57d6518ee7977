//! Log lines for machines: one JSON object each.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::printable::is_deceptive;

/// Writes an event as one object: `timestamp` (RFC 3339, UTC), `level`, `target`, `span`, `spans`,
/// `message`, and the event's fields beside them.
///
/// JSON escapes C0 only. Somebody will look at this on a terminal, so the rest of what a terminal
/// obeys is escaped too, which is the same JSON.
#[derive(Debug)]
pub(super) struct JsonFormat(Format<Json>);

impl Default for JsonFormat {
    fn default() -> Self {
        Self(tracing_subscriber::fmt::format().json().flatten_event(true))
    }
}

impl<S, N> FormatEvent<S, N> for JsonFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(ctx, Writer::new(&mut line), event)?;
        for c in line.trim_end_matches('\n').chars() {
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

/// The object that tells of lines that were not written.
pub(super) fn lost_lines(count: u64) -> String {
    format!(
        "{{\"level\":\"WARN\",\"target\":\"sockeye\",\
         \"message\":\"log lines were dropped: standard error did not take them\",\
         \"lines\":{count}}}\n"
    )
}
