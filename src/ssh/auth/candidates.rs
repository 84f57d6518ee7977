//! Which keys are tried, and in which order.

use std::collections::VecDeque;
use std::path::PathBuf;

use russh::keys::agent::AgentIdentity;
use russh::keys::{Algorithm, HashAlg, PublicKey};

use super::key_file::{KeyFile, Secret};
use crate::printable::{Lines, printable};
use crate::ssh::client_config::Switch;

/// A key to try.
#[derive(Debug)]
pub(super) enum Candidate {
    /// The agent has it.
    Agent {
        /// The key or certificate.
        identity: Box<AgentIdentity>,
        /// The identity file that it belongs to.
        file: Option<PathBuf>,
    },
    /// A file has it.
    File(KeyFile),
}

/// Puts the keys in OpenSSH's order: the agent's keys that belong to an identity file, in the
/// order of the files; the agent's other keys, unless `identities_only`; then the files. No key
/// comes twice.
pub(super) fn in_order(
    agent: Vec<AgentIdentity>,
    files: Vec<KeyFile>,
    identities_only: Switch,
) -> VecDeque<Candidate> {
    let mut out = VecDeque::new();
    let mut waiting = agent;
    for file in &files {
        let Some(public) = &file.public else { continue };
        let (own, others): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|identity| identity.public_key().key_data() == public.key_data());
        waiting = others;
        out.extend(own.into_iter().map(|identity| Candidate::Agent {
            identity: Box::new(identity),
            file: Some(file.path.clone()),
        }));
    }
    if !identities_only.is_on() {
        let others = waiting.into_iter();
        out.extend(others.map(|key| Candidate::Agent { identity: Box::new(key), file: None }));
    }
    let mut seen: Vec<PublicKey> = Vec::new();
    for file in files {
        let twice = file.public.as_ref().is_some_and(|public| {
            let same = |other: &PublicKey| other.key_data() == public.key_data();
            seen.iter().any(same) || out.iter().any(|candidate| candidate.is_plain(public))
        });
        let usable = matches!(file.secret, Secret::Clear(_) | Secret::Locked(_));
        if usable && !twice {
            seen.extend(file.public.clone());
            out.push_back(Candidate::File(file));
        }
    }
    out
}

impl Candidate {
    /// The public key, where it is known.
    pub(super) fn public(&self) -> Option<PublicKey> {
        match self {
            Self::Agent { identity, .. } => Some(identity.public_key().into_owned()),
            Self::File(file) => file.public.clone(),
        }
    }

    /// Whether the agent has just this key, not a certificate of it.
    fn is_plain(&self, public: &PublicKey) -> bool {
        match self {
            Self::Agent { identity, .. } => match &**identity {
                AgentIdentity::PublicKey { key, .. } => key.key_data() == public.key_data(),
                AgentIdentity::Certificate { .. } => false,
            },
            Self::File(_) => false,
        }
    }

    /// What it is and where it comes from, for a person.
    pub(super) fn describe(&self) -> String {
        let key = match self.public() {
            Some(key) => format!("{} {} ", key.algorithm(), key.fingerprint(HashAlg::Sha256)),
            None => String::new(),
        };
        let path = |path: &PathBuf| printable(&path.to_string_lossy(), 200, Lines::One);
        match self {
            Self::Agent { identity, file } => {
                let kind = match **identity {
                    AgentIdentity::PublicKey { .. } => "",
                    AgentIdentity::Certificate { .. } => "certificate ",
                };
                let comment = printable(identity.comment(), 80, Lines::One);
                match file {
                    Some(file) => format!("publickey ({kind}{key}from the agent, {})", path(file)),
                    None => format!("publickey ({kind}{key}from the agent, \"{comment}\")"),
                }
            }
            Self::File(file) => format!("publickey ({key}from {})", path(&file.path)),
        }
    }
}

/// Whether a key of this type is used at all; the reason why not otherwise.
pub(super) fn check_type(candidate: &Candidate) -> Result<(), &'static str> {
    let algorithm = candidate.public().map(|key| key.algorithm());
    match (algorithm, candidate) {
        (Some(Algorithm::Dsa), _) => Err("DSA is too weak"),
        (Some(Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256), Candidate::File(_)) => {
            Err("a security key is used through the agent only (ssh-add)")
        }
        _ => Ok(()),
    }
}
