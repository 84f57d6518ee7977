//! Flags, and the settings for forwards and for the program itself.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;

use super::{BOTH, Client, Running, at};
use crate::support::login::HOST;
use crate::support::socks::{Answer, Protocol, connect, socks5_command};
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{closed_port, free_port, process, wait};

fn listens(port: u16) -> bool {
    TcpStream::connect(at(port)).is_ok()
}

#[test]
#[ignore = "needs sshd, ssh"]
fn only_configured_listeners_are_opened() {
    let (echo, sshd) = (Target::echo(), Sshd::start());
    let (dynamic, local, there) = (free_port(), free_port(), free_port());
    for (line, port, here) in [
        (format!("DynamicForward {dynamic}"), dynamic, vec![dynamic]),
        (format!("LocalForward {local} 127.0.0.1:{}", echo.port()), local, vec![local]),
        (format!("RemoteForward {there} 127.0.0.1:{}", echo.port()), there, vec![]),
    ] {
        let config = sshd.login().ssh_config(sshd.port(), &[&line]);
        for client in BOTH {
            let mut command = client.command(&config);
            command.arg(HOST);
            let running = client.start(command);
            wait::until("it listens", || listens(port));
            let own: Vec<u16> = process::listening(running.pid()).into_iter().collect();
            assert_eq!(own, here, "{client:?}: {line}");
        }
    }
}

#[test]
#[ignore = "needs sshd, ssh"]
fn ineffective_flags_in_aliases_are_accepted_and_named() {
    let sshd = Sshd::start();
    let config = sshd.ssh_config();
    for client in BOTH {
        let port = free_port();
        let mut command = client.command(&config);
        command.args(["-C2TnN", "-AKXYkax", "-tt", "-S", "none", "-e", "none"]);
        command.args(["-D", &port.to_string(), "-v", HOST]);
        let running = client.start(command);
        wait::until("it listens", || listens(port));
        if let Running::Sockeye(sockeye) = &running {
            sockeye.wait_for_log("connected to ");
            for flag in ["-2", "-A", "-X", "-t"] {
                assert!(sockeye.log().contains(&format!("{flag} has no effect")), "{flag}");
            }
        }
    }
}

/// A port that others may use is not open on addresses of an unwanted family.
#[test]
#[ignore = "needs sshd, ssh"]
fn an_excluded_family_is_excluded_from_listeners() {
    let (echo, sshd) = (Target::echo(), Sshd::start());
    for (arguments, bind) in
        [(&["-4"][..], ""), (&["-4", "-g"], ""), (&["-o", "AddressFamily=inet"], "*:")]
    {
        for client in BOTH {
            let port = free_port();
            let forward = format!("{bind}{port}:127.0.0.1:{}", echo.port());
            let mut command = client.command(&sshd.ssh_config());
            let _running = client.start({
                command.args(arguments).args(["-L", &forward, HOST]);
                command
            });
            wait::until("it listens", || listens(port));
            let of_ipv6 = TcpStream::connect((Ipv6Addr::LOCALHOST, port));
            assert!(of_ipv6.is_err(), "{client:?}: {arguments:?} {forward}");
        }
    }
}

/// Functions of `ssh` that are missing here, and would be missed.
#[test]
#[ignore = "needs sshd, ssh"]
fn unsupported_functions_are_refused_by_name() {
    let sshd = Sshd::start();
    let config = sshd.ssh_config();
    for flag in [None, Some("-A"), Some("-X"), Some("-Y"), Some("-K"), Some("-t")]
        .into_iter()
        .chain(["-M", "-G", "-Qcipher", "-y"].map(Some))
    {
        for client in BOTH {
            let mut command = client.program();
            command.arg("-F").arg(&config).args(flag).args([HOST, "true"]);
            let output = command.stdin(Stdio::null()).output().expect("it ends");
            if client == Client::Ssh {
                assert!(output.status.success(), "{flag:?}: {output:?}");
                continue;
            }
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{flag:?}: {said}");
            let refused = flag.map(|flag| format!("error: {} has no meaning here", &flag[..2]));
            assert!(said.contains(refused.as_deref().unwrap_or_default()), "{said}");
            assert!(said.contains("a command to run on the server ('true')"), "{said}");
        }
    }
}

