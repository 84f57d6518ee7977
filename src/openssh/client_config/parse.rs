//! From what `ssh -G` prints, or from flags alone, to a [`ClientConfig`].

use std::path::PathBuf;

use super::algorithms;
use super::connection::{self, Tokens};
use super::forwards::{self, Wording};
use super::keywords;
use super::local::Local;
use super::settings::{Settings, invalid, parse_time};
use super::signatures;
use super::{
    AddKeysToAgent, AddressFamily, AuthConfig, AuthMethod, ClientConfig, ConfigError,
    ConfiguredForwards, HostKeyConfig, IdentityAgent, IdentityFile, IdentityOrigin, LogLevel,
    ProcessConfig, ReachConfig, SessionConfig, SshOptions, StrictHostKeyChecking, Switch,
    UpdateHostKeys, Way,
};
use crate::openssh::server_name::ServerName;
use crate::printable::{Lines, printable};

/// Reads what `ssh -G` printed: a keyword and its value a line. `usual` is what it prints for an empty
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
    let port = settings.number("port", "Port", 0)?;
    let port = u16::try_from(port).ok().filter(|p| *p != 0).ok_or(missing("Port"))?;
    let forwards = forwards::read(&settings, Wording::Printed)?;
    let place = Place { host_name, port, user, hash };
    let mut config = build(&settings, place, name, options, local)?;
    config.process.idle = keywords::idle(&settings);
    config.process.notes = keywords::notes(&settings);
    Ok(ClientConfig { forwards, ..config })
}

/// Takes the flags and OpenSSH's defaults, where there is no `ssh` to ask.
pub(super) fn defaults(
    name: &ServerName,
    options: &SshOptions,
    local: &Local,
) -> Result<ClientConfig, ConfigError> {
    if options.config_file.is_some() {
        return Err(ConfigError::NeedsSsh);
    }
    let mut settings = Settings::from_options(&options.options);
    overrule_by_flags(&mut settings, options);
    settings.fill_in(&DEFAULTS);
    if options.identities.is_empty() && settings.first("identityfile").is_none() {
        settings.fill_in(&DEFAULT_IDENTITIES);
    }
    let port = match (options.port, settings.number("port", "Port", 0)?, name.port) {
        (Some(port), _, _) | (None, 0, Some(port)) => port,
        (None, 0, None) => 22,
        (None, port, _) => u16::try_from(port)
            .map_err(|_| ConfigError::Invalid { keyword: "Port", value: port.to_string() })?,
    };
    let user = options.user.as_deref().or(settings.first("user")).or(name.user.as_deref());
    let user = user.or(local.user.as_deref()).ok_or(ConfigError::NoUser)?.to_owned();
    let host = settings.first("hostname").map(|h| h.replace("%h", &name.host));
    let host_name = host.unwrap_or_else(|| name.host.clone()).to_lowercase();
    let forwards = forwards::read(&settings, Wording::Written)?;
    let config =
        build(&settings, Place { host_name, port, user, hash: None }, name, options, local)?;
    Ok(ClientConfig { forwards, ..config })
}

/// What `ssh -G` does with the flags that stand for a keyword.
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

/// Where to connect, and as whom.
struct Place {
    host_name: String,
    port: u16,
    user: String,
    /// What `ssh` puts for `%C`.
    hash: Option<String>,
}

impl Place {
    fn tokens<'a>(&'a self, name: &'a ServerName) -> Tokens<'a> {
        let Self { host_name, port, user, .. } = self;
        Tokens { host_name, name: &name.host, port: *port, user }
    }
}

