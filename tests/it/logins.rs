//! The login: each way in, each order, each fault, and `ssh` itself beside it.

use std::fs;
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

mod secrets;
mod security_keys;

/// What came of a login.
#[derive(Debug)]
struct Told {
    verdict: Verdict,
    /// The questions that were asked.
    asked: Vec<String>,
    /// What the program said.
    said: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    In,
    Refused,
}

use Verdict::{In, Refused};

/// What `ssh` does.
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

/// What the program does, with further arguments.
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
    // What it says last is on its way through a pipe.
    let last = if verdict == In { "logged in" } else { "cannot connect" };
    let said = || program.log().contains(last);
    wait::until("it has said why", said);
    Told { verdict, asked: person.asked(), said: program.log() }
}

fn sockeye(config: &Path, answers: &[&str]) -> Told {
    // Only then it says by what it is in.
    sockeye_with(config, answers, &["-v"])
}

/// Both log in, or neither does, and both ask as often.
#[track_caller]
fn agree(what: &str, config: &Path, answers: &[&str], expected: Verdict) -> Told {
    let theirs = ssh(config, answers);
    let ours = sockeye(config, answers);
    assert_eq!(theirs.verdict, expected, "{what}, ssh:\n{}", theirs.said);
    assert_eq!(ours.verdict, expected, "{what}:\n{}", ours.said);
    // Scripts that answer wait for the exact words.
    assert_eq!(theirs.asked, ours.asked, "{what}: ssh asked the first\n{}", ours.said);
    ours
}

/// A line that names a key and no other.
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
    // A wrong answer begins a new attempt.
    let [login, pin, code] = ANSWERS;
    agree("mended", &config, &[login, "wrong", login, pin, code], In);
    agree("wrong", &config, &[login, pin, "1", login, pin, "2", login, pin, "3", "4"], Refused);
}

/// A login that takes a person is not repeated without one, and not before somebody wants it.
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
    // Long enough for an attempt of its own, if it made any.
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

#[test]
#[ignore = "needs sshd, unshare"]
fn keys_of_files() {
    let Some(server) = Accounts::start(&[]) else { return };
    let passphrase = "open-sesame-31";
    let locked = ["-t", "ed25519", "-a", "1", "-N", passphrase];
    let key = server.key("locked", &locked);
    let pem = server.key("pem", &["-t", "ecdsa", "-b", "521", "-m", "PEM", "-N", passphrase]);
    let bare = server.key("bare", &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", passphrase]);
    let rsa = server.key("rsa", &["-t", "rsa", "-b", "2048", "-N", ""]);
    let stranger = server.key("stranger", &[]);
    server.authorize(&[&key, &pem, &bare, &rsa]);
    fs::remove_file(bare.with_extension("pub")).expect("there");
    for key in [&key, &pem, &bare] {
        let config = server.client(&[&only(key)]);
        let what = key.display().to_string();
        agree(&what, &config, &["wrong", passphrase], In);
        let told = agree(&what, &config, &["a", "b", "c", passphrase], Refused);
        assert!(told.said.contains("passphrase was not given"), "{}", told.said);
        let told = agree(&what, &server.client(&[&only(key), "BatchMode yes"]), &[], Refused);
        assert!(told.said.contains("nobody can be asked"), "{}", told.said);
    }
    // Nobody is asked for the passphrase of a key that the server does not know.
    server.authorize(&[&rsa]);
    let told = agree("unknown", &server.client(&[&only(&key)]), &[passphrase], Refused);
    assert_eq!(told.asked, [""; 0]);

    for (what, lines, expected, says) in [
        ("rsa", only(&rsa), In, "ssh-rsa"),
        ("a stranger", only(&stranger), Refused, "refused"),
        ("too short", only(&rsa) + "\n    RequiredRSASize 3072", Refused, "has 2048 bits"),
        ("one hash", only(&rsa) + "\n    PubkeyAcceptedAlgorithms rsa-sha2-256", In, "ssh-rsa"),
        (
            "another type",
            only(&rsa) + "\n    PubkeyAcceptedAlgorithms ssh-ed25519",
            Refused,
            "PubkeyAcceptedAlgorithms",
        ),
        ("no keys", only(&rsa) + "\n    PubkeyAuthentication no", Refused, "takes publickey"),
    ] {
        let told = agree(what, &server.client(&[&lines]), &[], expected);
        assert!(told.said.contains(says), "{what}: {}", told.said);
    }
}

#[test]
#[ignore = "needs sshd, unshare"]
fn files_that_are_no_use() {
    let Some(server) = Accounts::start(&[]) else { return };
    let key = server.key("key", &[]);
    server.authorize(&[&key]);
    let config = server.client(&[&only(&key)]);
    agree("as it should be", &config, &[], In);
    let mode = |mode| fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(mode));
    mode(0o640).expect("a mode");
    let told = agree("others may read it", &config, &[], Refused);
    assert!(told.said.contains("0640 are too open"), "{}", told.said);
    mode(0o600).expect("a mode");
    fs::write(&key, "-----BEGIN OPENSSH PRIVATE KEY-----\nrubbish\n").expect("written");
    agree("rubbish", &config, &[], Refused);
    fs::remove_file(&key).expect("there");
    let told = agree("the public half alone", &config, &[], Refused);
    assert!(told.said.contains("its private key is in no"), "{}", told.said);
    fs::remove_file(key.with_extension("pub")).expect("there");
    let told = agree("nothing", &config, &[], Refused);
    assert!(told.said.contains("does not exist"), "{}", told.said);
}

