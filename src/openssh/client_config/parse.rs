//! Converts the output of `ssh -G`, or flags alone, to a [`ClientConfig`].

use super::algorithms;
use super::auth;
use super::connection;
use super::forwards::{self, Wording};
use super::host_keys;
use super::keywords;
use super::local::Local;
use super::settings::{Settings, invalid, is_none};
use super::tokens::{Tokens, replaced};
use super::{
    AddressFamily, ClientConfig, ConfigError, ConfiguredForwards, ProcessConfig, ReachConfig,
    SessionConfig, SshOptions, Switch, Way,
};
use crate::forward::service;
use crate::observe::logs::Verbosity;
use crate::openssh::server_name::ServerName;

/// Parses the output of `ssh -G`: a keyword and its value per line. `usual` is the output for an empty
/// configuration.
pub(super) fn parse(
    output: &str,
    usual: &str,
    name: &ServerName,
    options: &SshOptions,
    local: &Local,
) -> Result<ClientConfig, ConfigError> {
    let mut settings = Settings::from_lines(output).against(usual);
    let hash = settings.take("controlpath");
    let missing = |keyword| ConfigError::Invalid { keyword, value: String::new() };
    let host_name = settings.first("hostname").ok_or(missing("HostName"))?.to_owned();
    let user = settings.first("user").ok_or(missing("User"))?.to_owned();
    let port = settings.number("Port", 0)?;
    let port = u16::try_from(port).ok().filter(|p| *p != 0).ok_or(missing("Port"))?;
    let forwards = forwards::read(&settings, Wording::Printed)?;
    let (host_name, user, hash) = (host_name.as_str(), user.as_str(), hash.as_deref());
    let tokens = Tokens { name: &name.host, host_name, port, user, hash, ..Tokens::of(local) };
    let mut config = build(&settings, tokens, options)?;
    config.process.idle = keywords::idle(&settings);
    config.process.notes = keywords::notes(&settings);
    Ok(ClientConfig { forwards, ..config })
}

/// Builds a configuration from the flags and OpenSSH's defaults, if there is no `ssh` to ask.
pub(super) fn defaults(
    name: &ServerName,
    options: &SshOptions,
    local: &Local,
) -> Result<ClientConfig, ConfigError> {
    if options.config_file.is_some() {
        return Err(ConfigError::NeedsSsh);
    }
    keywords::check(options)?;
    let mut settings = Settings::from_command_line(options, name);
    overrule_by_flags(&mut settings, options);
    settings.fill_in(&DEFAULTS);
    if settings.first("identityfile").is_none() {
        settings.fill_in(&DEFAULT_IDENTITIES);
    }
    let port = settings.first("port").unwrap_or("22");
    let port = service::port(port).filter(|p| *p != 0).ok_or_else(|| invalid("Port", port))?;
    let user = settings.first("user").or(local.user.as_deref());
    let user = user.ok_or(ConfigError::NoUser)?.to_owned();
    let host = settings.first("hostname").map(|host| with_name(host, &name.host)).transpose()?;
    let host_name = host.unwrap_or_else(|| name.host.clone()).to_lowercase();
    let (host_name, user) = (host_name.as_str(), user.as_str());
    let tokens = Tokens { name: &name.host, host_name, port, user, ..Tokens::of(local) };
    expand(&mut settings, tokens, options)?;
    let config = build(&settings, tokens, options)?;
    let forwards = forwards::read(&settings, Wording::Written(config.tokens(local)))?;
    Ok(ClientConfig { forwards, ..config })
}

/// Replaces the tokens of `HostName`.
fn with_name(host: &str, name: &str) -> Result<String, ConfigError> {
    replaced(host, |token| match token {
        Some('%') => Ok("%".into()),
        Some('h') => Ok(name.into()),
        _ => Err(invalid("HostName", host)),
    })
}

/// Applies the flags that stand for a keyword, as `ssh -G` does.
fn overrule_by_flags(settings: &mut Settings, options: &SshOptions) {
    let jumps = options.jumps.as_ref().map(ToString::to_string);
    let texts = [
        ("proxyjump", &jumps),
        ("bindaddress", &options.bind_address),
        ("bindinterface", &options.bind_interface),
        ("ciphers", &options.ciphers),
        ("macs", &options.macs),
    ];
    for (keyword, value) in texts {
        if let Some(value) = value {
            settings.overrule(keyword, value);
        }
    }
    if options.compression.is_on() {
        settings.overrule("compression", "yes");
    }
    if let Some(family) = options.address_family {
        settings.overrule("addressfamily", family_keyword(family));
    }
}

/// Expands tokens and variables where `ssh -G` does, and writes names in lower case.
fn expand(
    settings: &mut Settings,
    tokens: Tokens<'_>,
    options: &SshOptions,
) -> Result<(), ConfigError> {
    let way = connection::way(settings, options, &tokens)?;
    settings.replace("hostkeyalias", |alias| Ok::<_, ConfigError>(alias.to_lowercase()))?;
    let alias = settings.first("hostkeyalias").map(str::to_owned);
    let tokens = Tokens { jump: way.last_jump(), host_key_alias: alias.as_deref(), ..tokens };
    for keyword in ["UserKnownHostsFile", "IdentityAgent"] {
        let replaced = |value: &str| tokens.text(value, "").ok_or_else(|| invalid(keyword, value));
        settings.replace(&keyword.to_ascii_lowercase(), replaced)?;
    }
    Ok(())
}

