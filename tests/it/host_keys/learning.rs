//! Additions to the record of host keys, and removals from it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::stage::{CA, ECDSA, Files, OTHER, Shows, Stage};
use crate::support::login::HOST;
use crate::support::program::{Sockeye, program};
use crate::support::{command, wait};

#[test]
#[ignore = "needs sshd"]
fn eight_processes_that_learn_a_host_at_once_leave_one_line() {
    let stage = Stage::new(Shows::TwoTypes);
    for hashing in ["no", "yes"] {
        let before = format!("elsewhere {}", stage.key(OTHER));
        // The last line lacks a newline, and the file is reached through a symbolic link.
        let files = Files::new(&[("real", Some(before.clone()))]);
        symlink(files.path("real"), files.path("user")).expect("a link");
        let mode = fs::Permissions::from_mode(0o640);
        fs::set_permissions(files.path("real"), mode).expect("a mode");
        let lines =
            ["StrictHostKeyChecking accept-new".into(), format!("HashKnownHosts {hashing}")];
        let config = stage.config(&files, &lines);
        let start = || {
            let mut command = program();
            command.arg("-F").arg(&config).args(["-D", "127.0.0.1:0", HOST]);
            Sockeye::spawn(command)
        };
        let eight: Vec<Sockeye> = std::iter::repeat_with(start).take(8).collect();
        for proxy in &eight {
            proxy.wait_for_log("connected to ");
        }
        drop(eight);

        let text = fs::read_to_string(files.path("real")).expect("the record");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert_eq!(lines[0], before);
        assert!(text.ends_with('\n') && lines[1].contains(&stage.key("host")), "{text}");
        assert_eq!(lines[1].starts_with("|1|"), hashing == "yes", "{text}");
        let found = command("ssh-keygen")
            .args(["-F", &stage.name(), "-f"])
            .arg(files.path("real"))
            .output()
            .expect("ssh-keygen");
        let found = String::from_utf8_lossy(&found.stdout).into_owned();
        assert_eq!(found.matches("found: line 2").count(), 1, "{found}");
        assert!(files.path("user").is_symlink());
        let mode = fs::metadata(files.path("real")).expect("the record").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        let left = fs::read_dir(files.path("")).expect("a directory").count();
        assert_eq!(left, 2, "nothing else is left there");
    }
}

/// `UpdateHostKeys` changes a record in the same way as with `ssh`.
#[test]
#[ignore = "needs sshd"]
fn the_record_follows_the_server_as_with_ssh() {
    let stage = Stage::new(Shows::TwoTypes);
    let (name, host) = (stage.name(), stage.key("host"));
    let known = format!("{name} {host}\n");
    let obsolete = format!("{name} {}\n", stage.key(OTHER));
    let rest = format!("# a comment\nbroken\nelsewhere {}\n", stage.key(CA));
    let records = [
        ("one of two keys", known.clone() + &rest, Follows::Yes),
        ("an obsolete key, too", known.clone() + &obsolete + &rest, Follows::Yes),
        ("an address beside it", format!("{name},127.0.0.1 {host}\n"), Follows::Yes),
        ("both keys", known.clone() + &format!("{name} {}\n", stage.key(ECDSA)), Follows::No),
        ("a wildcard", format!("[local*]:* {host}\n"), Follows::No),
        ("a list of three", format!("a,{name},b {host}\n"), Follows::No),
        ("the bare name", format!("localhost {host}\n"), Follows::No),
        ("the key under another name", known.clone() + &format!("b {host}\n"), Follows::No),
        (
            "the obsolete key under another name",
            known.clone() + &obsolete + &format!("b {}\n", stage.key(OTHER)),
            Follows::No,
        ),
        (
            "an authority for the host",
            known.clone() + &format!("@cert-authority {name} {}\n", stage.key(CA)),
            Follows::No,
        ),
        (
            "an authority for others",
            known.clone() + &format!("@cert-authority x {}\n", stage.key(CA)),
            Follows::Yes,
        ),
    ];
    for (what, record, follows) in records {
        compare(&stage, what, &[("user", record.clone())], &[], follows);
        compare(&stage, what, &[("user", record)], &["UpdateHostKeys no"], Follows::No);
    }
    compare(&stage, "only the global file", &[("global", known.clone())], &[], Follows::No);
    let two = [("user", rest), ("user2", known.clone() + &obsolete)];
    compare(&stage, "the second file", &two, &[], Follows::Yes);
    compare(&stage, "a new host", &[], &["StrictHostKeyChecking accept-new"], Follows::New);
}

/// The change to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    Yes,
    No,
    /// Only the host itself is added.
    New,
}

fn compare(
    stage: &Stage,
    what: &str,
    record: &[(&'static str, String)],
    options: &[&str],
    follows: Follows,
) {
    let record: Vec<_> = record.iter().map(|(name, text)| (*name, Some(text.clone()))).collect();
    let look = || {
        let files = Files::new(&record);
        let mut lines: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
        lines.push("UpdateHostKeys yes".into());
        let config = stage.config(&files, &lines);
        (files, config)
    };
    let (theirs, config) = look();
    // ssh updates the record during the session, if at all, and logs it at this level.
    let ssh = command("ssh").arg("-F").arg(&config).args([HOST, "sleep", "0.5"]).output();
    let ssh = ssh.expect("ssh");
    assert!(ssh.status.success(), "{what}: {}", String::from_utf8_lossy(&ssh.stderr));

    let (ours, config) = look();
    let proxy = Sockeye::with(&config, &["-v"]);
    proxy.wait_for_log("announced host keys");
    for name in ["user", "user2", "global"] {
        assert_eq!(ours.lines(name), theirs.lines(name), "{what}: {name}\n{}", proxy.log());
    }
    let changed = record.iter().any(|(name, text)| {
        let before = Files::new(&[(*name, text.clone())]);
        before.lines(name) != ours.lines(name)
    });
    assert_eq!(changed, follows == Follows::Yes, "{what}");
    let learned = ours.lines("user").iter().any(|line| line.contains(&stage.key(ECDSA)));
    assert!(learned || follows != Follows::Yes, "{what}");
    if follows == Follows::New {
        assert_eq!(ours.lines("user").len(), 1, "{what}");
    }
}

/// An updated record keeps its mode, and the previous version is saved next to it.
#[test]
#[ignore = "needs sshd"]
fn the_previous_record_is_saved() {
    let stage = Stage::new(Shows::TwoTypes);
    let before = format!("{} {}\n", stage.name(), stage.key("host"));
    let files = Files::new(&[("user", Some(before.clone()))]);
    let mode = fs::Permissions::from_mode(0o644);
    fs::set_permissions(files.path("user"), mode).expect("a mode");
    let lines = ["UpdateHostKeys yes".into(), "HashKnownHosts yes".into()];
    let proxy = Sockeye::start(&stage.config(&files, &lines));
    wait::until("the key is learned", || files.lines("user").len() == 2);
    drop(proxy);
    let old = fs::read_to_string(files.path("user.old")).expect("the old record");
    assert_eq!(old, before);
    assert!(files.lines("user").iter().any(|line| line.starts_with("|1|")), "{files:?}");
    let mode = fs::metadata(files.path("user")).expect("the record").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
}