#[test]
#[ignore = "needs sshd, unshare"]
fn certificates() {
    let Some(server) = Accounts::start(&[]) else { return };
    let ca = server.key("ca", &[]);
    let line =
        format!("cert-authority {}", fs::read_to_string(ca.with_extension("pub")).expect("a key"));
    fs::write(server.path("authorized_keys"), line).expect("authorized_keys");
    for (kind, arguments) in [
        ("ed25519", &["-t", "ed25519", "-N", ""][..]),
        ("rsa", &["-t", "rsa", "-b", "2048", "-N", ""]),
        ("ecdsa", &["-t", "ecdsa", "-b", "384", "-N", ""]),
    ] {
        let key = server.key(kind, arguments);
        let config = server.client(&[&only(&key)]);
        agree("no certificate", &config, &[], Refused);
        for (what, how, expected, says) in [
            ("valid", &["-n", USER][..], In, "certificate"),
            ("expired", &["-n", USER, "-V", "-2d:-1d"], Refused, "it expired on "),
            ("early", &["-n", USER, "-V", "+2d:+9d"], Refused, "it is valid from "),
            ("of another", &["-n", "bob"], Refused, "it names bob"),
            ("of a host", &["-h", "-n", USER], Refused, "refused"),
            ("wrong address", &["-n", USER, "-O", "source-address=192.0.2.1"], Refused, "refused"),
        ] {
            Accounts::certify(&ca, &key, how);
            let told = agree(what, &config, &[], expected);
            assert!(told.said.contains(says), "{kind}, {what}: {}", told.said);
        }
        // Elsewhere, and named.
        Accounts::certify(&ca, &key, &["-n", USER]);
        let beside = server.path(&format!("{kind}-cert.pub"));
        let named = server.path("named-cert.pub");
        fs::rename(&beside, &named).expect("renamed");
        let line = format!("CertificateFile {}", named.display());
        agree("named", &server.client(&[&only(&key), &line]), &[], In);

        // The private half in the agent alone.
        let agent = Agent::start();
        agent.add(&key, &[]);
        fs::remove_file(&key).expect("there");
        let config = server.client(&[&only(&key), &line, &agent.line()]);
        let told = agree("by the agent", &config, &[], In);
        assert!(told.said.contains("certificate"), "{}", told.said);
        fs::remove_file(&named).expect("there");
    }
}

#[test]
#[ignore = "needs sshd, unshare"]
fn keys_of_the_agent() {
    let Some(server) = Accounts::start(&[]) else { return };
    let (key, other) = (server.key("key", &[]), server.key("other", &[]));
    server.authorize(&[&key]);
    let agent = Agent::start();
    agent.add(&other, &[]);
    agent.add(&key, &[]);
    fs::remove_file(&key).expect("there");
    let line = agent.line();
    let told = agree("the agent's own", &server.client(&[&line]), &[], In);
    assert!(told.said.contains("from the agent"), "{}", told.said);
    let only_file = only(&other);
    let told = agree("not named", &server.client(&[&line, &only_file]), &[], Refused);
    assert!(told.said.contains("refused"), "{}", told.said);
    let public = only(&key.with_extension("pub"));
    agree("named by its public half", &server.client(&[&line, &public]), &[], In);
    agree("named, with the private half gone", &server.client(&[&line, &only(&key)]), &[], In);
    agree("no agent there", &server.client(&["IdentityAgent /nonexistent", &public]), &[], Refused);
}

/// `ssh` waits for such an agent for ever.
#[test]
#[ignore = "needs sshd, unshare"]
fn an_agent_that_hangs_is_passed_over() {
    let Some(server) = Accounts::start(&[]) else { return };
    let key = server.key("key", &[]);
    server.authorize(&[&key]);
    let socket = server.path("deaf");
    let _deaf = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let line = format!("IdentityAgent {}", socket.display());
    let told = sockeye(&server.client(&[&line, &only(&key)]), &[]);
    assert_eq!(told.verdict, In, "{}", told.said);
    assert!(told.said.contains("is passed over: the agent did not answer"), "{}", told.said);
}

