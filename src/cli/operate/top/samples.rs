//! Sample states of a program, for tests.

use super::model::{Model, News};
use crate::control::schema::{
    Connection, ConnectionCounts, Event, Forward, Instance, Jump, Rule, Server, Session, Stages,
    Status, Traffic, Trouble,
};

/// A model that has received these connections, and then `seconds` ticks.
pub(super) fn model(connections: Vec<Connection>, seconds: u64) -> Model {
    let mut model = Model::default();
    model.hear(event(Event::Reset { status: Box::new(status(3_600_000)), connections }));
    for second in 1..=seconds {
        let mut status = status(3_600_000 + second * 1000);
        let share = second % 8 + 1;
        for traffic in status
            .servers
            .iter_mut()
            .flat_map(|s| s.sessions.iter_mut().map(|s| &mut s.traffic).chain([&mut s.traffic]))
            .chain([&mut status.traffic])
        {
            traffic.down_rate = traffic.down_rate * share / 8;
        }
        let connections = Vec::new();
        model.hear(event(Event::Tick { status: Box::new(status), connections }));
    }
    model
}

pub(super) fn event(event: Event) -> News {
    News::Event(Box::new(event))
}

/// The status of a program with one server that works and one that does not.
pub(super) fn status(uptime: u64) -> Status {
    let text = "connection refused".to_owned();
    Status {
        instance: Instance {
            name: "work".into(),
            pid: 4711,
            run: "one".into(),
            started: 1_700_000_000_000,
            uptime,
            ..Instance::default()
        },
        state: "degraded".into(),
        health: vec![
            Trouble { what: "server".into(), name: "lab".into(), text },
            Trouble { what: "forward".into(), ..Trouble::default() },
        ],
        connections: ConnectionCounts {
            total: 341,
            waiting: 2,
            opening: 1,
            relaying: 3,
            failed: 4,
        },
        traffic: FAST,
        servers: servers(),
        forwards: forwards(),
        ..Status::default()
    }
}

fn servers() -> Vec<Server> {
    let session = |id, channels| Session {
        id,
        state: "ready".into(),
        age: 1_800_000,
        round_trip: Some(21.4),
        best_round_trip: Some(20.1),
        channels,
        traffic: FAST,
        cipher: "aes128-gcm@openssh.com".into(),
        ..Session::default()
    };
    let bastion = Server {
        name: "bastion".into(),
        state: "ready".into(),
        path: "proved".into(),
        max: Some(8),
        traffic: FAST,
        round_trip: Some(21.4),
        sessions: vec![session(3, 2), session(4, 1)],
        jumps: vec![Jump {
            name: "gate".into(),
            state: "ready".into(),
            sessions: 1,
            round_trip: Some(3.2),
            ..Jump::default()
        }],
        ..Server::default()
    };
    let lab = Server {
        name: "lab".into(),
        state: "down".into(),
        reason: "connection refused".into(),
        next_attempt: Some(12_000),
        waiting: 2,
        ..Server::default()
    };
    vec![bastion, lab]
}

fn forwards() -> Vec<Forward> {
    let forward = |id, kind: &str, spec: &str, state: &str| Forward {
        id,
        kind: kind.into(),
        spec: spec.into(),
        state: state.into(),
        ..Forward::default()
    };
    let listening = Forward {
        addresses: vec!["127.0.0.1:1080".into()],
        accepted: 341,
        ..forward(1, "dynamic", "1080", "listening")
    };
    let refused = Forward {
        server: Some("bastion".into()),
        reason: Some("the server does not listen there".into()),
        ..forward(2, "remote", "80:localhost:80", "refused")
    };
    vec![listening, refused]
}

/// Sample connections, all different.
pub(super) fn connections() -> Vec<Connection> {
    let one = |id: u64, state: &str, target: &str, down_rate: u64| Connection {
        id,
        state: state.into(),
        in_state: 12_000,
        age: 60_000 * id,
        listener: "127.0.0.1:1080".into(),
        protocol: "socks5".into(),
        source: format!("127.0.0.1:{}", 50_000 + id),
        target: target.into(),
        rule: Some("work".into()),
        server: Some("bastion".into()),
        session: Some(3),
        traffic: Traffic { up: 2048 * id, down: 1 << 20, up_rate: 300 * id, down_rate },
        stages: Stages {
            decided: Some(0.1),
            waited: Some(4.0),
            opened: Some(60.0),
            first_byte: Some(21.0),
            total: None,
        },
        ..Connection::default()
    };
    let waiting = Connection {
        server: None,
        session: None,
        stages: Stages { decided: Some(0.1), ..Stages::default() },
        remark: Some("waits 12.0 s: no server has a session for it".into()),
        ..one(13, "waiting", "host.lab.example:443", 0)
    };
    let slow = Connection {
        user: Some("me".into()),
        waiting_memory: 9 << 20,
        waiting_disk: 1 << 20,
        stalled: 2300.0,
        remark: Some("its client is slow: 10.0 MiB wait for it".into()),
        ..one(12, "half_closed", "files.example:443", 0)
    };
    vec![
        one(7, "relaying", "mirror.example:443", 12 << 20),
        one(9, "opening", "a-name-that-is-much-longer-than-the-column-is-wide.example.org:8443", 0),
        slow,
        waiting,
    ]
}

pub(super) fn rules() -> Vec<Rule> {
    let rule = |name: &str, action: &str, hits, last_hit| Rule {
        name: name.into(),
        action: action.into(),
        hits,
        bytes: hits * 100_000,
        last_hit,
    };
    vec![
        rule("ads", "reject", 12, Some(1_700_003_600_000)),
        rule("work", "via bastion, lab", 320, Some(1_700_003_604_000)),
        rule("(default)", "direct", 0, None),
    ]
}

/// This many connections.
pub(super) fn many(count: u64) -> Vec<Connection> {
    let one = |id: u64| Connection {
        id,
        state: "relaying".into(),
        target: format!("host-{:04}.example:443", id % 1000),
        server: Some("bastion".into()),
        traffic: Traffic { down_rate: id % 7 * 1000, ..Traffic::default() },
        ..Connection::default()
    };
    (1..=count).map(one).collect()
}

const FAST: Traffic =
    Traffic { up: 5 << 20, down: 900 << 20, up_rate: 90_000, down_rate: 12 << 20 };
