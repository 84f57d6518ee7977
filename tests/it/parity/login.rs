//! Keys and questions, and the command that runs after the login.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use russh::server::{Auth, Handler, Response};

use super::{BOTH, Client};
use crate::support::link::Link;
use crate::support::login::{HOST, Login, user};
use crate::support::person::{Agent, Person};
use crate::support::program::{Sockeye, program};
use crate::support::questions::asking;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{command, process, wait};

#[test]
#[ignore = "needs sshd, ssh"]
fn keys_are_added_to_the_agent_on_request() {
    let (sshd, target) = (Sshd::start(), Target::echo());
    let fingerprint = Login::fingerprint(&sshd.login().client_key());
    let to = format!("127.0.0.1:{}", target.port());
    for (value, answers, expected) in [
        ("no", &[][..], false),
        ("yes", &[], true),
        ("300", &[], true),
        ("ask", &["yes"], true),
        ("ask", &["no"], false),
    ] {
        for client in BOTH {
            let (agent, person) = (Agent::start(), Person::with(answers));
            let lines = [&format!("AddKeysToAgent {value}"), &agent.line()];
            let config = sshd.login().ssh_config(sshd.port(), &lines.map(String::as_str));
            let mut run = client.command(&config);
            person.answers(&mut run);
            let output =
                run.args(["-W", &to, HOST]).stdin(Stdio::null()).output().expect("it ends");
            assert!(output.status.success(), "{client:?} {value}: {output:?}");
            assert_eq!(holds(&agent, &fingerprint), expected, "{client:?} {value}");
        }
    }
}

#[test]
#[ignore = "needs sshd, ssh"]
fn a_refused_key_is_not_added_to_the_agent() {
    let (sshd, target) = (Sshd::start(), Target::echo());
    let (right, wrong) = (sshd.login().client_key(), sshd.login().make_key("wrong"));
    let to = format!("127.0.0.1:{}", target.port());
    for client in BOTH {
        let agent = Agent::start();
        let lines = ["AddKeysToAgent yes", &agent.line()];
        let mut run = client.command(&sshd.login().ssh_config(sshd.port(), &lines));
        run.arg("-i").arg(&wrong).arg("-i").arg(&right);
        let output = run.args(["-W", &to, HOST]).stdin(Stdio::null()).output().expect("it ends");
        assert!(output.status.success(), "{client:?}: {output:?}");
        for (key, is_there) in [(&wrong, false), (&right, true)] {
            assert_eq!(holds(&agent, &Login::fingerprint(key)), is_there, "{client:?}");
        }
    }
}

fn holds(agent: &Agent, fingerprint: &str) -> bool {
    let mut list = command("ssh-add");
    let list = list.arg("-l").env("SSH_AUTH_SOCK", agent.socket()).output().expect("ssh-add");
    String::from_utf8_lossy(&list.stdout).contains(fingerprint)
}

#[test]
#[ignore = "needs sshd, ssh"]
fn keys_leave_the_agent_after_their_lifetime() {
    let (sshd, target) = (Sshd::start(), Target::echo());
    let fingerprint = Login::fingerprint(&sshd.login().client_key());
    let agents = BOTH.map(|client| {
        let agent = Agent::start();
        let lines = ["AddKeysToAgent 20", &agent.line()];
        let mut run = client.command(&sshd.login().ssh_config(sshd.port(), &lines));
        run.args(["-W", &format!("127.0.0.1:{}", target.port()), HOST]);
        let output = run.stdin(Stdio::null()).output().expect("it ends");
        assert!(output.status.success(), "{client:?}: {output:?}");
        assert!(holds(&agent, &fingerprint), "{client:?}");
        agent
    });
    for (client, agent) in BOTH.iter().zip(&agents) {
        wait::until(&format!("the key of {client:?} is gone"), || !holds(agent, &fingerprint));
    }
}