/// The agent uses such a key for one server only, and wants proof of whom it signs for.
#[test]
#[ignore = "needs sshd, unshare"]
fn a_key_that_is_restricted_to_a_server() {
    let Some(server) = Accounts::start(&[]) else { return };
    let (here, elsewhere) = (server.key("here", &[]), server.key("elsewhere", &[]));
    server.authorize(&[&here, &elsewhere]);
    let known = server.known_hosts();
    let other = server.path("known_elsewhere");
    let stranger = fs::read_to_string(server.key("stranger", &[]).with_extension("pub"));
    fs::write(&other, format!("elsewhere {}", stranger.expect("a key"))).expect("known_hosts");
    let this = format!("[127.0.0.1]:{}", server.port());
    for (key, host, file, expected) in
        [(&here, this.as_str(), &known, In), (&elsewhere, "elsewhere", &other, Refused)]
    {
        let agent = Agent::start();
        agent.add(key, &["-h", host, "-H", file.to_str().expect("UTF-8")]);
        agree(host, &server.client(&[&agent.line()]), &[], expected);
    }
}

/// The fingerprints that the server saw, in their order.
fn offered(server: &Accounts, config: &Path, run: fn(&Path, &[&str]) -> Told) -> Vec<String> {
    let before = server.log().len();
    run(config, &[]);
    let key = |line: &str| {
        let seen = ["Failed publickey", "Accepted publickey"].iter().any(|s| line.contains(s));
        let fingerprint = line.split("SHA256:").nth(1)?.split(' ').next()?;
        seen.then(|| format!("{} {fingerprint}", line.contains("-CERT")))
    };
    server.log()[before..].lines().filter_map(key).collect()
}

#[test]
#[ignore = "needs sshd, unshare"]
fn keys_are_offered_in_the_order_of_ssh() {
    let Some(server) = Accounts::start(&["MaxAuthTries 20"]) else { return };
    let key = |name: &str| server.key(name, &[]);
    let (a, b, c, e) = (key("a"), key("b"), key("c"), key("e"));
    let (ca, nobody) = (key("ca"), key("nobody"));
    server.authorize(&[&nobody]);
    Accounts::certify(&ca, &b, &["-n", USER]);
    Accounts::certify(&ca, &e, &["-n", USER]);
    let agent = Agent::start();
    // With its certificate, e makes two of them; all in all no more than a server listens to.
    for key in [&e, &c, &a] {
        agent.add(key, &[]);
    }
    let files = |keys: &[&Path]| {
        let lines: Vec<_> =
            keys.iter().map(|key| format!("IdentityFile {}", key.display())).collect();
        lines.join("\n    ")
    };
    let line = agent.line();
    let only = "IdentitiesOnly yes";
    let named = format!("CertificateFile {}", server.path("b-cert.pub").display());
    for lines in [
        &[line.as_str()][..],
        &[&files(&[&b, &a, &c]), &line],
        &[&files(&[&b, &a, &c]), only, &line],
        &[&files(&[&b, &e]), &line],
        &[&files(&[&b, &a]), &named, &line],
        &[&files(&[&b, &a, &e]), only],
    ] {
        let config = server.client(lines);
        let theirs = offered(&server, &config, ssh);
        let ours = offered(&server, &config, sockeye);
        assert!(theirs.len() > 2, "{lines:?}: {theirs:?}");
        assert_eq!(ours, theirs, "{lines:?}");
    }
}

/// `ssh` fails here: it offers what the agent has first, and the server does not listen so long. We come a
/// second time. Where the order of `ssh` is good, it is ours.
#[test]
#[ignore = "needs sshd, unshare"]
fn too_many_keys() {
    let Some(server) = Accounts::start(&[]) else { return };
    let agent = Agent::start();
    for i in 0..7 {
        agent.add(&server.key(&format!("k{i}"), &[]), &[]);
    }
    let key = server.key("key", &[]);
    server.authorize(&[&key]);
    let line = agent.line();
    let file = format!("IdentityFile {}", key.display());
    let config = server.client(&[&line, &file]);
    assert_eq!(ssh(&config, &[]).verdict, Refused);
    let told = sockeye(&config, &[]);
    assert_eq!(told.verdict, In, "{}", told.said);
    let second = Agent::start();
    let right = server.key("right", &[]);
    second.add(&server.key("wrong", &[]), &[]);
    second.add(&right, &[]);
    server.authorize(&[&right]);
    let files = (0..5).map(|i| format!("IdentityFile {}", server.path(&format!("k{i}")).display()));
    let files: Vec<_> = files.collect();
    agree("in the agent", &server.client(&[&second.line(), &files.join("\n    ")]), &[], In);
    server.authorize(&[&key]);

    let told = agree("seven strangers", &server.client(&[&line]), &[], Refused);
    for part in ["Too many authentication failures", "1 more key was not tried", "IdentitiesOnly"] {
        assert!(told.said.contains(part), "{part} is not in {}", told.said);
    }
    let refused = format!("{:?}): refused\n", "k4");
    let in_flight = format!("{:?}): the connection ended\n", "k5");
    assert!(told.said.contains(&refused) && told.said.contains(&in_flight), "{}", told.said);
}
