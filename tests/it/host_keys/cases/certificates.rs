//! Host certificates, their authorities, and revocations.

use super::{Case, Content, GOOD, NamedFile, authority, line, user};
use crate::host_keys::stage::{CA, OTHER, Shows, Stage, hashed};

pub(super) fn all() -> Vec<Case> {
    let cases = [certificates(), authorities(), beside_keys(), aliases(), revocations()];
    cases.into_iter().flatten().collect()
}

fn certificates() -> Vec<Case> {
    const SECOND: Shows = Shows::Certificate(&["-h", "-n", "a,localhost,b"]);
    const OTHERS: Shows = Shows::Certificate(&["-h", "-n", "elsewhere"]);
    const UPPER: Shows = Shows::Certificate(&["-h", "-n", "LOCALHOST"]);
    const PORT: Shows = Shows::Certificate(&["-h", "-n", "[localhost]:22"]);
    const NOBODY: Shows = Shows::Certificate(&["-h"]);
    const EARLY: Shows =
        Shows::Certificate(&["-h", "-n", "localhost", "-V", "20990101000000:21000101000000"]);
    const CRITICAL: Shows =
        Shows::Certificate(&["-h", "-n", "localhost", "-O", "critical:new@example.com=x"]);
    const EXTENSION: Shows =
        Shows::Certificate(&["-h", "-n", "localhost", "-O", "extension:new@example.com=x"]);
    const USER: Shows = Shows::Certificate(&["-n", "localhost"]);
    let of = |name, shows, ssh| user(name, shows, authority, ssh);
    vec![
        of("certificate", GOOD, "AAAA"),
        of("certificate for several names", SECOND, "AAAA"),
        of("certificate for another name", OTHERS, "RQAA"),
        of("certificate for the name in upper case", UPPER, "RQAA"),
        of("certificate for a name with its port", PORT, "RQAA"),
        of("certificate for no name", NOBODY, "AAAA"),
        of("certificate, expired", EXPIRED, "RQAA"),
        of("certificate, not valid yet", EARLY, "RQAA"),
        of("certificate with a critical option", CRITICAL, "RQAA"),
        of("certificate with an extension", EXTENSION, "AAAA"),
        of("certificate of a user", USER, "RQAA"),
    ]
}

fn authorities() -> Vec<Case> {
    vec![
        user("authority of all", GOOD, |s| format!("@cert-authority * {}\n", s.key(CA)), "AAAA"),
        user("authority, hashed", GOOD, hashed_authority, "AAAA"),
        user(
            "authority of the bare name",
            GOOD,
            |s| format!("@cert-authority localhost {}\n", s.key(CA)),
            "AAAA",
        ),
        user(
            "authority of another name",
            GOOD,
            |s| format!("@cert-authority elsewhere {}\n", s.key(CA)),
            "RQAA",
        ),
        user(
            "another authority",
            GOOD,
            |s| format!("@cert-authority * {}\n", s.key(OTHER)),
            "RQAA",
        ),
        Case {
            options: &["CASignatureAlgorithms rsa-sha2-512"],
            ..user("certificate with a signature that is not allowed", GOOD, authority, "RQAA")
        },
    ]
}

/// Records of the certified key itself.
fn beside_keys() -> Vec<Case> {
    vec![
        user("the authority is on record as a host", GOOD, |s| line(s, CA), "RRRR"),
        user("certificate, and the key is known", GOOD, |s| line(s, "host"), "AAAA"),
        user("certificate, and the key has changed", GOOD, |s| line(s, OTHER), "RRRR"),
        user(
            "certificate, whatever the plain keys",
            GOOD,
            |s| authority(s) + &line(s, OTHER),
            "AAAA",
        ),
        user(
            "certificate, expired, and known",
            EXPIRED,
            |s| authority(s) + &line(s, "host"),
            "AAAA",
        ),
        user(
            "certificate, expired, and changed",
            EXPIRED,
            |s| authority(s) + &line(s, OTHER),
            "RRRR",
        ),
    ]
}

fn aliases() -> Vec<Case> {
    const OTHERS: Shows = Shows::Certificate(&["-h", "-n", "elsewhere"]);
    const ALIAS: &[&str] = &["HostKeyAlias elsewhere"];
    const OTHER_CASE: &[&str] = &["HostKeyAlias Elsewhere"];
    fn elsewhere(stage: &Stage) -> String {
        format!("@cert-authority elsewhere {}\n", stage.key(CA))
    }
    let of = |options, name, shows, content: fn(&Stage) -> String, ssh| Case {
        options,
        ..user(name, shows, content, ssh)
    };
    vec![
        of(ALIAS, "certificate for the alias", OTHERS, elsewhere, "AAAA"),
        of(OTHER_CASE, "certificate for the alias in another case", OTHERS, elsewhere, "AAAA"),
        of(
            ALIAS,
            "certificate for the name, with an alias",
            GOOD,
            |s| format!("@cert-authority * {}\n", s.key(CA)),
            "RQAA",
        ),
    ]
}

fn revocations() -> Vec<Case> {
    const FILE: &[&str] = &["RevokedHostKeys DIR/revoked"];
    let of = |name, shows, files, ssh| {
        let files = Content::Several(files);
        Case { files, options: FILE, ..user(name, shows, authority, ssh) }
    };
    vec![
        user(
            "authority revoked",
            GOOD,
            |s| authority(s) + &format!("@revoked * {}\n", s.key(CA)),
            "RRRR",
        ),
        user(
            "authority revoked, and not on record",
            GOOD,
            |s| format!("@revoked * {}\n", s.key(CA)),
            "RRRR",
        ),
        user(
            "the key in the certificate revoked",
            GOOD,
            |s| authority(s) + &format!("@revoked * {}\n", s.key("host")),
            "RRRR",
        ),
        of("revoked by a file", Shows::Ed25519, |s| revoking(s, s.key("host")), "RRRR"),
        of("another key revoked by a file", Shows::Ed25519, |s| revoking(s, s.key(OTHER)), "AAAA"),
        of("authority revoked by a file", GOOD, |s| revoking(s, s.key(CA)), "RRRR"),
        of("revoking nothing", Shows::Ed25519, |s| revoking(s, "# nothing\n\n".into()), "AAAA"),
        of(
            "a broken line before",
            Shows::Ed25519,
            |s| revoking(s, "ssh-ed25519 x\n".into()),
            "RRRR",
        ),
        of(
            "no file of revoked keys",
            Shows::Ed25519,
            |s| vec![("user", Some(line(s, "host")))],
            "RRRR",
        ),
    ]
}

fn hashed_authority(stage: &Stage) -> String {
    let plain = hashed(&line(stage, CA));
    format!("@cert-authority {plain}")
}

/// The server and its authority are known, and a file of revoked keys contains this line.
fn revoking(stage: &Stage, line_of_file: String) -> Vec<NamedFile> {
    vec![("user", Some(authority(stage) + &line(stage, "host"))), ("revoked", Some(line_of_file))]
}

const EXPIRED: Shows =
    Shows::Certificate(&["-h", "-n", "localhost", "-V", "20000101000000:20010101000000"]);
