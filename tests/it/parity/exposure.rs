//! Limits on what the far side may reach on this side.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::{BOTH, at};
use crate::support::login::HOST;
use crate::support::socks::{Answer, Protocol, connect};
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{free_port, wait};

#[test]
#[ignore = "needs sshd, ssh"]
fn a_proxy_on_the_server_leads_only_where_permit_remote_open_says() {
    let (one, two, sshd) = (Target::echo(), Target::echo(), Sshd::start());
    let (a, b) = (one.port(), two.port());
    let numbers = |name: &str, port: u16| (name.to_owned(), port);
    for (permit, reached) in [
        ("any".to_owned(), vec![numbers("127.0.0.1", a), numbers("localhost", b)]),
        ("none".to_owned(), vec![]),
        (format!("127.0.0.1:{a}"), vec![numbers("127.0.0.1", a)]),
        (
            format!("localhost:* 127.0.0.1:{b}"),
            vec![numbers("localhost", a), numbers("localhost", b), numbers("127.0.0.1", b)],
        ),
        (format!("*:{b}"), vec![numbers("127.0.0.1", b), numbers("localhost", b)]),
        // A part of a name does not match.
        (format!("127.*:{a} local*:{b}"), vec![]),
    ] {
        for client in BOTH {
            let port = free_port();
            // First in the configuration, then on the command line.
            let listen = format!("RemoteForward {port}");
            let line = format!("PermitRemoteOpen {permit}");
            let config = sshd.login().ssh_config(sshd.port(), &[&listen, &line]);
            let mut command = client.command(&config);
            if permit.len() % 2 == 0 {
                let config = sshd.login().ssh_config(sshd.port(), &[]);
                command = client.command(&config);
                command.args(["-R", &port.to_string(), "-o", &line]);
            }
            command.arg(HOST);
            let _running = client.start(command);
            wait::until("the server listens", || TcpStream::connect(at(port)).is_ok());
            for (host, target) in
                [("127.0.0.1", a), ("127.0.0.1", b), ("localhost", a), ("localhost", b)]
            {
                let expected = permit == "any" || reached.contains(&numbers(host, target));
                for protocol in [Protocol::Socks4, Protocol::Socks5] {
                    let open = matches!(protocol.ask(at(port), host, target), Ok(Answer::Open(_)));
                    assert_eq!(
                        open, expected,
                        "{client:?}, {permit}: {protocol:?} {host}:{target}"
                    );
                }
            }
        }
    }
}

/// If a target is named, clients on the server cannot choose one.
#[test]
#[ignore = "needs sshd, ssh"]
fn permit_remote_open_is_for_proxies() {
    let (echo, sshd) = (Target::echo(), Sshd::start());
    let config = sshd.login().ssh_config(sshd.port(), &["PermitRemoteOpen none"]);
    for client in BOTH {
        let port = free_port();
        let mut command = client.command(&config);
        command.args(["-R", &format!("{port}:127.0.0.1:{}", echo.port()), HOST]);
        let _running = client.start(command);
        wait::until("the server listens", || TcpStream::connect(at(port)).is_ok());
        let mut stream = connect(at(port));
        stream.write_all(b"x").expect("a connection");
        stream.read_exact(&mut [0]).expect("an echo");
    }
}

/// The limits apply to a forward that is added later too.
#[test]
#[ignore = "needs sshd, ssh"]
fn a_proxy_added_on_the_server_has_the_same_limits() {
    let (echo, sshd) = (Target::echo(), Sshd::start());
    for (permit, reached) in [("none", false), ("any", true)] {
        let line = format!("PermitRemoteOpen {permit}");
        let config = sshd.login().ssh_config(sshd.port(), &[&line]);
        for client in BOTH {
            let port = free_port();
            let folder = tempfile::tempdir().expect("a folder");
            let socket = folder.path().join("control").display().to_string();
            let _running = client.start_master(&config, &socket);
            assert!(client.tells(&config, &socket, &["forward", "-R", &port.to_string()]));
            wait::until("the server listens", || TcpStream::connect(at(port)).is_ok());
            let answer = Protocol::Socks5.ask(at(port), "127.0.0.1", echo.port());
            assert_eq!(matches!(answer, Ok(Answer::Open(_))), reached, "{client:?} {permit}");
        }
    }
}