fn build(
    settings: &Settings,
    place: Place,
    name: &ServerName,
    options: &SshOptions,
    local: &Local,
) -> Result<ClientConfig, ConfigError> {
    keywords::refuse(settings, name)?;
    let tokens = place.tokens(name);
    let way = connection::way(settings, options, &tokens)?;
    connection::refuse_descriptors(settings, &way)?;
    let mut config = ClientConfig {
        name: name.host.clone(),
        host_name: place.host_name,
        port: place.port,
        user: place.user,
        hash: place.hash,
        required_rsa_size: settings.number("requiredrsasize", "RequiredRSASize", 1024)?,
        reach: reach_config(settings, way)?,
        auth: auth_config(settings, local)?,
        host_keys: host_key_config(settings, local)?,
        algorithms: algorithms::read(settings)?,
        session: session_config(settings)?,
        process: process_config(settings)?,
        forwards: ConfiguredForwards::default(),
    };
    config.auth.identity_files = identity_files(settings, &options.identities, local, &config);
    config.auth.certificate_files = certificate_files(settings, local, &config);
    config.host_keys.known_hosts_command = known_hosts_command(settings, local, &config)?;
    config.session.local_command = local_command(settings, local, &config)?;
    Ok(config)
}

fn reach_config(settings: &Settings, way: Way) -> Result<ReachConfig, ConfigError> {
    Ok(ReachConfig {
        connect_timeout: settings.time("connecttimeout", "ConnectTimeout")?,
        way,
        origin: connection::origin(settings),
        connection_attempts: settings.number("connectionattempts", "ConnectionAttempts", 1)?,
        tcp_keep_alive: settings.switch("tcpkeepalive", Switch::On),
        address_family: family(settings.first("addressfamily"))?,
    })
}

/// The key files follow, since their names have tokens of the rest.
fn auth_config(settings: &Settings, local: &Local) -> Result<AuthConfig, ConfigError> {
    Ok(AuthConfig {
        identity_files: Vec::new(),
        certificate_files: Vec::new(),
        identities_only: settings.switch("identitiesonly", Switch::Off),
        pubkey_accepted_algorithms: signatures::accepted(settings)?,
        identity_agent: identity_agent(settings.first("identityagent"), local),
        batch_mode: settings.switch("batchmode", Switch::Off),
        pubkey_authentication: settings.switch("pubkeyauthentication", Switch::On),
        kbd_interactive_authentication: settings.switch("kbdinteractiveauthentication", Switch::On),
        password_authentication: settings.switch("passwordauthentication", Switch::On),
        preferred_authentications: methods(settings.first("preferredauthentications")),
        number_of_password_prompts: settings.number(
            "numberofpasswordprompts",
            "NumberOfPasswordPrompts",
            3,
        )?,
        add_keys_to_agent: add_keys(settings)?,
    })
}

fn host_key_config(settings: &Settings, local: &Local) -> Result<HostKeyConfig, ConfigError> {
    Ok(HostKeyConfig {
        user_known_hosts_files: settings.files("userknownhostsfile", local),
        global_known_hosts_files: settings.files("globalknownhostsfile", local),
        known_hosts_command: None,
        host_key_alias: settings.first("hostkeyalias").map(str::to_owned),
        strict_host_key_checking: strict(settings.first("stricthostkeychecking"))?,
        hash_known_hosts: settings.switch("hashknownhosts", Switch::Off),
        update_host_keys: update_host_keys(settings)?,
        revoked_host_keys: settings.files("revokedhostkeys", local),
        ca_signature_algorithms: list(settings.first("casignaturealgorithms")),
    })
}

fn session_config(settings: &Settings) -> Result<SessionConfig, ConfigError> {
    Ok(SessionConfig {
        server_alive_interval: settings.time("serveraliveinterval", "ServerAliveInterval")?,
        server_alive_count_max: settings.number("serveralivecountmax", "ServerAliveCountMax", 3)?,
        compression: settings.switch("compression", Switch::Off),
        rekey_limit: connection::rekey_limit(settings)?,
        local_command: None,
    })
}

