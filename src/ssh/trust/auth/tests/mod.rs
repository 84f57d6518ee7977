//! Against a scripted server in this process, and against the real `sshd` and `ssh-agent`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::certificate::{self, CertType};
use russh::keys::{Algorithm, Certificate, PrivateKey, PublicKey};

use super::*;
use crate::openssh::client_config::{
    IdentityAgent, IdentityFile, IdentityOrigin, SshOptions, Switch,
};
use candidates::Candidate;
use server::{Script, Step, connect};

mod formats;
mod keys;
mod order;
mod outside;
mod password_change;
mod real;
mod server;

/// A folder for keys, and a configuration that names them.
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
        config.auth.identity_agent = IdentityAgent::None;
        Self { dir: tempfile::tempdir().expect("a directory"), config }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a key and names it in the configuration.
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
async fn a_server_may_let_everybody_in() {
    let script = Script::new([Step::Open]);
    let told = Place::new().login(&script, &Credentials::default(), &Prompter::nobody()).await;
    assert_eq!(told.expect("open").kind, LoginKind::Unattended);
    assert_eq!(script.log(), ["none"]);
}

#[tokio::test]
async fn a_password_is_asked_for_three_times() {
    let place = Place::new();
    let script = Script::new([Step::Password("right")]);
    let prompter = Prompter::scripted(&["a", "b", "right"]);
    let told = place.login(&script, &Credentials::default(), &prompter).await;
    let done = told.expect("the third was right");
    assert_eq!((done.method.as_str(), done.kind), ("password", LoginKind::Interactive));
    assert!(prompter.asked()[0].contains("me@host.example"), "{:?}", prompter.asked());

    let prompter = Prompter::scripted(&["a", "b", "c", "right"]);
    let told = place.login(&script, &Credentials::default(), &prompter).await;
    assert!(matches!(told, Err(AuthError::Refused { .. })), "{told:?}");
    assert_eq!(prompter.asked().len(), 3);
    assert!(!told.expect_err("refused").to_string().contains("right"));
}

#[tokio::test]
async fn nobody_to_ask_is_told_and_nothing_is_tried() {
    // There may be no question behind the method: a push to a telephone needs nobody here.
    for (step, seen) in [
        (Step::Password("x"), &["none"][..]),
        (Step::Questions(&[("Code: ", "1")]), &["none", "questions"]),
    ] {
        let script = Script::new([step]);
        let told = Place::new().login(&script, &Credentials::default(), &Prompter::nobody()).await;
        assert!(matches!(told, Err(AuthError::PersonNeeded { .. })), "{told:?}");
        assert_eq!(script.log(), seen);

        let mut place = Place::new();
        place.config.auth.batch_mode = Switch::On;
        let prompter = Prompter::scripted(&["x"]);
        let told = place.login(&script, &Credentials::default(), &prompter).await;
        assert!(matches!(told, Err(AuthError::PersonNeeded { .. })), "{told:?}");
        assert!(prompter.asked().is_empty());
    }
}

#[tokio::test]
async fn the_servers_questions_are_shown_as_its_own_and_escaped() {
    let place = Place::new();
    let script = Script::new([Step::Questions(&[("Code\x1b[2J: ", "123"), ("PIN: ", "9")])]);
    let prompter = Prompter::scripted(&["123", "9"]);
    let told = place.login(&script, &Credentials::default(), &prompter).await;
    assert_eq!(told.expect("answered").kind, LoginKind::Interactive);
    let asked = prompter.asked();
    assert_eq!(asked.len(), 2);
    assert!(
        asked.iter().all(|q| q.lines().all(|l| l.starts_with("(me@host.example) "))),
        "{asked:?}"
    );
    assert!(asked[0].contains("Code\\u{1b}[2J: "), "{asked:?}");
    // The instructions stand by themselves: what asks gets the question alone, as of ssh.
    assert!(!asked[0].contains("Tell me"), "{asked:?}");

    let wrong = Prompter::scripted(&["1", "1", "2", "2", "3", "3", "123", "9"]);
    let told = place.login(&script, &Credentials::default(), &wrong).await;
    assert!(matches!(told, Err(AuthError::Refused { .. })), "{told:?}");
    assert_eq!(wrong.asked().len(), 6);
}

