//! Which keys are tried, and in which order.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::agent::AgentIdentity;

use super::key_file::{KeyFile, Secret};
use super::offer::Offer;
use crate::openssh::client_config::{IdentityOrigin, Switch};
use crate::printable::{self, Lines, printable};

/// A key or a certificate to try.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// What is offered to the server. Unknown for an encrypted PEM file without a `.pub` file.
    pub(super) offer: Option<Offer>,
    pub(super) source: Source,
    pub(super) signer: SignedBy,
}

/// Where a candidate comes from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// The agent, without having been configured.
    Agent { comment: String },
    /// The agent, with an identity file that names it.
    AgentFor(PathBuf),
    /// An identity file, or its certificate.
    File(PathBuf, IdentityOrigin),
    /// A `CertificateFile`.
    CertificateFile(PathBuf),
}

/// Who holds the private key.
#[derive(Clone, Debug)]
pub(super) enum SignedBy {
    /// The agent, under this identity.
    Agent(Box<AgentIdentity>),
    /// An identity file.
    File(Arc<KeyFile>),
    /// Nobody known.
    Nobody,
}

/// The candidates of one login.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    pub(super) left: VecDeque<Candidate>,
    /// Those that the server has refused, and may accept later.
    pub(super) refused: Vec<Candidate>,
    /// Whether one that was not configured was tried. Otherwise [`named_first`] changes nothing.
    pub(super) has_tried_others: bool,
}

impl Candidates {
    /// Whether one of the remaining candidates was configured.
    pub(super) fn has_named(&self) -> bool {
        self.left.iter().any(|candidate| candidate.source.is_named())
    }

    pub(super) fn next(&mut self) -> Option<Candidate> {
        let next = self.left.pop_front()?;
        self.has_tried_others |= !next.source.is_named();
        Some(next)
    }

    /// After the first of several steps, the server may accept what it refused before. As with `ssh`, these come
    /// last: another refusal may be one too many.
    pub(super) fn restart(&mut self) {
        self.left.extend(self.refused.drain(..));
    }
}

/// Sorts the candidates in OpenSSH's order: the certificates of `CertificateFile`; the agent's keys that have
/// an identity file, in the agent's order; the agent's other keys, unless `identities_only`; the identity
/// files, each with its certificate. Duplicates are removed.
pub(super) fn in_order(
    agent: &[AgentIdentity],
    files: &[Arc<KeyFile>],
    certificates: &[(PathBuf, Offer)],
    identities_only: Switch,
) -> Vec<Candidate> {
    let mut own = of_files(files, certificates.is_empty());
    let mut named = Vec::new();
    let mut others = Vec::new();
    for identity in agent {
        let offer = Offer::from(identity);
        if offer.is_certificate() && !offer.is_user_certificate() {
            continue;
        }
        let signer = SignedBy::Agent(Box::new(identity.clone()));
        let is_this = |c: &Candidate| c.offer.as_ref().is_some_and(|o| o.is_same(&offer));
        if let Some(at) = own.iter().position(is_this) {
            let source = Source::AgentFor(own.remove(at).source.path().to_owned());
            named.push(Candidate { offer: Some(offer), source, signer });
        } else if !identities_only.is_on() {
            let source = Source::Agent { comment: identity.comment().to_owned() };
            others.push(Candidate { offer: Some(offer), source, signer });
        }
    }
    let certificates = certificates.iter().map(|(path, offer)| Candidate {
        offer: Some(offer.clone()),
        source: Source::CertificateFile(path.clone()),
        signer: SignedBy::Nobody,
    });
    let all: Vec<_> = certificates.chain(named).chain(others).chain(own).collect();
    deduplicated(find_signers(all))
}