fn add_keys(settings: &Settings) -> Result<AddKeysToAgent, ConfigError> {
    let value = settings.first("addkeystoagent").unwrap_or("no");
    let mut words = value.split_whitespace();
    let lifetime = |text: &str| {
        let seconds = parse_time(text).and_then(|seconds| u32::try_from(seconds).ok());
        seconds.filter(|s| *s != 0).ok_or_else(|| invalid("AddKeysToAgent", value))
    };
    Ok(match (words.next().unwrap_or_default(), words.next()) {
        ("no" | "false", None) => AddKeysToAgent::No,
        ("ask", None) => AddKeysToAgent::Ask,
        ("yes" | "true", None) => AddKeysToAgent::Yes { confirm: Switch::Off, lifetime: None },
        ("confirm", time) => {
            AddKeysToAgent::Yes { confirm: Switch::On, lifetime: time.map(lifetime).transpose()? }
        }
        (time, None) => {
            AddKeysToAgent::Yes { confirm: Switch::Off, lifetime: Some(lifetime(time)?) }
        }
        _ => return Err(invalid("AddKeysToAgent", value)),
    })
}

/// The program and its arguments, with their tokens but for those that are known only later.
fn known_hosts_command(
    settings: &Settings,
    local: &Local,
    config: &ClientConfig,
) -> Result<Option<Vec<String>>, ConfigError> {
    let command = settings.first("knownhostscommand").filter(|command| *command != "none");
    let Some(command) = command else { return Ok(None) };
    let unreadable = || invalid("KnownHostsCommand", command);
    let mut words = shlex::split(command).ok_or_else(unreadable)?;
    for word in words.iter_mut().skip(1) {
        *word = local.expand_text(word, config, "HIKft").ok_or_else(unreadable)?;
    }
    Ok(Some(words))
}

