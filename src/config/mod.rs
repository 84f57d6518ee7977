//! The configuration file: read once, validated once, and used as one value.
//!
//! ```text
//! text ─► toml table with places ─► section by section ─► Config
//!              every mistake, with its place ─► report
//! ```
//!
//! - `mistake`: what is wrong, where, and how to fix it.
//! - `source`, `fields`: the text and its places; a table, key by key.
//! - `listen`, `server`, `rule`, `forward`, `way`, `backlog`, `dashboard`: one section each.
//! - `listener_names`: the listeners that a rule names.
//! - `files`: the files that the configuration is read from.
//! - `lists`: the files of names and addresses, each read once.
//! - `watch`, `reload`, `changes`: when to read it again, and what has changed.

mod backlog;
mod changes;
mod dashboard;
mod fields;
mod files;
mod forward;
mod listen;
mod listener_names;
mod lists;
mod mistake;
mod reload;
mod reloads;
mod rule;
mod server;
mod source;
mod suggest;
mod watch;
mod way;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize as _;
use toml::Value;
use toml::de::{DeTable, ValueDeserializer};

pub use dashboard::DashboardConfig;
pub use forward::ForwardConfig;
pub use listen::ListenerConfig;
pub(crate) use mistake::lines;
pub use mistake::{Mistake, Mistakes, Place, Severity};
pub use reload::{Reloaded, Reloader};
pub use reloads::{ReloadOutcome, Reloads};
pub use server::ServerConfig;
pub(crate) use suggest::nearest;

use crate::file;
use crate::forward::ListenAddress;
use crate::openssh::{ConfigError, Refusal};
use crate::relay::BacklogLimits;
use crate::route::{Action, Progress, Router};

use fields::Fields;
use lists::{Lists, Loaded};
use mistake::Report;
use source::Source;
use way::Names;

/// The validated content of a configuration file.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file.
    pub file: PathBuf,
    /// `[[listen]]`, in order.
    pub listeners: Vec<ListenerConfig>,
    /// `[server.NAME]`, in order.
    pub servers: Vec<ServerConfig>,
    /// `[[rule]]` and `[default]`, in order, with their lists.
    pub router: Router,
    /// `[[forward]]`, in order.
    pub forwards: Vec<ForwardConfig>,
    /// `[backlog]`, if present.
    pub backlog: Option<BacklogLimits>,
    /// `[dashboard]`, if present.
    pub dashboard: Option<DashboardConfig>,
    /// Every file that was read.
    pub files: BTreeSet<PathBuf>,
    lists: Loaded,
    /// `[[rule]]`, as values.
    written_rules: Option<Value>,
    server_places: Vec<(Arc<str>, Place)>,
}

impl Config {
    /// Reads a file and everything that it names, and returns the configuration with its warnings. Lists that
    /// have not changed since `before` are not read again; `progress` is notified of those that are. If the
    /// text is not TOML, only that is reported, since anything else would be a guess.
    pub fn load(
        path: &Path,
        before: Option<&Self>,
        progress: &mut dyn Progress,
    ) -> Result<(Self, Vec<Mistake>), Mistakes> {
        let report = Report::default();
        let mut lists = Lists::new(before.map(|before| &before.lists), progress);
        let text = files::text(path, &report);
        if before.is_some() && text.as_ref().is_some_and(|text| text.trim().is_empty()) {
            report.add(emptied(path));
        }
        let config = text.and_then(|text| Self::read(path, &text, &report, &mut lists));
        let errors = report.errors();
        let reported = report.into_parts();
        match config {
            Some(config) if errors == 0 => {
                let Mistakes { mistakes, files } = reported;
                Ok((Self { files, lists: lists.into_loaded(), ..config }, mistakes))
            }
            _ => Err(reported),
        }
    }

    /// The names of listeners and forwards in rules, in order.
    pub fn names_of_listeners(&self) -> impl Iterator<Item = &str> {
        let listeners = self.listeners.iter().map(|listener| &*listener.name);
        listeners.chain(self.forwards.iter().map(|forward| &**forward.name()))
    }

    /// The name in rules of the listener or local forward at this address, which may be one of several. One
    /// that is not in the file, such as a `-D`, is named after its first socket.
    pub fn name_at(&self, address: &ListenAddress) -> Arc<str> {
        let places = listener_names::places(&self.listeners, &self.forwards);
        let found = listener_names::at(&places, address).next().cloned();
        found.unwrap_or_else(|| address.sockets().swap_remove(0).into())
    }

