//! Which keys are tried, and in which order.

use std::sync::Arc;

use russh::keys::agent::AgentIdentity;

use super::*;
use crate::ssh::trust::auth::candidates::{SignedBy, Source, in_order, named_first};
use crate::ssh::trust::auth::key_file::{KeyFile, Secret};
use crate::ssh::trust::auth::offer::Offer;

fn secret_key() -> PrivateKey {
    PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).expect("a key")
}

fn in_agent(name: &str, key: &PrivateKey) -> AgentIdentity {
    AgentIdentity::PublicKey { key: key.public_key().clone(), comment: name.to_owned() }
}

fn in_file(name: &str, key: &PrivateKey) -> KeyFile {
    KeyFile {
        path: name.into(),
        origin: IdentityOrigin::Named,
        public: Some(Offer::Key(key.public_key().clone())),
        in_public: None,
        certificate: None,
        secret: Secret::Clear(Arc::new(key.clone())),
    }
}

fn without_private_half(name: &str, key: &PrivateKey) -> KeyFile {
    KeyFile { secret: Secret::Missing, ..in_file(name, key) }
}

fn by_default(name: &str, key: &PrivateKey) -> KeyFile {
    KeyFile { origin: IdentityOrigin::Default, ..in_file(name, key) }
}

fn certified(key: &PrivateKey, kind: CertType) -> Offer {
    let certificate = certificate(key.public_key(), kind, &["me"], 0..u64::MAX);
    Offer::Certificate(Box::new(certificate))
}

fn agent_certificate(name: &str, certificate: &Offer) -> AgentIdentity {
    let Offer::Certificate(certificate) = certificate else { panic!("{certificate:?}") };
    let certificate = (**certificate).clone();
    AgentIdentity::Certificate { certificate, comment: name.to_owned() }
}

/// The candidates as text: what, from where, and signed by whom.
fn names(candidates: &[Candidate]) -> Vec<String> {
    let name = |candidate: &Candidate| {
        let kind = match &candidate.offer {
            Some(Offer::Certificate(_)) => "cert of ",
            Some(Offer::Key(_)) => "",
            None => "unknown ",
        };
        let source = match &candidate.source {
            Source::Agent { comment } => format!("agent {comment}"),
            Source::AgentFor(file) => format!("agent for {}", file.display()),
            Source::File(file, _) => format!("file {}", file.display()),
            Source::CertificateFile(file) => format!("certificate file {}", file.display()),
        };
        let signer = match (&candidate.signer, &candidate.source) {
            (SignedBy::Agent(_), Source::Agent { .. } | Source::AgentFor(_)) => String::new(),
            (SignedBy::Agent(identity), _) => format!(" by agent {}", identity.comment()),
            (SignedBy::File(file), Source::File(path, _)) if file.path == *path => String::new(),
            (SignedBy::File(file), _) => format!(" by {}", file.path.display()),
            (SignedBy::Nobody, _) => " by nobody".to_owned(),
        };
        format!("{kind}{source}{signer}")
    };
    candidates.iter().map(name).collect()
}

fn order(agent: &[AgentIdentity], files: Vec<KeyFile>, only: Switch) -> Vec<String> {
    let files: Vec<_> = files.into_iter().map(Arc::new).collect();
    names(&in_order(agent, &files, &[], only))
}

/// `-i key.pub` beside `IdentityFile key`.
#[test]
fn a_public_key_is_signed_for_by_the_file_with_the_private_key() {
    let (a, b) = (secret_key(), secret_key());
    let files = vec![without_private_half("a.pub", &a), in_file("b", &b), in_file("a", &a)];
    assert_eq!(order(&[], files, Switch::On), ["file a.pub by a", "file b"]);
}

#[test]
fn the_agents_keys_with_files_come_first_then_its_others_then_the_files() {
    let (a, b, c, d) = (secret_key(), secret_key(), secret_key(), secret_key());
    let agent = [in_agent("c", &c), in_agent("b", &b), in_agent("a", &a)];
    let files = || vec![in_file("fa", &a), in_file("fd", &d), without_private_half("fb", &b)];
    // In the agent's order, as in `ssh`.
    let all = ["agent for fb", "agent for fa", "agent c", "file fd"];
    assert_eq!(order(&agent, files(), Switch::Off), all);
    let only = ["agent for fb", "agent for fa", "file fd"];
    assert_eq!(order(&agent, files(), Switch::On), only);
    assert_eq!(order(&[], files(), Switch::Off), ["file fa", "file fd", "file fb by nobody"]);
    assert_eq!(order(&agent, Vec::new(), Switch::On), [""; 0]);
}