/// What the user's shell is to run, with its tokens.
fn local_command(
    settings: &Settings,
    local: &Local,
    config: &ClientConfig,
) -> Result<Option<String>, ConfigError> {
    let command = settings.first("localcommand").filter(|command| *command != "none");
    match command {
        Some(command) if settings.switch("permitlocalcommand", Switch::Off).is_on() => {
            let expanded = local.expand_command(command, config);
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

fn log_level(value: &str) -> Result<LogLevel, ConfigError> {
    Ok(match value.to_ascii_uppercase().as_str() {
        // `ssh -G` prints QUIET as SILENT.
        "QUIET" | "SILENT" | "FATAL" | "ERROR" => LogLevel::Error,
        "INFO" | "VERBOSE" => LogLevel::Info,
        "DEBUG" | "DEBUG1" => LogLevel::Debug,
        "DEBUG2" | "DEBUG3" => LogLevel::Trace,
        other => return Err(invalid("LogLevel", other)),
    })
}

fn identity_agent(value: Option<&str>, local: &Local) -> IdentityAgent {
    let of = |variable: &str| local.variables.get(variable).filter(|v| !v.is_empty());
    let path = match value {
        None | Some("SSH_AUTH_SOCK") => of("SSH_AUTH_SOCK").map(PathBuf::from),
        Some("none") => None,
        Some(value) => match value.strip_prefix('$') {
            Some(variable) => of(variable).map(PathBuf::from),
            None => Some(local.expand_tilde(value)),
        },
    };
    path.map_or(IdentityAgent::None, IdentityAgent::Socket)
}

/// The keys of the command line first. `ssh -G` leaves out those of them that do not exist; here
/// they stay, so that their absence is told when they would be used.
fn identity_files(
    settings: &Settings,
    of_flags: &[PathBuf],
    local: &Local,
    config: &ClientConfig,
) -> Vec<IdentityFile> {
    let configured: Vec<&str> = settings.all("identityfile").filter(|f| *f != "none").collect();
    let is_default =
        |file: &str| file.strip_prefix("~/.ssh/").is_some_and(|f| DEFAULT_KEY_NAMES.contains(&f));
    // `ssh -G` lists its default names when nobody named a file, and then all of them.
    let by_default = configured.iter().filter(|f| is_default(f)).count() >= 3;
    let mut out: Vec<IdentityFile> = Vec::new();
    let mut push = |text: &str, origin| {
        let Some(path) = expand("identity", text, local, config) else { return };
        if !out.iter().any(|file| file.path == path) {
            out.push(IdentityFile { path, origin });
        }
    };
    for file in of_flags {
        push(&file.to_string_lossy(), IdentityOrigin::Named);
    }
    for file in configured {
        if !(by_default && is_default(file)) {
            push(file, IdentityOrigin::Named);
        } else if !file.ends_with("_dsa") && !file.ends_with("_xmss") {
            push(file, IdentityOrigin::Default);
        }
    }
    out
}

fn certificate_files(settings: &Settings, local: &Local, config: &ClientConfig) -> Vec<PathBuf> {
    let named = settings.all("certificatefile").filter(|f| *f != "none");
    named.filter_map(|text| expand("certificate", text, local, config)).collect()
}

/// The path that a value stands for; nothing, and a warning, where that cannot be told.
fn expand(kind: &str, text: &str, local: &Local, config: &ClientConfig) -> Option<PathBuf> {
    let path = local.expand(text, config);
    if path.is_none() {
        tracing::warn!(file = %printable(text, 200, Lines::One),
            "{kind} file left out: it has a token or a variable that is not known here");
    }
    path
}

fn strict(value: Option<&str>) -> Result<StrictHostKeyChecking, ConfigError> {
    Ok(match value.unwrap_or("ask").to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => StrictHostKeyChecking::Yes,
        "ask" => StrictHostKeyChecking::Ask,
        "accept-new" => StrictHostKeyChecking::AcceptNew,
        "false" | "no" | "off" => StrictHostKeyChecking::No,
        other => return Err(invalid("StrictHostKeyChecking", other)),
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

/// As OpenSSH decides it: by default only where the files are its own.
fn update_host_keys(settings: &Settings) -> Result<UpdateHostKeys, ConfigError> {
    let value = settings.first("updatehostkeys");
    match value.map(str::to_ascii_lowercase).as_deref() {
        None if settings.first("userknownhostsfile") == Some(DEFAULTS[0].1) => {
            Ok(UpdateHostKeys::Yes)
        }
        None | Some("no" | "false") => Ok(UpdateHostKeys::No),
        Some("yes" | "true") => Ok(UpdateHostKeys::Yes),
        Some("ask") => Ok(UpdateHostKeys::Ask),
        Some(value) => Err(invalid("UpdateHostKeys", value)),
    }
}

/// The names of a list; `None` where there is none, or one that only changes the default.
fn list(value: Option<&str>) -> Option<Vec<String>> {
    let value = value.filter(|v| !v.starts_with(['+', '-', '^']))?;
    Some(value.split(',').map(|name| name.trim().to_owned()).collect())
}

fn methods(value: Option<&str>) -> Vec<AuthMethod> {
    let names = value.unwrap_or("publickey,keyboard-interactive,password");
    let known = [AuthMethod::PublicKey, AuthMethod::KeyboardInteractive, AuthMethod::Password];
    names.split(',').filter_map(|n| known.into_iter().find(|m| m.as_str() == n.trim())).collect()
}

/// OpenSSH's defaults that are not "no", "none" or the first of their kind (`ssh_config(5)`).
const DEFAULTS: [(&str, &str); 2] = [
    ("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2"),
    ("globalknownhostsfile", "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"),
];

/// The default names of which we can use the keys (`ssh_config(5)`, `IdentityFile`).
const DEFAULT_IDENTITIES: [(&str, &str); 5] = [
    ("identityfile", "~/.ssh/id_rsa"),
    ("identityfile", "~/.ssh/id_ecdsa"),
    ("identityfile", "~/.ssh/id_ecdsa_sk"),
    ("identityfile", "~/.ssh/id_ed25519"),
    ("identityfile", "~/.ssh/id_ed25519_sk"),
];

/// Every default name of any version of OpenSSH.
const DEFAULT_KEY_NAMES: [&str; 7] =
    ["id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_xmss", "id_dsa"];
