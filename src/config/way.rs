//! `via`, `select` and `action`: where a request goes, in `[[rule]]`, `[default]` and `[[forward]]`.

use std::ops::Range;
use std::sync::Arc;

use crate::forward::ListenAddress;
use crate::route::{Action, Select, Via};

use super::fields::{Fields, Text};
use super::mistake::{Cause, TableId};
use super::source::Source;
use super::suggest;

/// The names that rules may use.
#[derive(Debug)]
pub(super) struct Names {
    /// Those of `[server.NAME]`, including those with mistakes.
    pub(super) servers: Vec<Arc<str>>,
    /// Those of `[[listen]]`, and of `[[forward]]` once known, including those with mistakes.
    pub(super) listeners: Vec<Arc<str>>,
    /// The addresses and names of valid listeners and local forwards.
    pub(super) places: Vec<(ListenAddress, Arc<str>)>,
}

/// Reads the action of a rule or the default; `None` after reporting why there is none.
pub(super) fn action(
    source: &Source<'_>,
    section: &mut Fields<'_>,
    names: &Names,
) -> Option<Action> {
    let name = section.name().to_owned();
    let via_at = section.span_of("via");
    let via = via(source, section, names);
    let action = section.text("action");
    match (via_at, action) {
        (Some(_), Some(action)) => {
            let what = format!("{name} has both 'via' and 'action'");
            source.error(&action.span(), what, "leave one of them out");
            None
        }
        (Some(_), None) => via.map(|via| Action::Via(Arc::new(via))),
        (None, Some(action)) => {
            let actions =
                [("reject", Action::Reject), ("direct", Action::Direct { addresses: None })];
            source.choose("action", &action, &actions)
        }
        // An action of the wrong type has been reported already.
        (None, None) if section.span_of("action").is_some() => None,
        (None, None) => {
            let what = format!("{name} has neither 'via' nor 'action'");
            let hint = "write via = [\"SERVER\"], or action = \"reject\" or \"direct\"";
            source.error_of(section.missing(&["via", "action"]), &section.span(), what, hint);
            None
        }
    }
}

/// Reads `via` and `select`; `None` if there is no `via`, or after reporting a mistake.
pub(super) fn via(source: &Source<'_>, section: &mut Fields<'_>, names: &Names) -> Option<Via> {
    let name = section.name().to_owned();
    let servers = section.texts("via");
    let select_at = section.span_of("select");
    let select = section.text("select").map(|select| source.choose("select", &select, &SELECTS));
    if let (None, Some(at)) = (&servers, select_at) {
        let what = format!("{name} has 'select' without 'via'");
        source.error_of(section.missing(&["via"]), &at, what, "leave it out");
    }
    let mut known: Vec<Arc<str>> = Vec::new();
    for server in servers? {
        if let Some(server) = find(source, &server, &known, names) {
            known.push(server);
        }
    }
    let select = select.unwrap_or(Some(Select::default()))?;
    (!known.is_empty()).then_some(Via { servers: known, select })
}

/// The server that `via` or `on` names; `None` after reporting that it does not exist.
pub(super) fn server(source: &Source<'_>, text: &Text<'_>, names: &Names) -> Option<Arc<str>> {
    let found = names.servers.iter().find(|server| ***server == **text.get_ref());
    if found.is_none() {
        unknown_server(source, &text.span(), text.get_ref(), names);
    }
    found.cloned()
}

fn find(
    source: &Source<'_>,
    text: &Text<'_>,
    before: &[Arc<str>],
    names: &Names,
) -> Option<Arc<str>> {
    let server = server(source, text, names)?;
    if before.contains(&server) {
        source.error(&text.span(), format!("the server '{server}' is named twice"), "");
        return None;
    }
    Some(server)
}

fn unknown_server(source: &Source<'_>, at: &Range<usize>, name: &str, names: &Names) {
    let servers = names.servers.iter().map(|server| &**server);
    let hint = match names.servers.as_slice() {
        [] => format!("no server is configured: write [server.{name}]"),
        _ => suggest::hint(name, servers, "the servers are"),
    };
    let cause = Cause::Missing(TableId::Root, &["server"]);
    source.error_of(cause, at, format!("there is no server '{name}'"), hint);
}

/// The values of `select`.
const SELECTS: [(&str, Select); 3] =
    [("order", Select::Order), ("latency", Select::Latency), ("balance", Select::Balance)];
