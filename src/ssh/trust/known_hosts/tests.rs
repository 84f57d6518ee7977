//! The verdicts were compared with those of OpenSSH 9.2 for the same files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use russh::keys::key::safe_rng;
use russh::keys::ssh_key::{EcdsaCurve, LineEnding};
use russh::keys::{HashAlg, PrivateKey};

use super::locked::{LockedRecord, Missing, Written};
use super::*;
use crate::openssh::client_config::Switch;

fn key(algorithm: Algorithm) -> PublicKey {
    let key = PrivateKey::random(&mut safe_rng(), algorithm).expect("a key");
    key.public_key().clone()
}

fn ed25519() -> PublicKey {
    key(Algorithm::Ed25519)
}

fn ecdsa() -> PublicKey {
    key(Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 })
}

fn text(key: &PublicKey) -> String {
    key.to_openssh().expect("a public key").trim().to_owned()
}

fn known(content: impl AsRef<[u8]>) -> KnownHosts {
    let mut known = KnownHosts::default();
    known.push(Path::new("kh"), content.as_ref());
    known
}

fn place(file: impl AsRef<Path>, line: usize) -> Place {
    Place { file: file.as_ref().into(), line }
}

fn at(line: usize) -> Verdict {
    Verdict::Known(place("kh", line))
}

#[test]
fn the_port_is_part_of_the_name() {
    let k = ed25519();
    let t = text(&k);
    let host = |port| HostLabel::new("Host.Example", port);
    assert_eq!(known(format!("host.example {t}")).verdict(&host(22), &k), at(1));
    assert_eq!(known(format!("[host.example]:2222 {t}")).verdict(&host(2222), &k), at(1));
    assert_eq!(known(format!("[host.example]:2222 {t}")).verdict(&host(22), &k), Verdict::Unknown);
    assert_eq!(known(format!("[host.example]:22 {t}")).verdict(&host(22), &k), Verdict::Unknown);
    assert_eq!(known(format!("*:2222 {t}")).verdict(&host(2222), &k), at(1));
}

#[test]
fn a_matching_key_of_the_bare_name_counts_on_another_port() {
    let (k, other) = (ed25519(), ed25519());
    let host = HostLabel::new("host", 2222);
    assert_eq!(known(format!("host {}", text(&k))).verdict(&host, &k), at(1));
    assert_eq!(known(format!("host {}", text(&other))).verdict(&host, &k), Verdict::Unknown);
    let both = format!("host {}\n[host]:2222 {}", text(&k), text(&other));
    assert!(matches!(known(both).verdict(&host, &k), Verdict::Changed(_)));
    let revoked = format!("@revoked host {}", text(&k));
    assert!(matches!(known(revoked).verdict(&host, &k), Verdict::Revoked(Place { line: 1, .. })));
}

#[test]
fn an_alias_has_no_port_and_no_case() {
    let k = ed25519();
    for line in ["al", "AL"] {
        let known = known(format!("{line} {}", text(&k)));
        assert_eq!(known.verdict(&HostLabel::of_alias("AL"), &k), at(1));
        assert_eq!(known.verdict(&HostLabel::of_alias("al"), &k), at(1));
    }
}

#[test]
fn another_key_of_any_type_is_a_change_unless_the_right_one_is_also_recorded() {
    let (right, wrong, other_type) = (ed25519(), ed25519(), ecdsa());
    let host = HostLabel::new("host", 22);
    for recorded in [&wrong, &other_type] {
        match known(format!("\nhost {}\n", text(recorded))).verdict(&host, &right) {
            Verdict::Changed(result) => {
                assert_eq!(result.len(), 1);
                assert_eq!(result[0].place, place("kh", 2));
                assert_eq!(result[0].algorithm, recorded.algorithm().to_string());
                let fingerprint = recorded.fingerprint(HashAlg::Sha256).to_string();
                assert_eq!(result[0].fingerprint, fingerprint);
            }
            verdict => panic!("{verdict:?}"),
        }
    }
    let lines = format!("host {}\nhost {}\nhost {}", text(&wrong), text(&other_type), text(&right));
    assert_eq!(known(lines).verdict(&host, &right), at(3));
}

