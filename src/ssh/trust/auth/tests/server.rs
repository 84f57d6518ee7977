//! An in-process SSH server that requires what a script says, step by step.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use russh::keys::key::safe_rng;
use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey, PublicKeyOrCertificate};
use russh::server::{Auth, PublicKeyOffer, Response, VerifiedPublicKey};
use russh::{MethodKind, MethodSet, Preferred, client, server};
use tokio::io::DuplexStream;

/// What the server requires next. The login succeeds after the last step.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Nothing.
    Open,
    /// This key.
    Key(PublicKey),
    /// This password.
    Password(&'static str),
    /// This key or this password.
    KeyOrPassword(PublicKey, &'static str),
    /// These answers to these questions.
    Questions(&'static [(&'static str, &'static str)]),
    /// An interactive dialogue without questions.
    RefusedDialogue,
    /// A key, after which the connection ends.
    HangUp,
}

/// A server's script, which each login plays from the start.
#[derive(Clone)]
pub(super) struct Script {
    steps: Vec<Step>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    log: Vec<String>,
    second: Option<Misdeed>,
    /// `None` means 20.
    attempts: Option<usize>,
    rsa_signatures: Option<Algorithm>,
}

/// What happens at the second request.
#[derive(Clone, Copy)]
enum Misdeed {
    HangUp,
    Silence,
}

/// A client that accepts any host key.
pub(super) struct Trusting;

struct Player {
    steps: VecDeque<Step>,
    requests: usize,
    shared: Arc<Mutex<Shared>>,
}

impl Script {
    pub(super) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), shared: Arc::default() }
    }

    /// The requests of the last login.
    pub(super) fn log(&self) -> Vec<String> {
        self.lock().log.clone()
    }

    pub(super) fn hang_up_at_the_second_request(&self) {
        self.lock().second = Some(Misdeed::HangUp);
    }

    pub(super) fn never_answer_the_second_request(&self) {
        self.lock().second = Some(Misdeed::Silence);
    }

    /// Makes the server end the connection at this number of refusals.
    pub(super) fn listen_to(&self, attempts: usize) {
        self.lock().attempts = Some(attempts);
    }

    /// Makes the server announce only this hash for RSA signatures; `None` is SHA-1.
    pub(super) fn take_rsa_signatures_with(&self, hash: Option<HashAlg>) {
        self.lock().rsa_signatures = Some(Algorithm::Rsa { hash });
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("no panic in the server")
    }
}

/// A session with a server that plays the script, before the login.
pub(super) async fn connect(script: &Script) -> client::Handle<Trusting> {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    serve(script, theirs, Preferred::default());
    let config = Arc::new(client::Config::default());
    client::connect_stream(config, ours, Trusting).await.expect("a handshake")
}

/// Plays the script from its start on one connection.
pub(super) fn serve(script: &Script, stream: DuplexStream, preferred: Preferred) {
    script.lock().log.clear();
    let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).expect("a key");
    let mut config = server::Config {
        keys: vec![key],
        auth_rejection_time: std::time::Duration::ZERO,
        inactivity_timeout: None,
        max_auth_attempts: script.lock().attempts.unwrap_or(20),
        preferred,
        ..server::Config::default()
    };
    if let Some(rsa) = script.lock().rsa_signatures.clone() {
        config.preferred.key = vec![Algorithm::Ed25519, rsa].into();
    }
    let player = Player {
        steps: script.steps.clone().into(),
        requests: 0,
        shared: Arc::clone(&script.shared),
    };
    tokio::spawn(async move {
        if let Ok(session) = server::run_stream(Arc::new(config), stream, player).await {
            let _ = session.await;
        }
    });
}

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

impl Player {
    async fn take_note(&mut self, request: &str) -> Result<(), russh::Error> {
        self.requests += 1;
        let second = {
            let mut shared = self.shared.lock().expect("no panic in the server");
            shared.log.push(request.to_owned());
            shared.second
        };
        match second.filter(|_| self.requests == 2) {
            Some(Misdeed::HangUp) => Err(russh::Error::Disconnect),
            Some(Misdeed::Silence) => std::future::pending().await,
            None => Ok(()),
        }
    }

    /// The methods that the server currently accepts.
    fn methods(&self) -> MethodSet {
        let kinds: &[MethodKind] = match self.steps.front() {
            Some(Step::Key(_) | Step::HangUp) => &[MethodKind::PublicKey],
            Some(Step::Password(_)) => &[MethodKind::Password],
            Some(Step::KeyOrPassword(..)) => &[MethodKind::PublicKey, MethodKind::Password],
            Some(Step::Questions(_) | Step::RefusedDialogue) => &[MethodKind::KeyboardInteractive],
            Some(Step::Open) | None => &[],
        };
        kinds.into()
    }

    fn refuse(&self) -> Auth {
        Auth::Reject { proceed_with_methods: Some(self.methods()), partial_success: false }
    }

    fn step_done(&mut self) -> Auth {
        self.steps.pop_front();
        if self.steps.is_empty() {
            return Auth::Accept;
        }
        Auth::Reject { proceed_with_methods: Some(self.methods()), partial_success: true }
    }

    fn wants(&self, key: &PublicKey) -> bool {
        match self.steps.front() {
            Some(Step::Key(wanted) | Step::KeyOrPassword(wanted, _)) => {
                wanted.key_data() == key.key_data()
            }
            _ => false,
        }
    }
}

impl server::Handler for Player {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, russh::Error> {
        self.take_note("none").await?;
        match self.steps.front() {
            Some(Step::Open) => Ok(self.step_done()),
            _ => Ok(self.refuse()),
        }
    }

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, russh::Error> {
        self.take_note("password").await?;
        match self.steps.front() {
            Some(Step::Password(right) | Step::KeyOrPassword(_, right)) if *right == password => {
                Ok(self.step_done())
            }
            _ => Ok(self.refuse()),
        }
    }

    async fn auth_publickey_offered(
        &mut self,
        _: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, russh::Error> {
        self.take_note("offer").await?;
        Ok(if self.wants(offer.public_key) { Auth::Accept } else { self.refuse() })
    }

    async fn auth_publickey(
        &mut self,
        _: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, russh::Error> {
        self.take_note(&format!("publickey {}", key.algorithm)).await?;
        Ok(if self.wants(key.public_key) { self.step_done() } else { self.refuse() })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, russh::Error> {
        let Some(Step::Questions(questions)) = self.steps.front().cloned() else {
            self.take_note("questions").await?;
            return Ok(self.refuse());
        };
        let Some(response) = response else {
            self.take_note("questions").await?;
            let prompts = questions.iter().map(|(prompt, _)| ((*prompt).into(), false)).collect();
            let instructions = "Tell me,\nplease".into();
            return Ok(Auth::Partial { name: "".into(), instructions, prompts });
        };
        let answers: Vec<_> = response.map(|b| b.to_vec()).collect();
        let right = questions.iter().map(|(_, answer)| answer.as_bytes().to_vec());
        if answers == right.collect::<Vec<_>>() { Ok(self.step_done()) } else { Ok(self.refuse()) }
    }
}