/// A bare port stands for two addresses, one of which suffices, whatever the settings for failures.
#[test]
#[ignore = "needs sshd, ssh"]
fn a_port_taken_on_one_address_is_opened_on_the_other() {
    let (echo, sshd) = (Target::echo(), Sshd::start());
    let config = sshd.ssh_config();
    for (taken, left) in [
        ("127.0.0.1:0", IpAddr::from(Ipv6Addr::LOCALHOST)),
        ("[::1]:0", Ipv4Addr::LOCALHOST.into()),
    ] {
        let taken = TcpListener::bind(taken).expect("a free port");
        let port = taken.local_addr().expect("bound").port();
        let forward = format!("{port}:127.0.0.1:{}", echo.port());
        let dynamic = port.to_string();
        for (flag, value) in [("-L", &forward), ("-D", &dynamic)] {
            for (client, exit) in [(BOTH[0], "yes"), (BOTH[1], "yes"), (BOTH[1], "no")] {
                let mut command = client.command(&config);
                command.args(["-o", &format!("ExitOnForwardFailure={exit}"), flag, value, HOST]);
                let running = client.start(command);
                wait::until(&format!("{client:?} listens at {left}: {running:?}"), || {
                    TcpStream::connect((left, port)).is_ok()
                });
                running.end();
            }
        }
    }
}

#[test]
#[ignore = "needs sshd, ssh"]
fn two_forwards_of_one_port() {
    let (echo, sshd) = (Target::echo(), Sshd::start());
    let port = free_port();
    let forward = |host: &str| format!("{port}:{host}:{}", echo.port());
    let (first, second) = (forward("127.0.0.1"), forward("localhost"));
    let config = sshd.ssh_config();
    // Identical forwards count as one.
    for (other, exit, goes_on) in
        [(&second, "yes", false), (&second, "no", true), (&first, "yes", true)]
    {
        for client in BOTH {
            let mut command = client.command(&config);
            command.args(["-o", &format!("ExitOnForwardFailure={exit}")]);
            command.args(["-L", &first, "-L", other, HOST]);
            if goes_on {
                let _running = client.start(command);
                wait::until("it listens", || listens(port));
            } else {
                let output = command.stdin(Stdio::null()).output().expect("it ends");
                let expected = if client == Client::Ssh { 255 } else { 1 };
                assert_eq!(output.status.code(), Some(expected), "{client:?}: {output:?}");
            }
        }
    }
}

#[test]
#[ignore = "needs sshd, ssh"]
fn clear_all_forwardings_clears_those_of_the_command_line() {
    let sshd = Sshd::start();
    let (port, there) = (free_port(), free_port());
    let config = sshd.login().ssh_config(sshd.port(), &[&format!("RemoteForward {there} a:1")]);
    let arguments = ["-D", &port.to_string(), "-o", "ClearAllForwardings=yes", HOST];
    // With nothing left to do, ssh says nothing about it.
    for (logins, client) in (1..).zip(BOTH) {
        let mut command = client.command(&config);
        command.args(arguments);
        let running = client.start(command);
        wait::until("it is in", || sshd.log().matches("Accepted publickey").count() >= logins);
        if let Running::Sockeye(sockeye) = &running {
            sockeye.wait_for_log("nothing is listened on");
            sockeye.wait_for_log("connected to ");
            assert!(!sockeye.log().contains("listening on "), "{}", sockeye.log());
        }
        assert!(!listens(port) && !listens(there));
    }
    // -W has no other forwards besides it either, unless they are enabled explicitly.
    let echo = Target::echo();
    let to = format!("127.0.0.1:{}", echo.port());
    for (option, kept) in [("Compression=no", false), ("ClearAllForwardings=no", true)] {
        for client in BOTH {
            let taken = wait::until_some("it is free", || TcpListener::bind(at(port)).ok());
            let mut command = client.command(&config);
            command.args(["-o", option, "-D", &format!("127.0.0.1:{port}"), "-W", &to, HOST]);
            let output = command.stdin(Stdio::null()).output().expect("it ends");
            // With -W a listener that cannot be bound ends the program.
            assert_eq!(output.status.success(), !kept, "{client:?} {option}: {output:?}");
            drop(taken);
        }
    }
}

