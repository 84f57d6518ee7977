//! A real `sshd` with users of its own, whose names, passwords and PAM rules exist only in its
//! mount namespace.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use rustix::process::Signal;

use super::login::{HOST, Login};
use super::{command, free_port, process, skip, wait};

/// The server. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Accounts {
    login: Login,
    port: u16,
    child: Child,
}

/// A user who may log in with [`PASSWORD`]; the name exists on no machine.
pub(crate) const USER: &str = "sockeye-alice";
/// A user whose account is locked; the password is the same.
pub(crate) const LOCKED: &str = "sockeye-mallory";
/// The password of both.
pub(crate) const PASSWORD: &str = "pw-7Qh2vXk9";

impl Accounts {
    /// Starts it with additional lines of `sshd_config`, which come first and take precedence. Returns `None`, with a
    /// notice, if that is impossible: only root may create a mount namespace.
    #[track_caller]
    pub(crate) fn start(config: &[&str]) -> Option<Self> {
        if !skip::unless_root("an sshd with accounts of its own takes root") {
            return None;
        }
        let login = Login::new();
        // sshd reads a user's keys with the user's permissions.
        let here = login.path("");
        fs::set_permissions(&here, Permissions::from_mode(0o711)).expect("a mode");
        fs::create_dir_all("/run/sshd").expect("/run/sshd");
        write_accounts(&login);
        for _ in 0..ATTEMPTS {
            let port = free_port();
            if let Some(child) = start(&login, port, config) {
                return Some(Self { login, port, child });
            }
        }
        panic!("sshd does not start:\n{}", log_of(&login));
    }

    /// A path in its directory, for keys and the like.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.login.path(name)
    }

    /// Generates a key that the server does not know.
    pub(crate) fn key(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let path = self.path(name);
        let mut keygen = command("ssh-keygen");
        keygen.args(["-q", "-C", name, "-f"]).arg(&path);
        let plain = ["-t", "ed25519", "-N", ""];
        keygen.args(if arguments.is_empty() { &plain[..] } else { arguments });
        run(&mut keygen);
        path
    }

    /// Authorizes these keys, and no others.
    pub(crate) fn authorize(&self, keys: &[&Path]) {
        let line = |key: &&Path| fs::read_to_string(key.with_extension("pub")).expect("a key");
        let lines: String = keys.iter().map(line).collect();
        fs::write(self.path("authorized_keys"), lines).expect("authorized_keys");
    }

    /// Certifies a key with the authority `ca`, passing additional arguments to `ssh-keygen`.
    pub(crate) fn certify(ca: &Path, key: &Path, arguments: &[&str]) {
        let mut keygen = command("ssh-keygen");
        keygen.args(["-q", "-I", "id", "-s"]).arg(ca).args(arguments);
        run(keygen.arg(key.with_extension("pub")));
    }

    /// An `ssh_config` with these lines, and with those for the server.
    pub(crate) fn client(&self, lines: &[&str]) -> PathBuf {
        let known = self.login.know_host(self.port, &self.login.host_key());
        let lines = lines.join("\n    ");
        let config = format!(
            "Host {HOST}\n    {lines}\n    HostName 127.0.0.1\n    Port {port}\n    User {USER}\n    \
             UserKnownHostsFile {known}\n    GlobalKnownHostsFile /dev/null\n    \
             StrictHostKeyChecking yes\n    IdentityAgent none\n    IdentityFile none\n",
            port = self.port,
            known = known.display(),
        );
        let path = self.path("ssh_config");
        fs::write(&path, config).expect("ssh_config");
        path
    }

    /// The record of the server's host key.
    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.login.know_host(self.port, &self.login.host_key())
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Waits until every connection is over: all that there is to say of it is in the log.
    pub(crate) fn wait_for_the_last(&self) {
        wait::until("every connection is over", || {
            process::descendants(self.child.id()).is_empty()
        });
    }

    /// Ends every connection at once.
    pub(crate) fn kill_connections(&self) {
        for child in process::descendants(self.child.id()) {
            process::signal(child, Signal::KILL);
        }
    }

    /// The server's log so far.
    pub(crate) fn log(&self) -> String {
        log_of(&self.login)
    }
}