#[test]
fn a_file_with_a_duplicate_key_is_left_out() {
    let a = secret_key();
    let files = vec![in_file("one", &a), in_file("two", &a)];
    assert_eq!(order(&[], files, Switch::Off), ["file one"]);
}

#[test]
fn a_certificate_beside_a_key_comes_after_it() {
    let (a, b) = (secret_key(), secret_key());
    let with =
        |file: KeyFile, key| KeyFile { certificate: Some(certified(key, CertType::User)), ..file };
    let files = vec![with(in_file("fa", &a), &a), in_file("fb", &b)];
    assert_eq!(order(&[], files, Switch::Off), ["file fa", "cert of file fa", "file fb"]);
    // Only the agent has the private key.
    let files = || vec![with(without_private_half("fa", &a), &a)];
    let agent = [in_agent("a", &a)];
    let expected = ["agent for fa", "cert of file fa by agent a"];
    assert_eq!(order(&agent, files(), Switch::On), expected);
    let expected = ["file fa by nobody", "cert of file fa by nobody"];
    assert_eq!(order(&[], files(), Switch::Off), expected);
    // It is not known to which key an encrypted PEM file belongs.
    let secret = Secret::Locked(Arc::default());
    let files = vec![KeyFile { public: None, secret, ..with(in_file("fa", &a), &a) }];
    let expected = ["unknown file fa", "cert of file fa"];
    assert_eq!(order(&[], files, Switch::Off), expected);
}

#[test]
fn configured_certificates_come_first_and_replace_those_beside_keys() {
    let (a, b) = (secret_key(), secret_key());
    let beside = Some(certified(&a, CertType::User));
    let files = [in_file("fb", &b), KeyFile { certificate: beside, ..in_file("fa", &a) }];
    let files = files.map(Arc::new);
    let named = |key| [("c".into(), certified(key, CertType::User))];
    let found = in_order(&[], &files, &named(&a), Switch::Off);
    assert_eq!(names(&found), ["cert of certificate file c by fa", "file fb", "file fa"]);

    let other = secret_key();
    let agent = [in_agent("o", &other)];
    let found = in_order(&agent, &files, &named(&other), Switch::Off);
    assert_eq!(names(&found)[0], "cert of certificate file c by agent o");
    // As in `ssh`, keys that only the agent has do not count then.
    let found = in_order(&agent, &files, &named(&other), Switch::On);
    assert_eq!(names(&found)[0], "cert of certificate file c by nobody");
    // The agent has only the certificate.
    let [(path, offer)] = named(&other);
    let agent = [agent_certificate("oc", &offer)];
    let found = in_order(&agent, &files, &[(path, offer)], Switch::Off);
    assert_eq!(names(&found)[0], "cert of certificate file c by agent oc");
    assert_eq!(found.len(), 3, "it comes once");
}

/// Each of its authorities may be the one that the server trusts.
#[test]
fn several_certificates_of_a_key_are_tried() {
    let a = secret_key();
    let certificates = ["c", "d"].map(|path| (path.into(), certified(&a, CertType::User)));
    let found = in_order(&[], &[Arc::new(in_file("fa", &a))], &certificates, Switch::Off);
    let expected =
        ["cert of certificate file c by fa", "cert of certificate file d by fa", "file fa"];
    assert_eq!(names(&found), expected);
}

#[test]
fn an_identity_file_may_name_a_certificate_of_the_agent() {
    let a = secret_key();
    let certificate = certified(&a, CertType::User);
    let agent = [in_agent("a", &a), agent_certificate("ac", &certificate)];
    let file = KeyFile { public: Some(certificate), ..without_private_half("fa-cert.pub", &a) };
    assert_eq!(order(&agent, vec![file], Switch::On), ["cert of agent for fa-cert.pub"]);
    let host = agent_certificate("host", &certified(&a, CertType::Host));
    assert_eq!(order(&[host], Vec::new(), Switch::Off), [""; 0], "not for a login");
}

#[test]
fn configured_keys_come_first_after_the_server_stopped_listening() {
    let keys: Vec<_> = (0..4).map(|_| secret_key()).collect();
    let agent: Vec<_> = keys[..2].iter().map(|key| in_agent("other", key)).collect();
    let files = [in_file("named", &keys[2]), by_default("default", &keys[3])].map(Arc::new);
    let mut all = in_order(&agent, &files, &[], Switch::Off);
    named_first(&mut all);
    assert_eq!(names(&all), ["file named", "agent other", "agent other", "file default"]);
}