#[tokio::test]
async fn a_person_who_does_not_answer_ends_the_login() {
    for step in [Step::Password("x"), Step::Questions(&[("Code: ", "1")])] {
        let script = Script::new([step]);
        let prompter = Prompter::scripted(&[]);
        let told = Place::new().login(&script, &Credentials::default(), &prompter).await;
        assert!(matches!(told, Err(AuthError::GivenUp(_))), "{told:?}");
    }
}

/// Somebody may have to say yes on a telephone: that is not asked for again and again.
#[tokio::test]
async fn a_dialogue_without_a_question_is_a_login_by_a_person() {
    let script = Script::new([Step::Questions(&[])]);
    let prompter = Prompter::scripted(&[]);
    let told = Place::new().login(&script, &Credentials::default(), &prompter).await;
    assert_eq!(told.expect("nothing to answer").kind, LoginKind::Interactive);
    let alone = Place::new().login(&script, &Credentials::default(), &Prompter::nobody()).await;
    assert!(alone.is_ok(), "{alone:?}");
}

#[tokio::test]
async fn a_server_may_want_two_methods_or_two_keys() {
    let mut place = Place::new();
    let a = place.key("a", None);
    let b = place.key("b", None);
    let script = Script::new([Step::Key(a.clone()), Step::Password("p")]);
    let prompter = Prompter::scripted(&["p"]);
    let told = place.login(&script, &Credentials::default(), &prompter).await.expect("both");
    assert_eq!(told.kind, LoginKind::Interactive);
    assert!(
        told.method.contains("publickey") && told.method.ends_with(" and password"),
        "{told:?}"
    );

    let script = Script::new([Step::Key(a), Step::Key(b)]);
    let told = place.login(&script, &Credentials::default(), &Prompter::nobody()).await;
    assert_eq!(told.expect("both keys").kind, LoginKind::Unattended);
    assert_eq!(script.log().iter().filter(|m| m.starts_with("publickey")).count(), 2);
}

#[tokio::test]
async fn a_connection_that_is_cut_behind_a_refusal_asks_nobody_the_next_time() {
    let mut place = Place::new();
    place.key("wrong", None);
    let right = place.key("right", None);
    let script = Script::new([Step::KeyOrPassword(right, "p")]);
    script.listen_to(2);
    let (credentials, prompter) = (Credentials::default(), Prompter::scripted(&["p"]));
    let told = place.login(&script, &credentials, &prompter).await;
    assert!(matches!(told, Err(AuthError::Disconnected { .. })), "{told:?}");
    script.listen_to(20);
    let told = place.login(&script, &credentials, &prompter).await;
    assert!(told.expect("the key").method.contains("right"));
    assert!(prompter.asked().is_empty());
}

/// Where a server stops listening is not known before it does: nobody is asked where a key will do.
#[tokio::test]
async fn a_person_has_a_turn_where_the_keys_are_too_many() {
    let mut place = Place::new();
    let keys: Vec<_> = (0..9).map(|i| place.key(&format!("k{i}"), None)).collect();
    for listens_to in [3, 6] {
        let script = Script::new([Step::KeyOrPassword(any_key(), "p")]);
        script.listen_to(listens_to);
        let (credentials, prompter) = (Credentials::default(), Prompter::scripted(&["p"]));
        let told = place.login(&script, &credentials, &prompter).await;
        assert!(matches!(told, Err(AuthError::Disconnected { .. })), "{told:?}");
        let told = place.login(&script, &credentials, &prompter).await;
        assert_eq!(told.expect("the password").method, "password");
        let offers = script.log().iter().filter(|m| *m == "offer").count();
        assert_eq!(offers, listens_to - 2);
    }

    let script = Script::new([Step::KeyOrPassword(keys[8].clone(), "p")]);
    let prompter = Prompter::scripted(&["p"]);
    let told = place.login(&script, &Credentials::default(), &prompter).await;
    assert!(told.expect("the last key").method.contains("k8"));
    assert!(prompter.asked().is_empty());

    let nobody = place.login(&script, &Credentials::default(), &Prompter::nobody()).await;
    assert!(nobody.expect("the last key").method.contains("k8"));
}

