//! Which keys are offered, and what their files require.

use super::*;

#[tokio::test]
async fn keys_are_tried_in_order_without_duplicates() {
    let mut place = Place::new();
    place.key("a", None);
    let b = place.key("b", None);
    place.name(&place.path("a"));
    std::fs::copy(place.path("a"), place.path("copy of a")).expect("copied");
    std::fs::set_permissions(place.path("copy of a"), PermissionsExt::from_mode(0o600))
        .expect("0600");
    place
        .config
        .auth
        .identity_files
        .insert(1, IdentityFile { path: place.path("copy of a"), origin: IdentityOrigin::Named });
    let script = Script::new([Step::Key(b.clone())]);
    let done = place.login(&script, &Credentials::default(), &Prompter::nobody()).await;
    let done = done.expect("b is accepted");
    assert_eq!(done.kind, LoginKind::Unattended);
    assert!(done.method.contains(&b.fingerprint(HashAlg::Sha256).to_string()), "{done:?}");
    assert_eq!(script.log(), ["none", "offer", "offer", "publickey ssh-ed25519"]);
}

#[test]
fn the_comment_of_a_public_key_may_have_any_encoding() {
    let mut place = Place::new();
    let key = place.key("k", None);
    let mut text = key.to_openssh().expect("a key").into_bytes();
    text.extend(b" caf\xe9\n");
    let path = place.path("k.pub");
    std::fs::write(&path, text).expect("written");
    let offer = super::super::key_file::load_public(&path).expect("a key");
    assert_eq!(*offer.key(), *key.key_data());
}

#[tokio::test]
async fn a_passphrase_is_asked_for_once_and_only_for_an_accepted_key() {
    let mut place = Place::new();
    place.key("unwanted", Some("x"));
    let wanted = place.key("wanted", Some("open sesame"));
    let script = Script::new([Step::Key(wanted)]);
    let credentials = Credentials::default();
    let prompter = Prompter::scripted(&["wrong", "open sesame"]);
    let done = place.login(&script, &credentials, &prompter).await.expect("unlocked");
    assert_eq!(done.kind, LoginKind::Unattended);
    let asked = prompter.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked.iter().all(|q| q.contains("wanted") && !q.contains("unwanted")), "{asked:?}");

    let again = place.login(&script, &credentials, &Prompter::nobody()).await;
    assert_eq!(again.expect("kept"), done);
}

#[tokio::test]
async fn a_passphrase_that_is_not_given() {
    let mut place = Place::new();
    let wanted = place.key("wanted", Some("x"));
    let script = Script::new([Step::Key(wanted)]);
    let login = |prompter| {
        let place = &place;
        let script = &script;
        async move { place.login(script, &Credentials::default(), &prompter).await }
    };
    let error = login(Prompter::nobody()).await.expect_err("locked");
    assert!(matches!(error, AuthError::PersonNeeded { .. }), "{error:?}");
    assert!(error.to_string().contains("passphrase"), "{error}");

    for answers in [&["a", "b", "c", "x"][..], &["", "x"], &[]] {
        let error = login(Prompter::scripted(answers)).await.expect_err("locked");
        assert!(matches!(error, AuthError::Refused { .. }), "{error:?}");
        assert!(error.to_string().contains("passphrase was not given"), "{error}");
    }
}

#[tokio::test]
async fn unusable_files_are_reported_and_missing_defaults_are_not() {
    let mut place = Place::new();
    place.key("open", None);
    let open = place.path("open");
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o644)).expect("0644");
    place.name(&place.path("missing"));
    std::fs::write(place.path("broken"), "no key").expect("written");
    std::fs::set_permissions(place.path("broken"), PermissionsExt::from_mode(0o600)).expect("0600");
    place.name(&place.path("broken"));
    let default = IdentityFile { path: place.path("id_rsa"), origin: IdentityOrigin::Default };
    place.config.auth.identity_files.push(default);

    let script = Script::new([Step::Key(any_key())]);
    let result = place.login(&script, &Credentials::default(), &Prompter::nobody()).await;
    let error = result.expect_err("no key is left");
    let text = error.to_string();
    assert_eq!(tried(&error).len(), 3, "{text}");
    assert!(text.contains("0644") && text.contains("open"), "{text}");
    assert!(text.contains("missing): it does not exist"), "{text}");
    assert!(!text.contains("id_rsa"), "{text}");
    assert_eq!(script.log(), ["none"], "nothing was offered");
}

/// They cannot log in, or have no private key here.
#[tokio::test]
async fn unusable_certificates_and_public_keys_are_reported() {
    let mut place = Place::new();
    let key = place.key("k", None);
    let host = certificate(&key, CertType::Host, &["me"], 0..u64::MAX);
    let host = host.to_openssh().expect("a certificate");
    std::fs::write(place.path("k-cert.pub"), &host).expect("written");
    let public = any_key().to_openssh().expect("a key");
    std::fs::write(place.path("alone.pub"), public).expect("written");
    place.name(&place.path("alone.pub"));
    let script = Script::new([Step::Key(any_key())]);
    for named in [vec![], vec![place.path("k-cert.pub")]] {
        place.config.auth.certificate_files = named;
        let result = place.login(&script, &Credentials::default(), &Prompter::nobody()).await;
        let error = result.expect_err("no key is left");
        let text = error.to_string();
        assert!(text.contains("its private key is in no identity file"), "{text}");
        let is_named = !place.config.auth.certificate_files.is_empty();
        assert_eq!(text.contains("it is not a certificate of a user"), is_named, "{text}");
        assert_eq!(script.log(), ["none", "offer"], "only the key");
    }
}

