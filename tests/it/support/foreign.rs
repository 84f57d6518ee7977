//! Real SSH servers other than OpenSSH's.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::process::Signal;

use super::login::Login;
use super::{command, free_port, process, skip, wait};

/// The implementation of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    /// From Debian's package.
    Dropbear,
    /// From `PyPI`, in a Python process.
    Asyncssh,
    /// From `PyPI`, in a Python process.
    Paramiko,
    /// From npm, in a Node.js process.
    Ssh2,
    /// From Debian's package, started for each connection. It supports neither forwarding nor passwords.
    Tinyssh,
    /// Go's library, in a program of the tests. It closes a channel at the first EOF from either side.
    Go,
    /// The sample of libssh that forwards. It serves one connection, accepts `user` with the password `pwd`,
    /// and closes a channel at the first EOF from either side.
    Libssh,
}

/// The server. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Foreign {
    make: Make,
    login: Login,
    port: u16,
    child: Option<Child>,
    /// The directory of the programs that `tests/run.sh` has compiled.
    compiled: PathBuf,
}

/// The user's password, accepted besides the key.
pub(crate) const PASSWORD: &str = "pw-7Qh2vXk9";

impl Foreign {
    /// Starts it. Returns `None`, with a notice, if that is impossible: dropbear and tinyssh read the
    /// user's home directory, which has to be replaced in a mount namespace.
    #[track_caller]
    pub(crate) fn start(make: Make) -> Option<Self> {
        let reads_home = matches!(make, Make::Dropbear | Make::Tinyssh);
        if reads_home && !skip::unless_root("a home of its own for dropbear and tinyssh takes root")
        {
            return None;
        }
        let compiled = match make {
            Make::Go => skip::unless_made("SOCKEYE_GO_SERVER")?,
            Make::Libssh => skip::unless_made("SOCKEYE_LIBSSH_SERVER")?,
            Make::Dropbear | Make::Asyncssh | Make::Paramiko | Make::Ssh2 | Make::Tinyssh => {
                PathBuf::new()
            }
        };
        let login = Login::new();
        let mut server = Self { make, login, port: free_port(), child: None, compiled };
        match make {
            Make::Dropbear => server.convert_host_key(),
            Make::Tinyssh => server.make_host_key(),
            Make::Asyncssh | Make::Paramiko | Make::Ssh2 | Make::Go | Make::Libssh => {}
        }
        if reads_home {
            server.make_home();
        }
        server.start_again();
        Some(server)
    }

    /// An `ssh_config` for the server; `extra` lines come first.
    pub(crate) fn ssh_config(&self, extra: &[&str]) -> PathBuf {
        self.login.ssh_config(self.port, extra)
    }