/// An added key is used once for each time that its owner agrees.
#[test]
#[ignore = "needs sshd, ssh"]
fn the_agent_asks_for_confirmation() {
    let (sshd, target) = (Sshd::start(), Target::echo());
    let to = format!("127.0.0.1:{}", target.port());
    for value in ["confirm", "confirm 300"] {
        for client in BOTH {
            let owner = Person::with(&["yes"]);
            let agent = Agent::of(&owner);
            let lines = [&format!("AddKeysToAgent {value}"), &agent.line()];
            let config = sshd.login().ssh_config(sshd.port(), &lines.map(String::as_str));
            let mut run = client.command(&config);
            let output =
                run.args(["-W", &to, HOST]).stdin(Stdio::null()).output().expect("it ends");
            assert!(output.status.success(), "{client:?} {value}: {output:?}");
            let mut signs = command("ssh-add");
            signs.arg("-T").arg(sshd.login().client_key().with_extension("pub"));
            signs.env("SSH_AUTH_SOCK", agent.socket());
            for expected in [true, false] {
                let output = signs.output().expect("ssh-add");
                assert_eq!(output.status.success(), expected, "{client:?} {value}: {output:?}");
            }
            assert_eq!(owner.asked().len(), 2, "{client:?} {value}");
        }
    }
}

/// A server that rejects the certificate is asked again and again, but the reason is reported once.
#[test]
#[ignore = "needs sshd, ssh"]
fn an_expired_certificate_is_reported_once() {
    let sshd = Sshd::prepared(|login| {
        login.make_key("ca");
        let ca = fs::read_to_string(login.path("ca.pub")).expect("a key");
        let keys = fs::read_to_string(login.path("authorized_keys")).expect("keys");
        fs::write(login.path("authorized_keys"), format!("{keys}cert-authority {ca}"))
            .expect("written");
        let mut certify = command("ssh-keygen");
        let years = "20200101:20210101";
        certify.args(["-q", "-I", "id", "-n", &user(), "-V", years, "-s"]).arg(login.path("ca"));
        let public = login.client_key().with_extension("pub");
        assert!(certify.arg(public).status().expect("ssh-keygen").success());
        Vec::new()
    });
    let (login, config) = (sshd.login(), sshd.ssh_config());
    let proxy = Sockeye::start(&config);
    let keys = fs::read_to_string(login.path("authorized_keys")).expect("keys");
    let authority = keys.lines().last().expect("a line");
    fs::write(login.path("authorized_keys"), format!("{authority}\n")).expect("written");
    let connections = || sshd.log().matches("Connection from").count();
    let before = connections();
    sshd.kill_children();
    wait::until("the server is asked again", || connections() >= before + 4);
    proxy.wait_for_log("it expired on Fri, 01 Jan 2021");
    let log = proxy.log();
    assert_eq!(log.matches("it expired on").count(), 1, "{log}");
    let mut ssh = Client::Ssh.command(&config);
    let output = ssh.arg(HOST).stdin(Stdio::null()).output().expect("it ends");
    assert_eq!(output.status.code(), Some(255), "{output:?}");
}

#[test]
#[ignore = "needs sshd, ssh"]
fn a_certificate_in_the_place_of_the_public_key_is_offered() {
    let sshd = Sshd::prepared(|login| {
        login.make_key("ca");
        login.make_key("certified");
        let mut certify = command("ssh-keygen");
        certify.args(["-q", "-I", "id", "-n", &user(), "-s"]).arg(login.path("ca"));
        assert!(certify.arg(login.path("certified.pub")).status().expect("ssh-keygen").success());
        fs::rename(login.path("certified-cert.pub"), login.path("certified.pub")).expect("there");
        let ca = fs::read_to_string(login.path("ca.pub")).expect("a key");
        let keys = fs::read_to_string(login.path("authorized_keys")).expect("keys");
        fs::write(login.path("authorized_keys"), format!("{keys}cert-authority {ca}"))
            .expect("written");
        vec!["AuthenticationMethods publickey,publickey".to_owned()]
    });
    let target = Target::echo();
    let to = format!("127.0.0.1:{}", target.port());
    let config = sshd.ssh_config();
    for client in BOTH {
        let mut run = client.command(&config);
        run.arg("-i").arg(sshd.login().path("certified")).args(["-W", &to, HOST]);
        let output = run.stdin(Stdio::null()).output().expect("it ends");
        assert!(output.status.success(), "{client:?}: {output:?}");
    }
}

