//! Error messages of failed handshakes, and the order of the steps of connecting.

use std::fs;
use std::net::Ipv4Addr;

use futures_util::FutureExt as _;
use tokio::net::TcpListener;

use super::*;
use crate::openssh::client_config::{Jump, SshOptions};
use crate::ssh::testing::{TestSession, serve};

#[derive(Debug)]
struct NoHops;

impl Hops for NoHops {
    fn open<'a>(&'a self, _: &'a Jump, _: &'a Target, _: Duration, _: Asking) -> OpeningHop<'a> {
        Box::pin(async { Err(ConnectError::Stopped) })
    }
}

/// A server that accepts connections and sends nothing.
async fn silent_server() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let port = listener.local_addr().expect("a bound socket").port();
    (listener, port)
}

fn connector(port: u16, options: &[&str], prompter: &Prompter) -> Connector {
    let name = format!("me@127.0.0.1:{port}").parse().expect("a name");
    let plain = ["UserKnownHostsFile=/dev/null", "GlobalKnownHostsFile=/dev/null"];
    let options = options.iter().chain(&plain).map(|&option| option.into()).collect();
    let options = SshOptions { options, ..SshOptions::default() };
    let (config, _) = ClientConfig::without_ssh(&name, &options).expect("plain");
    Connector::new(config, prompter, Arc::new(NoHops), LineMemory::default())
}

#[tokio::test(start_paused = true)]
async fn a_question_about_another_server_does_not_extend_the_limit() {
    let (_server, port) = silent_server().await;
    let prompter = Prompter::scripted(&[]);
    let connector = connector(port, &[], &prompter);
    let _open = prompter.asked_elsewhere();
    let connecting = timeout(Duration::from_secs(600), connector.connect(Asking::Never));
    let connected = connecting.await.expect("it gives up").map(|_| ());
    assert!(matches!(connected, Err(ConnectError::TimedOut { .. })), "{connected:?}");
}

