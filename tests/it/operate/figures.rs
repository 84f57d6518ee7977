//! What `/metrics` says of a server that is there, and of one that is not.

use std::collections::BTreeMap;
use std::io::Write as _;

use crate::support::configured::{Configuration, server};
use crate::support::socks::{self, Protocol};
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{closed_port, wait};

/// Figures by name and labels, without the prefix of all.
fn figures(configuration: &Configuration) -> BTreeMap<String, f64> {
    let text = configuration.ask("/metrics");
    let figure = |line: &str| {
        let (name, number) = line.strip_prefix("sockeye_")?.rsplit_once(' ')?;
        Some((name.to_owned(), number.parse().ok()?))
    };
    text.lines().filter_map(figure).collect()
}

/// Waits until the figures are these.
fn wait_for(configuration: &Configuration, wanted: &[(&str, f64)]) {
    wait::until_ok("the figures are right", || {
        let there = figures(configuration);
        let differs = |(name, wanted): &&(&str, f64)| there.get(*name) != Some(wanted);
        match wanted.iter().find(differs) {
            Some((name, wanted)) => Err(format!("{name} is {:?}, not {wanted}", there.get(*name))),
            None => Ok(()),
        }
    });
}

#[test]
#[ignore = "needs sshd, curl"]
fn each_server_has_the_figures_of_its_own_sessions() {
    let (sshd, echo, flood) = (Sshd::start(), Target::echo(), Target::flood());
    let configuration = Configuration::with(&format!(
        "[default]\nvia = \"box\"\n[[rule]]\ndomain = \"away.example\"\nvia = \"away\"\n\
         [[listen]]\naddress = \"127.0.0.1:0\"\n{}sessions = 1\n\
         [server.away]\nhost = \"127.0.0.1\"\nport = {}\nssh_config = \"none\"\n",
        server("box", &sshd),
        closed_port()
    ));
    let proxy = configuration.start();
    wait_for(&configuration, &[("server_up{server=\"box\"}", 1.0)]);
    let open = |target: &Target| Protocol::Socks5.open(proxy.address(), "127.0.0.1", target.port());
    let (_idle, _unread) = (open(&echo), open(&flood));
    wait_for(
        &configuration,
        &[
            ("channels{server=\"box\"}", 2.0),
            ("slow_clients{server=\"box\"}", 1.0),
            ("waiting_requests{server=\"box\"}", 0.0),
            ("sessions{server=\"box\",state=\"ready\"}", 1.0),
            ("sessions{server=\"box\",state=\"draining\"}", 0.0),
            ("session_starts_total{server=\"box\",result=\"ready\"}", 1.0),
            ("session_starts_total{server=\"box\",result=\"unreachable\"}", 0.0),
            ("session_ends_total{server=\"box\",reason=\"lost\"}", 0.0),
            ("server_up{server=\"away\"}", 0.0),
            ("channels{server=\"away\"}", 0.0),
            ("sessions{server=\"away\",state=\"ready\"}", 0.0),
            ("session_starts_total{server=\"away\",result=\"ready\"}", 0.0),
        ],
    );
    let there = figures(&configuration);
    assert!(there["session_starts_total{server=\"away\",result=\"unreachable\"}"] > 0.0);
    let trip = |server: &str| there.get(&format!("round_trip_seconds{{server=\"{server}\"}}"));
    assert!(trip("box").is_some_and(|trip| *trip > 0.0), "{there:?}");
    assert_eq!(trip("away"), None);

    // Each waits for as long as a dial may take.
    let mut waiting = Vec::new();
    wait::until("a request waits", || {
        let mut client = socks::connect(proxy.address());
        client.write_all(&Protocol::Socks5.request("away.example", 80)).expect("taken");
        waiting.push(client);
        figures(&configuration)["waiting_requests{server=\"away\"}"] > 0.0
    });
    sshd.kill_children();
    wait_for(
        &configuration,
        &[
            ("session_ends_total{server=\"box\",reason=\"lost\"}", 1.0),
            ("session_ends_total{server=\"box\",reason=\"retired\"}", 0.0),
        ],
    );
}
