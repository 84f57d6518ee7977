//! Text from a server is escaped and truncated, and never reaches the terminal raw.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::login::{HOST, Login};
use crate::support::program::{Sockeye, program};
use crate::support::rude::{disconnect, says};
use crate::support::scripted::{ECHO, Script, Scripted};
use crate::support::socks::{Protocol, connect};
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::wait;
use crate::support::{closed_port, free_port};

/// A window title, a bell, a cleared screen, a C1 sequence, a bidi override, a carriage return, a delete.
const NASTY: &str = "\x1b]0;title\x07\x1b[2J\u{9b}31m\u{202e}evil\r\x7f";

/// The escaped form of its beginning.
const ESCAPED: &str = "u{1b}]0;title";

/// The log levels and formats to test.
const LOGS: [&[&str]; 4] = [&[], &["-v"], &["-vvv"], &["-vvv", "--log-format", "json"]];

/// The message about a server that starts to talk and then falls silent.
const LATE: &str = "did not finish the handshake within ";

/// The most bytes of output: the most verbose log has a few hundred lines.
const BOUND: usize = 256 * 1024;

/// The most bytes of a line: a text of 512 characters, escaped twice, and the rest.
const LINE: usize = 8 * 1024;

#[track_caller]
fn assert_harmless(said: &str) {
    let raw = |c: &char| {
        let bidi = matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        bidi || (c.is_control() && !matches!(c, '\n' | '\t'))
    };
    if let Some(at) = said.find(|c: char| raw(&c)) {
        let around: String = said[at..].chars().take(40).collect();
        panic!("raw text in the log: {around:?}");
    }
    assert!(said.len() < BOUND, "{} bytes are said, beginning with {:.2000}", said.len(), said);
    let longest = said.lines().max_by_key(|line| line.len()).unwrap_or_default();
    assert!(longest.len() < LINE, "a line of {} bytes: {longest:.2000}", longest.len());
    // A JSON log consists of objects only.
    if said.starts_with('{') {
        for line in said.lines() {
            let object = serde_json::from_str::<serde_json::Map<String, Value>>(line);
            assert!(object.is_ok(), "{object:?}: {line:.2000}");
        }
    }
}

/// Starts the program, which must fail and report the reason harmlessly.
fn fails(config: &Path, arguments: &[&str], why: &str) {
    let output = program()
        .arg("-F")
        .arg(config)
        .args(["-D", &format!("127.0.0.1:{}", free_port())])
        .args(arguments)
        .arg(HOST)
        .stdin(Stdio::null())
        .output()
        .expect("the program");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_harmless(&said);
    assert!(said.contains("cannot connect to ") && said.contains(why), "no {why:?}: {said}");
}

#[test]
#[ignore = "needs sshd"]
fn banners() {
    let folder = TempDir::new().expect("a directory");
    for (banner, ended_by) in [
        (format!("Welcome, {NASTY}\n").into_bytes(), None),
        (format!("{NASTY}\n").repeat(8_000).into_bytes(), None),
        (vec![b'x'; 200_000], None),
        // russh ends the session on text that is not UTF-8, and sshd on a packet of this size.
        (b"Welcome \xff\xfe\x9b31m\n".to_vec(), Some("a text that is not UTF-8")),
        (vec![b'x'; 1 << 20], Some("the server closed the connection")),
    ] {
        let path = folder.path().join("banner");
        fs::write(&path, &banner).expect("written");
        let sshd = Sshd::with(&[&format!("Banner {}", path.display())]);
        for log in LOGS {
            if let Some(why) = ended_by {
                fails(&sshd.ssh_config(), log, why);
                continue;
            }
            let proxy = Sockeye::with(&sshd.ssh_config(), log);
            drop(Protocol::Socks5.open(proxy.address(), "127.0.0.1", Target::echo().port()));
            let said = proxy.log();
            assert_harmless(&said);
            assert_eq!(said.contains(ESCAPED), banner.contains(&0x1b), "{said:.2000}");
        }
    }
}

