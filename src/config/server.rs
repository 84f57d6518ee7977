//! `[server.NAME]`: an SSH server and how to reach it.

use std::ops::RangeInclusive;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeValue;

use crate::openssh::{ServerName, Setting, SshOptions};
use crate::pool::{InvalidPoolSize, PoolSize};

use super::fields::{Fields, Text, as_number};
use super::mistake::Place;
use super::source::Source;

/// A server of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Its name in rules.
    pub name: Arc<str>,
    /// The server as `ssh` accepts it (`host`); defaults to the name, which `ssh_config` may define.
    pub server: ServerName,
    /// How to reach it (`port`, `user`, `identity`, `ssh_config`, `options`, `jump`).
    pub ssh: SshOptions,
    /// The number of sessions (`sessions`); the default depends on the kind of login.
    pub sessions: Option<PoolSize>,
}

/// Reads all servers, in file order. Also returns the names and places of all, including those with
/// mistakes, so that a rule that names one of these is not a mistake.
pub(super) fn read(
    source: &Source<'_>,
    sections: Vec<(Text<'_>, Fields<'_>)>,
) -> (Vec<ServerConfig>, Vec<(Arc<str>, Place)>) {
    let place = |name: &Text<'_>| (Arc::from(*name.get_ref()), source.place(&name.span()));
    let names = sections.iter().map(|(name, _)| place(name)).collect();
    let read = |(name, section)| read_one(source, &name, section);
    (sections.into_iter().filter_map(read).collect(), names)
}

fn read_one(source: &Source<'_>, name: &Text<'_>, mut section: Fields<'_>) -> Option<ServerConfig> {
    let host = section.text("host");
    let sessions = section.value("sessions").map(|value| (section.name().to_owned(), value));
    let port = section.number("port", PORTS);
    let user = section.text("user");
    let identities = section.texts("identity").unwrap_or_default();
    let config_file = section.text("ssh_config");
    let options = section.texts("options").unwrap_or_default();
    let jump = section.text("jump");
    section.finish();

    let sessions = sessions.and_then(|(place, value)| read_sessions(source, &place, value));
    for option in &options {
        if !option.get_ref().trim_start().contains(['=', ' ']) {
            let what = format!("the option '{}' has no value", option.get_ref());
            source.error(&option.span(), what, "write options = [\"Key=Value\"]");
        }
    }
    // A dedicated key precedes `options`, and both precede the user and port in the host.
    let port = port.and_then(|port| u16::try_from(port).ok()).map(Setting::Port);
    let user = user.map(|user| Setting::User((*user.get_ref()).to_owned()));
    let identities =
        identities.iter().map(|file| Setting::Identity(source.resolve(file.get_ref())));
    let options = options.iter().map(|option| Setting::from(*option.get_ref()));
    let jumps = jump.and_then(|jump| source.parse("jump", &jump, ""));
    let host = host.unwrap_or_else(|| name.clone());
    let server = source.parse("host", &host, "write host = \"[user@]host[:port]\"")?;
    Some(ServerConfig {
        name: (*name.get_ref()).into(),
        server,
        ssh: SshOptions {
            // As in ssh, `none` means no file.
            config_file: config_file.map(|file| match *file.get_ref() {
                "none" => "none".into(),
                path => source.follow(path),
            }),
            options: port.into_iter().chain(user).chain(identities).chain(options).collect(),
            jumps,
            ..SshOptions::default()
        },
        sessions,
    })
}

/// Reads `{ min = 1, max = 8 }`, `"1..8"`, or a number for both.
fn read_sessions<'a>(
    source: &'a Source<'a>,
    server: &str,
    value: &'a Spanned<DeValue<'a>>,
) -> Option<PoolSize> {
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let size = match value.get_ref() {
        DeValue::Table(_) => {
            let mut table = Fields::of(source, format!("sessions of {server}"), value)?;
            let errors = source.report().errors();
            let min = table.number("min", ANY);
            let max = table.number("max", ANY);
            table.finish();
            if source.report().errors() > errors {
                return None;
            }
            let default = PoolSize::default();
            let min = min.map_or(default.min(), count);
            // A minimum above the default maximum raises the maximum.
            PoolSize::new(min, max.map_or(default.max().max(min), count))
        }
        DeValue::String(text) => text.parse(),
        other => match as_number(other).map(count) {
            Some(both) => PoolSize::new(both, both),
            None => Err(InvalidPoolSize::NotNumbers),
        },
    };
    size.map_err(|why| {
        let what = format!("sessions of {server}: {why}");
        source.error(&value.span(), what, "write sessions = { min = 1, max = 8 }");
    })
    .ok()
}

const PORTS: RangeInclusive<u64> = 1..=65535;
/// Any plausible number: [`PoolSize`] checks the limit.
const ANY: RangeInclusive<u64> = 0..=1_000_000;
