//! `-L`: local listeners that lead to one target behind a real `sshd`.

use std::fs;
use std::io::{self, ErrorKind, Read as _};
use std::net::{Shutdown, TcpListener, ToSocketAddrs as _};
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use crate::support::content::{Content, Sum};
use crate::support::echo::{WORDS, echoed, echoed_over_tcp, echoed_over_unix, tcp, unix_echo};
use crate::support::login::HOST;
use crate::support::openssh::OpenSsh;
use crate::support::program::{Sockeye, program};
use crate::support::socks::Protocol;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::wait::LONG;
use crate::support::{closed_port, free_port, process, skip};

/// The program with these arguments, and without a proxy.
fn forwarding(sshd: &Sshd, arguments: &[&str]) -> Sockeye {
    let mut command = program();
    command.arg("-F").arg(sshd.ssh_config()).args(arguments).arg(HOST);
    let sockeye = Sockeye::spawn(command);
    sockeye.wait_for_log("listening on ");
    sockeye
}

#[test]
#[ignore = "needs sshd"]
fn every_form_of_it() {
    let (sshd, target, folder) = (Sshd::start(), Target::echo(), TempDir::new().expect("a folder"));
    let there = folder.path().join("there");
    unix_echo(&there);
    let (to_port, there) = (target.port(), there.display());
    let (ports, here) = ([free_port(), free_port(), free_port()], folder.path().join("here"));
    let second = folder.path().join("second");
    let forwards = [
        format!("{}:127.0.0.1:{to_port}", ports[0]),
        format!("127.0.0.1:{}:localhost:{to_port}", ports[1]),
        format!("{}:{there}", ports[2]),
        format!("{}:127.0.0.1:{to_port}", here.display()),
        format!("{}:{there}", second.display()),
    ];
    let mut arguments = Vec::new();
    for forward in &forwards {
        arguments.extend(["-L", forward]);
    }
    let sockeye = forwarding(&sshd, &arguments);
    for port in ports {
        assert_eq!(echoed_over_tcp(("127.0.0.1", port)), WORDS, "{port}");
    }
    for path in [&here, &second] {
        assert_eq!(echoed_over_unix(path), WORDS, "{}", path.display());
        let mode = fs::metadata(path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    let log = sockeye.log();
    assert!(log.contains(&format!("(to localhost:{to_port})")), "{log}");
    assert!(!log.contains("socks"), "with -L and no -D there is no proxy:\n{log}");
}

#[test]
#[ignore = "needs sshd"]
fn a_chosen_port_is_reported_and_g_opens_it_to_others() {
    let (sshd, target) = (Sshd::start(), Target::echo());
    let to = format!("127.0.0.1:{}", target.port());
    let sockeye = forwarding(&sshd, &["-L", &format!("0:{to}")]);
    assert!(sockeye.address().ip().is_loopback());
    assert_eq!(echoed_over_tcp(sockeye.address()), WORDS);
    let sockeye = forwarding(&sshd, &["-g", "-L", &format!("0:{to}")]);
    assert!(sockeye.address().ip().is_unspecified());
    let port = sockeye.address().port();
    assert_eq!(echoed_over_tcp(("127.0.0.1", port)), WORDS);
}

/// The listener may come from the command line, `ssh_config`, a file, or be added at run time.
#[test]
#[ignore = "needs sshd, ssh"]
fn the_name_of_this_machine_is_listened_on_as_by_ssh() {
    let Some(name) = skip::unless_named() else { return };
    let (sshd, target) = (Sshd::start(), Target::echo());
    let to = format!("127.0.0.1:{}", target.port());
    let at = |port: u16| (name.as_str(), port).to_socket_addrs().ok()?.next();
    let echoes = |port: u16| assert_eq!(echoed_over_tcp(at(port).expect("an address")), WORDS);
    let port = free_port();
    let forward = ["-L", &format!("{name}:{port}:{to}")];
    let _ssh = OpenSsh::with(&sshd.ssh_config(), &forward, at(port).expect("an address"));
    echoes(port);

    let sockeye = forwarding(&sshd, &["-L", &format!("{name}:0:{to}")]);
    echoes(sockeye.address().port());
    let configured = format!("LocalForward {name}:{} {to}", free_port());
    let sockeye = forwarding(&sshd, &["-o", &configured]);
    echoes(sockeye.address().port());
    let sockeye = forwarding(&sshd, &["--allow-remote", "-D", &format!("{name}:0")]);
    let proxied = Protocol::Socks5.open(sockeye.address(), "127.0.0.1", target.port());
    assert_eq!(echoed(proxied, |stream| stream.shutdown(Shutdown::Write).expect("open")), WORDS);

    let folder = TempDir::new().expect("a folder");
    let control = folder.path().join("control");
    let (file, config) = (folder.path().join("config.toml"), sshd.ssh_config());
    fs::write(
        &file,
        format!(
            "[server.s]\nhost = \"{HOST}\"\nssh_config = {config:?}\n[default]\nvia = [\"s\"]\n\
             [[forward]]\nlocal = \"{name}:0\"\nto = \"{to}\"\n"
        ),
    )
    .expect("written");
    let mut command = program();
    command.arg("--config").arg(&file).arg("--control").arg(&control);
    let sockeye = Sockeye::spawn(command);
    echoes(sockeye.address().port());
    let port = free_port();
    let mut add = program();
    add.args(["forward", "add", "--control"]).arg(&control);
    let added = add.args(["-L", &format!("{name}:{port}:{to}")]).output().expect("it ends");
    assert!(added.status.success(), "{added:?}");
    echoes(port);
}

#[test]
#[ignore = "needs sshd"]
fn a_target_that_speaks_first_and_both_half_closes() {
    let (sshd, (after, sums)) = (Sshd::start(), Target::answer_after_end(LENGTH));
    let (first, heard) = Target::read_after_end();
    let sockeye = forwarding(&sshd, &["-L", &format!("0:127.0.0.1:{}", after.port())]);
    let stream = tcp(sockeye.address());
    io::copy(&mut Content::of(LENGTH), &mut &stream).expect("sent");
    stream.shutdown(Shutdown::Write).expect("open");
    let sum = Sum::of(&stream).expect("a clean end");
    assert_eq!(sum, Content::of(LENGTH).sum());
    assert_eq!(sums.recv_timeout(LONG).expect("it came"), Content::of(LENGTH).sum());

    let sockeye = forwarding(&sshd, &["-L", &format!("0:127.0.0.1:{}", first.port())]);
    let mut stream = tcp(sockeye.address());
    assert_eq!(stream.read(&mut [0]).expect("a clean end"), 0, "the target ended first");
    io::copy(&mut Content::of(LENGTH), &mut &stream).expect("sent");
    stream.shutdown(Shutdown::Write).expect("open");
    assert_eq!(heard.recv_timeout(LONG).expect("it came"), Content::of(LENGTH).sum());
}

#[test]
#[ignore = "needs sshd"]
fn a_target_that_refuses_resets_the_client_and_is_logged() {
    let sshd = Sshd::start();
    let nobody = closed_port();
    let sockeye = forwarding(&sshd, &["-L", &format!("0:127.0.0.1:{nobody}")]);
    let error = tcp(sockeye.address()).read(&mut [0]).expect_err("no end");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    sockeye.wait_for_log(&format!("to 127.0.0.1:{nobody}: the target refused the connection"));
}

#[test]
#[ignore = "needs sshd"]
fn a_cut_session_resets_the_client_and_the_next_is_served() {
    let (sshd, target) = (Sshd::start(), Target::flood());
    let sockeye = forwarding(&sshd, &["-L", &format!("0:127.0.0.1:{}", target.port())]);
    let mut stream = tcp(sockeye.address());
    stream.read_exact(&mut [0; 1000]).expect("it begins");
    sshd.kill_children();
    let error = io::copy(&mut stream, &mut io::sink()).expect_err("no end");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    tcp(sockeye.address()).read_exact(&mut [0; 1000]).expect("the next session serves it");
}

#[test]
#[ignore = "needs sshd"]
fn a_taken_port_is_logged_and_ends_the_program_only_on_request() {
    let (sshd, target) = (Sshd::start(), Target::echo());
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = taken.local_addr().expect("bound").port();
    let to = format!("127.0.0.1:{}", target.port());
    let (first, second) = (format!("127.0.0.1:{port}:{to}"), format!("0:{to}"));
    let sockeye = forwarding(&sshd, &["-L", &first, "-L", &second]);
    sockeye.wait_for_log(&format!("cannot listen on 127.0.0.1:{port}: "));
    assert_eq!(echoed_over_tcp(sockeye.address()), WORDS);

    // The same applies to proxies.
    let proxy = format!("127.0.0.1:{port}");
    let sockeye = forwarding(&sshd, &["-D", &proxy, "-L", &second]);
    sockeye.wait_for_log(&format!("cannot listen on {proxy}: "));
    assert_eq!(echoed_over_tcp(sockeye.address()), WORDS);

    // With no listener left the program ends, although ssh goes on.
    for arguments in [
        ["-o", "ExitOnForwardFailure=yes", "-L", &first, "-L", &second].as_slice(),
        &["-o", "ExitOnForwardFailure=yes", "-D", &proxy, "-L", &second],
        &["-L", &first],
        &["-D", &proxy, "-L", &first],
    ] {
        let mut command = program();
        command.arg("-F").arg(sshd.ssh_config()).args(arguments).arg(HOST);
        let mut sockeye = Sockeye::spawn(command);
        assert_eq!(sockeye.wait().code(), Some(1), "{arguments:?}: {}", sockeye.log());
        assert!(!process::is_running(sockeye.pid()));
    }
}

const LENGTH: u64 = 10 << 20;
