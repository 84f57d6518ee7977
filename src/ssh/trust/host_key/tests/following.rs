//! The record follows what a server announces, as far as the server proves it.

use super::*;
use crate::openssh::client_config::{HostKeyOrder, UpdateHostKeys};
use crate::ssh::trust::host_key::proof::ProofError;

/// A server with one key on record.
fn recorded() -> (Case, ClientConfig, PublicKey) {
    let key = key(P256);
    let case = Case::recording("[host.example]:2222", &key);
    let mut config = config(&case.file, "yes");
    config.host_keys.update_host_keys = UpdateHostKeys::Yes;
    (case, config, key)
}

async fn follow(policy: &HostKeyPolicy, announced: &[&PublicKey], proof: Result<(), ProofError>) {
    let announced = announced.iter().map(|key| (*key).clone()).collect();
    policy.follow(announced, async |_: &[PublicKey]| proof).await;
}

#[tokio::test]
async fn a_key_that_is_not_proved_or_announced_twice_is_not_recorded() {
    let new = key(Algorithm::Ed25519);
    for (times, proof, lines) in [(1, Ok(()), 2), (1, Err(ProofError::Excess), 1), (2, Ok(()), 1)] {
        let (case, config, old) = recorded();
        let policy = HostKeyPolicy::new(&config, &Prompter::nobody());
        let told = format!("{proof:?}, {times} times");
        let announced = [vec![&old], vec![&new; times]].concat();
        follow(&policy, &announced, proof).await;
        assert_eq!(case.record().lines().count(), lines, "{told}");
    }
}

#[tokio::test]
async fn a_key_of_a_type_that_is_not_taken_is_not_recorded() {
    let (case, mut config, old) = recorded();
    let names = vec![P256.as_str().to_owned()];
    config.algorithms.host_keys = Some(HostKeyTypes { names, order: HostKeyOrder::AsListed });
    let policy = HostKeyPolicy::new(&config, &Prompter::nobody());
    let before = case.record();
    follow(&policy, &[&old, &key(Algorithm::Ed25519)], Ok(())).await;
    assert_eq!(case.record(), before);
}

#[tokio::test]
async fn a_person_who_says_no_is_asked_once() {
    let new = key(Algorithm::Ed25519);
    for (answer, lines) in [("yes", 2), ("no", 1)] {
        let (case, mut config, old) = recorded();
        config.host_keys.update_host_keys = UpdateHostKeys::Ask;
        let prompter = Prompter::scripted(&[answer, "yes"]);
        let policy = HostKeyPolicy::new(&config, &prompter);
        for _ in 0..2 {
            follow(&policy, &[&old, &new], Ok(())).await;
        }
        assert_eq!(case.record().lines().count(), lines, "{answer}");
        assert_eq!(prompter.asked().len(), 1, "{answer}");
    }
}
