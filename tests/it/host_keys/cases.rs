//! The table: what a server shows, what the files say, and what OpenSSH 9.2 makes of it.

use super::stage::{CA, ECDSA, OTHER, Shows, Stage, hashed};

mod algorithms;

/// A case.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) shows: Shows,
    pub(super) files: Content,
    /// Further lines of `ssh_config`; `DIR` is where the files are.
    pub(super) options: &'static [&'static str],
    /// What `ssh` does with `StrictHostKeyChecking` yes, ask, accept-new and no: Accepts, Refuses or
    /// asks (Q).
    pub(super) ssh: &'static str,
    pub(super) ours: OursWhere,
}

/// The name of a file, and its content or a directory in its place.
pub(super) type NamedFile = (&'static str, Option<String>);

/// The files that speak of the server.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// The user's first.
    User(fn(&Stage) -> String),
    /// Several, by their names; one without a content is a directory.
    Several(fn(&Stage) -> Vec<NamedFile>),
}

impl Content {
    pub(super) fn of(self, stage: &Stage) -> Vec<NamedFile> {
        match self {
            Self::User(content) => vec![("user", Some(content(stage)))],
            Self::Several(files) => files(stage),
        }
    }
}

/// What is ours to do.
pub(super) enum OursWhere {
    /// The same.
    Same,
    /// Refuse, for this reason, where `ssh` may be softer.
    Refused(#[expect(dead_code, reason = "for who reads the table")] &'static str),
}

pub(super) fn all() -> Vec<Case> {
    let mut cases = plain();
    cases.extend(names());
    cases.extend(files());
    cases.extend(types());
    cases.extend(algorithms::all());
    cases.extend(certificates());
    cases.extend(authorities());
    cases.extend(revocations());
    cases
}

fn plain() -> Vec<Case> {
    vec![
        user("known", Shows::Ed25519, |s| line(s, "host"), "AAAA"),
        user("unknown", Shows::Ed25519, |_| String::new(), "RQAA"),
        user("changed", Shows::Ed25519, |s| line(s, OTHER), "RRRR"),
        user("one of two", Shows::Ed25519, |s| line(s, OTHER) + &line(s, "host"), "AAAA"),
        user(
            "revoked",
            Shows::Ed25519,
            |s| line(s, "host") + &format!("@revoked * {}\n", s.key("host")),
            "RRRR",
        ),
        user(
            "another key revoked",
            Shows::Ed25519,
            |s| format!("@revoked * {}\n", s.key(OTHER)),
            "RQAA",
        ),
        user(
            "revoked for another host",
            Shows::Ed25519,
            |s| line(s, "host") + &format!("@revoked elsewhere {}\n", s.key("host")),
            "AAAA",
        ),
        user(
            "an authority's key is no host's key",
            Shows::Ed25519,
            |s| format!("@cert-authority * {}\n", s.key("host")),
            "RQAA",
        ),
    ]
}

fn names() -> Vec<Case> {
    const OTHER_CASE: &[&str] = &["HostKeyAlias The-Alias"];
    let of = |name, files: fn(&Stage) -> String, ssh| user(name, Shows::Ed25519, files, ssh);
    vec![
        of("hashed", |s| hashed(&line(s, "host")), "AAAA"),
        of("hashed, another key", |s| hashed(&line(s, OTHER)), "RRRR"),
        of("hashed, another name", |s| hashed(&named("[localhost]:1", s, "host")), "RQAA"),
        of("upper case", |s| named(&s.name().to_uppercase(), s, "host"), "AAAA"),
        of("wildcard", |s| named("[local*]:*", s, "host"), "AAAA"),
        of("wildcard for everything", |s| named("*", s, "host"), "AAAA"),
        of("wildcard, another key", |s| named("[local*]:*", s, OTHER), "RRRR"),
        of("question marks", |s| named("[l?calhos?]:*", s, "host"), "AAAA"),
        of("question mark too many", |s| named("[localhost?]:*", s, "host"), "RQAA"),
        of("negated", |s| named(&format!("*,!localhost,!{}", s.name()), s, "host"), "RQAA"),
        of("negated first", |s| named("![local*]:*,!local*,*", s, "host"), "RQAA"),
        of("negated with its port only", |s| named("*,![localhost]:*", s, "host"), "AAAA"),
        of("negated for another host", |s| named("*,!elsewhere", s, "host"), "AAAA"),
        of("in a list", |s| named(&format!("a,{},b", s.name()), s, "host"), "AAAA"),
        of("bare name on another port", |s| named("localhost", s, "host"), "AAAA"),
        of("bare name with another key", |s| named("localhost", s, OTHER), "RQAA"),
        of("another port", |s| named("[localhost]:1", s, OTHER), "RQAA"),
        of("an address", |s| named("127.0.0.1", s, OTHER), "RQAA"),
        Case {
            options: &["HostKeyAlias the-alias"],
            ..of("alias", |s| named("the-alias", s, "host"), "AAAA")
        },
        Case {
            options: &["HostKeyAlias the-alias"],
            ..of("alias, and only the name is on record", |s| line(s, "host"), "RQAA")
        },
        Case {
            options: &["HostKeyAlias the-alias"],
            ..of("alias, another key", |s| named("the-alias", s, OTHER), "RRRR")
        },
        Case {
            options: OTHER_CASE,
            ..of("alias in another case", |s| named("the-alias", s, "host"), "AAAA")
        },
        Case {
            options: &["CheckHostIP no"],
            ..of("no check of the address", |s| line(s, "host"), "AAAA")
        },
    ]
}

fn files() -> Vec<Case> {
    vec![
        Case {
            files: Content::Several(|_| Vec::new()),
            ..user("no file", Shows::Ed25519, |_| String::new(), "RQAA")
        },
        Case {
            files: Content::Several(|s| vec![("user2", Some(line(s, "host")))]),
            ..user("second file", Shows::Ed25519, |_| String::new(), "AAAA")
        },
        Case {
            files: Content::Several(|s| vec![("global", Some(line(s, "host")))]),
            ..user("global file", Shows::Ed25519, |_| String::new(), "AAAA")
        },
        Case {
            files: Content::Several(|s| {
                vec![("user", Some(line(s, OTHER))), ("global", Some(line(s, "host")))]
            }),
            ..user("one key in each file", Shows::Ed25519, |_| String::new(), "AAAA")
        },
        Case {
            files: Content::Several(|s| vec![("global", Some(line(s, OTHER)))]),
            ..user("changed in the global file", Shows::Ed25519, |_| String::new(), "RRRR")
        },
        Case {
            files: Content::Several(|s| {
                let revoked = format!("@revoked {} {}\n", s.name(), s.key("host"));
                vec![("user", Some(line(s, "host"))), ("global", Some(revoked))]
            }),
            ..user("revoked in the global file", Shows::Ed25519, |_| String::new(), "RRRR")
        },
        user(
            "broken lines around the right one",
            Shows::Ed25519,
            |s| {
                let key = s.key("host");
                format!("localhost\n{} {key}x\nssh-ed25519\n", s.name())
                    + &line(s, "host")
                    + "!@#\n"
            },
            "AAAA",
        ),
        user(
            "its own line is broken",
            Shows::Ed25519,
            |s| format!("{} ssh-ed25519 AAAA\n", s.name()),
            "RQAA",
        ),
        user(
            "its own line has a marker that is not known",
            Shows::Ed25519,
            |s| format!("@trusted {} {}\n", s.name(), s.key("host")),
            "RQAA",
        ),
        user(
            "its own line has a type that is not known",
            Shows::Ed25519,
            |s| format!("{} ssh-new AAAAB3NzaC1uZXc=\n", s.name()),
            "RQAA",
        ),
        user(
            "blanks and comments",
            Shows::Ed25519,
            |s| format!("# a comment\n\n \t{}\t  {} by hand # x\r\n", s.name(), s.key("host")),
            "AAAA",
        ),
        Case {
            ours: OursWhere::Refused("a file that cannot be read may have a key of this host"),
            files: Content::Several(|_| vec![("user", None)]),
            ..user("a directory in the file's place", Shows::Ed25519, |_| String::new(), "RQAA")
        },
        Case {
            options: &["UserKnownHostsFile none"],
            ..user("no user file", Shows::Ed25519, |_| String::new(), "RRRR")
        },
        Case {
            options: &["UserKnownHostsFile none"],
            files: Content::Several(|s| vec![("global", Some(line(s, "host")))]),
            ..user("no user file, and known", Shows::Ed25519, |_| String::new(), "AAAA")
        },
        Case {
            options: &["UserKnownHostsFile /dev/null"],
            ..user("nothing is kept", Shows::Ed25519, |_| String::new(), "RQAA")
        },
    ]
}

fn types() -> Vec<Case> {
    vec![
        user("another type, which it has", Shows::TwoTypes, |s| line(s, ECDSA), "AAAA"),
        user("another type, which it has not", Shows::Ed25519, |s| line(s, ECDSA), "RRRR"),
        user(
            "both types, and one has changed",
            Shows::TwoTypes,
            |s| line(s, ECDSA) + &line(s, OTHER),
            "RRRR",
        ),
        user("RSA", Shows::Rsa, |s| line(s, "host"), "AAAA"),
        user("RSA, unknown", Shows::Rsa, |_| String::new(), "RQAA"),
        Case {
            options: &["RequiredRSASize 3072"],
            ..user("RSA, too small", Shows::Rsa, |s| line(s, "host"), "RRRR")
        },
    ]
}

fn certificates() -> Vec<Case> {
    const SECOND: Shows = Shows::Certificate(&["-h", "-n", "a,localhost,b"]);
    const OTHERS: Shows = Shows::Certificate(&["-h", "-n", "elsewhere"]);
    const UPPER: Shows = Shows::Certificate(&["-h", "-n", "LOCALHOST"]);
    const PORT: Shows = Shows::Certificate(&["-h", "-n", "[localhost]:22"]);
    const NOBODY: Shows = Shows::Certificate(&["-h"]);
    const EXPIRED: Shows =
        Shows::Certificate(&["-h", "-n", "localhost", "-V", "20000101000000:20010101000000"]);
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
    const EXPIRED: Shows =
        Shows::Certificate(&["-h", "-n", "localhost", "-V", "20000101000000:20010101000000"]);
    const OTHERS: Shows = Shows::Certificate(&["-h", "-n", "elsewhere"]);
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
        Case {
            options: &["HostKeyAlias elsewhere"],
            ..user(
                "certificate for the alias",
                OTHERS,
                |s| format!("@cert-authority elsewhere {}\n", s.key(CA)),
                "AAAA",
            )
        },
        Case {
            options: &["HostKeyAlias Elsewhere"],
            ..user(
                "certificate for the alias in another case",
                OTHERS,
                |s| format!("@cert-authority elsewhere {}\n", s.key(CA)),
                "AAAA",
            )
        },
        Case {
            options: &["HostKeyAlias elsewhere"],
            ..user(
                "certificate for the name, with an alias",
                GOOD,
                |s| format!("@cert-authority * {}\n", s.key(CA)),
                "RQAA",
            )
        },
        Case {
            options: &["CASignatureAlgorithms rsa-sha2-512"],
            ..user("certificate with a signature that is not allowed", GOOD, authority, "RQAA")
        },
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

/// A case with a user's file alone.
fn user(
    name: &'static str,
    shows: Shows,
    content: fn(&Stage) -> String,
    ssh: &'static str,
) -> Case {
    Case { name, shows, files: Content::User(content), options: &[], ssh, ours: OursWhere::Same }
}

/// A line for the server with one of the keys.
fn line(stage: &Stage, key: &str) -> String {
    named(&stage.name(), stage, key)
}

fn named(names: &str, stage: &Stage, key: &str) -> String {
    format!("{names} {}\n", stage.key(key))
}

/// A line that trusts the authority for the server.
fn authority(stage: &Stage) -> String {
    format!("@cert-authority {} {}\n", stage.name(), stage.key(CA))
}

fn hashed_authority(stage: &Stage) -> String {
    let plain = hashed(&line(stage, CA));
    format!("@cert-authority {plain}")
}

/// The server is known, its authority too, and a file of revoked keys has this line.
fn revoking(stage: &Stage, line_of_file: String) -> Vec<NamedFile> {
    vec![("user", Some(authority(stage) + &line(stage, "host"))), ("revoked", Some(line_of_file))]
}

/// A server with a certificate that is in order.
const GOOD: Shows = Shows::Certificate(&["-h", "-n", "localhost"]);
