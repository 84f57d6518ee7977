//! The login: every method, order and failure, each compared with `ssh` itself.

use std::path::Path;
use std::process::Stdio;

use crate::support::accounts::{Accounts, LOCKED, PASSWORD, USER};
use crate::support::login::HOST;
use crate::support::person::{Agent, Person};
use crate::support::program::{Sockeye, program};
use crate::support::questions::{ANSWERS, Questions};
use crate::support::socks::Protocol;
use crate::support::target::Target;
use crate::support::{command, process, wait};

mod keys;
mod secrets;
mod security_keys;

/// The outcome of a login.
#[derive(Debug)]
struct Told {
    verdict: Verdict,
    /// The questions, in order.
    asked: Vec<String>,
    /// The output of the program.
    said: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    In,
    Refused,
}

use Verdict::{In, Refused};

/// The outcome with `ssh`.
fn ssh(config: &Path, answers: &[&str]) -> Told {
    let person = Person::with(answers);
    let mut ssh = command("ssh");
    ssh.arg("-F").arg(config).args([HOST, "true"]).stdin(Stdio::null());
    person.answers(&mut ssh);
    let output = ssh.output().expect("ssh");
    let verdict = if output.status.success() { In } else { Refused };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Told { verdict, asked: person.asked(), said }
}

/// The outcome with the program, given additional arguments.
fn sockeye_with(config: &Path, answers: &[&str], arguments: &[&str]) -> Told {
    let person = Person::with(answers);
    let mut command = program();
    command.arg("-F").arg(config).args(["-D", "127.0.0.1:0"]).args(arguments).arg(HOST);
    person.answers(&mut command);
    let program = Sockeye::spawn(command);
    let verdict = wait::until_some("it is in, or gives up", || {
        let ended = !process::is_running(program.pid());
        let connected = program.log().contains("connected to ");
        connected.then_some(In).or(ended.then_some(Refused))
    });
    // The last output may still be in the pipe.
    let last = if verdict == In { "logged in" } else { "cannot connect" };
    let said = || program.log().contains(last);
    wait::until("the reason is logged", said);
    Told { verdict, asked: person.asked(), said: program.log() }
}

fn sockeye(config: &Path, answers: &[&str]) -> Told {
    // Only with -v does it log the method that succeeded.
    sockeye_with(config, answers, &["-v"])
}

/// Checks that both log in or neither does, and that both ask the same questions.
#[track_caller]
fn agree(what: &str, config: &Path, answers: &[&str], expected: Verdict) -> Told {
    let theirs = ssh(config, answers);
    let ours = sockeye(config, answers);
    assert_eq!(theirs.verdict, expected, "{what}, ssh:\n{}", theirs.said);
    assert_eq!(ours.verdict, expected, "{what}:\n{}", ours.said);
    // Scripts that answer prompts depend on the exact words.
    assert_eq!(theirs.asked, ours.asked, "{what}: ssh asked the first\n{}", ours.said);
    ours
}

/// Lines that select this key and no other.
fn only(key: &Path) -> String {
    format!("IdentitiesOnly yes\n    IdentityFile {}", key.display())
}

#[test]
#[ignore = "needs sshd, unshare"]
fn passwords_and_questions() {
    let password = &["PasswordAuthentication yes"][..];
    let by_pam = &["UsePAM yes", "KbdInteractiveAuthentication yes"][..];
    let wrong = ["a", "b", "c", "d"];
    for (method, server) in [("password", password), ("keyboard-interactive", by_pam)] {
        let Some(server) = Accounts::start(server) else { return };
        let check = |lines: &[&str], answers: &[&str], expected, questions: usize| {
            let config = server.client(lines);
            let told = agree(method, &config, answers, expected);
            assert_eq!(told.asked.len(), questions, "{method} {lines:?}: {:?}", told.asked);
            assert!(expected == Refused || told.said.contains(method), "{}", told.said);
            told
        };
        check(&[], &[PASSWORD], In, 1);
        check(&[], &["wrong", "wrong", PASSWORD], In, 3);
        check(&[], &wrong, Refused, 3);
        check(&["NumberOfPasswordPrompts 1"], &["wrong", PASSWORD], Refused, 1);
        check(&[&format!("User {LOCKED}")], &[PASSWORD; 3], Refused, 3);
        let told = check(&["BatchMode yes"], &[PASSWORD], Refused, 0);
        assert!(told.said.contains("nobody can be asked"), "{}", told.said);
        let other = if method == "password" { "keyboard-interactive" } else { "password" };
        check(&[&format!("PreferredAuthentications {other}")], &[PASSWORD], Refused, 0);
        let switch = ["PasswordAuthentication no", "KbdInteractiveAuthentication no"];
        check(&switch, &[PASSWORD], Refused, 0);
    }
}

