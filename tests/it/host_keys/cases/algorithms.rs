//! A configured `HostKeyAlgorithms`, compared with the record and with the server's keys.

use super::{Case, GOOD, authority, line, user};
use crate::host_keys::stage::{ECDSA, OTHER, RSA, Shows, Stage};

pub(super) fn all() -> Vec<Case> {
    let mut cases = plain();
    cases.extend(changed_lists());
    cases.extend(certificates());
    cases
}

fn plain() -> Vec<Case> {
    const ONLY_RSA: &[&str] = &["HostKeyAlgorithms rsa-sha2-512"];
    const ONLY_ED25519: &[&str] = &["HostKeyAlgorithms ssh-ed25519"];
    const ECDSA_FIRST: &[&str] = &["HostKeyAlgorithms ecdsa-sha2-nistp256,ssh-ed25519"];
    const NOT_THERE: &[&str] = &["HostKeyAlgorithms ecdsa-sha2-nistp521"];
    let both = |s: &Stage| line(s, "host") + &line(s, RSA);
    vec![
        with(ONLY_RSA, "only RSA, and the other is known", Shows::RsaToo, known, "RRRR"),
        with(ONLY_RSA, "only RSA, which is known", Shows::RsaToo, |s| line(s, RSA), "AAAA"),
        with(ONLY_RSA, "only RSA, and both are known", Shows::RsaToo, both, "AAAA"),
        with(ONLY_RSA, "only RSA, unknown", Shows::RsaToo, |_| String::new(), "RQAA"),
        with(ONLY_RSA, "only RSA, which it has not", Shows::Ed25519, known, "RRRR"),
        with(ONLY_ED25519, "no RSA, and only that is known", Shows::RsaToo, rsa_known, "RRRR"),
        with(ONLY_ED25519, "no RSA, which is all it has", Shows::Rsa, known, "RRRR"),
        with(ONLY_ED25519, "no RSA, and both are known", Shows::RsaToo, both, "AAAA"),
        with(ECDSA_FIRST, "an order, and the second is known", Shows::TwoTypes, known, "RRRR"),
        with(ECDSA_FIRST, "an order, and the first is known", Shows::TwoTypes, ecdsa, "AAAA"),
        with(ECDSA_FIRST, "an order, unknown", Shows::TwoTypes, |_| String::new(), "RQAA"),
        with(NOT_THERE, "a type that it has not", Shows::TwoTypes, ecdsa, "RRRR"),
    ]
}

/// Lists that modify OpenSSH's default.
fn changed_lists() -> Vec<Case> {
    const MORE: &[&str] = &["HostKeyAlgorithms +ssh-rsa"];
    const LESS: &[&str] = &["HostKeyAlgorithms -rsa-sha2-*"];
    const NO_ECDSA: &[&str] = &["HostKeyAlgorithms -ecdsa-*"];
    const FRONT: &[&str] = &["HostKeyAlgorithms ^rsa-sha2-256"];
    vec![
        with(MORE, "one more, and the second is known", Shows::TwoTypes, ecdsa, "AAAA"),
        with(MORE, "one more, and RSA is known", Shows::RsaToo, rsa_known, "AAAA"),
        with(LESS, "without RSA, and the second is known", Shows::TwoTypes, ecdsa, "AAAA"),
        with(LESS, "without RSA, which is known", Shows::RsaToo, rsa_known, "RRRR"),
        with(NO_ECDSA, "without ECDSA, which is known", Shows::TwoTypes, ecdsa, "RRRR"),
        with(FRONT, "one in front, and another is known", Shows::RsaToo, known, "RRRR"),
        with(FRONT, "one in front, which is known", Shows::RsaToo, rsa_known, "AAAA"),
    ]
}

fn certificates() -> Vec<Case> {
    const ONLY: &[&str] = &["HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com"];
    const OF_RSA: &[&str] = &["HostKeyAlgorithms rsa-sha2-512-cert-v01@openssh.com"];
    const NONE: &[&str] = &["HostKeyAlgorithms ssh-ed25519"];
    const EXPIRED: Shows =
        Shows::Certificate(&["-h", "-n", "localhost", "-V", "20000101000000:20010101000000"]);
    vec![
        with(ONLY, "only certificates", GOOD, authority, "AAAA"),
        with(ONLY, "only certificates, and only the key is known", GOOD, known, "AAAA"),
        with(ONLY, "only certificates, and the key has changed", GOOD, changed, "RRRR"),
        with(ONLY, "only certificates, unknown", GOOD, |_| String::new(), "RQAA"),
        with(ONLY, "only certificates, and there is a plain key", Shows::Ed25519, known, "RRRR"),
        with(ONLY, "only certificates, expired", EXPIRED, authority, "RQAA"),
        with(OF_RSA, "only certificates of another type", GOOD, authority, "RRRR"),
        with(NONE, "no certificates, and only the authority is known", GOOD, authority, "RQAA"),
        with(NONE, "no certificates, and the key is known", GOOD, known, "AAAA"),
    ]
}

fn with(
    options: &'static [&'static str],
    name: &'static str,
    shows: Shows,
    content: fn(&Stage) -> String,
    ssh: &'static str,
) -> Case {
    Case { options, ..user(name, shows, content, ssh) }
}

fn known(stage: &Stage) -> String {
    line(stage, "host")
}

fn changed(stage: &Stage) -> String {
    line(stage, OTHER)
}

fn rsa_known(stage: &Stage) -> String {
    line(stage, RSA)
}

fn ecdsa(stage: &Stage) -> String {
    line(stage, ECDSA)
}
