//! The keys of a test's SSH server and its only user, and the `ssh_config` for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use super::command;

/// A directory with a host key, a client key, and the files that `ssh` needs to log in with them.
#[derive(Debug)]
pub(crate) struct Login {
    directory: TempDir,
}

impl Login {
    /// Generates the keys.
    pub(crate) fn new() -> Self {
        let directory = TempDir::with_prefix("sockeye-ssh-").expect("a temporary directory");
        let login = Self { directory };
        for key in [HOST_KEY, CLIENT_KEY] {
            login.make_key(key);
        }
        fs::copy(login.path("client.pub"), login.path("authorized_keys")).expect("a copy");
        login
    }

    /// A path in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The server's private key.
    pub(crate) fn host_key(&self) -> PathBuf {
        self.path(HOST_KEY)
    }

    /// The user's private key.
    pub(crate) fn client_key(&self) -> PathBuf {
        self.path(CLIENT_KEY)
    }

    /// Generates an Ed25519 key without a passphrase, replacing an older one.
    pub(crate) fn make_key(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let _ = fs::remove_file(&path);
        let made = command("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
            .arg(&path)
            .output()
            .expect("ssh-keygen");
        assert!(made.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&made.stderr));
        path
    }

    /// The fingerprint of a key as OpenSSH prints it (`SHA256:…`).
    pub(crate) fn fingerprint(key: &Path) -> String {
        let shown = command("ssh-keygen").arg("-lf").arg(key).output().expect("ssh-keygen");
        let line = String::from_utf8(shown.stdout).expect("text");
        line.split(' ').nth(1).expect("a fingerprint").to_owned()
    }

    /// Records the host key for `127.0.0.1:port`, and returns the path of the record.
    pub(crate) fn know_host(&self, port: u16, host_key: &Path) -> PathBuf {
        let public = fs::read_to_string(host_key.with_extension("pub")).expect("a public key");
        let path = self.path(&format!("known_hosts-{port}"));
        fs::write(&path, format!("[127.0.0.1]:{port} {public}")).expect("known_hosts");
        path
    }

    /// Writes an `ssh_config` in which [`HOST`] is the server at `127.0.0.1:port` (the server's own
    /// port, or that of a link to it). `extra` lines come first, and so take precedence.
    pub(crate) fn ssh_config(&self, port: u16, extra: &[&str]) -> PathBuf {
        let known_hosts = self.know_host(port, &self.host_key());
        // Several cases of one login may run concurrently.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = self.path(&format!("ssh_config-{port}-{number}"));
        let extra = extra.join("\n    ");
        let config = format!(
            "Host {HOST}\n    {extra}\n    HostName 127.0.0.1\n    Port {port}\n    User {user}\n    \
             IdentityFile {key}\n    IdentitiesOnly yes\n    IdentityAgent none\n    \
             UserKnownHostsFile {known_hosts}\n    GlobalKnownHostsFile /dev/null\n    \
             StrictHostKeyChecking yes\n",
            user = user(),
            key = self.client_key().display(),
            known_hosts = known_hosts.display(),
        );
        fs::write(&path, config).expect("ssh_config");
        path
    }
}

/// The user who runs the tests: unless that is root, `sshd` admits nobody else.
pub(crate) fn user() -> String {
    let id = command("id").arg("-un").output().expect("id");
    String::from_utf8(id.stdout).expect("a user name").trim().to_owned()
}

/// The name of the server in the `ssh_config`.
pub(crate) const HOST: &str = "testhost";

const HOST_KEY: &str = "host";
const CLIENT_KEY: &str = "client";

/// A counter that keeps configurations of one login apart.
static NUMBER: AtomicUsize = AtomicUsize::new(0);
