//! `[[forward]]`: listeners with a fixed target, like `-L` and `-R`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::forward::exposure::{self, Guard};
use crate::forward::listen_address::Bind;
use crate::forward::{ListenAddress, LocalForward, LocalListen, RemoteForward, RemoteTo};
use crate::listen::ProxyCredentials;
use crate::route::Via;
use crate::target::Target;

use super::fields::{Fields, Text};
use super::files;
use super::listen::{self, ListenerConfig, also};
use super::mistake::{Cause, TableId};
use super::source::Source;
use super::way::{self, Names};

/// A forward of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardConfig {
    /// `local`, `to`, `via`: listen here, connect from a server.
    Local {
        /// Its name in rules; defaults to the address as written.
        name: Arc<str>,
        /// The listener and the target.
        forward: LocalForward,
        /// The servers that may carry it; if unset, the rules decide.
        via: Option<Via>,
    },
    /// `remote`, `on`, `to`: listen on a server, connect from here.
    Remote {
        /// Its name in rules; defaults to the address as written.
        name: Arc<str>,
        /// The server that listens.
        on: Arc<str>,
        /// The listener and the target.
        forward: RemoteForward,
        /// The users who may use it, if it is a proxy; everyone who can reach it, if unset.
        auth: Option<Arc<ProxyCredentials>>,
    },
}

impl ForwardConfig {
    /// Its name in rules.
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::Local { name, .. } | Self::Remote { name, .. } => name,
        }
    }

    /// The address, if it is on this machine.
    pub(super) fn address(&self) -> Option<ListenAddress> {
        match self {
            Self::Local { forward, .. } => Some(forward.listen.address(&Bind::Loopback)),
            Self::Remote { .. } => None,
        }
    }

    /// The side and the address, which are unique among forwards.
    pub fn place(&self) -> String {
        match self {
            Self::Local { forward, .. } => forward.listen.address(&Bind::Loopback).to_string(),
            Self::Remote { on, forward, .. } => format!("{} on {on}", forward.listen),
        }
    }
}

/// Reads all forwards, in file order. Also returns the names of all, including those with mistakes.
pub(super) fn read(
    source: &Source<'_>,
    sections: Vec<Fields<'_>>,
    names: &Names,
    listeners: &[ListenerConfig],
) -> (Vec<ForwardConfig>, Vec<Arc<str>>) {
    let mut called = Vec::with_capacity(sections.len());
    let mut places = HashMap::new();
    let mut forwards = Vec::with_capacity(sections.len());
    for mut section in sections {
        let side = Side { local: section.text("local"), remote: section.text("remote") };
        let name = section.text("name").filter(|name| !name.get_ref().is_empty());
        let label = name.as_ref().or(side.local.as_ref()).or(side.remote.as_ref());
        called.extend(label.map(|text| Arc::from(*text.get_ref())));
        let Some((forward, at)) = read_one(source, section, side, name, names) else { continue };
        let place = forward.place();
        if let Some(first) = places.insert(place.clone(), at.clone()) {
            source.error(&at, format!("two forwards listen on {place}"), also(source, &first));
        } else if let Some(address) = forward.address() {
            let mine = forwards.iter().filter_map(ForwardConfig::address);
            let others = listeners.iter().map(|listener| listener.address.clone()).chain(mine);
            match others.into_iter().find(|other| other.excludes(&address)) {
                Some(same) if same == address => {
                    source.error(&at, format!("a listener has the address {place} already"), "");
                }
                Some(other) => source.error(&at, listen::exclusion(&other, &address), ""),
                None => {}
            }
        }
        forwards.push(forward);
    }
    (forwards, called)
}

/// The side that listens, and its address.
struct Side<'a> {
    local: Option<Text<'a>>,
    remote: Option<Text<'a>>,
}

/// The keys of one `[[forward]]`, except for its side.
struct Raw<'a> {
    span: Range<usize>,
    table: TableId,
    name: Option<Text<'a>>,
    to: Option<Text<'a>>,
    on: Option<Text<'a>>,
    via_at: Option<Range<usize>>,
    via: Option<Via>,
    auth: Option<Text<'a>>,
    allow_remote_at: Option<Range<usize>>,
    guard: Guard,
}