/// For a short and a long text, and for each log level, runs a server whose script sends the text,
/// and the program with one session to it. Finally checks that the log is harmless.
fn at_each_level(script: fn(&'static str) -> Script, check: impl Fn(&Scripted, &Sockeye)) {
    let long: &'static str = Box::leak(NASTY.repeat(4_000).into_boxed_str());
    for text in [NASTY, long] {
        for log in LOGS {
            let server = Scripted::start(script(text));
            let proxy = Sockeye::with(&server.ssh_config(), &[&["--sessions", "1"], log].concat());
            check(&server, &proxy);
            drop(Protocol::Socks5.open(proxy.address(), "127.0.0.1", ECHO));
            assert_harmless(&proxy.log());
        }
    }
}

#[test]
#[ignore = "needs ssh"]
fn the_text_of_a_failure() {
    at_each_level(
        |text| Script::Refuse(2, text),
        |server, proxy| {
            let answer = Protocol::Socks5.refusal(proxy.address(), "target.example", 80);
            assert_eq!(answer[1], 1, "{answer:?}");
            let mut client = connect(proxy.address());
            client.write_all(REQUEST).expect("sent");
            let mut page = String::new();
            client.read_to_string(&mut page).expect("a page");
            assert!(page.starts_with("HTTP/1.1 502 "), "{page}");
            assert_harmless(&page.replace('\r', ""));
            assert_eq!(server.seen().sessions, 1, "the session goes on");
        },
    );
}

const REQUEST: &[u8] =
    b"GET http://target.example/ HTTP/1.1\r\nHost: target.example\r\nConnection: close\r\n\r\n";

/// russh ends the session on each of these. That must not end one session after another.
#[test]
#[ignore = "needs sshd, curl"]
fn the_text_of_a_failure_in_another_encoding() {
    let echo = Target::echo();
    for log in LOGS {
        let sshd = Sshd::with_word_for_errors("connexion refus\\351e \\233");
        let proxy = Sockeye::with(&sshd.ssh_config(), &[&["--sessions", "1"], log].concat());
        let address = proxy.address();
        let asked = 3;
        for _ in 0..asked {
            let answer = Protocol::Socks5.refusal(address, "127.0.0.1", closed_port());
            assert_eq!(answer[1], 1, "general failure, which is all that is certain: {answer:?}");
            drop(Protocol::Socks5.open(address, "127.0.0.1", echo.port()));
        }
        assert_eq!(logins(&sshd), 1 + asked, "each of them ends one session");
        // It is not certain which request the answer was for, so each gets one more attempt.
        let several = 4;
        thread::scope(|scope| {
            for _ in 0..several {
                scope.spawn(|| {
                    let answer = Protocol::Socks5.refusal(address, "127.0.0.1", closed_port());
                    assert_eq!(answer[1], 1, "{answer:?}");
                });
            }
        });
        drop(Protocol::Socks5.open(address, "127.0.0.1", echo.port()));
        assert!(logins(&sshd) <= 1 + asked + 2 * several, "{} sessions", logins(&sshd));
        proxy.wait_for_log("lost a session to testhost: the server sent a text that is not UTF-8");
        assert_harmless(&proxy.log());
    }
}

/// A request that has ended a session gets a session of its own, so that others stay connected.
#[test]
#[ignore = "needs sshd"]
fn a_target_whose_failure_ended_a_session_gets_a_session_of_its_own() {
    let echo = Target::echo();
    let sshd = Sshd::with_word_for_errors("connexion refus\\351e");
    let proxy = Sockeye::start(&sshd.ssh_config());
    let (address, closed) = (proxy.address(), closed_port());
    let refused = || {
        let answer = Protocol::Socks5.refusal(address, "127.0.0.1", closed);
        assert_eq!(answer[1], 1, "{answer:?}");
    };
    refused();
    let open = || Protocol::Socks5.open(address, "127.0.0.1", echo.port());
    let mut others: Vec<TcpStream> = (0..5).map(|_| open()).collect();
    for _ in 0..3 {
        refused();
        for other in &mut others {
            other.write_all(b"x").expect("it is connected");
            other.read_exact(&mut [0]).expect("it is connected");
        }
    }
}

fn logins(sshd: &Sshd) -> usize {
    sshd.log().matches("Accepted publickey for ").count()
}

#[test]
#[ignore = "needs ssh"]
fn the_last_words_of_a_session() {
    at_each_level(
        |text| Script::SendAndDisconnect(1, text),
        |server, proxy| {
            let mut client = Protocol::Socks5.open(proxy.address(), "target.example", 80);
            client.write_all(b"!").expect("sent");
            wait::until("it is back", || server.seen().sessions >= 2);
            proxy.wait_for_log(ESCAPED);
        },
    );
}

#[test]
#[ignore = "needs ssh"]
fn text_before_the_handshake() {
    let endless = |mut stream: TcpStream| loop {
        stream.write_all(format!("{NASTY}\r\n").repeat(100).as_bytes())?;
        thread::sleep(std::time::Duration::from_millis(20));
    };
    let servers = [
        (says(format!("SSH-2.0-{NASTY}\r\n").into_bytes()), LATE),
        (says(format!("SSH-2.0-{}\r\n", "x".repeat(100_000)).into_bytes()), "invalid SSH version"),
        (says([b"SSH-2.0-\xff\xfe\r\n".as_slice(), &[0; 64]].concat()), LATE),
        (says(format!("{NASTY}\r\nSSH-2.0-good\r\n").into_bytes()), LATE),
        (says(format!("SSH-1.5-{NASTY}\r\n").into_bytes()), "is no SSH server"),
        (Target::start(endless), "is no SSH server"),
        (says(disconnect(NASTY.as_bytes())), "the server disconnected: "),
        (says(disconnect(NASTY.repeat(4_000).as_bytes())), "the server disconnected: "),
        (says(disconnect(b"au revoir, \xe9t\xe9 \x9b31m")), "a text that is not UTF-8"),
    ];
    // Some of these last until the handshake deadline.
    thread::scope(|scope| {
        for (server, why) in &servers {
            scope.spawn(move || {
                let login = Login::new();
                let config = login.ssh_config(server.port(), &["ConnectTimeout 1"]);
                for log in &LOGS[1..] {
                    fails(&config, log, why);
                }
            });
        }
    });
}
