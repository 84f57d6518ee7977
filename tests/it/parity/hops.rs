//! The settings that apply to a jump host, and those that do not.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use super::BOTH;
use crate::support::login::HOST;
use crate::support::sshd::Sshd;
use crate::support::target::Target;

/// A server and two jump hosts before it, each with keys of its own.
struct Stage {
    first: Sshd,
    hop: Sshd,
    inner: Sshd,
    target: Target,
}

impl Stage {
    fn start() -> Self {
        let (first, hop, inner) = (Sshd::start(), Sshd::start(), Sshd::start());
        Self { first, hop, inner, target: Target::echo() }
    }

    /// A configuration of all three; extra lines for each come first in their sections.
    fn config(&self, number: usize, lines: [&str; 3]) -> PathBuf {
        let servers = [("first", &self.first), ("hop", &self.hop), ("inner", &self.inner)];
        let sections = servers.iter().zip(lines).map(|((name, sshd), lines)| {
            let file = sshd.login().ssh_config(sshd.port(), &[lines]);
            let mut section = fs::read_to_string(file).expect("a section");
            if lines == NO_KEY {
                let key = format!("IdentityFile {}", sshd.login().client_key().display());
                section = section.replace(&key, "");
            }
            section.replace(&format!("Host {HOST}"), &format!("Host {name}"))
        });
        let path = self.inner.login().path(&format!("config-{number}"));
        fs::write(&path, sections.collect::<String>()).expect("written");
        path
    }

    /// Checks whether both programs reach the target behind the inner server, as expected.
    fn check(&self, number: usize, lines: [&str; 3], arguments: &[&str], expected: bool) {
        let config = self.config(number, lines);
        for client in BOTH {
            let mut command = client.command(&config);
            command.args(["-W", &format!("127.0.0.1:{}", self.target.port())]);
            let output = command.args(arguments).arg("inner").stdin(Stdio::null()).output();
            let output = output.expect("it ends");
            let is_in = output.status.success();
            assert_eq!(is_in, expected, "{client:?}, {lines:?}, {arguments:?}: {output:?}");
            // The terminal belongs to another program.
            assert!(!is_in || output.stderr.is_empty(), "{client:?}, {arguments:?}: {output:?}");
        }
    }
}

/// No key, in place of the one that is accepted.
const NO_KEY: &str = "IdentityFile none";

#[test]
#[ignore = "needs sshd, ssh"]
fn flags_are_for_the_server_and_the_configuration_for_each() {
    let stage = Stage::start();
    let key = |sshd: &Sshd| sshd.login().client_key().display().to_string();
    let alias = "other";
    let host_key = fs::read_to_string(stage.inner.login().host_key().with_extension("pub"));
    let aliased = stage.inner.login().path("aliased");
    fs::write(&aliased, format!("{alias} {}", host_key.expect("a key"))).expect("written");
    let known = format!("UserKnownHostsFile={}", aliased.display());
    let (of_hop, of_inner) = (key(&stage.hop), key(&stage.inner));
    let identity = format!("IdentityFile={of_hop}");
    for (number, (lines, arguments, expected)) in [
        (["", "", ""], vec!["-J", "hop"], true),
        (["", "", NO_KEY], vec!["-J", "hop", "-i", &of_inner], true),
        // These flags do not apply to the hop.
        (["", NO_KEY, ""], vec!["-J", "hop", "-i", &of_hop], false),
        (["", NO_KEY, ""], vec!["-J", "hop", "-o", &identity], false),
        (["", "", ""], vec!["-J", "hop", "-o", "HostKeyAlias=other", "-o", &known], true),
        (["", "HostKeyAlias other", ""], vec!["-J", "hop"], false),
        (["", "", ""], vec!["-J", "hop", "-l", "nobody-here"], false),
        (["", "User nobody-here", ""], vec!["-J", "hop"], false),
        (["", "", "ProxyJump hop"], vec![], true),
        (["", "", ""], vec!["-o", "ProxyJump=hop"], true),
        (["", "ProxyJump first", ""], vec!["-J", "hop"], true),
        (["", "ProxyJump first", "ProxyJump hop"], vec![], true),
        (["User nobody-here", "ProxyJump first", "ProxyJump hop"], vec![], false),
        // In a list, only the first hop may have hops of its own.
        (["", "ProxyJump nowhere.invalid", ""], vec!["-J", "first,hop"], true),
        (["ProxyJump hop", "", ""], vec!["-J", "first"], true),
        (["", "", "ProxyJump nowhere.invalid"], vec!["-J", "hop"], true),
        (["", "", "ProxyJump hop"], vec!["-J", "none"], true),
    ]
    .into_iter()
    .enumerate()
    {
        stage.check(number, lines, &arguments, expected);
    }
}

/// The first of two routes applies, wherever it is set.
#[test]
#[ignore = "needs sshd, ssh"]
fn a_command_and_a_hop() {
    let stage = Stage::start();
    let elsewhere = "ProxyCommand=false";
    for (number, (lines, arguments, expected)) in [
        (["", "", "ProxyCommand false"], vec!["-J", "hop"], true),
        (["", "", "ProxyJump hop"], vec!["-o", elsewhere], false),
        (["", "", "ProxyCommand none"], vec!["-o", "ProxyJump=hop"], true),
    ]
    .into_iter()
    .enumerate()
    {
        stage.check(number, lines, &arguments, expected);
    }
}
