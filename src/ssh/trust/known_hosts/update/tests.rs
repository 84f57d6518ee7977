use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use russh::keys::key::safe_rng;
use russh::keys::{Algorithm, PrivateKey};

use super::*;

fn key() -> PublicKey {
    let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).expect("a key");
    key.public_key().clone()
}

fn line(names: &str, key: &PublicKey) -> String {
    format!("{names} {}\n", key.to_openssh().expect("a key").trim())
}

fn host() -> HostLabel {
    HostLabel::new("host", 2222)
}

fn plan(text: &str, announced: &[PublicKey]) -> Result<Plan, Obstacle> {
    let mut known = KnownHosts::default();
    known.push(Path::new("kh"), text.as_bytes());
    known.plan(&host(), announced)
}

#[test]
fn new_and_obsolete_keys_are_found() {
    let (a, b, old, elsewhere) = (key(), key(), key(), key());
    let text = line("[host]:2222", &a) + &line("[host]:2222", &old) + &line("other", &elsewhere);
    let found = plan(&text, &[a.clone(), b.clone()]).expect("nothing in the way");
    assert_eq!(found.new, [b]);
    assert_eq!(found.obsolete.len(), 1);
    assert_eq!(found.obsolete[0].place.line, 2);
    assert_eq!(plan(&line("[host]:2222", &a), &[a]), Ok(Plan::default()));
}

#[test]
fn lines_written_by_a_person_are_kept() {
    let (a, b) = (key(), key());
    let announced = [a.clone(), b.clone()];
    for names in ["[host]:*", "[h?st]:2222", "a,[host]:2222,c", "*"] {
        let result = plan(&line(names, &a), &announced);
        assert!(
            matches!(result, Err(Obstacle::HandWritten(Place { line: 1, .. }))),
            "{names}: {result:?}"
        );
    }
    assert!(plan(&line("[host]:2222,1.2.3.4", &a), &announced).is_ok());
    for marker in ["@revoked", "@cert-authority"] {
        let text = line("[host]:2222", &a) + &line(&format!("{marker} [host]:2222"), &key());
        let result = plan(&text, &announced);
        assert!(matches!(result, Err(Obstacle::Marker(Place { line: 2, .. }))), "{result:?}");
    }
    for shared in [&a, &b] {
        let text = line("[host]:2222", &a) + &line("host", shared);
        let result = plan(&text, &announced);
        assert!(matches!(result, Err(Obstacle::OtherName(Place { line: 2, .. }))), "{result:?}");
    }
    // Without a change, there is no obstacle.
    let text = line("*", &a) + &line("@revoked *", &key()) + &line("x", &a);
    assert_eq!(plan(&text, &[a]), Ok(Plan::default()));
}

#[test]
fn a_record_is_replaced_atomically_and_the_old_one_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    let second = dir.path().join("second");
    let (a, b, old) = (key(), key(), key());
    let rest = format!("# a comment\nbroken\n{}", line("@revoked [host]:2222", &key()));
    let before = rest.clone() + &line("[host]:2222", &old) + line("[host]:2222", &a).trim_end();
    fs::write(&real, &before).expect("written");
    fs::write(&second, line("[host]:2222", &b) + &line("x", &b)).expect("written");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).expect("a mode");
    symlink(&real, &link).expect("a link");

    let files = [link.clone(), second.clone(), dir.path().join("missing")];
    let keys = [a.clone(), b.clone()];
    let done = update(&files, &host(), &keys, Switch::Off).expect("written");
    assert_eq!(done, Changes { added: 1, removed: 2 });
    let expected = rest + &line("[host]:2222", &a) + &line("[host]:2222", &b);
    assert_eq!(fs::read_to_string(&real).expect("there"), expected);
    assert_eq!(fs::read_to_string(dir.path().join("real.old")).expect("there"), before);
    assert_eq!(fs::read_to_string(&second).expect("there"), line("x", &b));
    assert!(link.is_symlink());
    assert_eq!(fs::metadata(&real).expect("there").permissions().mode() & 0o777, 0o640);
    assert!(!dir.path().join("missing").exists());

    let again = update(&files[..1], &host(), &keys, Switch::Off).expect("nothing to do");
    assert_eq!(again, Changes::default());
}

#[test]
fn new_keys_go_to_the_first_existing_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let [missing, first, second] = ["missing", "first", "second"].map(|name| dir.path().join(name));
    let (a, b, old) = (key(), key(), key());
    fs::write(&first, line("[host]:2222", &a) + &line("[host]:2222", &old)).expect("written");
    fs::write(&second, "").expect("written");
    let files = [missing, first.clone(), second.clone()];
    let done = update(&files, &host(), &[a.clone(), b.clone()], Switch::Off).expect("written");
    assert_eq!(done, Changes { added: 1, removed: 1 });
    let expected = line("[host]:2222", &a) + &line("[host]:2222", &b);
    assert_eq!(fs::read_to_string(&first).expect("there"), expected);
    assert_eq!(fs::read_to_string(&second).expect("there"), "");
}
