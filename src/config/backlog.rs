//! `[backlog]`: limits on the data buffered for slow clients.

use bytesize::ByteSize;

use crate::relay::BacklogLimits;

use super::fields::{Fields, as_number};
use super::source::Source;

/// Reads `connection`, `memory` and `files`, each a number of bytes or a string with a unit; `None`
/// after reporting a mistake.
pub(super) fn read(source: &Source<'_>, mut section: Fields<'_>) -> Option<BacklogLimits> {
    let errors = source.report().errors();
    let default = BacklogLimits::default();
    let connection = size(&mut section, "connection").unwrap_or(default.connection);
    let memory = size(&mut section, "memory").unwrap_or(default.memory.max(connection));
    let spill = size(&mut section, "files").unwrap_or(default.spill);
    let span = section.span();
    section.finish();
    if source.report().errors() > errors {
        return None;
    }
    BacklogLimits::new(connection, memory, spill)
        .map_err(|why| source.error(&span, format!("[backlog]: {why}"), ""))
        .ok()
}

fn size(section: &mut Fields<'_>, key: &'static str) -> Option<u64> {
    let value = section.value(key)?;
    let size = match value.get_ref().as_str() {
        Some(text) => text.parse::<ByteSize>().ok().map(|size| size.as_u64()),
        None => as_number(value.get_ref()),
    };
    if size.is_none() {
        section.wrong(key, "a size, as \"16MiB\"", value);
    }
    size
}