#[test]
#[ignore = "needs sshd, ssh"]
fn fork_after_authentication_goes_to_the_background() {
    let sshd = Sshd::start();
    let lines = ["ForkAfterAuthentication yes", "SessionType none", "StdinNull yes"];
    for client in BOTH {
        let config = sshd.login().ssh_config(sshd.port(), &lines);
        let port = free_port();
        let mut command = client.program();
        command.arg("-F").arg(&config).args(["-D", &port.to_string(), HOST]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().expect("it runs");
        assert!(status.success(), "{client:?}: {status}");
        assert!(listens(port), "{client:?} goes on in the background");
        let pids = process::with_argument(&config);
        assert_eq!(pids.len(), 1, "{client:?}: {pids:?}");
        process::signal(pids[0], rustix::process::Signal::TERM);
        wait::until("it ends", || !process::is_running(pids[0]));
    }
}

#[test]
#[ignore = "needs sshd, ssh"]
fn log_level_applies_unless_there_are_flags() {
    let sshd = Sshd::start();
    for (level, flag, quiet, loud) in [
        ("QUIET", None, true, false),
        ("ERROR", None, true, false),
        ("ERROR", Some("-v"), false, true),
        ("DEBUG", None, false, true),
        ("DEBUG3", Some("-q"), true, false),
        ("INFO", None, false, false),
    ] {
        for client in BOTH {
            let line = format!("LogLevel {level}");
            let config = sshd.login().ssh_config(sshd.port(), &[&line]);
            let (port, file) = (free_port(), sshd.login().path("log"));
            let _ = fs::remove_file(&file);
            let mut command = client.command(&config);
            command.args(flag).args(["-D", &port.to_string(), "-E"]).arg(&file).arg(HOST);
            let running = client.start(command);
            wait::until("it listens", || listens(port));
            // This causes a log line.
            let answer = Protocol::Socks5.ask(at(port), "127.0.0.1", closed_port());
            assert!(!matches!(answer, Ok(Answer::Open(_))), "{answer:?}");
            running.end();
            let log = fs::read_to_string(&file).unwrap_or_default();
            assert_eq!(log.is_empty(), quiet, "{client:?} {level} {flag:?}: {log}");
            assert_eq!(log.to_lowercase().contains("debug"), loud, "{level} {flag:?}: {log}");
        }
    }
}

#[test]
#[ignore = "needs sshd, ssh"]
fn a_log_file_replaces_standard_error() {
    let sshd = Sshd::start();
    let config = sshd.ssh_config();
    for client in BOTH {
        let (port, file) = (free_port(), sshd.login().path(&format!("{client:?}.log")));
        fs::write(&file, "before\n").expect("a file");
        let mut command = client.command(&config);
        command.args(["-v", "-D", &port.to_string(), "-E"]).arg(&file).arg(HOST);
        let running = client.start(command);
        wait::until("it listens", || listens(port));
        wait::until("it logs", || fs::read_to_string(&file).expect("there").lines().count() > 1);
        assert!(fs::read_to_string(&file).expect("there").starts_with("before\n"));
        if let Running::Sockeye(sockeye) = &running {
            assert_eq!(sockeye.log(), "");
        }
    }
}

#[test]
#[ignore = "needs sshd, ssh"]
fn socket_files_are_created_as_configured() {
    let (echo, sshd) = (Target::echo(), Sshd::start());
    for (mask, mode) in [("0177", 0o600), ("0111", 0o666), ("0117", 0o660)] {
        for client in BOTH {
            let path = sshd.login().path("forward.sock");
            // A file in the way, of a listener that is still running.
            let _taken = UnixListener::bind(&path).expect("a free path");
            let lines = [&format!("StreamLocalBindMask {mask}"), "StreamLocalBindUnlink yes"];
            let config = sshd.login().ssh_config(sshd.port(), &lines);
            let mut command = client.command(&config);
            command.args(["-L", &format!("{}:127.0.0.1:{}", path.display(), echo.port()), HOST]);
            let running = client.start(command);
            let made = || fs::metadata(&path).map(|m| m.permissions().mode() & 0o777);
            let is_made = || made().is_ok_and(|now| now == mode);
            wait::until(&format!("{client:?} has made it {mode:o} for {mask}"), is_made);
            drop(running);
            let _ = fs::remove_file(&path);
        }
    }
    // A socket in use stays with its owner by default.
    for client in BOTH {
        let path = sshd.login().path("forward.sock");
        let _taken = UnixListener::bind(&path).expect("a free path");
        let mut command = client.command(&sshd.ssh_config());
        command.args(["-o", "ExitOnForwardFailure=yes", "-L"]);
        command.args([&format!("{}:127.0.0.1:{}", path.display(), echo.port()), HOST]);
        let output = command.stdin(Stdio::null()).output().expect("it ends");
        assert!(!output.status.success(), "{client:?}: {output:?}");
        assert!(UnixStream::connect(&path).is_ok(), "{client:?}");
        fs::remove_file(&path).expect("there");
    }
}

/// The name that `ssh` derives for a host is passed to the proxy command.
#[test]
#[ignore = "needs sshd, ssh, nc"]
fn a_gateway_and_the_host_behind_it_in_one_name() {
    let (sshd, echo) = (Sshd::start(), Target::echo());
    let config = sshd.login().path("gateway_config");
    let rest = fs::read_to_string(sshd.ssh_config()).expect("a configuration");
    let rest =
        rest.replace(&format!("Host {HOST}"), "Host */*").replace("HostName 127.0.0.1\n", "\n");
    // The user's name reaches the shell as it is.
    let proxy = "ProxyCommand sh -c 'test $0 = gw/target && test $1 = CORPalice && exec nc 127.0.0.1 \
                 $2' %n %r %p";
    let rest = rest.replace("    HostName", "    #");
    fs::write(
        &config,
        format!("{rest}    {proxy}\n    HostKeyAlias [127.0.0.1]:{}\n", sshd.port()),
    )
    .expect("a configuration");
    for client in BOTH {
        let port = free_port();
        let mut command = client.command(&config);
        let forward = format!("{port}:127.0.0.1:{}", echo.port());
        command.args(["-v", "-L", &forward, "-l", "CORP\\alice", "gw/target"]);
        let before = sshd.log().len();
        let running = client.start(command);
        // The server has no such user; it only matters that it was reached with this name.
        wait::until(&format!("{client:?} reaches it: {running:?}"), || {
            sshd.log()[before..].contains("CORP\\\\alice")
        });
    }
}

/// A client that offers nothing but a password when none is required: `ssh` closes the connection silently,
/// but some clients always do this, so it is accepted here.
#[test]
#[ignore = "needs sshd, ssh"]
fn unneeded_credentials_are_accepted() {
    let (sshd, echo) = (Sshd::start(), Target::echo());
    for client in BOTH {
        let port = free_port();
        let mut command = client.command(&sshd.ssh_config());
        command.args(["-D", &port.to_string(), HOST]);
        let _running = client.start(command);
        wait::until("it listens", || listens(port));
        let mut stream = connect(at(port));
        stream.write_all(&[5, 1, 2]).expect("a connection");
        let mut method = Vec::new();
        (&stream).take(2).read_to_end(&mut method).expect("an answer or the end");
        if client == Client::Ssh {
            assert!(method.is_empty(), "{method:?}");
            continue;
        }
        assert_eq!(method, [5, 2]);
        stream.write_all(b"\x01\x04some\x04body").expect("a connection");
        let mut taken = [0; 2];
        stream.read_exact(&mut taken).expect("an answer");
        assert_eq!(taken, [1, 0]);
        stream.write_all(&socks5_command(1, "127.0.0.1", echo.port())).expect("a connection");
        let mut open = [0; 10];
        stream.read_exact(&mut open).expect("an answer");
        assert_eq!(open[..2], [5, 0]);
        stream.write_all(b"x").expect("a tunnel");
        stream.read_exact(&mut taken[..1]).expect("a tunnel");
        assert_eq!(taken[0], b'x');
    }
}