/// The candidates from identity files.
fn of_files(files: &[Arc<KeyFile>], beside: bool) -> Vec<Candidate> {
    let mut out = Vec::new();
    for file in files {
        let mut add = |offer: &Option<Offer>, signer| {
            let source = Source::File(file.path.clone(), file.origin);
            out.push(Candidate { offer: offer.clone(), source, signer });
        };
        // `ssh` reads the public key from there, and so uses the certificate as the key.
        if file.in_public.is_some() {
            add(&file.in_public, SignedBy::Nobody);
        }
        match &file.secret {
            Secret::Clear(_) | Secret::Locked(_) => {
                add(&file.public, SignedBy::File(Arc::clone(file)));
            }
            Secret::Missing | Secret::Unusable(_) if file.public.is_some() => {
                add(&file.public, SignedBy::Nobody);
            }
            Secret::Missing | Secret::Unusable(_) => {}
        }
        if beside && file.certificate.is_some() {
            add(&file.certificate, SignedBy::Nobody);
        }
    }
    out
}

/// Finds the signer for certificates and public keys from files: whoever holds the plain key or the certificate
/// itself; for a certificate, otherwise the private key beside it, if its public key is unknown.
fn find_signers(mut all: Vec<Candidate>) -> Vec<Candidate> {
    let signing: Vec<Candidate> =
        all.iter().filter(|c| !matches!(c.signer, SignedBy::Nobody)).cloned().collect();
    for candidate in &mut all {
        let (SignedBy::Nobody, Some(offer)) = (&candidate.signer, &candidate.offer) else {
            continue;
        };
        let has_it = |c: &&Candidate| {
            let known = c.offer.as_ref();
            known.is_some_and(|o| {
                o.is_same(offer) || (!o.is_certificate() && o.key() == offer.key())
            })
        };
        let beside = |c: &&Candidate| {
            offer.is_certificate()
                && c.offer.is_none()
                && c.source.path() == candidate.source.path()
        };
        let signer = signing.iter().find(has_it).or_else(|| signing.iter().find(beside));
        if let Some(signer) = signer {
            candidate.signer = signer.signer.clone();
        }
    }
    all
}

fn deduplicated(all: Vec<Candidate>) -> Vec<Candidate> {
    let mut out: Vec<Candidate> = Vec::new();
    for candidate in all {
        let is_new = candidate.offer.as_ref().is_none_or(|offer| {
            !out.iter().any(|c| c.offer.as_ref().is_some_and(|o| o.is_same(offer)))
        });
        if is_new {
            out.push(candidate);
        }
    }
    out
}

/// Moves configured candidates to the front, for a server that stops listening. `ssh` keeps its order and fails.
pub(super) fn named_first(candidates: &mut [Candidate]) {
    // The sort is stable.
    candidates.sort_by_key(|candidate| !candidate.source.is_named());
}

impl Candidate {
    /// Whether it can sign without the agent and without a passphrase.
    pub(super) fn is_unattended(&self) -> bool {
        matches!(&self.signer, SignedBy::File(file) if matches!(file.secret, Secret::Clear(_)))
    }

    /// A description with its origin, for display.
    pub(super) fn describe(&self) -> String {
        let key = match &self.offer {
            Some(offer) => offer.describe() + " ",
            None => String::new(),
        };
        let source = &self.source;
        format!("publickey ({key}{source})")
    }
}

impl Source {
    fn path(&self) -> &Path {
        match self {
            Self::Agent { .. } => Path::new(""),
            Self::AgentFor(path) | Self::File(path, _) | Self::CertificateFile(path) => path,
        }
    }

    /// Whether the user configured this particular key.
    fn is_named(&self) -> bool {
        match self {
            Self::Agent { .. } => false,
            Self::File(_, origin) => *origin == IdentityOrigin::Named,
            Self::AgentFor(_) | Self::CertificateFile(_) => true,
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Agent { comment } => {
                write!(f, "from the agent, \"{}\"", printable(comment, 80, Lines::One))
            }
            Self::AgentFor(file) => write!(f, "from the agent, {}", printable::path(file)),
            Self::File(file, _) | Self::CertificateFile(file) => {
                write!(f, "from {}", printable::path(file))
            }
        }
    }
}