#[test]
fn a_revoked_key_is_revoked_even_if_also_recorded() {
    let k = ed25519();
    let host = HostLabel::new("host", 22);
    let revoked = |file: String| known(file).verdict(&host, &k);
    let (t, other) = (text(&k), text(&ed25519()));
    let expected = |line| Verdict::Revoked(place("kh", line));
    assert_eq!(revoked(format!("host {t}\n@revoked * {t}")), expected(2));
    assert_eq!(revoked(format!("@revoked host {t}\nhost {t}")), expected(1));
    assert_eq!(revoked(format!("@revoked elsewhere {t}\nhost {t}")), at(2));
    assert_eq!(revoked(format!("@revoked host {other}")), Verdict::Unknown);
    assert_eq!(revoked(format!("@revoked host {other}\nhost {t}")), at(2));
}

#[test]
fn an_authority_does_not_count_for_a_plain_key() {
    let k = ed25519();
    let host = HostLabel::new("host", 22);
    let authority = known(format!("@cert-authority * {}", text(&k)));
    assert_eq!(authority.verdict(&host, &k), Verdict::Unknown);
    assert!(authority.broken.is_empty());
    let other = known(format!("@cert-authority * {}\nhost {}", text(&ed25519()), text(&k)));
    assert_eq!(other.verdict(&host, &k), at(2));
}

#[test]
fn the_recorded_types_are_listed() {
    let (e, c) = (ed25519(), ecdsa());
    let file = known(format!(
        "[host]:2 {}\nhost {}\n@revoked host {}\nelse {}",
        text(&c),
        text(&e),
        text(&ecdsa()),
        text(&c)
    ));
    assert_eq!(file.recorded_algorithms(&HostLabel::new("host", 22)), [Algorithm::Ed25519]);
    assert_eq!(file.recorded_algorithms(&HostLabel::new("host", 2)), [c.algorithm()]);
    assert_eq!(file.recorded_algorithms(&HostLabel::new("host", 3)), [Algorithm::Ed25519]);
    assert!(file.recorded_algorithms(&HostLabel::new("nowhere", 22)).is_empty());
}

#[test]
fn fields_are_separated_by_any_blanks_and_invalid_lines_are_listed() {
    let k = ed25519();
    let t = text(&k);
    let tabs = t.replace(' ', "\t  ");
    let host = HostLabel::new("host", 22);
    let broken = |file: &KnownHosts| file.broken.iter().map(|b| b.line).collect::<Vec<_>>();
    for line in [
        format!("host\t{tabs}\tme@here"),
        format!("  \thost   {tabs}"),
        format!("host {t} a # comment"),
        format!("host {t}\r"),
    ] {
        let file = known(&line);
        assert_eq!(file.verdict(&host, &k), at(1), "{line:?}");
        assert!(broken(&file).is_empty(), "{line:?}");
    }
    let file = known(format!(
        "# comment\n\n   \nhost\nhost ssh-ed25519\nhost ssh-ed25519 AAAA\n@strange host {t}\n\
         |1|x|y {t}\nhost ssh-rsa {}\nhost {t}",
        t.split(' ').nth(1).expect("the key itself")
    ));
    assert_eq!(broken(&file), [4, 5, 6, 7, 8, 9]);
    assert_eq!(file.verdict(&host, &k), at(10));
}

#[test]
fn a_line_that_is_not_utf8_does_not_affect_the_others() {
    let k = ed25519();
    let host = HostLabel::new("host", 22);
    let mut content = b"h\xe9t\xff ssh-ed25519 \xfe\n".to_vec();
    content.extend(format!("host {} caf", text(&k)).bytes());
    content.extend(b"\xe9\n");
    let file = known(content);
    assert_eq!(file.verdict(&host, &k), at(2));
    assert_eq!(file.broken.len(), 1);
}

