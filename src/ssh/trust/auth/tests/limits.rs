//! Servers that stop listening after a number of refusals.

use super::*;

#[tokio::test]
async fn a_connection_cut_after_a_refusal_does_not_change_the_order() {
    let mut place = Place::new();
    place.key("wrong", None);
    let right = place.key("right", None);
    let script = Script::new([Step::KeyOrPassword(right, "p")]);
    script.listen_to(2);
    let (credentials, prompter) = (Credentials::default(), Prompter::scripted(&["p"]));
    let result = place.login(&script, &credentials, &prompter).await;
    assert!(matches!(result, Err(AuthError::Disconnected { .. })), "{result:?}");
    script.listen_to(20);
    let result = place.login(&script, &credentials, &prompter).await;
    assert!(result.expect("the key").method.contains("right"));
    assert!(prompter.asked().is_empty());
}

/// It may have been cut, too, before the first key was refused.
#[tokio::test]
async fn a_connection_cut_before_a_refusal_does_not_change_the_order() {
    let mut place = Place::new();
    place.key("wrong", None);
    let right = place.key("right", None);
    let (credentials, prompter) = (Credentials::default(), Prompter::scripted(&["p"]));
    let cut = Script::new([Step::KeyOrPassword(right.clone(), "p")]);
    cut.hang_up_at_the_second_request();
    let result = place.login(&cut, &credentials, &prompter).await;
    assert!(matches!(result, Err(AuthError::Disconnected { .. })), "{result:?}");
    let script = Script::new([Step::KeyOrPassword(right, "p")]);
    let result = place.login(&script, &credentials, &prompter).await;
    assert!(result.expect("the key").method.contains("right"));
    assert!(prompter.asked().is_empty());
}

/// The server's limit is unknown until it is reached: nobody is asked if a key suffices.
#[tokio::test]
async fn a_person_is_asked_before_too_many_keys() {
    let mut place = Place::new();
    let keys: Vec<_> = (0..9).map(|i| place.key(&format!("k{i}"), None)).collect();
    for (listens_to, origin) in
        [(3, IdentityOrigin::Named), (6, IdentityOrigin::Named), (6, IdentityOrigin::Default)]
    {
        place.config.auth.identity_files.iter_mut().for_each(|file| file.origin = origin);
        let script = Script::new([Step::KeyOrPassword(any_key(), "p")]);
        script.listen_to(listens_to);
        let (credentials, prompter) = (Credentials::default(), Prompter::scripted(&["p"]));
        let result = place.login(&script, &credentials, &prompter).await;
        assert!(matches!(result, Err(AuthError::Disconnected { .. })), "{result:?}");
        let result = place.login(&script, &credentials, &prompter).await;
        assert_eq!(result.expect("the password").method, "password");
        let offers = script.log().iter().filter(|m| *m == "offer").count();
        assert_eq!(offers, listens_to - 2);
    }

    let script = Script::new([Step::KeyOrPassword(keys[8].clone(), "p")]);
    let prompter = Prompter::scripted(&["p"]);
    let result = place.login(&script, &Credentials::default(), &prompter).await;
    assert!(result.expect("the last key").method.contains("k8"));
    assert!(prompter.asked().is_empty());

    let nobody = place.login(&script, &Credentials::default(), &Prompter::nobody()).await;
    assert!(nobody.expect("the last key").method.contains("k8"));
}

/// No attempt is reserved for a person who may not be asked, or has no answer left.
#[tokio::test]
async fn the_last_keys_are_tried_if_a_person_cannot_help() {
    let mut place = Place::new();
    let keys: Vec<_> = (0..9).map(|i| place.key(&format!("k{i}"), None)).collect();
    let wrong = ["wrong"; 3];
    for (methods, answers) in [
        (vec![AuthMethod::PublicKey], &wrong[..0]),
        (vec![AuthMethod::PublicKey, AuthMethod::Password], &wrong),
    ] {
        place.config.auth.preferred_authentications = methods;
        let script = Script::new([Step::KeyOrPassword(keys[8].clone(), "p")]);
        script.listen_to(3);
        let (credentials, prompter) = (Credentials::default(), Prompter::scripted(answers));
        let result = place.login(&script, &credentials, &prompter).await;
        assert!(matches!(result, Err(AuthError::Disconnected { .. })), "{result:?}");
        script.listen_to(20);
        let result = place.login(&script, &credentials, &prompter).await;
        assert!(result.expect("the last key").method.contains("k8"));
        assert_eq!(prompter.asked().len(), answers.len());
    }
}

#[tokio::test]
async fn untried_keys_are_counted() {
    let mut place = Place::new();
    for i in 0..9 {
        place.key(&format!("k{i}"), None);
    }
    let script = Script::new([Step::Key(any_key())]);
    script.listen_to(6);
    let result = place.login(&script, &Credentials::default(), &Prompter::nobody()).await;
    match &result {
        Err(AuthError::Disconnected { untried: 3, .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(result.expect_err("refused").to_string().contains("IdentitiesOnly"));
}