    /// A mistake about a server, at the server's place in the file.
    pub fn mistake_of(&self, server: &ServerConfig, severity: Severity, what: &str) -> Mistake {
        let place = self.server_places.iter().find(|(name, _)| *name == server.name);
        let what = format!("[server.{}]: {what}", server.name);
        let place = place.map(|(_, place)| *place);
        Mistake { place, ..Mistake::of_file(self.file.clone(), severity, what) }
    }

    /// What `ssh` rejects for a server: each at its place in the `ssh_config`, or else at the server's.
    pub(crate) fn mistakes_of(&self, server: &ServerConfig, error: &ConfigError) -> Vec<Mistake> {
        let mistake = |refusal: Refusal| match refusal.at {
            Some((file, line)) => {
                Mistake::of_file(file, Severity::Error, refusal.what).at_line(line)
            }
            None => self.mistake_of(server, Severity::Error, &refusal.what),
        };
        error.refusals().into_iter().map(mistake).collect()
    }

    /// The total number of list entries.
    pub fn entries(&self) -> usize {
        self.lists.values().map(|loaded| loaded.list.len()).sum()
    }

    /// The same as a suffix: `, 3 entries of lists`; empty for none.
    pub(crate) fn and_entries(&self) -> String {
        match self.entries() {
            0 => String::new(),
            1 => ", 1 entry of lists".to_owned(),
            entries => format!(", {entries} entries of lists"),
        }
    }

    fn read(path: &Path, text: &str, report: &Report, lists: &mut Lists<'_>) -> Option<Self> {
        let source = Source::new(path, text, report);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            source.error(&error.span().unwrap_or_default(), error.message(), "");
        }
        if !errors.is_empty() {
            return None;
        }
        let mut top = Fields::new(&source, "", table.get_ref(), table.span());
        let config = Self::validate(&source, &mut top, path, lists);
        top.finish();
        let rules = table.get_ref().get("rule").cloned().map(ValueDeserializer::from);
        let written_rules = rules.and_then(|rules| Value::deserialize(rules).ok());
        Some(Self { written_rules, ..config })
    }

    fn validate(
        source: &Source<'_>,
        top: &mut Fields<'_>,
        path: &Path,
        lists: &mut Lists<'_>,
    ) -> Self {
        let (servers, server_places) = server::read(source, top.named("server"));
        let (listeners, called) = listen::read(source, top.tables("listen"));
        let mut names = Names {
            servers: server_places.iter().map(|(name, _)| Arc::clone(name)).collect(),
            listeners: called,
            places: Vec::new(),
        };
        let (forwards, called) = forward::read(source, top.tables("forward"), &names, &listeners);
        names.listeners.extend(called);
        names.places = listener_names::places(&listeners, &forwards);
        let rules = rule::read(source, top.tables("rule"), &names, lists);
        let default = top.table("default").and_then(|mut section| {
            let action = way::action(source, &mut section, &names);
            section.finish();
            action
        });
        let has_proxy = !listeners.is_empty() || forwards.is_empty();
        if has_proxy && default.is_none() && rules.iter().all(|rule| rule.action == Action::Reject)
        {
            warn_of_no_way(source, path, &server_places);
        }
        let backlog = top.table("backlog").and_then(|section| backlog::read(source, section));
        let dashboard = top.table("dashboard").and_then(|section| dashboard::read(source, section));
        Self {
            file: path.to_owned(),
            listeners,
            servers,
            router: Router::new(rules, default.unwrap_or(Action::Reject)),
            forwards,
            backlog,
            dashboard,
            files: BTreeSet::new(),
            server_places,
            lists: Loaded::new(),
            written_rules: None,
        }
    }
}

/// Warns if no rule leads to a server and there is no `[default]`, so that the proxies reject every request.
fn warn_of_no_way(source: &Source<'_>, path: &Path, servers: &[(Arc<str>, Place)]) {
    let (Some((server, place)), 0) = (servers.first(), source.report().errors()) else { return };
    let what = "every request to a proxy is rejected: no rule leads to a server";
    let hint = format!("for all that no rule matches, write via = \"{server}\" in [default]");
    let mistake = Mistake::of_file(path.to_owned(), Severity::Warning, what).hint(hint);
    source.report().add(Mistake { place: Some(*place), ..mistake });
}

/// The mistake for a file that has become empty, hardly on purpose: probably a program failed to write it.
fn emptied(path: &Path) -> Mistake {
    Mistake::of_file(path.to_owned(), Severity::Error, "is empty")
        .hint("write at least a comment if that is meant")
}

/// The default file: `$XDG_CONFIG_HOME/sockeye/config.toml` or `~/.config/sockeye/config.toml`; `None` without either.
pub fn default_path() -> Option<PathBuf> {
    Some(file::xdg_directory("XDG_CONFIG_HOME", ".config")?.join("config.toml"))
}
