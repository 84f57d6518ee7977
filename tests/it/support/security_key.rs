//! An agent with a security key implemented in software.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use russh::keys::key::safe_rng;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_key::public::{EcdsaPublicKey, KeyData, SkEcdsaSha2NistP256, SkEd25519};
use russh::keys::{Algorithm, EcdsaCurve, PrivateKey, PublicKey, PublicKeyBase64 as _};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// The agent. Its thread waits for connections until the tests are over.
#[derive(Debug)]
pub(crate) struct SecurityKey {
    directory: TempDir,
    key: Arc<Key>,
}

/// The two types that OpenSSH supports.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Ed25519,
    Ecdsa,
}

/// The reaction of the key's owner to a request for a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// The owner touches the key.
    Touches,
    /// The key signs without a touch, and says so.
    NeedNotTouch,
    /// The owner does not touch it, so the agent refuses.
    IsAway,
}

#[derive(Debug)]
struct Key {
    secret: PrivateKey,
    public: PublicKey,
    holder: Holder,
    /// The number of signatures, which is part of each signature.
    counter: AtomicU32,
}

impl SecurityKey {
    /// Starts an agent with a new key.
    pub(crate) fn start(kind: Kind, holder: Holder) -> Self {
        let directory = TempDir::with_prefix("sockeye-sk-").expect("a directory");
        let key = Arc::new(Key::new(kind, holder));
        let agent = Self { directory, key: Arc::clone(&key) };
        let listener = UnixListener::bind(agent.socket()).expect("a socket");
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let key = Arc::clone(&key);
                thread::spawn(move || key.serve(client));
            }
        });
        agent
    }

    /// Writes the public key next to where the private key would be, and returns the path of the latter.
    pub(crate) fn publish(&self, path: &Path) -> PathBuf {
        let line = self.key.public.to_openssh().expect("a key") + "\n";
        fs::write(path.with_extension("pub"), line).expect("written");
        path.to_owned()
    }

    /// The line of an `ssh_config` that names the agent.
    pub(crate) fn line(&self) -> String {
        format!("IdentityAgent {}", self.socket().display())
    }

    /// The number of signatures so far.
    pub(crate) fn signatures(&self) -> u32 {
        self.key.counter.load(Ordering::Relaxed)
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }
}

impl Key {
    fn new(kind: Kind, holder: Holder) -> Self {
        let algorithm = match kind {
            Kind::Ed25519 => Algorithm::Ed25519,
            Kind::Ecdsa => Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
        };
        let secret = PrivateKey::random(&mut safe_rng(), algorithm).expect("a key");
        let data = match secret.public_key().key_data() {
            KeyData::Ed25519(key) => KeyData::SkEd25519(SkEd25519::new(*key, APPLICATION)),
            KeyData::Ecdsa(EcdsaPublicKey::NistP256(point)) => {
                KeyData::SkEcdsaSha2NistP256(SkEcdsaSha2NistP256::new(*point, APPLICATION))
            }
            other => panic!("another key than was made: {other:?}"),
        };
        let public = PublicKey::new(data, COMMENT);
        Self { secret, public, holder, counter: AtomicU32::new(0) }
    }

    fn serve(&self, mut client: UnixStream) {
        while let Ok(request) = read_string(&mut client) {
            let answer = match request.split_first() {
                Some((&REQUEST_IDENTITIES, _)) => self.identities(),
                Some((&SIGN_REQUEST, rest)) if self.holder != Holder::IsAway => {
                    self.sign(rest).expect("a request to sign")
                }
                _ => vec![FAILURE],
            };
            let mut framed = Vec::new();
            push_string(&mut framed, &answer);
            if client.write_all(&framed).is_err() {
                return;
            }
        }
    }

    fn identities(&self) -> Vec<u8> {
        let mut answer = vec![IDENTITIES_ANSWER, 0, 0, 0, 1];
        push_string(&mut answer, &self.public.public_key_bytes());
        push_string(&mut answer, COMMENT.as_bytes());
        answer
    }

    /// A signature as in OpenSSH's PROTOCOL.u2f: over the hash of the application, the flags, the
    /// counter and the hash of the message.
    fn sign(&self, mut request: &[u8]) -> io::Result<Vec<u8>> {
        let key = read_string(&mut request)?;
        assert_eq!(key, self.public.public_key_bytes(), "another key is asked for");
        let message = read_string(&mut request)?;
        let flags = if self.holder == Holder::Touches { TOUCHED } else { 0 };
        let counter = self.counter.fetch_add(1, Ordering::Relaxed) + 1;
        let mut tail = vec![flags];
        tail.extend(counter.to_be_bytes());
        let hash = Sha256::digest(APPLICATION);
        let signed = [hash.as_slice(), &tail, Sha256::digest(&message).as_slice()].concat();
        let mut signature = Vec::new();
        push_string(&mut signature, self.public.algorithm().as_str().as_bytes());
        push_string(&mut signature, self.secret.try_sign(&signed).expect("a key").as_bytes());
        signature.extend(tail);
        let mut answer = vec![SIGN_RESPONSE];
        push_string(&mut answer, &signature);
        Ok(answer)
    }
}

fn read_string(from: &mut impl io::Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    let mut text = Vec::new();
    from.take(length.into()).read_to_end(&mut text)?;
    Ok(text)
}

fn push_string(to: &mut Vec<u8>, text: &[u8]) {
    to.extend(u32::try_from(text.len()).expect("short").to_be_bytes());
    to.extend(text);
}

/// The default application of OpenSSH's keys.
const APPLICATION: &str = "ssh:";
const COMMENT: &str = "a token";
/// The flag that reports a touch.
const TOUCHED: u8 = 1;

// The agent's messages (draft-ietf-sshm-ssh-agent).
const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
