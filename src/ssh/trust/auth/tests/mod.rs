//! Logins to an in-process scripted server, and to the real `sshd` with the real `ssh-agent`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::certificate::{self, CertType};
use russh::keys::{Algorithm, Certificate, PrivateKey, PublicKey};

use super::*;
use crate::openssh::client_config::{IdentityFile, IdentityOrigin, SshOptions, Switch};
use candidates::Candidate;
use server::{Script, Step, connect};

mod agents;
mod formats;
mod keys;
mod limits;
mod order;
mod outside;
mod password_change;
mod real;
mod server;

/// A directory for keys, and a configuration that uses them.
struct Place {
    dir: tempfile::TempDir,
    config: ClientConfig,
}

impl Place {
    fn new() -> Self {
        let name = "me@host.example".parse().expect("a name");
        let (mut config, _) =
            ClientConfig::without_ssh(&name, &SshOptions::default()).expect("plain");
        config.auth.identity_files.clear();
        config.auth.identity_agent = None;
        Self { dir: tempfile::tempdir().expect("a directory"), config }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a key and adds it to the configuration.
    fn key(&mut self, name: &str, passphrase: Option<&str>) -> PublicKey {
        let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).expect("a key");
        let public = key.public_key().clone();
        let key = match passphrase {
            Some(passphrase) => key.encrypt(&mut safe_rng(), passphrase).expect("encrypted"),
            None => key,
        };
        let path = self.path(name);
        key.write_openssh_file(&path, LineEnding::LF).expect("written");
        self.name(&path);
        public
    }

    fn name(&mut self, path: &Path) {
        let file = IdentityFile { path: path.to_owned(), origin: IdentityOrigin::Named };
        self.config.auth.identity_files.push(file);
    }

    async fn login(
        &self,
        script: &Script,
        credentials: &Credentials,
        prompter: &Prompter,
    ) -> Result<Authenticated, AuthError> {
        let mut handle = connect(script).await;
        authenticate(&mut handle, &self.config, credentials, prompter).await
    }
}

