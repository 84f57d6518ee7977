//! Input from files and agents may be arbitrary.

use proptest::prelude::*;
use russh::keys::agent::client::AgentClient;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use crate::ssh::trust::auth::agent::Agent;
use crate::ssh::trust::auth::key_file::{KeyProblem, decode};
use crate::ssh::trust::auth::legacy_pem::Sealed;
use crate::ssh::trust::auth::offer::Offer;

/// Almost valid text: a key with a few characters changed, removed or doubled.
fn nearly_a_key() -> impl Strategy<Value = String> {
    let texts = [
        include_str!("keys/openssh").to_owned(),
        include_str!("keys/openssh_locked").to_owned(),
        include_str!("keys/pem_locked").to_owned(),
        include_str!("keys/pkcs8").to_owned(),
        include_str!("keys/certificate.pub").to_owned(),
    ];
    let change = (any::<prop::sample::Index>(), any::<char>(), 0..3_u8);
    let changes = proptest::collection::vec(change, 0..6);
    (prop::sample::select(texts.to_vec()), changes).prop_map(|(text, changes)| {
        let mut text: Vec<char> = text.chars().collect();
        for (at, c, how) in changes {
            let at = at.index(text.len());
            match how {
                0 => text[at] = c,
                1 => text.truncate(at.max(1)),
                _ => text.insert(at, c),
            }
        }
        text.into_iter().collect()
    })
}

fn check(text: &str) {
    let _ = Offer::parse(text).map(|offer| {
        offer.doubts("me", std::time::SystemTime::now());
        offer.describe()
    });
    let clear = decode(text, None);
    if clear.as_ref().err() == Some(&KeyProblem::Locked) && text.contains("OPENSSH") {
        // Its key derivation may take hours, since the number of rounds may have changed.
        return;
    }
    let locked = decode(text, Some("wrong"));
    // A passphrase makes no difference to an unencrypted key.
    if let Ok(key) = clear {
        let again = locked.expect("as without a passphrase");
        assert_eq!(again.public_key().key_data(), key.public_key().key_data());
    }
}

/// The keys that an agent with this answer has.
fn listed(answer: &[u8]) -> Option<usize> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let (ours, mut theirs) = UnixStream::pair().expect("sockets");
        theirs.write_all(answer).await.expect("room");
        theirs.shutdown().await.expect("open");
        Agent::list(AgentClient::connect(ours)).await.ok().map(|(_, keys)| keys.len())
    })
}

proptest! {
    #[test]
    fn any_text_is_read_as_a_key_or_refused(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn an_almost_valid_key_is_read_or_refused(text in nearly_a_key()) {
        check(&text);
    }

    #[test]
    fn any_headers_of_an_old_pem_file(
        cipher in "[A-Z0-9-]{0,14}", iv in "[0-9A-Fa-f]{0,40}", body in "[A-Za-z0-9+/=\n]{0,200}",
    ) {
        for cipher in [cipher.as_str(), "AES-128-CBC", "AES-256-CBC", "DES-EDE3-CBC"] {
            let text = format!(
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
                 DEK-Info: {cipher},{iv}\n\n{body}\n-----END RSA PRIVATE KEY-----\n"
            );
            // A passphrase is asked for only if one could decrypt the file.
            let sealed = Sealed::find(&text).expect("encrypted");
            let result = decode(&text, None).expect_err("encrypted");
            prop_assert_eq!(sealed.is_ok(), result == KeyProblem::Locked);
            if let Ok(sealed) = sealed {
                let _ = sealed.open("x");
            }
            prop_assert!(decode(&text, Some("x")).is_err());
        }
    }

    #[test]
    fn any_answer_of_an_agent(
        kind in prop_oneof![Just(12_u8), any::<u8>()],
        count in prop_oneof![0..3_u32, any::<u32>()],
        body in proptest::collection::vec(any::<u8>(), 0..300),
        cut in 0..310_usize,
    ) {
        let mut answer = vec![kind];
        answer.extend(count.to_be_bytes());
        answer.extend(&body);
        let mut framed = u32::try_from(answer.len()).expect("short").to_be_bytes().to_vec();
        framed.extend(&answer);
        // An answer that claims more keys than fit is invalid.
        let keys = listed(&framed).unwrap_or(0);
        prop_assert!(keys <= body.len() / 8, "{keys}");
        framed.truncate(cut);
        listed(&framed);
        listed(&body);
    }
}

#[test]
fn invalid_comments_and_keys_do_not_affect_other_keys() {
    let public = crate::ssh::trust::auth::tests::any_key().to_bytes().expect("a key");
    let text = |text: &[u8]| {
        let length = u32::try_from(text.len()).expect("short").to_be_bytes();
        [&length[..], text].concat()
    };
    let entries = [
        [text(&public), text(b"caf\xe9")].concat(),
        [text(b"no key"), text(b"")].concat(),
        [text(&public), text(b"plain")].concat(),
    ];
    let answer = [&[12, 0, 0, 0, 3][..], &entries.concat()].concat();
    assert_eq!(listed(&text(&answer)), Some(2));
}

/// It is locked.
#[test]
fn an_agent_that_refuses_to_list_its_keys_has_none() {
    assert_eq!(listed(&[0, 0, 0, 1, 5]), Some(0));
}

#[test]
fn the_keys_changed_above_are_valid() {
    for (text, passphrase) in [
        (include_str!("keys/openssh"), None),
        (include_str!("keys/openssh_locked"), Some("open sesame")),
        (include_str!("keys/pem_locked"), Some("open sesame")),
        (include_str!("keys/pkcs8"), None),
    ] {
        assert_eq!(decode(text, None).is_ok(), passphrase.is_none());
        decode(text, passphrase).expect(text);
    }
    let certificate = Offer::parse(include_str!("keys/certificate.pub"));
    assert!(certificate.expect("a certificate").is_user_certificate());
}
