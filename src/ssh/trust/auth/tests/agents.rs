//! Agents that are slow, or do not answer at all.

use std::collections::VecDeque;
use std::sync::Mutex;

use russh::keys::PublicKeyBase64 as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use super::*;
use crate::openssh::client_config::AddKeysToAgent;

/// An agent with these keys, which never signs.
struct Idle {
    keys: Vec<PublicKey>,
    /// The types of the requests so far.
    requests: Mutex<VecDeque<u8>>,
}

impl Idle {
    fn start(place: &mut Place, keys: &[&PublicKey]) -> Arc<Self> {
        let socket = place.path("agent");
        let listener = UnixListener::bind(&socket).expect("a socket");
        place.config.auth.identity_agent = Some(socket);
        let keys = keys.iter().map(|key| (*key).clone()).collect();
        let agent = Arc::new(Self { keys, requests: Mutex::default() });
        let served = Arc::clone(&agent);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&served).serve(stream));
            }
        });
        agent
    }

    async fn serve(self: Arc<Self>, mut stream: UnixStream) {
        while let Ok(length) = stream.read_u32().await {
            let mut request = vec![0; length.try_into().expect("short")];
            stream.read_exact(&mut request).await.expect("a request");
            self.requests.lock().expect("no panic").push_back(request[0]);
            let answer = match request[0] {
                LIST => self.list(),
                SIGN => std::future::pending().await,
                ADD => vec![SUCCESS],
                _ => vec![FAILURE],
            };
            stream.write_all(&text(&answer)).await.expect("it listens");
        }
    }

    fn list(&self) -> Vec<u8> {
        let count = u32::try_from(self.keys.len()).expect("few").to_be_bytes();
        let entry = |key: &PublicKey| [text(&key.public_key_bytes()), text(b"")].concat();
        let entries: Vec<_> = self.keys.iter().flat_map(entry).collect();
        [&[LISTED][..], &count, &entries].concat()
    }

    fn count(&self, kind: u8) -> usize {
        self.requests.lock().expect("no panic").iter().filter(|it| **it == kind).count()
    }
}

/// A string of RFC 4251 section 5.
fn text(text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("short").to_be_bytes();
    [&length[..], text].concat()
}

/// An agent that accepts the connection and never answers.
#[tokio::test(start_paused = true)]
async fn a_hanging_agent_is_skipped() {
    let mut place = Place::new();
    let key = place.key("k", None);
    let socket = place.path("agent");
    let _agent = tokio::net::UnixListener::bind(&socket).expect("a socket");
    place.config.auth.identity_agent = Some(socket);
    let script = Script::new([Step::Key(key)]);
    let result = place.login(&script, &Credentials::default(), &Prompter::nobody()).await;
    assert!(result.expect("by the file").method.contains("from"), "the file");

    let script = Script::new([Step::Key(any_key())]);
    let result = place.login(&script, &Credentials::default(), &Prompter::nobody()).await;
    let text = result.expect_err("refused").to_string();
    assert!(text.contains("agent") && text.contains("did not answer"), "{text}");
    assert_eq!(script.log(), ["none", "offer"], "the key is not tried again");
}

/// A key with a passphrase may be in the agent, which somebody may be unlocking.
#[tokio::test(start_paused = true)]
async fn nobody_is_asked_for_a_passphrase_before_a_late_agent_was_waited_for() {
    let mut place = Place::new();
    let key = place.key("k", Some("open sesame"));
    let socket = place.path("agent");
    let _agent = tokio::net::UnixListener::bind(&socket).expect("a socket");
    place.config.auth.identity_agent = Some(socket);
    let script = Script::new([Step::Key(key)]);
    let prompter = Prompter::scripted(&["open sesame"]);
    let start = tokio::time::Instant::now();
    place.login(&script, &Credentials::default(), &prompter).await.expect("unlocked");
    assert_eq!(prompter.asked().len(), 1);
    // The clock only advances while everything waits.
    assert!(start.elapsed() >= Duration::from_secs(60), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_sign_is_not_asked_again() {
    let mut place = Place::new();
    let (first, second) = (any_key(), any_key());
    let agent = Idle::start(&mut place, &[&first, &second]);
    let script = Script::new([Step::Key(first)]);
    let result = place.login(&script, &Credentials::default(), &Prompter::nobody()).await;
    let text = result.expect_err("no key is left").to_string();
    assert!(text.contains("did not answer within 60 s"), "{text}");
    assert!(text.contains("the agent has stopped answering"), "{text}");
    assert_eq!((agent.count(SIGN), script.log().len()), (1, 2), "{:?}", script.log());
}

#[tokio::test]
async fn a_key_is_added_to_the_agent_once() {
    let mut place = Place::new();
    let key = place.key("k", None);
    let agent = Idle::start(&mut place, &[]);
    place.config.auth.add_keys_to_agent =
        AddKeysToAgent::Yes { confirm: Switch::Off, lifetime: None };
    let (script, credentials) = (Script::new([Step::Key(key)]), Credentials::default());
    for _ in 0..2 {
        place.login(&script, &credentials, &Prompter::nobody()).await.expect("by the file");
        assert_eq!(agent.count(ADD), 1);
    }
}

/// The types of messages (draft-miller-ssh-agent, section 6.1).
const FAILURE: u8 = 5;
const SUCCESS: u8 = 6;
const LIST: u8 = 11;
const LISTED: u8 = 12;
const SIGN: u8 = 13;
const ADD: u8 = 17;
