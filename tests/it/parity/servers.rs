//! What servers send, and what they omit.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::thread;

use super::{BOTH, Client, Running, at};
use crate::support::foreign::{Foreign, Make};
use crate::support::login::HOST;
use crate::support::socks::{Answer, Protocol};
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{closed_port, free_port, process, wait};

/// A server that sends these words first, and then connects to another server.
fn says_before(words: Vec<u8>, port: u16) -> Target {
    Target::start(move |mut client: TcpStream| {
        client.write_all(&words)?;
        let mut server = TcpStream::connect(at(port))?;
        let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
        thread::spawn(move || std::io::copy(&mut from, &mut to));
        std::io::copy(&mut client, &mut server).map(drop)
    })
}

#[test]
#[ignore = "needs sshd, ssh"]
fn lines_before_the_version_are_skipped() {
    let (sshd, echo) = (Sshd::start(), Target::echo());
    let to = format!("127.0.0.1:{}", echo.port());
    for (words, expected) in [
        (format!("{}\r\n", "x".repeat(78)).repeat(30), true),
        (format!("{}\r\n", "x".repeat(254)), true),
        ("\r\n".to_owned(), true),
        (format!("{}\n", "x".repeat(7000)), true),
        ("x\r\n".repeat(1000), true),
        ("x\r\n".repeat(1100), false),
        (format!("{}\n", "x".repeat(9000)), false),
    ] {
        let server = says_before(words.clone().into_bytes(), sshd.port());
        let config = sshd.ssh_config_through(server.port());
        for client in BOTH {
            let mut command = client.command(&config);
            let output = command.args(["-W", &to, HOST]).stdin(Stdio::null()).output();
            let output = output.expect("it ends");
            let is_in = output.status.success();
            assert_eq!(is_in, expected, "{client:?}, {} bytes: {output:?}", words.len());
        }
    }
}

/// russh ends the session on such a banner, and no server admits us without sending it: it comes with
/// the answer to the first request, whatever that is.
#[test]
#[ignore = "needs sshd, ssh"]
fn a_banner_that_is_not_utf_8_works_only_with_ssh() {
    let echo = Target::echo();
    let to = format!("127.0.0.1:{}", echo.port());
    for (banner, ours) in
        [("Accès réservé\n".as_bytes(), true), (b"Acc\xe8s r\xe9serv\xe9\n", false), (b"\n", true)]
    {
        let sshd = Sshd::prepared(|login| {
            fs::write(login.path("banner"), banner).expect("written");
            vec![format!("Banner {}", login.path("banner").display())]
        });
        for methods in ["publickey", "keyboard-interactive,publickey", "password,publickey"] {
            let methods = format!("PreferredAuthentications={methods}");
            for client in BOTH {
                let mut command = client.command(&sshd.ssh_config());
                command.args(["-o", &methods, "-W", &to, HOST]).stdin(Stdio::null());
                let output = command.output().expect("it ends");
                let expected = client == Client::Ssh || ours;
                assert_eq!(output.status.success(), expected, "{client:?}: {output:?}");
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(expected || said.contains("a text that is not UTF-8"), "{said}");
            }
        }
    }
}

/// The server's words about an unreachable target end no other connection, whatever their encoding; here that
/// holds once the encoding is known.
#[test]
#[ignore = "needs sshd, ssh, cc"]
fn words_in_another_encoding_end_no_other_connection() {
    let (sshd, echo) = (Sshd::with_word_for_errors("connexion refus\\351e"), Target::echo());
    for client in BOTH {
        let (port, closed) = (free_port(), free_port());
        let mut command = client.command(&sshd.ssh_config());
        command.args(["-D", &port.to_string(), HOST]);
        let _running = client.start(command);
        wait::until("it listens", || TcpStream::connect(at(port)).is_ok());
        let refused = || {
            let answer = Protocol::Socks5.ask(at(port), "127.0.0.1", closed);
            assert!(!matches!(answer, Ok(Answer::Open(_))), "{client:?}: {answer:?}");
        };
        refused();
        let open = || Protocol::Socks5.open(at(port), "127.0.0.1", echo.port());
        let mut others: Vec<_> = (0..5).map(|_| open()).collect();
        refused();
        for other in &mut others {
            other.write_all(b"x").expect("it is connected");
            other.read_exact(&mut [0]).expect("it is connected");
        }
    }
}

