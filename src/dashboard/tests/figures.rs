//! What is read by programs: figures, and whether all is well.

use super::*;
use crate::registry::{ForwardKind, ForwardState, NewForward, Origin};

#[tokio::test]
async fn no_figure_stands_twice() {
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
    let lines = async || {
        let metrics = stage.get("/metrics").await.body;
        let lines = metrics.lines().filter(|line| !line.starts_with('#')).map(str::to_owned);
        lines
            .filter_map(|line| line.rsplit_once(' ').map(|(a, b)| (a.into(), b.into())))
            .collect::<Vec<(String, String)>>()
    };
    let up = |lines: &[(String, String)], labels: &str| {
        let found =
            lines.iter().filter(|(name, _)| *name == format!("sockeye_listener_up{labels}"));
        found.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    let found = lines().await;
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
    assert_eq!(up(&lines().await, both), ["1.0"]);
}

#[tokio::test]
async fn a_monitor_may_ask_for_the_head_alone() {
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
async fn what_counted_nothing_is_there_and_what_is_gone_is_not() {
    let stage = Stage::start().await;
    let figure = async |name: &str| {
        let metrics = stage.get("/metrics").await.body;
        let found = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.map(str::to_owned)
    };
    let listener = stage.registry.forwards.register(NewForward {
        kind: ForwardKind::Dynamic,
        origin: Origin::RunTime,
        name: None,
        spec: "1080".into(),
        server: None,
        listen: None,
    });
    listener.set_state(ForwardState::Listening(vec!["127.0.0.1:1080".into()]));
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