    /// A path in its directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.login.path(name)
    }

    /// Ends it and every connection. Nothing of it has its port any more.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let descendants = process::descendants(child.id());
        let _ = child.kill();
        let _ = child.wait();
        for descendant in &descendants {
            process::signal(*descendant, Signal::KILL);
        }
        let is_over = || !descendants.iter().any(|pid| process::is_running(*pid));
        wait::until("all of it has ended", is_over);
    }

    /// Starts it again, on the same port.
    pub(crate) fn start_again(&mut self) {
        let log = File::create(self.path("log")).expect("a log");
        let mut server = self.command();
        server.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        self.child = Some(server.spawn().expect("a server"));
        wait::until_some("the server listens", || {
            let said = fs::read_to_string(self.path("log")).unwrap_or_default();
            let child = self.child.as_mut().expect("started");
            let ended = child.try_wait().expect("a child");
            assert!(ended.is_none(), "{:?} ended: {said}", self.make);
            let listens = match self.make {
                Make::Dropbear => said.contains("Not backgrounding"),
                Make::Asyncssh | Make::Paramiko | Make::Ssh2 | Make::Go | Make::Libssh => {
                    said.contains("listening")
                }
                Make::Tinyssh => said.contains("Listening on "),
            };
            listens.then_some(())
        });
    }

    fn command(&self) -> Command {
        let port = self.port.to_string();
        match self.make {
            Make::Dropbear => {
                let mut dropbear = self.at_home();
                dropbear.args(["dropbear", "-F", "-E", "-p", &format!("127.0.0.1:{port}"), "-r"]);
                dropbear.arg(self.path("host.dropbear")).arg("-P").arg(self.path("pid"));
                dropbear
            }
            Make::Asyncssh => self.python("asyncssh_server.py", &port),
            Make::Paramiko => self.python("paramiko_server.py", &port),
            Make::Ssh2 => {
                let root = Path::new(env!("CARGO_MANIFEST_DIR"));
                let mut node = command("node");
                node.current_dir(root).arg("tests/it/support/node/ssh2_server.js");
                self.give_access(&mut node, &port);
                node
            }
            Make::Tinyssh => {
                let mut tinyssh = self.at_home();
                let address = format!("127.0.0.1:{port}");
                tinyssh.args(["systemd-socket-activate", "--inetd", "-a", "-l", &address]);
                tinyssh.args(["tinysshd", "-v"]).arg(self.path("keys"));
                tinyssh
            }
            Make::Go => {
                let mut go = self.compiled();
                self.give_access(&mut go, &port);
                go
            }
            Make::Libssh => {
                let mut again = command("sh");
                again.args(["-c", "while :; do echo listening; \"$@\"; done", "sh"]);
                again.arg(&self.compiled).arg("-k").arg(self.login.host_key());
                again.args(["-p", &port, "127.0.0.1"]);
                again
            }
        }
    }

    fn compiled(&self) -> Command {
        command(self.compiled.to_str().expect("UTF-8"))
    }

    /// The beginning of a command that makes the server's directory the user's home.
    fn at_home(&self) -> Command {
        let mut unshare = command("unshare");
        let namespace = ["--mount", "--propagation", "private"];
        unshare.args(namespace).args(["sh", "-c", IN_NAMESPACE, "sh"]);
        unshare.args(["passwd", "shadow", "home"].map(|file| self.path(file)));
        unshare
    }

    fn python(&self, script: &str, port: &str) -> Command {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut python = command(root.join(PYTHON).to_str().expect("UTF-8"));
        python.arg(root.join("tests/it/support/python").join(script));
        self.give_access(&mut python, port);
        python
    }

    fn give_access(&self, server: &mut Command, port: &str) {
        server.arg(port).arg(self.login.host_key());
        server.arg(self.path("authorized_keys")).arg(PASSWORD);
    }

    fn convert_host_key(&self) {
        let mut convert = command("dropbearconvert");
        convert.args(["openssh", "dropbear"]);
        convert.arg(self.login.host_key()).arg(self.path("host.dropbear"));
        let converted = convert.output().expect("dropbearconvert");
        assert!(converted.status.success(), "{converted:?}");
    }

    /// A key generated by the server's own tool, replacing that of the login.
    fn make_host_key(&self) {
        let keys = self.path("keys");
        let made = command("tinysshd-makekey").arg("-q").arg(&keys).status().expect("tinyssh");
        assert!(made.success());
        let shown = command("tinysshd-printkey").arg(&keys).output().expect("tinyssh");
        fs::write(self.login.host_key().with_extension("pub"), shown.stdout).expect("written");
    }

    fn make_home(&self) {
        let home = self.path("home");
        fs::create_dir_all(home.join(".ssh")).expect("a directory");
        fs::copy(self.path("authorized_keys"), home.join(".ssh/authorized_keys")).expect("a copy");
        for (file, field, value) in [("passwd", 5, HOME), ("shadow", 1, HASH)] {
            let lines = fs::read_to_string(Path::new("/etc").join(file)).expect("an account");
            let of_root = |line: &str| {
                let mut fields: Vec<&str> = line.split(':').collect();
                if fields[0] == "root" {
                    fields[field] = value;
                }
                fields.join(":") + "\n"
            };
            let lines: String = lines.lines().map(of_root).collect();
            fs::write(self.path(file), lines).expect("a file");
            let mode = if file == "passwd" { 0o644 } else { 0o600 };
            fs::set_permissions(self.path(file), Permissions::from_mode(mode)).expect("a mode");
        }
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.stop();
        if thread::panicking() {
            let said = fs::read(self.path("log")).unwrap_or_default();
            eprintln!("--- what the server said:\n{}---", String::from_utf8_lossy(&said));
        }
    }
}

/// Created by `tests/run.sh`, with the required packages.
const PYTHON: &str = "target/python/bin/python3";
/// [`PASSWORD`], as `openssl passwd -6` wrote it.
const HASH: &str = "$6$sockeye$F2iWf78CArSe5/q7xzhy3xsWkoG0G0atXDivA7ZC3R1p1V0RL.\
                    ZiwDFMMWUx8MmYaofjV3tK9IdvPOFmStGjT0";
/// A directory that others cannot write to, and whose parents they cannot write to either.
const HOME: &str = "/mnt";
const IN_NAMESPACE: &str = r#"set -e
mount --bind "$1" /etc/passwd
mount --bind "$2" /etc/shadow
mount --bind "$3" /mnt
if [ -d /var/run/nscd ]; then mount -t tmpfs none /var/run/nscd; fi
shift 3
exec "$@""#;