/// Builds the configuration. `tokens` know where to connect and as whom, but not the route.
fn build(
    settings: &Settings,
    tokens: Tokens<'_>,
    options: &SshOptions,
) -> Result<ClientConfig, ConfigError> {
    keywords::refuse(settings, tokens.name)?;
    let way = connection::way(settings, options, &tokens)?;
    connection::refuse_descriptors(settings, &way)?;
    let reach = reach_config(settings, way)?;
    let host_key_alias = settings.first("hostkeyalias");
    let tokens = &Tokens { host_key_alias, jump: reach.way.last_jump(), ..tokens };
    Ok(ClientConfig {
        name: tokens.name.to_owned(),
        host_name: tokens.host_name.to_owned(),
        port: tokens.port,
        user: tokens.user.to_owned(),
        hash: tokens.hash.map(str::to_owned),
        required_rsa_size: settings.number("RequiredRSASize", 1024)?,
        auth: auth::read(settings, options, tokens)?,
        host_keys: host_keys::read(settings, tokens)?,
        algorithms: algorithms::read(settings)?,
        session: session_config(settings, tokens)?,
        process: process_config(settings)?,
        forwards: ConfiguredForwards::default(),
        reach,
    })
}

fn reach_config(settings: &Settings, way: Way) -> Result<ReachConfig, ConfigError> {
    Ok(ReachConfig {
        connect_timeout: settings.time("ConnectTimeout")?,
        way,
        origin: connection::origin(settings),
        connection_attempts: settings.number("ConnectionAttempts", 1)?,
        tcp_keep_alive: settings.switch("tcpkeepalive", Switch::On),
        address_family: family(settings.first("addressfamily"))?,
    })
}

fn session_config(settings: &Settings, tokens: &Tokens<'_>) -> Result<SessionConfig, ConfigError> {
    Ok(SessionConfig {
        server_alive_interval: settings.time("ServerAliveInterval")?,
        server_alive_count_max: settings.number("ServerAliveCountMax", 3)?,
        compression: settings.switch("compression", Switch::Off),
        rekey_limit: connection::rekey_limit(settings)?,
        local_command: local_command(settings, tokens)?,
    })
}

/// The command for the user's shell, with its tokens expanded.
fn local_command(settings: &Settings, tokens: &Tokens<'_>) -> Result<Option<String>, ConfigError> {
    let command = settings.first("localcommand").filter(|command| !is_none(command));
    match command {
        Some(command) if settings.switch("permitlocalcommand", Switch::Off).is_on() => {
            let expanded = tokens.command(command);
            expanded.map(Some).ok_or_else(|| invalid("LocalCommand", command))
        }
        _ => Ok(None),
    }
}

fn process_config(settings: &Settings) -> Result<ProcessConfig, ConfigError> {
    let level = settings.configured("loglevel").map(log_level).transpose()?;
    Ok(ProcessConfig {
        log_level: level,
        fork_after_authentication: settings.switch("forkafterauthentication", Switch::Off),
        idle: Vec::new(),
        notes: Vec::new(),
    })
}

fn log_level(value: &str) -> Result<Verbosity, ConfigError> {
    Ok(match value.to_ascii_uppercase().as_str() {
        // `ssh -G` prints QUIET as SILENT.
        "QUIET" | "SILENT" | "FATAL" | "ERROR" => Verbosity::Quiet,
        "INFO" | "VERBOSE" => Verbosity::Normal,
        "DEBUG" | "DEBUG1" => Verbosity::Debug,
        "DEBUG2" | "DEBUG3" => Verbosity::Trace,
        other => return Err(invalid("LogLevel", other)),
    })
}

fn family(value: Option<&str>) -> Result<AddressFamily, ConfigError> {
    Ok(match value.unwrap_or("any").to_ascii_lowercase().as_str() {
        "any" => AddressFamily::Any,
        "inet" => AddressFamily::Inet,
        "inet6" => AddressFamily::Inet6,
        other => return Err(invalid("AddressFamily", other)),
    })
}

fn family_keyword(family: AddressFamily) -> &'static str {
    match family {
        AddressFamily::Any => "any",
        AddressFamily::Inet => "inet",
        AddressFamily::Inet6 => "inet6",
    }
}

/// OpenSSH's defaults other than "no", "none" or the first of their kind (`ssh_config(5)`).
pub(super) const DEFAULTS: [(&str, &str); 2] = [
    ("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2"),
    ("globalknownhostsfile", "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"),
];

/// The default identity files whose key types are supported (`ssh_config(5)`, `IdentityFile`).
const DEFAULT_IDENTITIES: [(&str, &str); 5] = [
    ("identityfile", "~/.ssh/id_rsa"),
    ("identityfile", "~/.ssh/id_ecdsa"),
    ("identityfile", "~/.ssh/id_ecdsa_sk"),
    ("identityfile", "~/.ssh/id_ed25519"),
    ("identityfile", "~/.ssh/id_ed25519_sk"),
];