#[test]
fn a_missing_file_has_no_lines_and_an_unreadable_one_is_an_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let missing = dir.path().join("missing");
    let k = ed25519();
    let file = KnownHosts::read([&missing]).expect("missing is no error");
    assert_eq!(file.verdict(&HostLabel::new("host", 22), &k), Verdict::Unknown);
    // A directory cannot be read, not even by root.
    let result = KnownHosts::read([&missing, &dir.path().to_owned()]);
    assert!(matches!(result, Err(KnownHostsError::Read { .. })), "{result:?}");
}

/// An editor takes no lock.
#[test]
fn what_is_written_without_the_lock_is_not_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("known_hosts");
    let write: [fn(LockedRecord) -> Result<Written, KnownHostsError>; 2] =
        [|record| record.append("ours\n"), |record| record.replace(b"ours\n")];
    for write in write {
        fs::write(&file, "before\n").expect("written");
        let record = LockedRecord::open(&file, Missing::Leave).expect("a file").expect("there");
        fs::write(&file, "before\ntheirs\n").expect("written");
        assert_eq!(write(record).expect("a file"), Written::Stale);
        assert_eq!(fs::read_to_string(&file).expect("there"), "before\ntheirs\n");
    }
}

#[test]
fn an_added_key_is_known_hashed_or_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("new folder").join("known_hosts");
    let (a, b) = (ed25519(), ecdsa());
    let host = HostLabel::new("Host", 2222);
    add(&file, &host, &a, Switch::Off).expect("written");
    let plain = fs::read_to_string(&file).expect("written");
    assert_eq!(plain, format!("[host]:2222 {}\n", text(&a)));
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().expect("a folder")), 0o700);

    let hashed = HostLabel::new("other", 22);
    add(&file, &hashed, &b, Switch::On).expect("written");
    let content = fs::read_to_string(&file).expect("written");
    assert!(content.lines().nth(1).expect("a second line").starts_with("|1|"), "{content}");
    assert!(!content.contains("other"), "{content}");
    let known = KnownHosts::read([&file]).expect("readable");
    assert_eq!(known.verdict(&host, &a), Verdict::Known(place(&file, 1)));
    assert_eq!(known.verdict(&hashed, &b), Verdict::Known(place(&file, 2)));
    add(&file, &hashed, &b, Switch::On).expect("known");
    assert_eq!(fs::read_to_string(&file).expect("written"), content, "it is there already");
    let result = add(&file, &hashed, &a, Switch::On);
    assert!(matches!(result, Err(KnownHostsError::Conflict(_))), "{result:?}");
}

#[test]
fn an_incomplete_last_line_is_completed_first() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("kh");
    let (a, b) = (ed25519(), ed25519());
    fs::write(&file, format!("first {}", text(&a))).expect("written");
    add(&file, &HostLabel::new("second", 22), &b, Switch::Off).expect("written");
    let known = KnownHosts::read([&file]).expect("readable");
    let line = |line| Verdict::Known(place(&file, line));
    assert_eq!(known.verdict(&HostLabel::new("first", 22), &a), line(1));
    assert_eq!(known.verdict(&HostLabel::new("second", 22), &b), line(2));
}

#[test]
fn a_name_with_special_characters_is_not_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("kh");
    for alias in ["*", "a,b", "a b", "!a", "@revoked", "#a", "a\nb", ""] {
        let result = add(&file, &HostLabel::of_alias(alias), &ed25519(), Switch::Off);
        assert!(matches!(result, Err(KnownHostsError::Unwritable)), "{alias:?}: {result:?}");
    }
    assert!(!file.exists());
}

#[test]
fn an_oversized_file_is_an_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("kh");
    fs::File::create(&file).and_then(|file| file.set_len(MAX_FILE + 1)).expect("it takes no room");
    match add(&file, &HostLabel::new("host", 22), &ed25519(), Switch::Off) {
        Err(KnownHostsError::Write { cause, .. }) => {
            assert_eq!(cause.kind(), io::ErrorKind::FileTooLarge);
        }
        result => panic!("{result:?}"),
    }
}

