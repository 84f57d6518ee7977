use super::*;
use crate::dial::MissingSession;

/// A ping over a server that answers at once.
fn fine() -> Facts<'static> {
    Facts {
        server: Some("box"),
        stages: Stages::default(),
        asked: None,
        round_trip: Some(Duration::from_millis(12)),
        session: None,
        slow: None,
        opening: None,
    }
}

#[test]
fn a_failure_is_blamed_on_the_stage_that_failed() {
    let server: Arc<str> = "box".into();
    let missing = MissingSession { server: Arc::clone(&server), reason: String::new() };
    for (error, culprit) in [
        (DialError::Rejected { rule: None }, Culprit::Rule),
        (DialError::Loop, Culprit::Rule),
        (DialError::NoSession { servers: vec![missing] }, Culprit::Session),
        (DialError::NoAnswer { server: Arc::clone(&server) }, Culprit::Session),
        (DialError::Prohibited { server: Arc::clone(&server) }, Culprit::FarSide),
        (DialError::ServerFull { server }, Culprit::FarSide),
        (DialError::ConnectionRefused, Culprit::Target),
        (DialError::TimedOut, Culprit::Target),
        (DialError::LookUpFailed, Culprit::Client),
        (DialError::Exhausted, Culprit::Client),
    ] {
        let told = diagnose(Some(&error), &fine());
        assert_eq!(told, (culprit, error.to_string()));
    }
}

#[test]
fn a_failure_that_took_long_says_how_long() {
    let after = |millis| {
        let facts = Facts { asked: Some(Duration::from_millis(millis)), ..fine() };
        diagnose(Some(&DialError::TimedOut), &facts).1
    };
    assert_eq!(after(299), "the target did not answer in time");
    assert_eq!(after(2000), "the target did not answer in time, after 2.0 s");
}

#[test]
fn the_slowest_stage_is_to_blame() {
    let millis = |millis| Some(Duration::from_millis(millis));
    let stages = |waited, decided, opened| Stages {
        waited: millis(waited),
        decided: millis(decided),
        opened: millis(opened),
        ..Stages::default()
    };
    let stands_still =
        Facts { round_trip: millis(400), opening: Some((7, Duration::from_secs(2))), ..fine() };
    for (facts, culprit, words) in [
        (fine(), Culprit::None, "a round trip takes 12 ms"),
        (Facts { stages: stages(299, 299, 311), ..fine() }, Culprit::None, "nothing was slow"),
        (
            Facts { stages: stages(300, 300, 900), ..fine() },
            Culprit::Session,
            "box had no session for 0.3 s",
        ),
        (
            Facts { stages: stages(0, 300, 900), ..fine() },
            Culprit::Rule,
            "a look-up on this machine, which took 0.3 s",
        ),
        (
            Facts { stages: stages(0, 0, 512), ..fine() },
            Culprit::FarSide,
            "the far side of box needed 0.5 s",
        ),
        (
            Facts { stages: stages(0, 0, 900), round_trip: millis(500), ..fine() },
            Culprit::None,
            "a round trip takes 500 ms",
        ),
        (
            Facts { slow: Some((7, 2 << 20)), ..fine() },
            Culprit::Client,
            "the client of connection 7 does not keep up: 2.0 MiB wait for it",
        ),
        (
            Facts { opening: stands_still.opening, ..fine() },
            Culprit::None,
            "a round trip takes 12 ms",
        ),
        (
            Facts { opening: Some((7, Duration::from_millis(299))), ..stands_still },
            Culprit::None,
            "a round trip takes 400 ms",
        ),
        (
            stands_still,
            Culprit::FarSide,
            "box stands still for another request: connection 7 has waited 2.0 s",
        ),
    ] {
        let (told, verdict) = diagnose(None, &facts);
        assert_eq!(told, culprit, "{verdict}");
        assert!(verdict.contains(words), "{verdict}");
    }
}
