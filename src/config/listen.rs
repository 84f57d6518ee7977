//! `[[listen]]`: the listeners for clients.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::forward::ListenAddress;
use crate::forward::exposure::{self, Guard, OpenToAll};
use crate::listen::ProxyCredentials;

use super::fields::{Fields, Text};
use super::files;
use super::mistake::{Cause, TableId};
use super::source::Source;

/// A listener of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Its name in rules; defaults to the address as written.
    pub name: Arc<str>,
    /// The address to listen on.
    pub address: ListenAddress,
    /// The users who may use it; everyone who can reach it, if unset.
    pub auth: Option<Arc<ProxyCredentials>>,
}

/// Reads all listeners. Names and addresses must be unique, and a listener that other machines can
/// reach needs a password or explicit permission. Also returns the names of all, including those
/// with mistakes, so that a rule that names one of these is not a mistake.
pub(super) fn read(
    source: &Source<'_>,
    sections: Vec<Fields<'_>>,
) -> (Vec<ListenerConfig>, Vec<Arc<str>>) {
    let mut called = Vec::with_capacity(sections.len());
    let mut names = HashMap::new();
    let mut places: Vec<Range<usize>> = Vec::with_capacity(sections.len());
    let mut listeners: Vec<ListenerConfig> = Vec::with_capacity(sections.len());
    for mut section in sections {
        let text = section.text("address");
        if section.span_of("address").is_none() {
            let cause = section.missing(&["address"]);
            let hint = "write address = \"127.0.0.1:1080\"";
            source.error_of(cause, &section.span(), "[[listen]] has no 'address'", hint);
        }
        let name = section.text("name");
        called.extend(name.as_ref().or(text.as_ref()).map(|text| Arc::from(*text.get_ref())));
        let Some((listener, place)) = read_one(source, section, text, name) else { continue };
        let first = names.insert(Arc::clone(&listener.name), place.clone());
        let mut others = listeners.iter().zip(&places);
        if let Some((other, twice)) =
            others.find(|(other, _)| other.address.excludes(&listener.address))
        {
            let what = if other.address == listener.address {
                format!("two listeners have the address {}", listener.address)
            } else {
                exclusion(&other.address, &listener.address)
            };
            source.error(&place, what, also(source, twice));
        } else if let Some(first) = first {
            let what = format!("two listeners have the name '{}'", listener.name);
            source.error(&place, what, also(source, &first));
        }
        listeners.push(listener);
        places.push(place);
    }
    (listeners, called)
}

fn read_one(
    source: &Source<'_>,
    mut section: Fields<'_>,
    text: Option<Text<'_>>,
    name: Option<Text<'_>>,
) -> Option<(ListenerConfig, Range<usize>)> {
    let auth = section.text("auth");
    let guard = guard(&mut section, auth.as_ref());
    let table = section.id();
    section.finish();

    let asks = auth.is_some();
    let auth = auth.and_then(|file| files::auth(source, &file));
    let text = text?;
    let address = inside(source, source.parse("address", &text, "")?);
    report_open(source, table, &text, exposure::admit_proxy(&address, guard));
    let name: Arc<str> = match name {
        Some(name) if name.get_ref().is_empty() => {
            source.error(&name.span(), "the name of a listener is empty", "leave it out");
            return None;
        }
        Some(name) => (*name.get_ref()).into(),
        None => (*text.get_ref()).into(),
    };
    // A listener whose password file cannot be used must not be open to everyone.
    (auth.is_some() == asks).then(|| (ListenerConfig { name, address, auth }, text.span()))
}

/// Resolves the path of a unix socket, which like every path is relative to the file.
pub(super) fn inside(source: &Source<'_>, address: ListenAddress) -> ListenAddress {
    match address {
        ListenAddress::Unix(path) => ListenAddress::Unix(source.resolve(&path.to_string_lossy())),
        tcp @ ListenAddress::Tcp { .. } => tcp,
    }
}

/// The protection of a listener, from `auth` and `allow_remote`.
pub(super) fn guard(section: &mut Fields<'_>, auth: Option<&Text<'_>>) -> Guard {
    let welcome = section.switch("allow_remote").unwrap_or_default();
    Guard::new(auth, welcome.into())
}

/// Reports a listener that may not be open to other machines.
pub(super) fn report_open(
    source: &Source<'_>,
    table: TableId,
    address: &Text<'_>,
    admitted: Result<(), OpenToAll>,
) {
    if let Err(OpenToAll) = admitted {
        let what = format!("other machines could use the proxy {}", address.get_ref());
        let hint = "ask for a password with auth = \"FILE\", or allow it with allow_remote = true";
        let cause = Cause::Missing(table, &["auth", "allow_remote", "to"]);
        source.error_of(cause, &address.span(), what, hint);
    }
}

/// The message for two listeners of which one covers an address of the other.
pub(super) fn exclusion(first: &ListenAddress, second: &ListenAddress) -> String {
    format!("{first} and {second} cannot both be listened on")
}

/// A pointer to the other of two duplicates.
pub(super) fn also(source: &Source<'_>, first: &Range<usize>) -> String {
    format!("the other is in line {}", source.place(first).line)
}