impl Drop for Accounts {
    fn drop(&mut self) {
        let children = process::descendants(self.child.id());
        let _ = self.child.kill();
        let _ = self.child.wait();
        for child in children {
            process::signal(child, Signal::KILL);
        }
    }
}

fn write_accounts(login: &Login) {
    let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    // If the machine has a user with such an id, that name must give way.
    let is_ours = |line: &str| line.split(':').nth(2).is_some_and(|id| UIDS.contains(&id));
    let others = users.lines().filter(|line| !is_ours(line));
    let mut users: String = others.flat_map(|line| [line, "\n"]).collect();
    let mut secrets = fs::read_to_string("/etc/shadow").expect("/etc/shadow");
    for (name, uid, lock) in [(USER, UIDS[0], ""), (LOCKED, UIDS[1], "!")] {
        users.push_str(&[name, ":x:", uid, ":65534::/:/bin/sh\n"].concat());
        secrets.push_str(&[name, ":", lock, HASH, ":20000:0:99999:7:::\n"].concat());
    }
    fs::write(login.path("passwd"), users).expect("passwd");
    fs::set_permissions(login.path("passwd"), Permissions::from_mode(0o644)).expect("a mode");
    fs::write(login.path("shadow"), secrets).expect("shadow");
    fs::set_permissions(login.path("shadow"), Permissions::from_mode(0o600)).expect("a mode");
    fs::write(login.path("pam"), PAM).expect("a file");
}

fn start(login: &Login, port: u16, config: &[&str]) -> Option<Child> {
    let config = format!(
        "{config}\nListenAddress 127.0.0.1:{port}\nHostKey {host_key}\nAuthorizedKeysFile {keys}\n\
         PidFile none\nStrictModes no\nUseDNS no\nMaxStartups 1000\nLogLevel VERBOSE\nUsePAM no\n\
         KbdInteractiveAuthentication no\nPasswordAuthentication no\n",
        config = config.join("\n"),
        host_key = login.host_key().display(),
        keys = login.path("authorized_keys").display(),
    );
    fs::write(login.path("sshd_config"), config).expect("sshd_config");
    let log = File::create(login.path("sshd.log")).expect("a log");
    let mut sshd = command("unshare");
    sshd.args(["--mount", "--propagation", "private", "sh", "-c", IN_NAMESPACE, "sh"]);
    sshd.args(["passwd", "shadow", "pam"].map(|file| login.path(file)));
    sshd.args(["/usr/sbin/sshd", "-D", "-e", "-f"]).arg(login.path("sshd_config"));
    let mut child =
        sshd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("unshare");
    let listens = wait::until_some("sshd listens or ends", || {
        if log_of(login).contains("Server listening on ") {
            return Some(true);
        }
        child.try_wait().expect("a child").is_some().then_some(false)
    });
    listens.then_some(child)
}

fn log_of(login: &Login) -> String {
    String::from_utf8_lossy(&fs::read(login.path("sshd.log")).unwrap_or_default()).into_owned()
}

fn run(command: &mut std::process::Command) {
    let output = command.output().expect("a tool of OpenSSH");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

const ATTEMPTS: usize = 10;
/// The user ids of [`USER`] and [`LOCKED`].
const UIDS: [&str; 2] = ["64001", "64002"];
/// [`PASSWORD`], as `openssl passwd -6` wrote it.
const HASH: &str = "$6$sockeye$F2iWf78CArSe5/q7xzhy3xsWkoG0G0atXDivA7ZC3R1p1V0RL.\
                    ZiwDFMMWUx8MmYaofjV3tK9IdvPOFmStGjT0";
const PAM: &str = "auth required pam_unix.so nodelay\naccount required pam_unix.so\n\
                   session required pam_permit.so\n";
/// A running name service cache knows nothing of the namespace, so its socket is hidden.
const IN_NAMESPACE: &str = r#"set -e
mount --bind "$1" /etc/passwd
mount --bind "$2" /etc/shadow
mount --bind "$3" /etc/pam.d/sshd
if [ -d /var/run/nscd ]; then mount -t tmpfs none /var/run/nscd; fi
shift 3
exec "$@""#;