fn tried(error: &AuthError) -> &[Tried] {
    match error {
        AuthError::Refused { tried, .. }
        | AuthError::PersonNeeded { tried, .. }
        | AuthError::Disconnected { tried, .. } => tried,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_may_accept_everybody() {
    let script = Script::new([Step::Open]);
    let result = Place::new().login(&script, &Credentials::default(), &Prompter::nobody()).await;
    assert_eq!(result.expect("open").kind, LoginKind::Unattended);
    assert_eq!(script.log(), ["none"]);
}

#[tokio::test]
async fn a_password_is_asked_for_up_to_three_times() {
    let place = Place::new();
    let script = Script::new([Step::Password("right")]);
    let prompter = Prompter::scripted(&["a", "b", "right"]);
    let result = place.login(&script, &Credentials::default(), &prompter).await;
    let done = result.expect("the third was right");
    assert_eq!((done.method.as_str(), done.kind), ("password", LoginKind::Interactive));
    assert!(prompter.asked()[0].contains("me@host.example"), "{:?}", prompter.asked());

    let prompter = Prompter::scripted(&["a", "b", "c", "right"]);
    let result = place.login(&script, &Credentials::default(), &prompter).await;
    assert!(matches!(result, Err(AuthError::Refused { .. })), "{result:?}");
    assert_eq!(prompter.asked().len(), 3);
    assert!(!result.expect_err("refused").to_string().contains("right"));
}

#[tokio::test]
async fn without_a_person_nothing_is_tried_and_the_error_says_so() {
    // The method may involve no question: a push notification needs nobody here.
    for (step, seen) in [
        (Step::Password("x"), &["none"][..]),
        (Step::Questions(&[("Code: ", "1")]), &["none", "questions"]),
    ] {
        let script = Script::new([step]);
        let done = Place::new().login(&script, &Credentials::default(), &Prompter::nobody()).await;
        assert!(matches!(done, Err(AuthError::PersonNeeded { .. })), "{done:?}");
        assert_eq!(script.log(), seen);

        let mut place = Place::new();
        place.config.auth.batch_mode = Switch::On;
        let prompter = Prompter::scripted(&["x"]);
        let result = place.login(&script, &Credentials::default(), &prompter).await;
        assert!(matches!(result, Err(AuthError::PersonNeeded { .. })), "{result:?}");
        assert!(prompter.asked().is_empty());
        assert_eq!(script.log(), ["none"], "not even a dialogue");
    }
}

#[tokio::test]
async fn the_servers_questions_are_attributed_to_it_and_escaped() {
    let mut place = Place::new();
    let script = Script::new([Step::Questions(&[("Code\x1b[2J: ", "123"), ("PIN: ", "9")])]);
    let prompter = Prompter::scripted(&["123", "9"]);
    let result = place.login(&script, &Credentials::default(), &prompter).await;
    assert_eq!(result.expect("answered").kind, LoginKind::Interactive);
    let asked = prompter.asked();
    assert_eq!(asked.len(), 2);
    assert!(
        asked.iter().all(|q| q.lines().all(|l| l.starts_with("(me@host.example) "))),
        "{asked:?}"
    );
    assert!(asked[0].contains("Code\\u{1b}[2J: "), "{asked:?}");
    // The instructions are separate: the askpass program receives only the question, as from ssh.
    assert!(!asked[0].contains("Tell me"), "{asked:?}");

    place.config.host_keys.host_key_alias = Some("alias".to_owned());
    let prompter = Prompter::scripted(&["123", "9"]);
    place.login(&script, &Credentials::default(), &prompter).await.expect("answered");
    assert!(prompter.asked()[0].starts_with("(me@alias) "), "{:?}", prompter.asked());

    let wrong = Prompter::scripted(&["1", "1", "2", "2", "3", "3", "123", "9"]);
    let result = place.login(&script, &Credentials::default(), &wrong).await;
    assert!(matches!(result, Err(AuthError::Refused { .. })), "{result:?}");
    assert_eq!(wrong.asked().len(), 6);
}

#[tokio::test]
async fn a_person_who_does_not_answer_ends_the_login() {
    for step in [Step::Password("x"), Step::Questions(&[("Code: ", "1")])] {
        let script = Script::new([step]);
        let prompter = Prompter::scripted(&[]);
        let result = Place::new().login(&script, &Credentials::default(), &prompter).await;
        assert!(matches!(result, Err(AuthError::GivenUp(_))), "{result:?}");
    }
}

/// Somebody may have to confirm on a phone, and should not be bothered repeatedly.
#[tokio::test]
async fn a_dialogue_without_questions_is_an_interactive_login() {
    let script = Script::new([Step::Questions(&[])]);
    let prompter = Prompter::scripted(&[]);
    let result = Place::new().login(&script, &Credentials::default(), &prompter).await;
    assert_eq!(result.expect("nothing to answer").kind, LoginKind::Interactive);
    let alone = Place::new().login(&script, &Credentials::default(), &Prompter::nobody()).await;
    assert!(alone.is_ok(), "{alone:?}");
}

#[tokio::test]
async fn a_server_may_require_two_methods_or_two_keys() {
    let mut place = Place::new();
    let a = place.key("a", None);
    let b = place.key("b", None);
    let script = Script::new([Step::Key(a.clone()), Step::Password("p")]);
    let prompter = Prompter::scripted(&["p"]);
    let result = place.login(&script, &Credentials::default(), &prompter).await.expect("both");
    assert_eq!(result.kind, LoginKind::Interactive);
    assert!(
        result.method.contains("publickey") && result.method.ends_with(" and password"),
        "{result:?}"
    );

    let script = Script::new([Step::Key(a), Step::Key(b)]);
    let result = place.login(&script, &Credentials::default(), &Prompter::nobody()).await;
    assert_eq!(result.expect("both keys").kind, LoginKind::Unattended);
    assert_eq!(script.log().iter().filter(|m| m.starts_with("publickey")).count(), 2);
}

/// A server that accepts one step may then require a key that it refused before.
#[tokio::test]
async fn a_key_that_was_refused_is_tried_again_after_another_step() {
    let mut place = Place::new();
    let b = place.key("b", None);
    place.key("never", None);
    let a = place.key("a", None);
    let script = Script::new([Step::Key(a), Step::Key(b)]);
    let result = place.login(&script, &Credentials::default(), &Prompter::nobody()).await;
    let result = result.expect("both keys").method;
    assert!(result.contains(" and publickey"), "{result}");
    // They keep their order.
    let offers = script.log().iter().filter(|m| *m == "offer").count();
    assert_eq!(offers, 4, "{:?}", script.log());
}

#[tokio::test]
async fn a_dialogue_without_questions_is_not_repeated() {
    let script = Script::new([Step::RefusedDialogue]);
    let prompter = Prompter::scripted(&["x"]);
    let result = Place::new().login(&script, &Credentials::default(), &prompter).await;
    assert!(matches!(result, Err(AuthError::Refused { .. })), "{result:?}");
    assert_eq!(script.log(), ["none", "questions"]);
}

#[tokio::test]
async fn forbidden_methods_are_not_tried() {
    let mut place = Place::new();
    let key = place.key("k", None);
    place.config.auth.pubkey_authentication = Switch::Off;
    place.config.auth.password_authentication = Switch::Off;
    let script = Script::new([Step::KeyOrPassword(key.clone(), "p")]);
    let prompter = Prompter::scripted(&["p"]);
    let result = place.login(&script, &Credentials::default(), &prompter).await;
    assert!(matches!(result, Err(AuthError::Refused { .. })), "{result:?}");
    assert_eq!(script.log(), ["none"]);

    let mut place = Place { config: place.config.clone(), ..place };
    place.config.auth.pubkey_authentication = Switch::On;
    place.config.auth.password_authentication = Switch::On;
    place.config.auth.preferred_authentications = vec![AuthMethod::Password];
    let result = place.login(&script, &Credentials::default(), &prompter).await;
    assert_eq!(result.expect("the password").method, "password");
}

#[tokio::test]
async fn a_server_that_disconnects_is_distinguished_from_one_that_refuses() {
    for step in [Step::HangUp, Step::Password("x"), Step::Questions(&[("?", "1")])] {
        let hangs_up = Script::new([step]);
        hangs_up.hang_up_at_the_second_request();
        let prompter = Prompter::scripted(&["y", "y"]);
        let mut place = Place::new();
        place.key("k", None);
        let result = place.login(&hangs_up, &Credentials::default(), &prompter).await;
        assert!(matches!(result, Err(AuthError::Disconnected { .. })), "{result:?}");
    }
}

/// The paused clock advances whenever everything waits.
#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_times_out() {
    let script = Script::new([Step::Password("x")]);
    script.never_answer_the_second_request();
    let prompter = Prompter::scripted(&["y"]);
    let result = Place::new().login(&script, &Credentials::default(), &prompter).await;
    assert_eq!(result, Err(AuthError::PasswordUnanswered(ANSWER_LIMIT)));
}

/// The server may be asking somebody, or delay a refusal: its answer has the full limit.
#[tokio::test(start_paused = true)]
async fn a_dialogue_waits_as_if_for_a_person() {
    let script = Script::new([Step::Questions(&[("code", "1")])]);
    script.never_answer_the_second_request();
    let (place, credentials) = (Place::new(), Credentials::default());
    let prompter = Prompter::scripted(&["1"]);
    let waits = async {
        while !prompter.is_waiting() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        result = place.login(&script, &credentials, &prompter) => panic!("{result:?}"),
        () = waits => {}
    }
}

#[test]
fn a_login_can_run_in_a_task() {
    fn is_send<T: Send>(_: T) {}
    fn check(handle: &mut Handle<server::Trusting>, place: &Place) {
        let (credentials, prompter) = (Credentials::default(), Prompter::nobody());
        is_send(authenticate(handle, &place.config, &credentials, &prompter));
    }
    let _ = check;
}

#[test]
fn debug_output_contains_no_secret() {
    let mut place = Place::new();
    place.key("k", None);
    let credentials = Credentials::default();
    let file = key_file::load(&place.path("k"), IdentityOrigin::Named);
    let key_file::Secret::Clear(key) = &file.secret else { panic!("{file:?}") };
    credentials.keep(&place.path("k"), key);
    assert!(!format!("{file:?}{credentials:?}").to_lowercase().contains("private"), "{file:?}");
}

fn any_key() -> PublicKey {
    let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).expect("a key");
    key.public_key().clone()
}

/// A certificate by a new authority.
fn certificate(
    key: &PublicKey,
    kind: CertType,
    principals: &[&str],
    valid: std::ops::Range<u64>,
) -> Certificate {
    let mut rng = safe_rng();
    let authority = PrivateKey::random(&mut rng, Algorithm::Ed25519).expect("a key");
    let (after, before) = (valid.start, valid.end.min(i64::MAX.unsigned_abs()));
    let builder = certificate::Builder::new_with_random_nonce(&mut rng, key, after, before);
    let mut builder = builder.expect("a key");
    builder.cert_type(kind).expect("once");
    builder.key_id("id").expect("once");
    for principal in principals {
        builder.valid_principal(*principal).expect("a name");
    }
    builder.sign(&authority).expect("signed")
}