#[tokio::test]
async fn keys_that_a_server_did_not_listen_to_are_counted() {
    let mut place = Place::new();
    for i in 0..9 {
        place.key(&format!("k{i}"), None);
    }
    let script = Script::new([Step::Key(any_key())]);
    script.listen_to(6);
    let told = place.login(&script, &Credentials::default(), &Prompter::nobody()).await;
    match &told {
        Err(AuthError::Disconnected { untried: 3, .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(told.expect_err("refused").to_string().contains("IdentitiesOnly"));
}

/// A server that takes one step may then want what it refused before.
#[tokio::test]
async fn a_key_that_was_refused_is_tried_again_after_another_step() {
    let mut place = Place::new();
    let b = place.key("b", None);
    let a = place.key("a", None);
    let script = Script::new([Step::Key(a), Step::Key(b)]);
    let told = place.login(&script, &Credentials::default(), &Prompter::nobody()).await;
    let told = told.expect("both keys").method;
    assert!(told.contains(" and publickey"), "{told}");
}

#[tokio::test]
async fn a_dialogue_without_a_question_is_not_begun_again() {
    let script = Script::new([Step::RefusedDialogue]);
    let prompter = Prompter::scripted(&["x"]);
    let told = Place::new().login(&script, &Credentials::default(), &prompter).await;
    assert!(matches!(told, Err(AuthError::Refused { .. })), "{told:?}");
    assert_eq!(script.log(), ["none", "questions"]);
}

#[tokio::test]
async fn what_the_configuration_forbids_is_not_tried() {
    let mut place = Place::new();
    let key = place.key("k", None);
    place.config.auth.pubkey_authentication = Switch::Off;
    place.config.auth.password_authentication = Switch::Off;
    let script = Script::new([Step::KeyOrPassword(key.clone(), "p")]);
    let prompter = Prompter::scripted(&["p"]);
    let told = place.login(&script, &Credentials::default(), &prompter).await;
    assert!(matches!(told, Err(AuthError::Refused { .. })), "{told:?}");
    assert_eq!(script.log(), ["none"]);

    let mut place = Place { config: place.config.clone(), ..place };
    place.config.auth.pubkey_authentication = Switch::On;
    place.config.auth.password_authentication = Switch::On;
    place.config.auth.preferred_authentications = vec![AuthMethod::Password];
    let told = place.login(&script, &Credentials::default(), &prompter).await;
    assert_eq!(told.expect("the password").method, "password");
}

#[tokio::test]
async fn a_server_that_goes_away_is_told_apart_from_one_that_refuses() {
    for step in [Step::HangUp, Step::Password("x"), Step::Questions(&[("?", "1")])] {
        let hangs_up = Script::new([step]);
        hangs_up.hang_up_at_the_second_request();
        let prompter = Prompter::scripted(&["y", "y"]);
        let mut place = Place::new();
        place.key("k", None);
        let told = place.login(&hangs_up, &Credentials::default(), &prompter).await;
        assert!(matches!(told, Err(AuthError::Disconnected { .. })), "{told:?}");
    }
}

/// The clock runs ahead whenever everything waits.
#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up() {
    let script = Script::new([Step::Password("x")]);
    script.never_answer_the_second_request();
    let prompter = Prompter::scripted(&["y"]);
    let told = Place::new().login(&script, &Credentials::default(), &prompter).await;
    assert_eq!(told, Err(AuthError::PasswordUnanswered(ANSWER_LIMIT)));
}

/// The server may be asking somebody, or be slow to tell a wrong answer: its time is that of an answer.
#[tokio::test(start_paused = true)]
async fn a_dialogue_is_waited_for_as_an_answer_of_a_person() {
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
        told = place.login(&script, &credentials, &prompter) => panic!("{told:?}"),
        () = waits => {}
    }
}

/// An agent that takes the connection and says nothing.
#[tokio::test(start_paused = true)]
async fn an_agent_that_hangs_is_left_alone() {
    let mut place = Place::new();
    let key = place.key("k", None);
    let socket = place.path("agent");
    let _agent = tokio::net::UnixListener::bind(&socket).expect("a socket");
    place.config.auth.identity_agent = IdentityAgent::Socket(socket);
    let script = Script::new([Step::Key(key)]);
    let told = place.login(&script, &Credentials::default(), &Prompter::nobody()).await;
    assert!(told.expect("by the file").method.contains("from"), "the file");

    let script = Script::new([Step::Key(any_key())]);
    let told = place.login(&script, &Credentials::default(), &Prompter::nobody()).await;
    let text = told.expect_err("refused").to_string();
    assert!(text.contains("agent") && text.contains("did not answer"), "{text}");
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
fn no_secret_shows_in_debug_output() {
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

/// A certificate by an authority of its own.
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
