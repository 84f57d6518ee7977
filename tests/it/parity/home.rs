//! The home directory.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::{BOTH, Client};
use crate::support::login::{HOST, user};
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{command, skip};

/// Keys, the record of hosts, and names come from the password database, regardless of the environment.
#[test]
#[ignore = "needs sshd, ssh, unshare"]
fn the_password_database_determines_the_home() {
    if !skip::unless_root("another password database takes root") {
        return;
    }
    let (sshd, echo) = (Sshd::start(), Target::echo());
    let login = sshd.login();
    let (home, other) = (login.path("home"), login.path("other"));
    let uid = rustix::process::getuid().as_raw();
    let me = user();
    for (place, name) in
        [(&home, "id_ed25519"), (&home, &format!("{me}_key-{uid}")), (&other, "key")]
    {
        fs::create_dir_all(place.join(".ssh")).expect("a directory");
        fs::copy(login.client_key(), place.join(".ssh").join(name)).expect("a copy");
    }
    let known = fs::read(login.know_host(sshd.port(), &login.host_key())).expect("a record");
    fs::write(home.join(".ssh/known_hosts"), known).expect("written");
    let passwd = login.path("passwd");
    let lines = fs::read_to_string("/etc/passwd").expect("accounts");
    let moved = |line: &str| {
        let mut fields: Vec<String> = line.split(':').map(str::to_owned).collect();
        match fields[0].as_str() {
            "bin" => fields[5] = other.display().to_string(),
            name if name == me => fields[5] = home.display().to_string(),
            _ => {}
        }
        fields.join(":") + "\n"
    };
    fs::write(&passwd, lines.lines().map(moved).collect::<String>()).expect("written");

    let to = format!("127.0.0.1:{}", echo.port());
    for (line, expected) in [
        ("", true),
        ("IdentityFile ~/.ssh/id_ed25519", true),
        ("IdentityFile %d/.ssh/%u_key-%i", true),
        ("IdentityFile ~bin/.ssh/key", true),
        ("IdentityFile ~bin/.ssh/id_ed25519", false),
        ("IdentityFile ${HOME}/.ssh/id_ed25519", false),
        ("UserKnownHostsFile ${HOME}/.ssh/known_hosts", false),
        ("UserKnownHostsFile %d/.ssh/known_hosts", true),
    ] {
        let config = login.path("ssh_config");
        let text = format!(
            "Host {HOST}\n HostName 127.0.0.1\n Port {}\n {line}\n StrictHostKeyChecking yes\n \
             IdentitiesOnly yes\n",
            sshd.port()
        );
        fs::write(&config, text).expect("written");
        for client in BOTH {
            let output = in_home(client, &passwd, &config, &to);
            assert_eq!(output.status.success(), expected, "{client:?} {line}: {output:?}");
        }
    }
}

/// Runs a program with this password database, and a misleading environment.
fn in_home(client: Client, passwd: &Path, config: &Path, to: &str) -> Output {
    let plain = client.command(config);
    let mut unshare: Command = command("unshare");
    unshare.args(["--mount", "--propagation", "private", "sh", "-c", IN_NAMESPACE, "sh"]);
    unshare.arg(passwd).arg(plain.get_program()).args(plain.get_args());
    unshare.args(["-W", to, HOST]).env("HOME", "/nonexistent").env("USER", "nobody-here");
    unshare.stdin(Stdio::null()).output().expect("it ends")
}

const IN_NAMESPACE: &str = r#"set -e
mount --bind "$1" /etc/passwd
if [ -d /var/run/nscd ]; then mount -t tmpfs none /var/run/nscd; fi
shift
exec "$@""#;
