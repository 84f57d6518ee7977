use std::net::Ipv4Addr;

use tokio::net::TcpSocket;

use super::*;
use crate::control::testing::program;
use crate::dial::{MissingSession, Routes};
use crate::openssh::{ClientConfig, Prompter, SshOptions};
use crate::pool::{Carry, JumpHosts, Pool, Report};
use crate::registry::ServerLog;
use crate::route::Router;
use crate::ssh::connect::LineMemory;

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

#[tokio::test]
async fn the_server_is_the_one_that_is_named_or_the_only_one() {
    let request = |server: Option<&str>, destination: Option<&str>| PingRequest {
        server: server.map(str::to_owned),
        destination: destination.map(str::to_owned),
        ..PingRequest::default()
    };
    // Ours as long as the test runs, so that nobody listens there.
    let taken = TcpSocket::new_v4().expect("a socket");
    taken.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("loopback");
    let own = taken.local_addr().expect("bound").to_string();
    let own = own.as_str();
    let none = "there is no server";
    for (servers, server, destination, answer) in [
        (&[][..], None, None, Err(none.to_owned())),
        (&[], Some("a"), None, Err(format!("{none} a"))),
        (&["a"], None, None, Ok((own, Some("a")))),
        (
            &["a", "b"],
            None,
            None,
            Err("there are several servers: name one, or a destination".into()),
        ),
        (&["a", "b"], Some("b"), None, Ok((own, Some("b")))),
        (&["a", "b"], None, Some("x.example:80"), Ok(("x.example:80", None))),
        (&["a", "b"], Some("a"), Some("x.example:80"), Ok(("x.example:80", Some("a")))),
        // Which server is asked for comes before where to.
        (&["a"], Some("c"), Some("x.example:0"), Err(format!("{none} c"))),
    ] {
        let (program, _) = program();
        let servers = servers.iter().map(|name| (Arc::from(*name), pool(own))).collect();
        program
            .0
            .routes
            .replace(Routes { router: Router::new(Vec::new(), Action::Reject), servers });
        let wanted = program.wanted(&request(server, destination));
        let answer = answer.map(|(target, server)| {
            let target = Destination::parse(target, None).expect("good");
            let servers = server.map(|name| vec![Arc::from(name)]);
            let via = servers.map(|servers| Via { servers, select: Select::default() });
            let routing = via.map_or(Routing::Rules, |via| Routing::Fixed(Action::Via(via.into())));
            (Target::from(target), routing)
        });
        let answer = answer.map_err(|why| Failure::new(StatusCode::UNPROCESSABLE_ENTITY, why));
        assert_eq!(wanted, answer);
    }
}

fn pool(server: &str) -> Pool {
    let server = format!("me@{server}").parse().expect("a server");
    let (config, _) = ClientConfig::without_ssh(&server, &SshOptions::default()).expect("defaults");
    let carry: Carry = Box::new(|_| unreachable!("nothing lies behind it"));
    let jumps = JumpHosts::new(Prompter::nobody(), carry, LineMemory::default(), Report::Debug);
    Pool::begin(config, &jumps, None, ServerLog::default()).0
}