#[test]
fn eight_concurrent_writers_leave_one_line() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("kh");
    let (k, host) = (ed25519(), HostLabel::new("host", 22));
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                add(&file, &host, &k, Switch::On).expect("added");
            });
        }
    });
    assert_eq!(fs::read_to_string(&file).expect("written").lines().count(), 1);
}

/// `ssh-keygen` finds and hashes names in the same way.
#[test]
#[ignore = "needs ssh-keygen"]
fn as_ssh_keygen_sees_it() {
    let run = |args: &[&str]| {
        let out = std::process::Command::new("ssh-keygen").args(args).output().expect("it runs");
        (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned())
    };
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("kh");
    let path = file.to_str().expect("UTF-8");
    let k = ed25519();
    add(&file, &HostLabel::new("host", 2222), &k, Switch::On).expect("written");
    let (found, said) = run(&["-F", "[host]:2222", "-f", path]);
    assert!(found && said.contains("line 1"), "{said}");

    fs::write(&file, format!("alpha,beta {}\n", text(&k))).expect("written");
    assert!(run(&["-H", "-f", path]).0);
    let known = KnownHosts::read([&file]).expect("readable");
    assert!(known.broken.is_empty());
    for (name, is_known) in [("alpha", true), ("beta", true), ("gamma", false)] {
        let verdict = known.verdict(&HostLabel::new(name, 22), &k);
        assert_eq!(matches!(verdict, Verdict::Known(_)), is_known, "{name}");
    }
    // A key generated here is valid for ssh-keygen.
    let secret = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).expect("a key");
    secret.write_openssh_file(dir.path().join("k"), LineEnding::LF).expect("written");
    let (ok, said) = run(&["-y", "-f", dir.path().join("k").to_str().expect("UTF-8")]);
    assert!(ok && said.starts_with(&text(secret.public_key())), "{said}");
}

proptest! {
    #[test]
    fn no_file_causes_a_panic(content in proptest::collection::vec(any::<u8>(), 0..300)) {
        let k = PublicKey::from_openssh(ANY_KEY).expect("a key");
        let file = known(&content);
        let host = HostLabel::new("host", 22);
        let _ = file.verdict(&host, &k);
        let _ = file.recorded_algorithms(&host);
        let _ = file.plan(&host, &[k]);
    }

    /// A written line parses as the same name and key, and as no other.
    #[test]
    fn a_written_line_parses_as_the_same_entry(
        name in "[a-zA-Z0-9._:-]{1,20}",
        port in 1_u16..,
        other in "[a-z0-9.]{1,20}",
        hashed in any::<bool>(),
        before in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let k = PublicKey::from_openssh(ANY_KEY).expect("a key");
        let host = HostLabel::new(&name, port);
        let hashing = if hashed { Switch::On } else { Switch::Off };
        let mut content = before;
        content.push(b'\n');
        let number = content.split(|b| *b == b'\n').count();
        content.extend(add::new_line(&host, &k, hashing).expect("a plain name").bytes());
        let file = known(&content);
        prop_assert_eq!(file.verdict(&host, &k), at(number));
        let other = HostLabel::new(&other, port);
        if other != host {
            prop_assert_eq!(file.verdict(&other, &k), Verdict::Unknown);
        }
    }

    #[test]
    fn a_line_with_shuffled_fields_never_makes_a_key_known(
        fields in proptest::collection::vec("@revoked|@cert-authority|other|!host|ssh-ed25519|#", 0..5)
    ) {
        let k = PublicKey::from_openssh(ANY_KEY).expect("a key");
        let blob = ANY_KEY.split(' ').nth(1).expect("the key itself");
        let file = known(format!("{} {blob}", fields.join(" ")));
        let verdict = file.verdict(&HostLabel::new("host", 22), &k);
        prop_assert!(!matches!(verdict, Verdict::Known(_)), "{:?}", fields);
    }
}

const ANY_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
