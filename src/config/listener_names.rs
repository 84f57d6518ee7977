//! `listener` of a rule: finds the listeners and forwards that a text denotes, by name or by address.

use std::sync::Arc;

use crate::forward::ListenAddress;

use super::fields::Text;
use super::forward::ForwardConfig;
use super::listen::{ListenerConfig, inside};
use super::mistake::{Cause, TableId};
use super::source::Source;
use super::suggest;
use super::way::Names;

/// The names of the listeners with this name or address. An address that is not in the file may belong to a
/// `-D`, which is named after its sockets. Empty after reporting that there is none.
pub(super) fn named(source: &Source<'_>, text: &Text<'_>, names: &Names) -> Vec<Arc<str>> {
    let name = *text.get_ref();
    let known = names.listeners.iter().map(|listener| &**listener);
    if known.clone().any(|known| known == name) {
        return vec![name.into()];
    }
    let Ok(address) = name.parse() else {
        let hint = suggest::hint(name, known, "the listeners are");
        let cause = Cause::Missing(TableId::Root, &["listen", "forward"]);
        source.error_of(cause, &text.span(), format!("there is no listener '{name}'"), hint);
        return Vec::new();
    };
    let address = inside(source, address);
    let mut found: Vec<_> = at(&names.places, &address).cloned().collect();
    if found.is_empty() && !names.listeners.is_empty() {
        let what = format!("no listener of the file has the address '{name}', at most a -D");
        source.warning(&text.span(), what, suggest::hint(name, known, "the listeners are"));
    }
    found.extend(address.sockets().into_iter().map(Arc::from));
    found
}

/// The addresses of listeners and local forwards, with their names.
pub(super) fn places(
    listeners: &[ListenerConfig],
    forwards: &[ForwardConfig],
) -> Vec<(ListenAddress, Arc<str>)> {
    let listeners =
        listeners.iter().map(|listener| (listener.address.clone(), Arc::clone(&listener.name)));
    let forwards = forwards
        .iter()
        .filter_map(|forward| Some((forward.address()?, Arc::clone(forward.name()))));
    listeners.chain(forwards).collect()
}

/// The names of the listeners at this address.
pub(super) fn at<'a>(
    places: &'a [(ListenAddress, Arc<str>)],
    address: &ListenAddress,
) -> impl Iterator<Item = &'a Arc<str>> {
    places.iter().filter(|(place, _)| place.shares_a_socket(address)).map(|(_, name)| name)
}