#[test]
fn a_certificate_in_place_of_the_public_key_is_of_that_key() {
    let mut place = Place::new();
    let key = place.key("k", None);
    let path = place.path("k");
    for (of, is_used) in [(&key, true), (&any_key(), false)] {
        let certificate = certificate(of, CertType::User, &["me"], 0..u64::MAX);
        let text = certificate.to_openssh().expect("a certificate");
        std::fs::write(place.path("k.pub"), text).expect("written");
        let file = key_file::load(&path, IdentityOrigin::Named);
        assert_eq!(file.in_public.is_some(), is_used);
    }
}

/// The public key of an encrypted PEM file is known only from the file beside it.
#[tokio::test]
async fn a_public_key_of_another_key_is_reported() {
    let mut place = Place::new();
    let path = place.path("k");
    std::fs::write(&path, include_str!("keys/pem_locked")).expect("written");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("0600");
    place.name(&path);
    let other = any_key();
    std::fs::write(place.path("k.pub"), other.to_openssh().expect("a key")).expect("written");
    let script = Script::new([Step::Key(other)]);
    let prompter = Prompter::scripted(&["open sesame"]);
    let result = place.login(&script, &Credentials::default(), &prompter).await;
    let text = result.expect_err("no key is left").to_string();
    assert!(text.contains("the public key beside it belongs to another key"), "{text}");
    assert_eq!(script.log(), ["none", "offer"], "nothing was signed");
}

#[test]
fn a_key_that_replaced_an_unlocked_one_is_not_unlocked() {
    let place = Place::new();
    let (path, credentials) = (place.path("k"), Credentials::default());
    let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).expect("a key");
    credentials.keep(&path, &key);
    assert!(credentials.unlocked(&path, Some(key.public_key().key_data())).is_some());
    assert!(credentials.unlocked(&path, Some(any_key().key_data())).is_none());
}

#[tokio::test]
async fn rsa_keys_sign_with_an_accepted_hash_and_with_sha_1_only_on_request() {
    let mut place = Place::new();
    let algorithm = Algorithm::Rsa { hash: None };
    let key = PrivateKey::random(&mut safe_rng(), algorithm).expect("a key");
    key.write_openssh_file(place.path("rsa"), LineEnding::LF).expect("written");
    place.name(&place.path("rsa"));
    let script = Script::new([Step::Key(key.public_key().clone())]);
    let (credentials, nobody) = (Credentials::default(), Prompter::nobody());
    for (hash, name) in [(HashAlg::Sha256, "rsa-sha2-256"), (HashAlg::Sha512, "rsa-sha2-512")] {
        script.take_rsa_signatures_with(Some(hash));
        place.login(&script, &credentials, &nobody).await.expect(name);
        assert_eq!(script.log().last(), Some(&format!("publickey {name}")));
    }
    script.take_rsa_signatures_with(None);
    let error = place.login(&script, &credentials, &nobody).await.expect_err("only SHA-1");
    assert!(error.to_string().contains("SHA-1"), "{error}");
    assert_eq!(script.log(), ["none"], "nothing was offered");
    place.config.auth.pubkey_accepted_algorithms.push("ssh-rsa".to_owned());
    place.login(&script, &credentials, &nobody).await.expect("configured by name");
    assert_eq!(script.log().last().map(String::as_str), Some("publickey ssh-rsa"));
    place.config.auth.pubkey_accepted_algorithms = vec!["ssh-rsa".to_owned()];
    script.take_rsa_signatures_with(Some(HashAlg::Sha512));
    place.login(&script, &credentials, &nobody).await.expect("nothing else is configured");
    assert_eq!(script.log().last().map(String::as_str), Some("publickey ssh-rsa"));

    let offer = offer::Offer::Key(key.public_key().clone());
    place.config.auth.pubkey_accepted_algorithms =
        ["rsa-sha2-512", "rsa-sha2-256"].map(str::to_owned).to_vec();
    // RFC 8332 section 3.
    let hash = offer.signature(&place.config, RsaSignatures::Untold);
    assert_eq!(hash, Ok(Some(HashAlg::Sha256)));
    place.key("ed25519", None);
    place.config.required_rsa_size = 1 << 14;
    let error = place.login(&script, &credentials, &nobody).await.expect_err("neither");
    let text = error.to_string();
    assert!(text.contains("RequiredRSASize asks for 16384"), "{text}");
    assert!(text.contains("PubkeyAcceptedAlgorithms does not have ssh-ed25519"), "{text}");
    assert_eq!(script.log(), ["none"], "nothing was offered");
}
