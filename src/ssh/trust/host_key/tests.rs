use std::fs;
use std::path::Path;

use russh::keys::key::safe_rng;
use russh::keys::{EcdsaCurve, HashAlg, PrivateKey};

use super::*;
use crate::openssh::client_config::HOST_KEYS;
use crate::openssh::client_config::{ConfigSource, SshOptions, Switch};

mod following;

/// A configuration that looks into `file` only.
fn config(file: &Path, checking: &str) -> ClientConfig {
    let options = SshOptions {
        options: vec![
            format!("UserKnownHostsFile={}", file.display()).into(),
            "GlobalKnownHostsFile=none".into(),
            format!("StrictHostKeyChecking={checking}").into(),
        ],
        ..SshOptions::default()
    };
    let name = "me@host.example:2222".parse().expect("a name");
    let (config, source) = ClientConfig::without_ssh(&name, &options).expect("plain options");
    assert_eq!(source, ConfigSource::Defaults);
    config
}

struct Case {
    _dir: tempfile::TempDir,
    file: PathBuf,
    key: PublicKey,
}

impl Case {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("known_hosts");
        Self { _dir: dir, file, key: key(Algorithm::Ed25519) }
    }

    fn recording(host: &str, recorded: &PublicKey) -> Self {
        let case = Self::new();
        let line = format!("{host} {}\n", recorded.to_openssh().expect("a key").trim());
        fs::write(&case.file, line).expect("written");
        case
    }

    fn policy(&self, checking: &str, prompter: &Prompter) -> HostKeyPolicy {
        HostKeyPolicy::new(&config(&self.file, checking), prompter)
    }

    fn record(&self) -> String {
        fs::read_to_string(&self.file).unwrap_or_default()
    }

    fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }
}

async fn verify(policy: &HostKeyPolicy, key: &PublicKey) -> Result<HostKeyVerdict, HostKeyError> {
    policy.verify(&key.clone().into()).await.map(|accepted| accepted.verdict)
}

fn key(algorithm: Algorithm) -> PublicKey {
    PrivateKey::random(&mut safe_rng(), algorithm).expect("a key").public_key().clone()
}

const P256: Algorithm = Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 };

#[tokio::test]
async fn a_recorded_key_is_known_with_each_setting() {
    let mut case = Case::new();
    let recorded = key(P256);
    for checking in ["yes", "ask", "accept-new", "no"] {
        case = Case { key: recorded.clone(), ..Case::recording("[host.example]:2222", &recorded) };
        let policy = case.policy(checking, &Prompter::nobody());
        assert_eq!(verify(&policy, &case.key).await.expect(checking), HostKeyVerdict::Known);
    }
    assert_eq!(case.record().lines().count(), 1);
}

#[tokio::test]
async fn a_changed_key_is_refused_with_each_setting_and_nothing_is_written() {
    for recorded in [key(Algorithm::Ed25519), key(P256)] {
        for checking in ["yes", "ask", "accept-new", "no"] {
            let case = Case::recording("[host.example]:2222", &recorded);
            let before = case.record();
            let prompter = Prompter::scripted(&["yes"]);
            let policy = case.policy(checking, &prompter);
            let error = verify(&policy, &case.key).await.expect_err("another key is on record");
            assert!(matches!(error, HostKeyError::Changed { .. }), "{error:?}");
            let text = error.to_string();
            let old = recorded.fingerprint(HashAlg::Sha256).to_string();
            let path = case.file.display().to_string();
            for part in [case.fingerprint(), old, format!("{path}:1")] {
                assert!(text.contains(&part), "{part} in {text}");
            }
            let remedy = format!("ssh-keygen -f '{path}' -R '[host.example]:2222'");
            assert!(text.contains(&remedy), "{text}");
            assert!(prompter.asked().is_empty());
            assert_eq!(case.record(), before);
        }
    }
}

#[tokio::test]
async fn where_no_key_can_be_recorded_none_that_is_new_is_taken() {
    for checking in ["yes", "ask", "accept-new", "no"] {
        let prompter = Prompter::scripted(&["yes"]);
        let policy = HostKeyPolicy::new(&config(Path::new("none"), checking), &prompter);
        let error = verify(&policy, &key(P256)).await.expect_err("no file");
        assert!(matches!(error, HostKeyError::UnknownAndNoFile(_)), "{checking}: {error:?}");
        assert!(prompter.asked().is_empty());
    }
}

/// Another program records a key between the look and the record.
#[tokio::test]
async fn what_is_recorded_meanwhile_counts() {
    let (shown, other) = (key(P256), key(P256));
    for (recorded, is_same) in [(&shown, true), (&other, false)] {
        let case = Case::recording("[host.example]:2222", recorded);
        let policy = case.policy("accept-new", &Prompter::nobody());
        let refused = RefusedKey::new("host.example", &shown);
        match policy.record(&refused, &shown, &None).await {
            Ok(is_recorded) => assert!(is_same && is_recorded),
            Err(error) => assert!(!is_same && matches!(error, HostKeyError::Changed { .. })),
        }
    }
}