/// A server that wants two keys counts the refusals before both.
#[test]
#[ignore = "needs sshd, ssh"]
fn after_one_key_the_next_ones_come_before_those_refused() {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let sshd = Sshd::prepared(|login| {
        let [_, first, _, second] = NAMES.map(|name| login.make_key(name).with_extension("pub"));
        let keys = [first, second].map(|path| fs::read_to_string(path).expect("a key"));
        fs::write(login.path("authorized_keys"), keys.concat()).expect("written");
        vec!["AuthenticationMethods publickey,publickey".to_owned(), "MaxAuthTries 3".to_owned()]
    });
    let target = Target::echo();
    let to = format!("127.0.0.1:{}", target.port());
    let files = NAMES.map(|name| format!("IdentityFile {}", sshd.login().path(name).display()));
    let config = sshd.login().ssh_config(sshd.port(), &files.each_ref().map(String::as_str));
    for client in BOTH {
        let mut run = client.command(&config);
        let output = run.args(["-W", &to, HOST]).stdin(Stdio::null()).output().expect("it ends");
        assert!(output.status.success(), "{client:?}: {output:?}");
    }
}

/// A second connection would offer the same keys in the same order.
#[test]
#[ignore = "needs sshd, ssh"]
fn too_many_configured_keys_make_one_connection() {
    let sshd = Sshd::with(&["MaxAuthTries 2"]);
    let files = ["a", "b", "c"].map(|name| {
        let path = sshd.login().make_key(name);
        format!("IdentityFile {}", path.display())
    });
    let config = sshd.login().ssh_config(sshd.port(), &files.each_ref().map(String::as_str));
    let connections = || sshd.log().matches("Connection from ").count();
    for client in BOTH {
        let before = connections();
        let mut run = client.command(&config);
        let output = run.args(["-W", "127.0.0.1:9", HOST]).stdin(Stdio::null()).output();
        let output = output.expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("Too many authentication failures"), "{client:?}: {said}");
        assert_eq!(connections() - before, 1, "{client:?}: {said}");
    }
}

#[test]
#[ignore = "needs sshd, ssh"]
fn a_certificate_beside_a_key_is_not_offered_if_another_file_is_configured() {
    let sshd = Sshd::prepared(|login| {
        login.make_key("ca");
        let mut certify = command("ssh-keygen");
        certify.args(["-q", "-I", "id", "-n", &user(), "-s"]).arg(login.path("ca"));
        let public = login.client_key().with_extension("pub");
        assert!(certify.arg(public).status().expect("ssh-keygen").success());
        let ca = fs::read_to_string(login.path("ca.pub")).expect("a key");
        fs::write(login.path("authorized_keys"), format!("cert-authority {ca}")).expect("written");
        Vec::new()
    });
    let target = Target::echo();
    let to = format!("127.0.0.1:{}", target.port());
    for (file, is_in) in [(None, true), (Some("/missing"), false), (Some("none"), false)] {
        let line = file.map(|file| format!("CertificateFile {file}"));
        let config = sshd.login().ssh_config(sshd.port(), &[line.as_deref().unwrap_or_default()]);
        for client in BOTH {
            let mut run = client.command(&config);
            run.args(["-o", "BatchMode=yes", "-W", &to, HOST]);
            let output = run.stdin(Stdio::null()).output().expect("it ends");
            assert_eq!(output.status.success(), is_in, "{client:?} {file:?}: {output:?}");
        }
    }
}

