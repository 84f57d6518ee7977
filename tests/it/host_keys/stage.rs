//! A server with given host keys and certificates, and files that mention them.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::command;
use crate::support::login::Login;
use crate::support::sshd::Sshd;

/// The host keys that a server presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    /// An Ed25519 key.
    Ed25519,
    /// An Ed25519 key and an ECDSA key.
    TwoTypes,
    /// An RSA key of 2048 bits.
    Rsa,
    /// An Ed25519 key and an RSA key of 2048 bits, [`RSA`].
    RsaToo,
    /// An Ed25519 key with a certificate of the authority [`CA`], made with these additional
    /// arguments of `ssh-keygen -s`.
    Certificate(&'static [&'static str]),
}

/// The server, and the keys available for the files.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) shows: Shows,
    sshd: Sshd,
}

/// The files for one connection; each has its own, since some write to them.
#[derive(Debug)]
pub(super) struct Files {
    directory: TempDir,
}

impl Stage {
    pub(super) fn new(shows: Shows) -> Self {
        let sshd = Sshd::prepared(|login| {
            for (name, kind) in [(CA, "ed25519"), (OTHER, "ed25519"), (ECDSA, "ecdsa")] {
                make_key(login, name, kind);
            }
            match shows {
                Shows::Ed25519 => Vec::new(),
                Shows::TwoTypes => vec![format!("HostKey {}", login.path(ECDSA).display())],
                Shows::RsaToo => {
                    make_key(login, RSA, "rsa");
                    vec![format!("HostKey {}", login.path(RSA).display())]
                }
                Shows::Rsa => {
                    // It replaces the key that every server has.
                    make_key(login, "host", "rsa");
                    Vec::new()
                }
                Shows::Certificate(arguments) => {
                    certify(login, arguments);
                    vec![format!("HostCertificate {}", login.path("host-cert.pub").display())]
                }
            }
        });
        Self { shows, sshd }
    }

    /// The name under which the server is on record.
    pub(super) fn name(&self) -> String {
        format!("[localhost]:{}", self.sshd.port())
    }

    /// The public half of a key, in the form `ssh-ed25519 AAAA…`.
    pub(super) fn key(&self, name: &str) -> String {
        let text = fs::read_to_string(self.sshd.login().path(&format!("{name}.pub")));
        let text = text.expect("a public key");
        text.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    /// An `ssh_config` for the server, with the record in `files`. `lines` come first, and so take precedence.
    pub(super) fn config(&self, files: &Files, lines: &[String]) -> PathBuf {
        let mut all: Vec<String> = lines.to_vec();
        let path = |name: &str| files.path(name).display().to_string();
        all.extend([
            "HostName localhost".to_owned(),
            format!("UserKnownHostsFile {} {}", path("user"), path("user2")),
            format!("GlobalKnownHostsFile {}", path("global")),
            "HashKnownHosts no".to_owned(),
            "LogLevel VERBOSE".to_owned(),
        ]);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        self.sshd.login().ssh_config(self.sshd.port(), &all)
    }
}

impl Files {
    /// Writes the files, by name: `user`, `user2`, `global`, or another that an option names as
    /// `DIR/name`. One without content is a directory.
    pub(super) fn new(files: &[(&str, Option<String>)]) -> Self {
        let directory = TempDir::with_prefix("sockeye-kh-").expect("a temporary directory");
        for (name, content) in files {
            let path = directory.path().join(name);
            match content {
                Some(content) => fs::write(path, content).expect("a file"),
                None => fs::create_dir(path).expect("a directory"),
            }
        }
        Self { directory }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// An option with `DIR` replaced.
    pub(super) fn spell_out(&self, option: &str) -> String {
        option.replace("DIR", &self.directory.path().display().to_string())
    }

    /// The lines of a file, sorted.
    pub(super) fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

/// Hashes the host names in the lines of a file.
pub(super) fn hashed(text: &str) -> String {
    let directory = TempDir::with_prefix("sockeye-hash-").expect("a temporary directory");
    let file = directory.path().join("kh");
    fs::write(&file, text).expect("a file");
    ssh_keygen(&["-q", "-H"], Some(("-f", &file)));
    fs::read_to_string(&file).expect("the file")
}

fn make_key(login: &Login, name: &str, kind: &str) {
    let path = login.path(name);
    let _ = fs::remove_file(&path);
    let bits: &[&str] = if kind == "rsa" { &["-b", "2048"] } else { &[] };
    ssh_keygen(&[&["-q", "-N", "", "-C", name, "-t", kind], bits].concat(), Some(("-f", &path)));
}

fn certify(login: &Login, arguments: &[&str]) {
    let (ca, key) = (login.path(CA), login.path("host.pub"));
    let ca = ca.to_str().expect("UTF-8");
    let mut all = vec!["-q", "-s", ca, "-I", "an id"];
    all.extend(arguments);
    all.push(key.to_str().expect("UTF-8"));
    ssh_keygen(&all, None);
}

fn ssh_keygen(arguments: &[&str], path: Option<(&str, &Path)>) {
    let mut keygen = command("ssh-keygen");
    keygen.args(arguments);
    if let Some((flag, path)) = path {
        keygen.arg(flag).arg(path);
    }
    let output = keygen.output().expect("ssh-keygen");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ssh-keygen {arguments:?}: {said}");
}

/// The certificate authority.
pub(super) const CA: &str = "ca";
/// A key that no server has.
pub(super) const OTHER: &str = "other";
/// An ECDSA key, held by the server of [`Shows::TwoTypes`].
pub(super) const ECDSA: &str = "ecdsa";
/// An RSA key, held by the server of [`Shows::RsaToo`].
pub(super) const RSA: &str = "rsa";
