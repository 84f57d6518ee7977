//! Which files are read, and invalid lines in them.

use super::{Case, Content, NamedFile, OursWhere, line, user};
use crate::host_keys::stage::{OTHER, Shows, Stage};

pub(super) fn all() -> Vec<Case> {
    [several(), without_one_of_the_user(), broken_lines()].into_iter().flatten().collect()
}

fn several() -> Vec<Case> {
    vec![
        of("no file", |_| Vec::new(), "RQAA"),
        of("second file", |s| vec![("user2", Some(line(s, "host")))], "AAAA"),
        of("global file", |s| vec![("global", Some(line(s, "host")))], "AAAA"),
        of(
            "one key in each file",
            |s| vec![("user", Some(line(s, OTHER))), ("global", Some(line(s, "host")))],
            "AAAA",
        ),
        of("changed in the global file", |s| vec![("global", Some(line(s, OTHER)))], "RRRR"),
        of(
            "revoked in the global file",
            |s| {
                let revoked = format!("@revoked {} {}\n", s.name(), s.key("host"));
                vec![("user", Some(line(s, "host"))), ("global", Some(revoked))]
            },
            "RRRR",
        ),
        Case {
            ours: OursWhere::Refused("a file that cannot be read may have a key of this host"),
            ..of("a directory in the file's place", |_| vec![("user", None)], "RQAA")
        },
    ]
}

fn without_one_of_the_user() -> Vec<Case> {
    const NONE: &[&str] = &["UserKnownHostsFile none"];
    const NULL: &[&str] = &["UserKnownHostsFile /dev/null"];
    let with = |options, case| Case { options, ..case };
    vec![
        with(NONE, of("no user file", |_| vec![("user", Some(String::new()))], "RRRR")),
        with(
            NONE,
            of("no user file, and known", |s| vec![("global", Some(line(s, "host")))], "AAAA"),
        ),
        with(NULL, of("nothing is kept", |_| vec![("user", Some(String::new()))], "RQAA")),
    ]
}

fn broken_lines() -> Vec<Case> {
    let of = |name, content: fn(&Stage) -> String, ssh| user(name, Shows::Ed25519, content, ssh);
    vec![
        of(
            "broken lines around the right one",
            |s| {
                let key = s.key("host");
                format!("localhost\n{} {key}x\nssh-ed25519\n", s.name())
                    + &line(s, "host")
                    + "!@#\n"
            },
            "AAAA",
        ),
        of("its own line is broken", |s| format!("{} ssh-ed25519 AAAA\n", s.name()), "RQAA"),
        of(
            "its own line has a marker that is not known",
            |s| format!("@trusted {} {}\n", s.name(), s.key("host")),
            "RQAA",
        ),
        of(
            "its own line has a type that is not known",
            |s| format!("{} ssh-new AAAAB3NzaC1uZXc=\n", s.name()),
            "RQAA",
        ),
        of(
            "blanks and comments",
            |s| format!("# a comment\n\n \t{}\t  {} by hand # x\r\n", s.name(), s.key("host")),
            "AAAA",
        ),
    ]
}

fn of(name: &'static str, files: fn(&Stage) -> Vec<NamedFile>, ssh: &'static str) -> Case {
    Case { files: Content::Several(files), ..user(name, Shows::Ed25519, |_| String::new(), ssh) }
}