#[test]
#[ignore = "needs sshd, ssh"]
fn a_local_command_runs_once_the_session_is_up() {
    let (sshd, target) = (Sshd::start(), Target::echo());
    let to = format!("127.0.0.1:{}", target.port());
    let file = sshd.login().path("ran");
    let local = format!("LocalCommand echo %n %r %p %h %T 100%% >> {}", file.display());
    for (permit, expected) in [("yes", true), ("no", false)] {
        let mut seen = Vec::new();
        for client in BOTH {
            let _ = fs::remove_file(&file);
            let lines = [&local, &format!("PermitLocalCommand {permit}")];
            let config = sshd.login().ssh_config(sshd.port(), &lines.map(String::as_str));
            let mut run = client.command(&config);
            let output =
                run.args(["-W", &to, HOST]).stdin(Stdio::null()).output().expect("it ends");
            assert!(output.status.success(), "{client:?}: {output:?}");
            // ssh waits for the command; here it may outlive the program.
            let has_run = || fs::metadata(&file).is_ok_and(|file| file.len() > 0);
            wait::until("it has run", || !expected || has_run());
            seen.push(fs::read_to_string(&file).unwrap_or_default());
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!(seen[0].lines().count(), usize::from(expected), "{seen:?}");
    }
}

#[test]
#[ignore = "needs sshd"]
fn an_endless_local_command_blocks_nothing() {
    let (sshd, target) = (Sshd::start(), Target::echo());
    let to = format!("127.0.0.1:{}", target.port());
    let lines = ["PermitLocalCommand yes", "LocalCommand exec sleep 100"];
    let config = sshd.login().ssh_config(sshd.port(), &lines);
    let mut run = Client::Sockeye.command(&config);
    run.args(["-W", &to, HOST]).stdin(Stdio::null()).stdout(Stdio::null());
    let mut running = run.spawn().expect("it starts");
    let ended = wait::until_some("it ends", || running.try_wait().expect("a child"));
    assert!(ended.success(), "{ended}");
}

/// Accepts everyone and asks nothing, as when a person confirms on a telephone.
struct Push;

impl Handler for Push {
    type Error = russh::Error;

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        Ok(match response {
            None => Auth::Partial {
                name: "Duo".into(),
                instructions: "a push is on its way".into(),
                prompts: Vec::new().into(),
            },
            Some(_) => Auth::Accept,
        })
    }
}

/// A command in a session of its own, without a terminal.
fn detached(plain: &std::process::Command) -> std::process::Command {
    let mut detached = command("setsid");
    detached.arg("-w").arg(plain.get_program()).args(plain.get_args());
    detached
}

#[test]
#[ignore = "needs ssh"]
fn a_request_that_waits_in_vain_for_a_person_does_not_spin() {
    let login = Login::new();
    let (_server, port) = asking(&login, || Push);
    let link = Link::to(port);
    let mut plain = program();
    plain.arg("-F").arg(login.ssh_config(link.port(), &[]));
    let mut run = detached(plain.args(["-D", "127.0.0.1:0"]));
    run.arg(HOST);
    let proxy = Sockeye::spawn(run);
    proxy.wait_for_log("connected to ");
    link.cut();
    proxy.wait_for_log("nobody can be asked");
    let mut waiting = TcpStream::connect(proxy.address()).expect("a listener");
    waiting.write_all(b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50").expect("a request");
    let before = process::cpu_ticks(proxy.pid());
    thread::sleep(Duration::from_secs(2));
    let used = process::cpu_ticks(proxy.pid()) - before;
    assert!(used < 60, "it spins: {used} of 200 ticks");
}

#[test]
#[ignore = "needs ssh"]
fn a_login_without_a_question_needs_no_terminal() {
    let login = Login::new();
    let (_server, port) = asking(&login, || Push);
    let file = login.path("ran");
    let lines = ["PermitLocalCommand yes", &format!("LocalCommand echo in >> {}", file.display())];
    for client in BOTH {
        let _ = fs::remove_file(&file);
        let config = login.ssh_config(port, &lines);
        let mut detached = detached(&client.command(&config));
        if client == Client::Sockeye {
            detached.args(["-D", "127.0.0.1:0"]);
        }
        detached.arg(HOST);
        let _running = client.start(detached);
        wait::until(&format!("{client:?} is in"), || file.exists());
    }
}
