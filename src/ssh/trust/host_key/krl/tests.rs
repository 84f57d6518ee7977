//! Compares the results for lists made by `ssh-keygen` with its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::*;

fn keygen(folder: &Path, arguments: &[&str]) -> bool {
    let output = Command::new("ssh-keygen").current_dir(folder).args(arguments).output();
    output.expect("ssh-keygen").status.success()
}

/// A directory with two authorities, and certificates with the serial numbers 0, 7 and 300.
fn stage() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["ca", "other", "a", "b", "c"] {
        assert!(keygen(folder.path(), &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name]));
    }
    for (name, serial) in [("a", "0"), ("b", "7"), ("c", "300")] {
        let certify = ["-q", "-s", "ca", "-h", "-I", name, "-n", "host", "-z", serial];
        assert!(keygen(folder.path(), &[&certify[..], &[&format!("{name}.pub")]].concat()));
    }
    folder
}

fn list(folder: &Path, specification: &str, arguments: &[&str]) -> Vec<u8> {
    fs::write(folder.join("spec"), specification).expect("written");
    let make = ["-q", "-k", "-f", "krl", "-s", "ca.pub"];
    assert!(keygen(folder, &[&make[..], arguments, &["spec"]].concat()), "{specification}");
    fs::read(folder.join("krl")).expect("made")
}

fn revoked(folder: &Path, list: &[u8], name: &str) -> Result<bool, InvalidList> {
    let read = |file: String| fs::read_to_string(folder.join(file)).expect("a key");
    let key = PublicKey::from_openssh(&read(format!("{name}.pub"))).expect("a key");
    let certificate = folder.join(format!("{name}-cert.pub")).exists().then(|| {
        Certificate::from_openssh(&read(format!("{name}-cert.pub"))).expect("a certificate")
    });
    revokes(list, &key, certificate.as_ref())
}

#[test]
#[ignore = "needs ssh-keygen"]
fn every_form_of_entry_has_the_same_result_as_in_ssh_keygen() {
    let folder = stage();
    let folder = folder.path();
    let key = |name: &str| fs::read_to_string(folder.join(format!("{name}.pub"))).expect("a key");
    // Enough for a bitmap to be the shortest encoding.
    let odd: Vec<String> = (0..80).map(|i| format!("serial: {}\n", 1 + 2 * i)).collect();
    let odd_serials = odd.concat();
    for (specification, expected) in [
        (String::new(), ["", ""]),
        (key("other"), ["other", ""]),
        (format!("key: {}", key("a")), ["a", ""]),
        (format!("sha1: {}", key("b")), ["b", ""]),
        (format!("sha256: {}", key("c")), ["c", ""]),
        ("serial: 7\n".to_owned(), ["b", ""]),
        ("serial: 5-9\n".to_owned(), ["b", ""]),
        ("serial: 1-100000\n".to_owned(), ["b", "c"]),
        (odd_serials, ["b", ""]),
        ("id: a\nid: c\n".to_owned(), ["a", "c"]),
        ("serial: 8\nid: x\n".to_owned(), ["", ""]),
        (format!("key: {}", key("ca")), ["abc", ""]),
    ] {
        let list = list(folder, &specification, &[]);
        for name in ["a", "b", "c", "other"] {
            let ours = revoked(folder, &list, name).expect("it can be read");
            let expected = expected.iter().any(|names| match *names {
                "abc" => name != "other",
                names => names == name,
            });
            assert_eq!(ours, expected, "{name} in {specification}");
            let certificate = format!("{name}-cert.pub");
            let file = if name == "other" { "other.pub".to_owned() } else { certificate };
            let theirs = !keygen(folder, &["-Q", "-f", "krl", &file]);
            assert_eq!(ours, theirs, "{name} in {specification}");
        }
    }
}

#[test]
#[ignore = "needs ssh-keygen"]
fn a_truncated_list_is_invalid() {
    let folder = stage();
    let whole = list(folder.path(), "serial: 7\nid: x\n", &["-z", "9"]);
    let is_malformed = |list: &[u8]| revoked(folder.path(), list, "b").is_err();
    assert!(!is_malformed(&whole));
    // A cut between two sections is not detectable, since their number is not stored.
    let cuts = (0..whole.len()).filter(|end| is_malformed(&whole[..*end])).count();
    assert!(cuts >= whole.len() - 2, "{cuts} of {}", whole.len());
    let mut other = whole.clone();
    other[11] = 2;
    assert_eq!(revoked(folder.path(), &other, "b"), Err(InvalidList::Version(2)));
    let mut unknown = whole.clone();
    unknown.extend([77, 0, 0, 0, 0]);
    assert_eq!(revoked(folder.path(), &unknown, "b"), Err(InvalidList::Unknown(77)));
    for (critical, read) in [(0, true), (1, false)] {
        let mut extended = whole.clone();
        extended.extend([255, 0, 0, 0, 9, 0, 0, 0, 0, critical, 0, 0, 0, 0]);
        assert_eq!(revoked(folder.path(), &extended, "b").is_ok(), read);
    }
}
