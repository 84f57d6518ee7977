//! Every keyword of `ssh_config(5)`, and its effect here. The code, the tests and the guide
//! (`src/guide/ssh-config.md`) share this table.

use wildmatch::WildMatch;

use super::settings::{self, Settings};
use super::{ConfigError, Setting, SshOptions};
use crate::printable::{Lines, printable};

/// A keyword of `ssh_config(5)`, from any version between 9.2 and 10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyword {
    /// The name, as spelt in the manual.
    pub name: &'static str,
    /// Its effect here.
    pub effect: Effect,
}

/// The effect of a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It has the same meaning as in `ssh`; any difference is described here.
    Honoured(&'static str),
    /// `ssh -G` evaluates it, and only the result arrives here.
    Evaluated,
    /// It has no effect, for this reason.
    Idle(&'static str),
    /// If it is set, no connection is made; this says what to do instead.
    Refused(&'static str),
}

/// Configured keywords that have no effect, with the reason.
pub(super) fn idle(settings: &Settings) -> Vec<(&'static str, &'static str)> {
    set(settings, |effect| match effect {
        Effect::Idle(why) => Some(why),
        Effect::Honoured(_) | Effect::Evaluated | Effect::Refused(_) => None,
    })
}

/// Configured keywords that differ slightly from `ssh`, with the difference.
pub(super) fn notes(settings: &Settings) -> Vec<(&'static str, &'static str)> {
    set(settings, |effect| match effect {
        Effect::Honoured(note) => Some(note).filter(|note| !note.is_empty()),
        Effect::Idle(_) | Effect::Evaluated | Effect::Refused(_) => None,
    })
}

fn set(
    settings: &Settings,
    words: fn(Effect) -> Option<&'static str>,
) -> Vec<(&'static str, &'static str)> {
    let found = KEYWORDS.iter().filter_map(|keyword| Some((keyword.name, words(keyword.effect)?)));
    found.filter(|(name, _)| settings.is_configured(&name.to_ascii_lowercase())).collect()
}

/// Rejects keywords without which the connection would not be the one that was asked for.
///
/// # Errors
///
/// One of them is set.
pub(super) fn refuse(settings: &Settings, host: &str) -> Result<(), ConfigError> {
    for keyword in KEYWORDS {
        let Effect::Refused(remedy) = keyword.effect else { continue };
        let value = settings.first(&keyword.name.to_ascii_lowercase()).unwrap_or_default();
        if !value.is_empty() && !["none", "no", "false"].contains(&value) {
            let host = printable(host, 80, Lines::One);
            return Err(ConfigError::Unsupported { host, keyword: keyword.name, remedy });
        }
    }
    Ok(())
}

/// Rejects options that `ssh` would reject: those without a value, and those that name no keyword, unless
/// `IgnoreUnknown` has it. Without that, a typing mistake could leave out a jump host.
///
/// # Errors
///
/// There are such options; all are named.
pub(super) fn check(options: &SshOptions) -> Result<(), ConfigError> {
    let mut ignored = Vec::new();
    let mut wrong = Vec::new();
    for setting in &options.options {
        let Setting::Option(option) = setting else { continue };
        let shown = |keyword: &str| printable(keyword, 80, Lines::One);
        match settings::read_option(option).filter(|(_, value)| !value.is_empty()) {
            None => wrong.push(format!("-o {}: the value is missing", shown(option))),
            Some((keyword, value)) if keyword == "ignoreunknown" => {
                let patterns = value.split(',').map(str::to_lowercase);
                ignored.extend(patterns.map(|pattern| WildMatch::new(&pattern)));
            }
            Some((keyword, _)) => {
                let is_ignored = ignored.iter().any(|pattern| pattern.matches(&keyword));
                if !is_option(&keyword) && !is_ignored {
                    wrong.push(format!("-o {}: ssh has no such option", shown(&keyword)));
                }
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(ConfigError::Options(wrong.join("; "))) }
}

/// Whether `ssh` takes this keyword, in lower case, as an option.
fn is_option(keyword: &str) -> bool {
    let is_there = KEYWORDS.iter().any(|known| known.name.eq_ignore_ascii_case(keyword));
    (is_there && !ONLY_IN_FILES.contains(&keyword)) || OBSOLETE.contains(&keyword)
}

use Effect::{Evaluated, Honoured, Idle, Refused};

/// The keywords, in alphabetical order.
pub const KEYWORDS: &[Keyword] = &[
    keyword("AddKeysToAgent", Honoured("")),
    keyword(
        "AddressFamily",
        Honoured(
            "for the server and for local ports; a target of -R, on this side, may have either family",
        ),
    ),
    keyword("BatchMode", Honoured("")),
    keyword("BindAddress", Honoured("")),
    keyword("BindInterface", Honoured("")),
    keyword("CanonicalDomains", Evaluated),
    keyword("CanonicalizeFallbackLocal", Evaluated),
    keyword("CanonicalizeHostname", Evaluated),
    keyword("CanonicalizeMaxDots", Evaluated),
    keyword("CanonicalizePermittedCNAMEs", Evaluated),
    keyword("CASignatureAlgorithms", Honoured("signatures with SHA-1 are never accepted")),
    keyword("CertificateFile", Honoured("")),
    keyword("ChannelTimeout", Idle("a connection lasts as long as its two ends want")),
    keyword("CheckHostIP", Idle("a server is known by its name alone")),
    keyword("Ciphers", Honoured("as far as the cipher is available here")),
    keyword("ClearAllForwardings", Honoured("")),
    keyword("Compression", Honoured("")),
    keyword("ConnectionAttempts", Honoured("")),
    keyword("ConnectTimeout", Honoured("the handshake and the login each get that time again")),
    keyword("ControlMaster", Idle("one process serves all clients, with sessions of its own")),
    keyword("ControlPath", Idle("one process serves all clients, with sessions of its own")),
    keyword("ControlPersist", Idle("sockeye runs until it is told to stop")),
    keyword(
        "DynamicForward",
        Honoured("other machines are let in by a password or --allow-remote only"),
    ),
    keyword("EnableEscapeCommandline", Idle("no terminal is opened")),
    keyword("EnableSSHKeysign", Idle("host-based authentication is not supported")),
    keyword("EscapeChar", Idle("no terminal is opened")),
    keyword("ExitOnForwardFailure", Honoured("")),
    keyword("FingerprintHash", Idle("fingerprints are shown with SHA-256")),
    keyword("ForkAfterAuthentication", Honoured("")),
    keyword("ForwardAgent", Idle("no shell is opened that could use an agent")),
    keyword("ForwardX11", Idle("no program runs on the server that could open a window")),
    keyword("ForwardX11Timeout", Idle("no program runs on the server that could open a window")),
    keyword("ForwardX11Trusted", Idle("no program runs on the server that could open a window")),
    keyword(
        "GatewayPorts",
        Honoured(
            "for forwards with a target; a proxy is let in by others only by a password or --allow-remote",
        ),
    ),
    keyword("GlobalKnownHostsFile", Honoured("")),
    keyword("GSSAPIAuthentication", Idle("GSSAPI is not supported; use a key or a password")),
    keyword("GSSAPIClientIdentity", Idle(NO_GSSAPI)),
    keyword("GSSAPIDelegateCredentials", Idle(NO_GSSAPI)),
    keyword("GSSAPIKexAlgorithms", Idle(NO_GSSAPI)),
    keyword("GSSAPIKeyExchange", Idle(NO_GSSAPI)),
    keyword("GSSAPIRenewalForcesRekey", Idle(NO_GSSAPI)),
    keyword("GSSAPIServerIdentity", Idle(NO_GSSAPI)),
    keyword("GSSAPITrustDns", Idle(NO_GSSAPI)),
    keyword("HashKnownHosts", Honoured("")),
    keyword("Host", Evaluated),
    keyword("HostbasedAcceptedAlgorithms", Idle("host-based authentication is not supported")),
    keyword("HostbasedAuthentication", Idle("not supported; log in with a key or a password")),
    keyword("HostKeyAlgorithms", Honoured("as far as the algorithm is available here")),
    keyword("HostKeyAlias", Honoured("")),
    keyword("HostName", Honoured("")),
    keyword("IdentitiesOnly", Honoured("")),
    keyword("IdentityAgent", Honoured("")),
    keyword("IdentityFile", Honoured("")),
    keyword("IgnoreUnknown", Evaluated),
    keyword("Include", Evaluated),
    keyword("IPQoS", Idle("packets are not marked")),
    keyword("KbdInteractiveAuthentication", Honoured("")),
    keyword("KbdInteractiveDevices", Idle("the server chooses")),
    keyword("KexAlgorithms", Honoured("as far as the algorithm is available here")),
    keyword("KnownHostsCommand", Honoured("")),
    keyword("LocalCommand", Honoured("once, when the first session is up")),
    keyword("LocalForward", Honoured("")),
    keyword(
        "LogLevel",
        Honoured("-q and -v take precedence; the reason for an exit is always logged"),
    ),
    keyword("LogVerbose", Idle("its patterns name files of ssh")),
    keyword("MACs", Honoured("as far as the MAC is available here")),
    keyword("Match", Evaluated),
    keyword("NoHostAuthenticationForLocalhost", Idle("host keys are verified, always")),
    keyword("NumberOfPasswordPrompts", Honoured("")),
    keyword("ObscureKeystrokeTiming", Idle("no terminal is opened")),
    keyword("PasswordAuthentication", Honoured("")),
    keyword("PermitLocalCommand", Honoured("")),
    keyword("PermitRemoteOpen", Honoured("")),
    keyword(
        "PKCS11Provider",
        Idle("add the token to an agent (ssh-add -s LIBRARY), which is asked for keys"),
    ),
    keyword("Port", Honoured("")),
    keyword(
        "PreferredAuthentications",
        Honoured("of publickey, keyboard-interactive and password"),
    ),
    keyword("ProxyCommand", Honoured("")),
    keyword("ProxyJump", Honoured("in this process, without further programs")),
    keyword(
        "ProxyUseFdpass",
        Honoured("refused beside a ProxyCommand, which would pass a descriptor"),
    ),
    keyword("PubkeyAcceptedAlgorithms", Honoured("")),
    keyword("PubkeyAuthentication", Honoured("unbound and host-bound are yes")),
    keyword("RefuseConnection", Refused("the configuration forbids to connect")),
    keyword(
        "RekeyLimit",
        Honoured(
            "a new session takes the place of one that has reached the limit, at least 1 GiB and 10 minutes; \
         its connections go on under its keys",
        ),
    ),
    keyword("RemoteCommand", Idle("no command is run on the server")),
    keyword(
        "RemoteForward",
        Honoured("a proxy for other machines needs a password or --allow-remote"),
    ),
    keyword("RequestTTY", Idle("no terminal is opened")),
    keyword("RequiredRSASize", Honoured("")),
    keyword("RevokedHostKeys", Honoured("")),
    keyword("SecurityKeyProvider", Idle("security keys are used through an agent")),
    keyword("SendEnv", Idle("no program runs on the server")),
    keyword("ServerAliveCountMax", Honoured("")),
    keyword("ServerAliveInterval", Honoured("0 is 15 s, since a pool has to know of its sessions")),
    keyword("SessionType", Honoured("none is always the case")),
    keyword("SetEnv", Idle("no program runs on the server")),
    keyword("StdinNull", Honoured("yes is always the case, but for -W")),
    keyword("StreamLocalBindMask", Honoured("")),
    keyword(
        "StreamLocalBindUnlink",
        Honoured("a socket that is not in use is always replaced, one in use only with yes"),
    ),
    keyword(
        "StrictHostKeyChecking",
        Honoured("no is accept-new: a changed key is refused in any case"),
    ),
    keyword("SyslogFacility", Idle("logs go to standard error; pipe them to logger(1)")),
    keyword("Tag", Evaluated),
    keyword("TCPKeepAlive", Honoured("")),
    keyword("Tunnel", Idle("no tunnel device is made")),
    keyword("TunnelDevice", Idle("no tunnel device is made")),
    keyword("UpdateHostKeys", Honoured("")),
    keyword("UseKeychain", Idle("add the key to the agent: ssh-add --apple-use-keychain")),
    keyword("User", Honoured("")),
    keyword("UserKnownHostsFile", Honoured("")),
    keyword("VerifyHostKeyDNS", Idle("host keys are looked up in files, not in the DNS")),
    keyword("VersionAddendum", Idle("the version that servers see is that of sockeye")),
    keyword("VisualHostKey", Idle("fingerprints are shown as text")),
    keyword(
        "WarnWeakCrypto",
        Idle("weak algorithms are used only where they are asked for by name"),
    ),
    keyword("XAuthLocation", Idle("no program runs on the server that could open a window")),
];

/// Keywords that are no options.
const ONLY_IN_FILES: [&str; 3] = ["host", "include", "match"];

/// Former keywords, which `ssh` still takes, without an effect.
pub(super) const OBSOLETE: [&str; 16] = [
    "afstokenpassing",
    "cipher",
    "compressionlevel",
    "fallbacktorsh",
    "globalknownhostsfile2",
    "kerberosauthentication",
    "kerberostgtpassing",
    "protocol",
    "rhostsauthentication",
    "rhostsrsaauthentication",
    "rsaauthentication",
    "useblacklistedkeys",
    "useprivilegedport",
    "userknownhostsfile2",
    "useroaming",
    "usersh",
];

const NO_GSSAPI: &str = "GSSAPI is not supported";

const fn keyword(name: &'static str, effect: Effect) -> Keyword {
    Keyword { name, effect }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// A word that `ssh -G` prints but that is not a keyword.
    const NO_KEYWORDS: [&str; 1] = ["host"];

    #[test]
    fn configured_keywords_are_named_and_defaults_are_not() {
        let usual = "tunnel false\ncheckhostip no\nforwardagent no\ncompression no\nipqos a b\n";
        let told = |output: &str| -> Vec<_> {
            let settings = Settings::from_lines(output).against(usual);
            idle(&settings).into_iter().map(|(keyword, _)| keyword).collect()
        };
        assert_eq!(told(usual), Vec::<&str>::new());
        let set = "tunnel false\nforwardagent yes\ncompression yes\ncheckhostip no\nipqos a b\n\
                   remotecommand touch x\n";
        assert_eq!(told(set), ["ForwardAgent", "RemoteCommand"]);
    }

    #[test]
    fn a_refused_keyword_names_a_remedy() {
        let told = |lines| refuse(&Settings::from_lines(lines), "box").map_err(|e| e.to_string());
        assert_eq!(told("refuseconnection none\nport 22\n"), Ok(()));
        let error = told("refuseconnection go away\n").expect_err("refused");
        assert!(error.contains("RefuseConnection is set for box"), "{error}");
    }

    #[test]
    fn the_table_is_in_order_and_says_why() {
        let names = KEYWORDS.iter().map(|keyword| keyword.name.to_ascii_lowercase());
        assert!(names.is_sorted_by(|a, b| a < b));
        for keyword in KEYWORDS {
            if let Idle(why) | Refused(why) = keyword.effect {
                assert!(!why.is_empty(), "{keyword:?}");
            }
        }
    }

    /// Fails if a newer `ssh` adds a keyword, whose effect has yet to be decided.
    #[test]
    #[ignore = "needs ssh"]
    fn every_keyword_of_the_ssh_that_is_installed_is_here() {
        // Keywords without a default are printed only if they are set.
        let set = [
            "LocalCommand=x",
            "RemoteCommand=x",
            "ProxyCommand=x",
            "ControlPath=/x",
            "SetEnv=A=b",
            "SendEnv=A",
            "HostKeyAlias=x",
            "IdentityAgent=/x",
            "CertificateFile=/x",
            "RevokedHostKeys=/x",
            "KnownHostsCommand=/x",
            "BindAddress=127.0.0.1",
            "PKCS11Provider=/x",
            "LocalForward=1 a:1",
            "RemoteForward=1 a:1",
            "DynamicForward=1",
            "PreferredAuthentications=publickey",
            "KbdInteractiveDevices=x",
            "IgnoreUnknown=Nonsense",
            "BindInterface=lo",
        ];
        let mut ssh = std::process::Command::new("ssh");
        ssh.args(["-G", "-F", "none"]).args(set.map(|option| format!("-o{option}"))).arg("host");
        let output = ssh.output().expect("ssh");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(printed.lines().count() > 80, "{printed}{output:?}");
        for word in printed.lines().filter_map(|line| line.split(' ').next()) {
            let is_known = KEYWORDS.iter().any(|k| k.name.eq_ignore_ascii_case(word));
            assert!(is_known || NO_KEYWORDS.contains(&word), "{word} is not in the table");
        }
    }

    /// The guide shows the same table.
    #[test]
    fn the_guide_says_the_same() {
        let mut rows = String::new();
        for Keyword { name, effect } in KEYWORDS {
            let (what, note) = match effect {
                Honoured(note) => ("honoured", *note),
                Evaluated => ("honoured", "by `ssh -G`"),
                Idle(why) => ("no effect", *why),
                Refused(instead) => ("refused", *instead),
            };
            writeln!(rows, "| `{name}` | {what} | {note} |").expect("memory");
        }
        let page = include_str!("../../guide/ssh-config.md");
        assert!(page.contains(&rows), "src/guide/ssh-config.md should have these rows:\n{rows}");
    }
}