/// This server sends the target's EOF, and waits for our close.
#[test]
#[ignore = "needs asyncssh, ssh"]
fn a_server_that_waits_for_our_close() {
    let Some(server) = Foreign::start(Make::Asyncssh) else { return };
    let source = Target::source(1000);
    let config = server.ssh_config(&[]);
    for client in BOTH {
        let port = free_port();
        let mut command = client.command(&config);
        command.args(["-D", &port.to_string(), HOST]);
        let running = client.start(command);
        wait::until("it listens", || TcpStream::connect(at(port)).is_ok());
        for _ in 0..40 {
            let mut stream = Protocol::Socks5.open(at(port), "127.0.0.1", source.port());
            stream.write_all(b"x").expect("a connection");
            let mut content = Vec::new();
            stream.read_to_end(&mut content).expect("a clean end");
            assert_eq!(content.len(), 1000, "{client:?}");
        }
        let pid = running.pid();
        // Listeners, sessions, and short-lived queries.
        wait::until(&format!("{client:?} holds nothing"), || process::sockets(pid) < 20);
    }
}

/// This server never answers a request to listen, and does everything else.
#[test]
#[ignore = "needs asyncssh, ssh"]
fn a_server_that_never_says_whether_it_listens() {
    let Some(server) = Foreign::start(Make::Asyncssh) else { return };
    let echo = Target::echo();
    let config = server.ssh_config(&[]);
    for client in BOTH {
        let port = free_port();
        let mut command = client.command(&config);
        command.args(["-R", "9:127.0.0.1:1"]);
        command.args(["-L", &format!("{port}:127.0.0.1:{}", echo.port()), HOST]);
        let running = client.start(command);
        let echoes = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect(at(port))?;
            stream.set_read_timeout(Some(wait::LONG))?;
            stream.write_all(b"x")?;
            let mut back = [0];
            stream.read_exact(&mut back)?;
            Ok(back == *b"x")
        };
        wait::until(&format!("{client:?} carries the rest"), || echoes().unwrap_or_default());
        if let Running::Sockeye(sockeye) = &running {
            sockeye.wait_for_log(
                "cannot listen on port 9 of testhost, will try again: the server does not answer",
            );
            assert!(echoes().expect("it still carries the rest"));
        }
    }
}

/// The words that `ssh` logs, but does not pass on to a client of its proxy.
#[test]
#[ignore = "needs asyncssh, dropbear, go, ssh"]
fn a_target_that_refuses_in_the_words_of_each_server() {
    for (make, words) in [
        (Make::Asyncssh, "[Errno 111]"),
        (Make::Dropbear, "Connection refused"),
        (Make::Go, "connect: connection refused"),
    ] {
        let Some(server) = Foreign::start(make) else { continue };
        for client in BOTH {
            let (answer, _running, log) = refused(client, &server);
            if client == Client::Ssh {
                assert!(answer.is_none(), "{make:?}: {answer:?}");
                wait::until(&format!("{make:?} says {words}"), || log().contains(words));
            } else {
                assert_eq!(answer.map(|answer| answer[1]), Some(5), "{make:?}: {}", log());
            }
        }
    }
}

/// `ssh` logs a line per request, this program only one.
#[test]
#[ignore = "needs tinysshd, ssh"]
fn a_server_without_forwarding() {
    let Some(server) = Foreign::start(Make::Tinyssh) else { return };
    for client in BOTH {
        let (answer, _running, log) = refused(client, &server);
        if client == Client::Ssh {
            assert!(answer.is_none(), "{answer:?}");
            wait::until("it tells of it", || log().contains("open failed: "));
        } else {
            assert_eq!(answer.map(|answer| answer[1]), Some(2), "{}", log());
            wait::until("it tells of it", || log().contains("it may have no forwarding at all"));
        }
    }
}

/// The answer to a client of the proxy for a target that refuses; the proxy, which may not have logged it yet;
/// and its log. `ssh` answers before it asks the server, and then closes the connection.
fn refused(client: Client, server: &Foreign) -> (Option<Vec<u8>>, Running, impl Fn() -> String) {
    let (port, log) = (free_port(), server.path("client.log"));
    let mut command = client.command(&server.ssh_config(&[]));
    command.args(["-v", "-D", &port.to_string(), "-E"]).arg(&log).arg(HOST);
    let running = client.start(command);
    wait::until("it listens", || TcpStream::connect(at(port)).is_ok());
    let answer = match Protocol::Socks5.ask(at(port), "127.0.0.1", closed_port()) {
        Ok(Answer::Refused(answer)) => Some(answer),
        Ok(Answer::Open(mut stream)) => {
            assert_eq!(stream.read(&mut [0]).expect("its end"), 0, "{client:?}");
            None
        }
        Err(_) => None,
    };
    (answer, running, move || fs::read_to_string(&log).expect("a log"))
}