#[tokio::test]
async fn further_keys_are_believed_of_a_server_that_a_person_has_accepted() {
    let updates = async |policy: HostKeyPolicy, key: &PublicKey| {
        policy.verify(&key.clone().into()).await.expect("it is taken").updates
    };
    for (checking, expected) in
        [("ask", Updates::Followed), ("accept-new", Updates::Ignored), ("no", Updates::Ignored)]
    {
        let case = Case::new();
        let policy = case.policy(checking, &Prompter::scripted(&["yes"]));
        assert_eq!(updates(policy, &case.key).await, expected, "{checking}");
    }
    let recorded = key(P256);
    for (host, expected) in
        [("[host.example]:2222", Updates::Followed), ("host.example", Updates::Ignored)]
    {
        let case = Case::recording(host, &recorded);
        let policy = case.policy("yes", &Prompter::nobody());
        assert_eq!(updates(policy, &recorded).await, expected, "{host}");
        let mut config = config(&case.file, "yes");
        config.host_keys.global_known_hosts_files = vec![case.file.clone()];
        let policy = HostKeyPolicy::new(&config, &Prompter::nobody());
        assert_eq!(updates(policy, &recorded).await, Updates::Ignored, "the system's");
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_with_each_setting() {
    for checking in ["yes", "ask", "accept-new", "no"] {
        let case = Case::new();
        let line = format!("@revoked * {}", case.key.to_openssh().expect("a key"));
        fs::write(&case.file, line).expect("written");
        let policy = case.policy(checking, &Prompter::scripted(&["yes"]));
        let error = verify(&policy, &case.key).await.expect_err("revoked");
        assert!(
            matches!(&error, HostKeyError::Revoked { at, .. } if at.ends_with(":1")),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_new_key_is_treated_according_to_the_setting() {
    let case = Case::new();
    let policy = case.policy("yes", &Prompter::scripted(&["yes"]));
    let error = verify(&policy, &case.key).await.expect_err("strict");
    assert!(matches!(error, HostKeyError::UnknownAndStrict(_)), "{error:?}");

    let policy = case.policy("ask", &Prompter::nobody());
    let error = verify(&policy, &case.key).await.expect_err("nobody to ask");
    assert!(matches!(error, HostKeyError::UnknownAndNobodyToAsk(_)), "{error:?}");
    assert!(error.to_string().contains("ssh-keyscan"), "{error}");
    assert!(error.to_string().contains(&case.fingerprint()), "{error}");
    assert_eq!(case.record(), "");

    for checking in ["accept-new", "no"] {
        let case = Case::new();
        let policy = case.policy(checking, &Prompter::nobody());
        assert_eq!(verify(&policy, &case.key).await.expect("new"), HostKeyVerdict::Added);
        assert_eq!(verify(&policy, &case.key).await.expect("now known"), HostKeyVerdict::Known);
        assert!(case.record().starts_with("[host.example]:2222 "), "{}", case.record());
        let other = key(Algorithm::Ed25519);
        let error = verify(&policy, &other).await.expect_err("changed by now");
        assert!(matches!(error, HostKeyError::Changed { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn no_answer_is_a_refusal() {
    for answers in [&[""][..], &["y", " "], &["no"]] {
        let case = Case::new();
        let policy = case.policy("ask", &Prompter::scripted(&[answers, &["yes"]].concat()));
        let error = verify(&policy, &case.key).await.expect_err("nobody said yes");
        assert!(matches!(error, HostKeyError::Declined(_)), "{error:?}");
        assert_eq!(case.record(), "");
    }
}

#[tokio::test]
async fn a_person_says_yes_or_the_fingerprint() {
    for answers in [&["yes"][..], &["YES "], &["FINGERPRINT"], &["y", "yes"]] {
        let case = Case::new();
        let answers: Vec<_> = answers
            .iter()
            .map(|a| if *a == "FINGERPRINT" { case.fingerprint() } else { (*a).to_owned() })
            .collect();
        let answers: Vec<_> = answers.iter().map(String::as_str).collect();
        let prompter = Prompter::scripted(&answers);
        let policy = case.policy("ask", &prompter);
        assert_eq!(verify(&policy, &case.key).await.expect("accepted"), HostKeyVerdict::Added);
        let asked = prompter.asked();
        assert_eq!(asked.len(), answers.len());
        assert!(asked[0].contains(&case.fingerprint()), "{asked:?}");
        assert_eq!(case.record().lines().count(), 1);
    }
}

#[tokio::test]
async fn a_person_does_not_say_yes() {
    let wrong = key(Algorithm::Ed25519).fingerprint(HashAlg::Sha256).to_string();
    for answers in [&["no"][..], &[], &["y", "ja", "", "x", "x", "yes"], &[&wrong, "no"]] {
        let case = Case::new();
        let policy = case.policy("ask", &Prompter::scripted(answers));
        let error = verify(&policy, &case.key).await.expect_err("not accepted");
        assert!(matches!(error, HostKeyError::Declined(_)), "{error:?}");
        assert_eq!(case.record(), "");
    }
}

#[tokio::test]
async fn many_sessions_ask_once() {
    let case = Case::new();
    let prompter = Prompter::scripted(&["yes"]);
    let policy = case.policy("ask", &prompter);
    let ask = || verify(&policy, &case.key);
    let (a, b, c) = tokio::join!(ask(), ask(), ask());
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(prompter.asked().len(), 1);
    assert_eq!(case.record().lines().count(), 1);
}

#[tokio::test]
async fn an_accepted_key_counts_even_if_it_cannot_be_recorded() {
    let case = Case { file: "/dev/null".into(), ..Case::new() };
    let prompter = Prompter::scripted(&["yes"]);
    let policy = case.policy("ask", &prompter);
    assert_eq!(verify(&policy, &case.key).await.expect("accepted"), HostKeyVerdict::Unrecorded);
    assert_eq!(verify(&policy, &case.key).await.expect("accepted"), HostKeyVerdict::Known);
    let other = key(Algorithm::Ed25519);
    let error = verify(&policy, &other).await.expect_err("nobody accepted this one");
    assert!(matches!(error, HostKeyError::Declined(_)), "{error:?}");
}

#[tokio::test]
async fn an_unreadable_record_refuses_every_key() {
    let dir = tempfile::tempdir().expect("a directory");
    let case = Case { file: dir.path().to_owned(), ..Case::new() };
    for checking in ["ask", "accept-new", "no"] {
        let policy = case.policy(checking, &Prompter::scripted(&["yes"]));
        let error = verify(&policy, &case.key).await.expect_err("a directory is no file");
        assert!(matches!(error, HostKeyError::Record(_)), "{error:?}");
        assert_eq!(policy.offer().await.keys, HOST_KEYS);
    }
}

#[tokio::test]
async fn an_alias_is_looked_up_instead_of_the_host() {
    let case = Case::new();
    let line = format!("the-alias {}", case.key.to_openssh().expect("a key"));
    fs::write(&case.file, line).expect("written");
    let mut config = config(&case.file, "yes");
    config.host_keys.host_key_alias = Some("the-alias".into());
    let policy = HostKeyPolicy::new(&config, &Prompter::nobody());
    assert_eq!(verify(&policy, &case.key).await.expect("known"), HostKeyVerdict::Known);
}

#[tokio::test]
async fn batch_mode_asks_nobody() {
    let case = Case::new();
    let mut config = config(&case.file, "ask");
    config.auth.batch_mode = Switch::On;
    let policy = HostKeyPolicy::new(&config, &Prompter::scripted(&["yes"]));
    let error = verify(&policy, &case.key).await.expect_err("nobody to ask");
    assert!(matches!(error, HostKeyError::UnknownAndNobodyToAsk(_)), "{error:?}");
}

#[tokio::test]
async fn recorded_types_are_offered_first_and_weak_ones_never() {
    let case = Case::new();
    let line = format!("[host.example]:2222 {AN_RSA_KEY}\n");
    fs::write(&case.file, line).expect("written");
    let policy = case.policy("yes", &Prompter::nobody());
    let names =
        |list: Vec<Algorithm>| -> Vec<String> { list.iter().map(ToString::to_string).collect() };
    let offered = names(policy.offer().await.keys);
    assert_eq!(offered[..3], ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]);
    assert_eq!(offered.len(), 6);
    assert!(!offered.iter().any(|name| name == "ssh-rsa" || name == "ssh-dss"));

    let case = Case::recording("[host.example]:2222", &key(P256));
    let policy = case.policy("yes", &Prompter::nobody());
    let offered = names(policy.offer().await.keys);
    assert_eq!(offered[..2], ["ecdsa-sha2-nistp256", "ssh-ed25519"]);
}

/// Made for this test.
const AN_RSA_KEY: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDXgOTYz6z9XCUDyoP4ARj6HOw31/brWxgL15uiv5Cy\
     cegUxsHjBBumWij3VlsBzHhWq9j0CiN8QvSwVggmg3xnzzIL8VklXTucy78FnKLW0paAGf+g/0tnpMPx\
     svjd5AmvW3PyNkm+EHRgBKrj+ZcD77rIP1gJzBXlB9DbuQ+Edw==";
