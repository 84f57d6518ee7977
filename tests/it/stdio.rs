//! `-W`: standard input and output over one channel; also, no name is looked up locally.

use std::io::{self, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::thread;

use crate::support::content::{Content, Sum};
use crate::support::login::HOST;
use crate::support::program::{Sockeye, program};
use crate::support::resolver::Resolver;
use crate::support::socks::{Answer, Protocol};
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{closed_port, command, free_port, wait};

/// The program with its standard input and output connected to the target.
fn connecting(sshd: &Sshd, target: &str) -> Command {
    let mut command = program();
    command.arg("-F").arg(sshd.ssh_config()).args(["-W", target, HOST]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
#[ignore = "needs sshd"]
fn both_directions_are_exact() {
    let (sshd, (target, sums)) = (Sshd::start(), Target::answer_after_end(LENGTH));
    let mut command = connecting(&sshd, &format!("127.0.0.1:{}", target.port()));
    let mut child = command.spawn().expect("the program under test");
    let mut input = child.stdin.take().expect("a pipe");
    let sending = thread::spawn(move || io::copy(&mut Content::of(LENGTH), &mut input));
    let sum = Sum::of(child.stdout.take().expect("a pipe")).expect("a clean end");
    assert_eq!(sum, Content::of(LENGTH).sum(), "what the target sent, and no more");
    sending.join().expect("no panic").expect("all of it is taken");
    assert_eq!(sums.recv().expect("it came"), Content::of(LENGTH).sum());
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "the terminal is not ours");
}

/// The target ends first: the reader of our output sees EOF at once, and may still send.
#[test]
#[ignore = "needs sshd"]
fn the_target_may_end_first() {
    let (sshd, (target, sums)) = (Sshd::start(), Target::read_after_end());
    let mut command = connecting(&sshd, &format!("127.0.0.1:{}", target.port()));
    let mut child = command.spawn().expect("the program under test");
    let mut output = child.stdout.take().expect("a pipe");
    assert_eq!(output.read(&mut [0]).expect("an end"), 0);
    let mut input = child.stdin.take().expect("a pipe");
    io::copy(&mut Content::of(LENGTH), &mut input).expect("it is taken");
    drop(input);
    assert_eq!(sums.recv().expect("it came"), Content::of(LENGTH).sum());
    assert_eq!(child.wait().expect("the program ends").code(), Some(0));
}

/// As in `yes | ssh -W … | head -c 5`: with no reader left there is nothing left to do.
#[test]
#[ignore = "needs sshd"]
fn it_ends_when_its_output_is_closed() {
    let (sshd, target) = (Sshd::start(), Target::echo());
    let mut command = connecting(&sshd, &format!("127.0.0.1:{}", target.port()));
    let mut child = command.spawn().expect("the program under test");
    let mut input = child.stdin.take().expect("a pipe");
    let sending = thread::spawn(move || while input.write_all(b"y\n").is_ok() {});
    let mut output = child.stdout.take().expect("a pipe");
    output.read_exact(&mut [0; 5]).expect("it comes back");
    drop(output);
    wait::until("it ends", || child.try_wait().expect("a child").is_some());
    sending.join().expect("no panic");
}

#[test]
#[ignore = "needs sshd"]
fn a_failure_is_logged_and_has_status_1() {
    let sshd = Sshd::start();
    let nobody = format!("127.0.0.1:{}", closed_port());
    let output = connecting(&sshd, &nobody).output().expect("the program under test");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(&format!("cannot connect to {nobody}: the target refused")), "{told}");
    assert!(output.stdout.is_empty());

    let target = Target::flood();
    let to = format!("127.0.0.1:{}", target.port());
    let mut child = connecting(&sshd, &to).spawn().expect("the program under test");
    child.stdout.as_mut().expect("a pipe").read_exact(&mut [0; 1000]).expect("it begins");
    sshd.kill_children();
    let output = child.wait_with_output().expect("the program ends");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(&format!("the connection to {to} was cut")), "{told}");
}

#[test]
#[ignore = "needs sshd and ssh"]
fn it_serves_as_the_proxy_command_of_ssh() {
    let (bastion, inner) = (Sshd::start(), Sshd::start());
    let sockeye = program();
    let proxy = format!(
        "ProxyCommand={} -F {} -W %h:%p {HOST}",
        sockeye.get_program().to_string_lossy(),
        bastion.ssh_config().display(),
    );
    let mut child = command("ssh")
        .arg("-F")
        .arg(inner.ssh_config())
        .args(["-o", &proxy, HOST, "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("ssh");
    let mut input = child.stdin.take().expect("a pipe");
    let sending = thread::spawn(move || {
        io::copy(&mut Content::of(LENGTH), &mut input)?;
        input.flush()
    });
    let sum = Sum::of(child.stdout.take().expect("a pipe")).expect("a clean end");
    assert_eq!(sum, Content::of(LENGTH).sum());
    sending.join().expect("no panic").expect("all of it is taken");
    assert_eq!(child.wait().expect("ssh ends").code(), Some(0));
}

/// The local resolver receives no query.
#[test]
#[ignore = "needs sshd and root"]
fn no_name_is_looked_up_on_this_side() {
    let Some(resolver) = Resolver::start() else { return };
    let (sshd, target) = (Sshd::start(), Target::echo());
    let port = target.port();
    let mut command = resolver.command(&program().get_program().to_string_lossy());
    command.arg("-F").arg(sshd.ssh_config()).args(["-D", "127.0.0.1:0"]);
    command.args(["-L", &format!("127.0.0.1:{}:localhost:{port}", free_port()), HOST]);
    let sockeye = Sockeye::spawn(command);
    sockeye.wait_for_log("(socks4 ");
    for protocol in Protocol::ALL {
        let answer = protocol.ask(sockeye.address(), "localhost", port).expect("an answer");
        assert!(matches!(answer, Answer::Open(_)), "{protocol:?}: {answer:?}");
        let answer = protocol.ask(sockeye.address(), "nowhere.invalid", port).expect("an answer");
        assert!(matches!(answer, Answer::Refused(_)), "{protocol:?}: {answer:?}");
    }
    assert_eq!(resolver.asked(), Vec::<String>::new());
}

const LENGTH: u64 = 10 << 20;
