//! Which keys are tried, and in which order.

use std::sync::Arc;

use russh::keys::agent::AgentIdentity;

use super::*;
use crate::ssh::auth::candidates::in_order;
use crate::ssh::auth::key_file::{KeyFile, Secret};

fn secret_key() -> PrivateKey {
    PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).expect("a key")
}

fn in_agent(name: &str, key: &PrivateKey) -> AgentIdentity {
    AgentIdentity::PublicKey { key: key.public_key().clone(), comment: name.to_owned() }
}

fn in_file(name: &str, key: &PrivateKey) -> KeyFile {
    KeyFile {
        path: name.into(),
        public: Some(key.public_key().clone()),
        secret: Secret::Clear(Arc::new(key.clone())),
    }
}

fn without_private_half(name: &str, key: &PrivateKey) -> KeyFile {
    KeyFile { secret: Secret::Missing, ..in_file(name, key) }
}

/// What is tried, each by its place.
fn order(agent: Vec<AgentIdentity>, files: Vec<KeyFile>, only: Switch) -> Vec<String> {
    let name = |candidate: &Candidate| match candidate {
        Candidate::Agent { identity, file: None } => format!("agent {}", identity.comment()),
        Candidate::Agent { file: Some(file), .. } => format!("agent for {}", file.display()),
        Candidate::File(file) => format!("file {}", file.path.display()),
    };
    in_order(agent, files, only).iter().map(name).collect()
}

#[test]
fn the_agents_keys_for_files_then_its_others_then_the_files() {
    let (a, b, c, d) = (secret_key(), secret_key(), secret_key(), secret_key());
    let agent = || vec![in_agent("c", &c), in_agent("b", &b), in_agent("a", &a)];
    let files = || vec![in_file("fa", &a), in_file("fd", &d), without_private_half("fb", &b)];
    let all = ["agent for fa", "agent for fb", "agent c", "file fd"];
    assert_eq!(order(agent(), files(), Switch::Off), all);
    let only = ["agent for fa", "agent for fb", "file fd"];
    assert_eq!(order(agent(), files(), Switch::On), only);
    assert_eq!(order(Vec::new(), files(), Switch::Off), ["file fa", "file fd"]);
    assert_eq!(order(agent(), Vec::new(), Switch::On), [""; 0]);
}

#[test]
fn a_file_whose_key_came_before_is_left_out() {
    let a = secret_key();
    let files = vec![in_file("one", &a), in_file("two", &a)];
    assert_eq!(order(Vec::new(), files, Switch::Off), ["file one"]);
}