#[test]
#[ignore = "needs ssh"]
fn several_questions_in_two_rounds() {
    let server = Questions::start();
    let config = server.ssh_config();
    let told = agree("all right", &config, &ANSWERS, In);
    assert!(told.said.contains("Two rounds") && told.asked[2].contains("Code: "), "{told:?}");
    // A wrong answer starts a new attempt.
    let [login, pin, code] = ANSWERS;
    agree("mended", &config, &[login, "wrong", login, pin, code], In);
    agree("wrong", &config, &[login, pin, "1", login, pin, "2", login, pin, "3", "4"], Refused);
}

/// A login that needs a person is not repeated unattended, nor before a request needs it.
#[test]
#[ignore = "needs sshd, unshare"]
fn a_lost_session_waits_for_a_request_and_a_person() {
    let Some(server) = Accounts::start(&["PasswordAuthentication yes"]) else { return };
    let target = Target::echo();
    let person = Person::with(&[PASSWORD, PASSWORD]);
    let mut command = program();
    command.arg("-F").arg(server.client(&[])).args(["-D", "127.0.0.1:0", HOST]);
    person.answers(&mut command);
    let program = Sockeye::spawn(command);
    let address = program.address();
    drop(Protocol::Socks5.open(address, "127.0.0.1", target.port()));
    server.kill_connections();
    program.wait_for_log("the login needs a person, who is asked when the next request comes");
    let connections = || server.log().matches("Connection from ").count();
    // Time enough for an unwanted attempt to show.
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!((person.asked().len(), connections()), (1, 1), "{}", server.log());
    drop(Protocol::Socks5.open(address, "127.0.0.1", target.port()));
    assert_eq!(person.asked().len(), 2);
    program.wait_for_log("connected to testhost again");
}

#[test]
#[ignore = "needs sshd, unshare"]
fn the_order_of_methods_and_several_of_them() {
    let all = ["UsePAM yes", "PasswordAuthentication yes", "KbdInteractiveAuthentication yes"];
    let Some(server) = Accounts::start(&all) else { return };
    let (key, stranger) = (server.key("key", &[]), server.key("stranger", &[]));
    server.authorize(&[&key]);
    let (right, wrong) = (only(&key), only(&stranger));
    for (order, used) in [
        ("publickey,password", "publickey"),
        ("password,publickey", "password"),
        ("keyboard-interactive,password,publickey", "keyboard-interactive"),
        ("password", "password"),
    ] {
        let line = format!("PreferredAuthentications {order}");
        let told = agree(order, &server.client(&[&right, &line]), &[PASSWORD], In);
        assert!(told.said.contains(used), "{order}: {}", told.said);
    }
    let told = agree("a key, then questions", &server.client(&[&wrong]), &[PASSWORD], In);
    assert!(told.said.contains("keyboard-interactive"), "{}", told.said);
    drop(server);

    for (steps, answers, expected) in [
        ("publickey,keyboard-interactive", &[PASSWORD][..], In),
        ("publickey,password", &["wrong", PASSWORD], In),
        ("password,publickey", &[PASSWORD], In),
        ("keyboard-interactive,publickey keyboard-interactive,password", &[PASSWORD], In),
        ("publickey,keyboard-interactive", &["a", "b", "c", "d"], Refused),
        ("publickey,publickey", &[], Refused),
    ] {
        let methods = format!("AuthenticationMethods {steps}");
        let config = [all[0], all[1], all[2], &methods];
        let server = Accounts::start(&config).expect("as above");
        let key = server.key("key", &[]);
        server.authorize(&[&key]);
        let told = agree(steps, &server.client(&[&only(&key)]), answers, expected);
        let both =
            told.said.contains("publickey") && (expected == Refused || told.said.contains(" and "));
        assert!(both, "{steps}: {}", told.said);
    }
}