#[tokio::test(start_paused = true)]
async fn after_an_answer_the_server_has_the_full_limit_again() {
    let (_server, port) = silent_server().await;
    let connector = connector(port, &[], &Prompter::scripted(&[]));
    let begun = tokio::time::Instant::now();
    let question = async {
        sleep(Duration::from_secs(5)).await;
        let _open = connector.prompter.asked_elsewhere();
        sleep(Duration::from_secs(13)).await;
    };
    let (connected, ()) = tokio::join!(connector.connect(Asking::Never), question);
    let connected = connected.map(|_| ());
    assert!(matches!(connected, Err(ConnectError::TimedOut { .. })), "{connected:?}");
    assert!(begun.elapsed() >= Duration::from_secs(18 + 20), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn no_server_waits_for_a_known_hosts_command() {
    let dir = tempfile::tempdir().expect("a directory");
    let (script, asked) = (dir.path().join("command"), dir.path().join("asked"));
    fs::write(&script, format!("sleep 0.3\n: > {}\n", asked.display())).expect("written");
    let (server, port) = silent_server().await;
    // Only read: a file that a child of another test still has open for writing does not start.
    let command = format!("KnownHostsCommand=/bin/sh {}", script.display());
    let connector = connector(port, &[&command], &Prompter::nobody());
    tokio::select! {
        _ = connector.connect(Asking::Never) => panic!("the server says nothing"),
        accepted = server.accept() => assert!(accepted.is_ok() && asked.exists()),
    }
}

#[tokio::test]
async fn a_session_learns_the_shortest_round_trip_to_its_server() {
    let connector = connector(22, &[], &Prompter::nobody());
    let shortest = Duration::from_micros(1);
    connector.windows.measured(shortest);
    let measured = TestSession::start().await;
    let base = || measured.session().health().delay().base();
    tokio::select! {
        never = connector.measure(measured.session()) => match never {},
        () = async {
            while base() != Some(shortest) {
                sleep(Duration::from_millis(1)).await;
            }
        } => {}
        () = sleep(Duration::from_secs(60)) => panic!("it has not learnt it: {:?}", base()),
    }
    let learnt = TestSession::start().await;
    connector.learn(learnt.session(), Beat::default(), Duration::from_secs(1));
    assert_eq!(learnt.session().health().delay().base(), Some(shortest));
}

#[tokio::test(start_paused = true)]
async fn a_path_that_has_become_longer_is_learnt() {
    let connector = connector(22, &[], &Prompter::nobody());
    connector.windows.measured(Duration::from_millis(30));
    let now = Duration::from_millis(150);
    let test = TestSession::start().await;
    let delay = test.session().health().delay();
    for carried in [0, 1 << 20] {
        (0..8).for_each(|_| delay.answered(now));
        let beat = Beat { carried, ..Beat::default() };
        connector.learn(test.session(), beat, Duration::from_secs(1));
    }
    assert_eq!(connector.windows.round_trip(), Some(Duration::from_millis(30)), "it is too soon");
    tokio::time::advance(Duration::from_secs(180)).await;
    connector.learn(test.session(), Beat::default(), Duration::from_secs(1));
    assert_eq!((connector.windows.round_trip(), delay.base()), (Some(now), Some(now)));
}

#[tokio::test]
async fn nothing_waits_for_a_local_command() {
    let dir = tempfile::tempdir().expect("a directory");
    let command = format!("LocalCommand=while [ -e {} ]; do sleep 1; done", dir.path().display());
    let options = ["StrictHostKeyChecking=no", "PermitLocalCommand=yes", &command];
    let (server, port) = silent_server().await;
    let connector = connector(port, &options, &Prompter::nobody());
    let serving = async { serve(server.accept().await.expect("a client").0) };
    let (connected, ()) = tokio::join!(connector.connect(Asking::Never), serving);
    drop(connected.map_err(|error| error.to_string()).expect("logged in"));
    assert_eq!(connector.ended().now_or_never(), Some(()));
    assert!(connector.local_command_runs.get().is_some(), "it was started");
}

fn message(error: russh::Error, head: &[u8]) -> String {
    ConnectError::handshake(error.into(), "host:22".into(), head, None).to_string()
}

#[test]
fn the_first_line_of_a_server_identifies_it() {
    let cases: [(&[u8], &str); 6] = [
        (b"", "host:22 closed the connection before it said anything"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "host:22 closed the connection during the key exchange"),
        (b"hello\nSSH-2.0-x\r\n", "host:22 closed the connection during the key exchange"),
        (b"HTTP/1.1 400 Bad\x1b[2J\r\nx", "it says 'HTTP/1.1 400 Bad\\u{1b}[2J'; check the host"),
        (b"SSH-1.5-old\n", "it says 'SSH-1.5-old'"),
        (b"Exceeded MaxStartups\r\n", "host:22 turns us away: 'Exceeded MaxStartups'"),
    ];
    for (head, words) in cases {
        let text = message(russh::Error::Disconnect, head);
        assert!(text.contains(words), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    let endless = message(russh::Error::Version, &[b'x'; 1024]);
    assert!(endless.len() < 400, "{endless}");
}

#[test]
fn without_a_common_algorithm_both_lists_and_a_remedy_are_shown() {
    let of = |kind, ours: &[&str], theirs: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let error = russh::Error::NoCommonAlgo { kind, ours: names(ours), theirs: names(theirs) };
        message(error, b"SSH-2.0-x\r\n")
    };
    assert_eq!(
        of(russh::AlgorithmKind::Cipher, &["a", "b"], &["c\x1b"]),
        "no common cipher with host:22: offered from here: a, b; by the server: c\\u{1b}; \
         none of the server's is available here"
    );
    let old = of(russh::AlgorithmKind::Cipher, &["a"], &["arcfour", "aes128-cbc"]);
    assert!(old.ends_with("Ciphers +aes128-cbc in ssh_config offers it"), "{old}");
    let kex = ["kex-strict-s-v00@openssh.com", "diffie-hellman-group14-sha1"];
    let kex = of(russh::AlgorithmKind::Kex, &["ext-info-c"], &kex);
    assert!(kex.contains("from here: nothing; by the server: diffie-hellman-group14"), "{kex}");
    let old = of(russh::AlgorithmKind::Key, &["ssh-ed25519"], &["ssh-rsa", "ssh-dss"]);
    assert!(old.ends_with("HostKeyAlgorithms +ssh-rsa in ssh_config offers it"), "{old}");
}

#[test]
fn only_the_failed_hop_is_named() {
    let error = ConnectError::Protocol("nonsense".into());
    let error = error.at_hop("inner\n").at_hop("outer");
    assert_eq!(error.to_string(), "at the jump host inner\\n: the handshake failed: nonsense");
    assert_eq!(error.class(), FailureClass::TurnedAway);
}
