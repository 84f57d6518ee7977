//! What programs read: figures and health.

use super::*;
use crate::registry::{
    AttemptEnd, ForwardKind, ForwardState, NewForward, Origin, Outcome, Registered, SessionEnd,
    Waiting,
};

/// The lines of `/metrics`, each split into the series and its value.
async fn figures(stage: &Stage) -> Vec<(String, String)> {
    let metrics = stage.get("/metrics").await.body;
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' ')).map(|(a, b)| (a.into(), b.into())).collect()
}

/// A listener without a name, at this address.
fn proxy(stage: &Stage, address: &str) -> Registered {
    let forward = stage.registry.forwards.register(NewForward {
        kind: ForwardKind::Dynamic,
        origin: Origin::RunTime,
        name: None,
        spec: "1080".into(),
        server: None,
        listen: None,
    });
    forward.set_state(ForwardState::Listening(vec![address.into()]));
    forward
}

#[tokio::test]
async fn no_series_occurs_twice() {
    let stage = Stage::start().await;
    let forward = |server: Option<&str>, spec: &str, name: Option<&str>| {
        stage.registry.forwards.register(NewForward {
            kind: if server.is_some() { ForwardKind::Remote } else { ForwardKind::Local },
            origin: Origin::RunTime,
            name: name.map(Arc::from),
            spec: spec.into(),
            server: server.map(Arc::from),
            listen: None,
        })
    };
    let (one, two) = (forward(None, "1:db:1", Some("db")), forward(None, "2:db:1", Some("db")));
    let elsewhere = ["box", "lab"].map(|server| forward(Some(server), "0:db:1", None));
    for up in [&one, &elsewhere[0]] {
        up.set_state(ForwardState::Listening(Vec::new()));
    }
    let up = |lines: &[(String, String)], labels: &str| {
        let found =
            lines.iter().filter(|(name, _)| *name == format!("sockeye_listener_up{labels}"));
        found.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    let found = figures(&stage).await;
    let mut names: Vec<_> = found.iter().map(|(name, _)| name).collect();
    names.sort();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all, "{found:?}");
    let both = "{kind=\"local\",name=\"db\",server=\"\"}";
    assert_eq!(up(&found, both), ["0.0"], "one of them is not up");
    let remote = |server| format!("{{kind=\"remote\",name=\"0:db:1\",server=\"{server}\"}}");
    assert_eq!(["box", "lab"].map(|s| up(&found, &remote(s))), [["1.0"], ["0.0"]]);
    two.set_state(ForwardState::Listening(Vec::new()));
    assert_eq!(up(&figures(&stage).await, both), ["1.0"]);
}

#[tokio::test]
async fn counts_are_exported() {
    let stage = Stage::start().await;
    let (rule, server): (Arc<str>, Arc<str>) = ("(default)".into(), "box".into());
    let begin = |target| stage.registry.connections.begin(&Request::for_test(target));
    let over = begin("db.example:5432");
    over.decided(Some(&rule));
    over.asked(Some(&server), 7);
    over.opened();
    over.received(300);
    over.sent(20);
    over.stalled_for(Duration::from_millis(1500));
    over.end(Outcome::Clean);
    begin("192.0.2.1:443").fail(Outcome::NoSession, "the server is away".into());
    let lives = begin("db.example:5432");
    lives.set_waiting(Waiting { memory: 5, disk: 7 });
    let log = stage.registry.server_log(&server);
    for (session, seconds) in [(1, 1), (2, 2)] {
        log.session_up(session, Duration::from_secs(seconds));
    }
    log.session_down(1, SessionEnd::Lost, "no answer");
    log.attempt_failed(AttemptEnd::Refused, "no key");
    let forward = proxy(&stage, "test:1");
    forward.forward().accept();

    let found = figures(&stage).await;
    for (name, figure) in [
        ("ready", "0.0"),
        ("connections{state=\"waiting\"}", "1.0"),
        ("requests_total{server=\"box\",outcome=\"clean\"}", "1.0"),
        ("relayed_bytes_total{server=\"box\",direction=\"up\"}", "20.0"),
        ("relayed_bytes_total{server=\"box\",direction=\"down\"}", "300.0"),
        ("rule_hits_total{rule=\"(default)\"}", "1.0"),
        ("listener_requests_total{listener=\"test:1\",target=\"name\"}", "1.0"),
        ("suspicious_requests_total{listener=\"test:1\"}", "1.0"),
        ("protocol_requests_total{listener=\"test:1\",protocol=\"socks5\"}", "2.0"),
        ("open_seconds_count{server=\"box\"}", "1"),
        ("login_seconds_count{server=\"box\"}", "2"),
        ("login_seconds_sum{server=\"box\"}", "3.0"),
        ("window_stalled_seconds_total{server=\"box\"}", "1.5"),
        ("session_starts_total{server=\"box\",result=\"ready\"}", "2.0"),
        ("session_starts_total{server=\"box\",result=\"refused\"}", "1.0"),
        ("session_ends_total{server=\"box\",reason=\"lost\"}", "1.0"),
        ("session_ends_total{server=\"box\",reason=\"retired\"}", "0.0"),
        ("accepted_clients{kind=\"dynamic\"}", "1.0"),
        ("backlog_bytes{place=\"memory\"}", "5.0"),
        ("backlog_bytes{place=\"file\"}", "7.0"),
    ] {
        let name = format!("sockeye_{name}");
        let told = found.iter().find(|(found, _)| *found == name).map(|(_, told)| told.as_str());
        assert_eq!(told, Some(figure), "{name} in {found:#?}");
    }
}

#[tokio::test]
async fn a_monitor_may_use_head_requests() {
    let stage = Stage::start().await;
    for (path, status) in
        [("/livez", 200), ("/readyz", 503), ("/metrics", 200), ("/v1/status", 200)]
    {
        let said = stage.ask(&format!("HEAD {path}"), &stage.bearer()).await;
        assert_eq!((said.status, said.body.as_str()), (status, ""), "{path}");
    }
    let looked_at = stage.ask(&format!("HEAD {}", stage.link), PAGE).await;
    assert_eq!(looked_at.status, 401);
    let entered = stage.ask(&format!("GET {}", stage.link), PAGE).await;
    assert_eq!(entered.status, 303, "a look does not use it up");
}

#[tokio::test]
async fn zero_counts_are_exported_and_removed_listeners_are_not() {
    let stage = Stage::start().await;
    let figure = async |name: &str| {
        let metrics = stage.get("/metrics").await.body;
        let found = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.map(str::to_owned)
    };
    let listener = proxy(&stage, "127.0.0.1:1080");
    let protocol =
        "sockeye_protocol_requests_total{listener=\"127.0.0.1:1080\",protocol=\"socks5\"}";
    for name in [
        protocol,
        "sockeye_listener_requests_total{listener=\"127.0.0.1:1080\",target=\"name\"}",
        "sockeye_suspicious_requests_total{listener=\"127.0.0.1:1080\"}",
        "sockeye_requests_total{server=\"(none)\",outcome=\"clean\"}",
        "sockeye_relayed_bytes_total{server=\"(direct)\",direction=\"up\"}",
        "sockeye_rule_hits_total{rule=\"(default)\"}",
    ] {
        assert_eq!(figure(name).await.as_deref(), Some("0.0"), "{name}");
    }
    drop(stage.begin("host.example:1"));
    assert_eq!(figure(protocol).await.as_deref(), Some("1.0"));
    let late = stage.begin("host.example:1");
    drop(listener);
    drop(late);
    assert_eq!(figure(protocol).await, None);
}
