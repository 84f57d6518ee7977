//! The texts of `sockeye check`: what would be used for a server, and what was found there.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::app::{Findings, Forwarding, Names, Options, ServerOptions, Service, Sessions};
use crate::openssh::{AddressFamily, ClientConfig, IdentityOrigin, StrictHostKeyChecking, Way};

use super::super::configured::{quoted, shown};

/// What would be used for a server.
pub(super) fn describe(server: &ServerOptions) -> String {
    let config = &server.config;
    let mut out = format!("{}\n", plain(&server.name));
    line(&mut out, "connects", &place(config));
    line(&mut out, "by way of", &way(config));
    let name = config.host_keys.host_key_alias.as_ref();
    let name = name.map_or_else(|| known_as(config), |alias| plain(alias));
    let new = match config.host_keys.strict_host_key_checking {
        StrictHostKeyChecking::Yes => "a new key is refused",
        StrictHostKeyChecking::Ask => "a new key is asked about",
        StrictHostKeyChecking::AcceptNew => "a new key is recorded",
    };
    line(&mut out, "known as", &format!("{name} ({new})"));
    for (label, files) in [
        ("known in", &config.host_keys.user_known_hosts_files),
        ("and in", &config.host_keys.global_known_hosts_files),
        ("revoked in", &config.host_keys.revoked_host_keys),
    ] {
        for file in files {
            line(&mut out, label, &path(file));
        }
    }
    if let Some(words) = &config.host_keys.known_hosts_command {
        line(&mut out, "and by", &plain(&words.join(" ").replace('\0', "%")));
    }
    for file in &config.auth.identity_files {
        let by_itself = file.origin == IdentityOrigin::Default;
        if !by_itself || file.path.exists() {
            line(&mut out, "key", &path(&file.path));
        }
    }
    for file in &config.auth.certificate_files {
        line(&mut out, "certificate", &path(file));
    }
    let agent = config.auth.identity_agent.as_deref();
    line(&mut out, "agent", &agent.map_or_else(|| "none".to_owned(), path));
    line(&mut out, "logs in by", &methods(config));
    for (keyword, why) in &config.process.idle {
        line(&mut out, "no effect", &format!("{keyword}: {why}"));
    }
    for (keyword, note) in &config.process.notes {
        line(&mut out, "note", &format!("{keyword}: {note}"));
    }
    out
}

/// The listeners and forwards that would be opened.
pub(super) fn forwards(options: &Options) -> String {
    let mut out = String::new();
    for listener in &options.listeners {
        let to = match &listener.service {
            Service::Proxy { credentials: Some(_) } => "a proxy with a password".to_owned(),
            Service::Proxy { credentials: None } => "a proxy".to_owned(),
            Service::Forward { to, .. } => format!("to {}", plain(&to.to_string())),
        };
        line(&mut out, "listens on", &format!("{} ({to})", plain(&listener.address.to_string())));
    }
    for remote in &options.remote_forwards {
        line(&mut out, "server listens", &plain(&remote.forward.to_string()));
        line(&mut out, "permits", &plain(&remote.permit.to_string()));
    }
    if let Some(target) = &options.stdio {
        line(&mut out, "standard input", &format!("to {}", plain(&target.to_string())));
    }
    out
}

/// What a test connection has found.
pub(super) fn found(findings: &Findings) -> String {
    let Findings { first, forwarding, names, round_trip, sessions } = findings;
    let mut out = String::new();
    let took = first.took.as_millis();
    line(
        &mut out,
        "connected",
        &format!("in {took} ms ({}, {})", first.key_exchange, first.cipher),
    );
    let key = format!("{} {}", first.host_key_type, first.host_key_fingerprint);
    line(&mut out, "host key", &key);
    line(&mut out, "logged in", &format!("by {}", plain(&first.login)));
    let forwarding = match forwarding {
        Forwarding::Allowed => "allowed",
        Forwarding::Forbidden => {
            "FORBIDDEN by the server (AllowTcpForwarding, PermitOpen, or what restricts this key)"
        }
        Forwarding::Full => "none now: the server opens no further connection",
        Forwarding::Unanswered => "not answered within 10 s",
    };
    line(&mut out, "forwarding", forwarding);
    let names = match names {
        Names::Resolved(took) => {
            format!(
                "resolved by the server; one that does not exist is reported in {}",
                millis(*took)
            )
        }
        Names::Uncertain(took) => format!(
            "resolved by the server; one that does not exist is reported like other failures ({})",
            millis(*took)
        ),
        Names::Slow => "the server's name service does not answer within 10 s".to_owned(),
        Names::Unasked => "not tested".to_owned(),
    };
    line(&mut out, "names", &names);
    line(
        &mut out,
        "round trip",
        &format!("{}, with a connection that is refused", millis(*round_trip)),
    );
    let sessions = match sessions {
        Sessions::AtLeast(count) => format!("{count} at once, perhaps more"),
        Sessions::Exactly(count) => format!("{count} at once, no more"),
        Sessions::OneByPerson => "1; each further login needs a person".to_owned(),
    };
    line(&mut out, "sessions", &sessions);
    out
}

/// A label and what it says.
fn line(out: &mut String, label: &str, text: &str) {
    // A string takes everything.
    let _ = writeln!(out, "  {label:<15}{text}");
}

fn place(config: &ClientConfig) -> String {
    let family = match config.reach.address_family {
        AddressFamily::Any => String::new(),
        one => format!(" over {one}"),
    };
    format!("to {} as {}{family}", known_as(config), quoted(&config.user))
}

fn known_as(config: &ClientConfig) -> String {
    let host = plain(&config.host_name);
    match config.port {
        22 => host,
        port => format!("[{host}]:{port}"),
    }
}

fn way(config: &ClientConfig) -> String {
    match &config.reach.way {
        Way::Direct => "a direct connection".to_owned(),
        Way::Jump(jump) => plain(&jump.to_string()),
        Way::Command(command) => format!("the program {}", quoted(command)),
    }
}

fn methods(config: &ClientConfig) -> String {
    let auth = &config.auth;
    let is_on = |name: &str| match name {
        "publickey" => auth.pubkey_authentication,
        "keyboard-interactive" => auth.kbd_interactive_authentication,
        _ => auth.password_authentication,
    };
    let names = auth.preferred_authentications.iter().map(|method| method.as_str());
    let names: Vec<_> = names.filter(|name| is_on(name).is_on()).collect();
    let batch = if auth.batch_mode.is_on() { "; nobody is asked (BatchMode)" } else { "" };
    format!("{}{batch}", names.join(", "))
}

fn path(path: &Path) -> String {
    let missing = if path.exists() { "" } else { " (not there)" };
    format!("{}{missing}", shown(path))
}

fn plain(text: &str) -> String {
    shown(Path::new(text))
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
