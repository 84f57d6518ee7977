//! The meaning of a single line: its key, name and type.

use super::{Case, line, named, user};
use crate::host_keys::stage::{ECDSA, OTHER, Shows, Stage, hashed};

pub(super) fn all() -> Vec<Case> {
    [plain(), names(), aliases(), types()].into_iter().flatten().collect()
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
            options: &["CheckHostIP no"],
            ..of("no check of the address", |s| line(s, "host"), "AAAA")
        },
    ]
}

fn aliases() -> Vec<Case> {
    const ALIAS: &[&str] = &["HostKeyAlias the-alias"];
    const OTHER_CASE: &[&str] = &["HostKeyAlias The-Alias"];
    let of = |options, name, files: fn(&Stage) -> String, ssh| Case {
        options,
        ..user(name, Shows::Ed25519, files, ssh)
    };
    vec![
        of(ALIAS, "alias", |s| named("the-alias", s, "host"), "AAAA"),
        of(ALIAS, "alias, and only the name is on record", |s| line(s, "host"), "RQAA"),
        of(ALIAS, "alias, another key", |s| named("the-alias", s, OTHER), "RRRR"),
        of(OTHER_CASE, "alias in another case", |s| named("the-alias", s, "host"), "AAAA"),
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
