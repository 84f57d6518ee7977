//! Files written by `ssh-keygen` and OpenSSL: what `ssh` loads is loaded, or is rejected before anybody is
//! asked for a passphrase that could not decrypt it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::key_file::{KeyProblem, decode};

/// The expected result for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// Only its passphrase decrypts it.
    Opens,
    /// It is rejected without a passphrase.
    Rejected,
}

fn run(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    let command = command.args(args).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::null()).status().expect("it is installed").success()
}

fn check(file: &Path, expected: Expected) {
    let text = std::fs::read_to_string(file).expect("written");
    let without = decode(&text, None).expect_err("it has a passphrase");
    match expected {
        Expected::Opens => {
            assert_eq!(without, KeyProblem::Locked, "{}", file.display());
            let wrong = decode(&text, Some("wrong")).expect_err("another passphrase");
            assert_eq!(wrong, KeyProblem::Locked, "{}", file.display());
            if let Err(problem) = decode(&text, Some(PASSPHRASE)) {
                panic!("{}: {problem:?}", file.display());
            }
        }
        Expected::Rejected => {
            let KeyProblem::Unreadable(why) = without else { panic!("{}", file.display()) };
            assert!(why.contains("not available here"), "{}: {why}", file.display());
        }
    }
}

struct Keys(tempfile::TempDir);

impl Keys {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// An unencrypted key in a format of `ssh-keygen -m`.
    fn make(&self, name: &str, kind: &str, format: &str) -> PathBuf {
        let path = self.path(name);
        let file = path.to_str().expect("UTF-8");
        assert!(run("ssh-keygen", &["-q", "-N", "", "-t", kind, "-f", file]), "{kind}");
        assert!(run("ssh-keygen", &["-q", "-p", "-P", "", "-N", "", "-m", format, "-f", file]));
        path
    }

    /// A key converted by OpenSSL.
    fn openssl(&self, command: &str, key: &Path, args: &[&str]) -> PathBuf {
        let out = self.path("out");
        let mut all = vec![command];
        all.extend(args);
        let (key, file) = (key.to_str().expect("UTF-8"), out.to_str().expect("UTF-8"));
        let pass = format!("pass:{PASSPHRASE}");
        all.extend(["-in", key, "-out", file, "-passout", &pass]);
        assert!(run("openssl", &all), "{all:?}");
        out
    }
}

#[test]
#[ignore = "needs ssh-keygen"]
fn what_ssh_keygen_writes() {
    let keys = Keys(tempfile::tempdir().expect("a place"));
    let ciphers = Command::new("ssh").args(["-Q", "cipher"]).output().expect("ssh");
    let ciphers = String::from_utf8(ciphers.stdout).expect("names");
    assert!(ciphers.contains("3des-cbc"), "{ciphers}");
    let path = keys.make("ed25519", "ed25519", "RFC4716");
    let file = path.to_str().expect("UTF-8");
    let mut now = "";
    for cipher in ciphers.lines() {
        let args = ["-q", "-p", "-P", now, "-N", PASSPHRASE, "-Z", cipher, "-f", file];
        assert!(run("ssh-keygen", &args), "{cipher}");
        check(&path, Expected::Opens);
        now = PASSPHRASE;
    }
    for (kind, format) in [("rsa", "PEM"), ("rsa", "PKCS8"), ("ecdsa", "PEM"), ("ecdsa", "PKCS8")] {
        let path = keys.make(&format!("{kind}-{format}"), kind, format);
        let file = path.to_str().expect("UTF-8");
        assert!(run(
            "ssh-keygen",
            &["-q", "-p", "-P", "", "-N", PASSPHRASE, "-m", format, "-f", file]
        ));
        check(&path, Expected::Opens);
    }
}

#[test]
#[ignore = "needs ssh-keygen and openssl"]
fn what_openssl_writes() {
    use Expected::{Opens, Rejected};
    let keys = Keys(tempfile::tempdir().expect("a place"));
    let key = keys.make("ecdsa", "ecdsa", "PKCS8");
    for (args, expected) in [
        (&["-v2", "aes-128-cbc"][..], Opens),
        (&["-v2", "aes-192-cbc"], Opens),
        (&["-v2", "aes-256-cbc"], Opens),
        (&["-v2", "des-ede3-cbc"], Opens),
        (&["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA1"], Opens),
        (&["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA224"], Opens),
        (&["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA384"], Opens),
        (&["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512"], Opens),
        (&["-v2", "des-ede3-cbc", "-v2prf", "hmacWithSHA1"], Opens),
        (&["-scrypt"], Opens),
        (&["-v2", "camellia-256-cbc"], Rejected),
        (&["-v1", "PBE-SHA1-3DES"], Rejected),
        (&["-v1", "PBE-SHA1-2DES"], Rejected),
    ] {
        let args = [&["-topk8"], args].concat();
        check(&keys.openssl("pkcs8", &key, &args), expected);
    }
    for (cipher, expected) in
        [("-aes128", Opens), ("-aes256", Opens), ("-des3", Opens), ("-camellia256", Rejected)]
    {
        check(&keys.openssl("ec", &key, &[cipher]), expected);
    }
}

const PASSPHRASE: &str = "open sesame";