fn read_one(
    source: &Source<'_>,
    mut section: Fields<'_>,
    Side { local, remote }: Side<'_>,
    name: Option<Text<'_>>,
    names: &Names,
) -> Option<(ForwardConfig, Range<usize>)> {
    let sideless = section.span_of("local").or(section.span_of("remote")).is_none();
    let auth = section.text("auth");
    let raw = Raw {
        allow_remote_at: section.span_of("allow_remote"),
        guard: listen::guard(&mut section, auth.as_ref()),
        auth,
        span: section.span(),
        table: section.id(),
        name,
        to: section.text("to"),
        on: section.text("on"),
        via_at: section.span_of("via"),
        via: way::via(source, &mut section, names),
    };
    section.finish();
    let (text, forward) = match (local, remote) {
        (Some(text), None) => (text.clone(), read_local(source, &text, raw)?),
        (None, Some(text)) => (text.clone(), read_remote(source, &text, &raw, names)?),
        (Some(_), Some(text)) => {
            let what = "[[forward]] has both 'local' and 'remote'";
            source.error(&text.span(), what, "write two of them");
            return None;
        }
        (None, None) => {
            if sideless {
                let hint =
                    "write local = \"127.0.0.1:PORT\", or remote = \"PORT\" and on = \"SERVER\"";
                let cause = Cause::Missing(raw.table, &["local", "remote"]);
                let what = "[[forward]] has neither 'local' nor 'remote'";
                source.error_of(cause, &raw.span, what, hint);
            }
            return None;
        }
    };
    Some((forward, text.span()))
}

/// Reads a forward with `local`, like `-L`.
fn read_local(source: &Source<'_>, text: &Text<'_>, raw: Raw<'_>) -> Option<ForwardConfig> {
    let listen = source.parse("local", text, "").map(|listen| match listen {
        LocalListen::Unix(path) => LocalListen::Unix(source.resolve(&path.to_string_lossy())),
        tcp @ LocalListen::Tcp { .. } => tcp,
    });
    if let Some(on) = &raw.on {
        let what = "[[forward]] with 'local' has 'on'";
        source.error(&on.span(), what, "write via = [\"SERVER\"]");
    }
    raw.has_no_guard(source);
    let Some(to) = &raw.to else {
        let hint = "write to = \"host:port\", or use [[listen]] for a proxy";
        let cause = Cause::Missing(raw.table, &["to"]);
        source.error_of(cause, &raw.span, "[[forward]] with 'local' has no 'to'", hint);
        return None;
    };
    let to = source.parse("to", to, "");
    if raw.via_at.is_some() && raw.via.is_none() {
        return None;
    }
    let name = raw.called(text);
    Some(ForwardConfig::Local {
        name,
        forward: LocalForward { listen: listen?, to: to? },
        via: raw.via,
    })
}

/// Reads a forward with `remote`, like `-R`.
fn read_remote(
    source: &Source<'_>,
    text: &Text<'_>,
    raw: &Raw<'_>,
    names: &Names,
) -> Option<ForwardConfig> {
    let listen = source.parse("remote", text, "");
    if let Some(at) = &raw.via_at {
        let hint = "write on = \"SERVER\"; what its clients may reach is up to the rules";
        source.error(at, "[[forward]] with 'remote' has 'via'", hint);
    }
    let Some(on) = &raw.on else {
        let hint = "write on = \"SERVER\"";
        let cause = Cause::Missing(raw.table, &["on"]);
        source.error_of(cause, &raw.span, "[[forward]] with 'remote' has no 'on'", hint);
        return None;
    };
    let on = way::server(source, on, names);
    let to = match &raw.to {
        Some(to) => source
            .parse("to", to, "")
            .map(|to| match to {
                Target::Socket(path) => {
                    Target::Socket(source.resolve(&path).to_string_lossy().into_owned().into())
                }
                host @ Target::Host(_) => host,
            })
            .map(RemoteTo::Fixed),
        None => Some(RemoteTo::Proxy),
    };
    let auth = match (&raw.to, &raw.auth) {
        (Some(_), _) => {
            raw.has_no_guard(source);
            None
        }
        (None, Some(file)) => Some(files::auth(source, file)?),
        (None, None) => None,
    };
    let (name, forward) = (raw.called(text), RemoteForward { listen: listen?, to: to? });
    let admitted = exposure::admit_remote(&forward, raw.guard);
    listen::report_open(source, raw.table, text, admitted);
    Some(ForwardConfig::Remote { name, on: on?, forward, auth })
}

impl Raw<'_> {
    /// Reports keys that protect a proxy, if there is a target.
    fn has_no_guard(&self, source: &Source<'_>) {
        let auth_at = self.auth.as_ref().map(Text::span);
        for (key, at) in [("auth", &auth_at), ("allow_remote", &self.allow_remote_at)] {
            if let Some(at) = at {
                let what = format!("[[forward]] with a target has '{key}'");
                source.error(at, what, "leave it out: only a proxy has users");
            }
        }
    }

    /// Its name, which defaults to its address as written.
    fn called(&self, text: &Text<'_>) -> Arc<str> {
        Arc::from(*self.name.as_ref().unwrap_or(text).get_ref())
    }
}
