//! Service names, tokens and variables in forwards of the command line.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output};

use super::BOTH;
use crate::support::login::{HOST, Login, user};
use crate::support::program::program;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{command, wait};

/// The output about what would be used.
fn told(mut asked: Command, config: &Path, arguments: &[&str]) -> Output {
    asked.env("A_WORD", "w o").env_remove("NO_WORD").arg("-F").arg(config);
    asked.args(arguments).arg(HOST).output().expect("it ends")
}

#[test]
#[ignore = "needs ssh"]
fn services_tokens_and_variables_mean_the_same_as_in_ssh() {
    let login = Login::new();
    let (port, me) = (4022, user());
    let config = login.ssh_config(port, &[]);
    let ssh = |arguments: &[&str]| {
        let mut ssh = command("ssh");
        ssh.arg("-G");
        told(ssh, &config, arguments)
    };
    let sockeye = |arguments: &[&str]| {
        let mut sockeye = program();
        sockeye.arg("check");
        told(sockeye, &config, arguments)
    };
    for (arguments, of_ssh, of_ours) in [
        (["-L", "http:db:https"], "localforward 80 [db]:443", "localhost:80 (to db:443)"),
        (["-R", "http:db:ftp"], "remoteforward 80 [db]:21", "80:db:21"),
        (["-R", "socks"], "remoteforward 1080 [socks]:0", "server listens 1080"),
        (["-D", "socks"], "dynamicforward 1080", "localhost:1080 (a proxy)"),
        (["-p", "http"], "port 80", "[127.0.0.1]:80"),
        (
            ["-L", "/t/%r-%%-%n-${A_WORD}:/x/%p"],
            &format!("localforward /t/{me}-%-{HOST}-w o /x/{port}"),
            &format!("/t/{me}-%-{HOST}-w o (to /x/{port})"),
        ),
        (
            ["-R", "/t/%h-$A_WORD:/x/%u"],
            &format!("remoteforward /t/127.0.0.1-$A_WORD /x/{me}"),
            &format!("/t/127.0.0.1-$A_WORD:/x/{me}"),
        ),
    ] {
        for (said, expected) in [(ssh(&arguments), of_ssh), (sockeye(&arguments), of_ours)] {
            let text = String::from_utf8_lossy(&said.stdout);
            assert!(said.status.success() && text.contains(expected), "{expected}: {said:?}");
        }
    }
    for refused in [
        ["-L", "no-service:db:80"],
        ["-L", "80:db:no-service"],
        ["-D", "no-service"],
        ["-p", "no-service"],
        ["-L", "/t/%Z:/x"],
        ["-L", "/t/${NO_WORD}:/x"],
        ["-R", "/t/${NO_WORD}:/x"],
        ["-R", "80:/x/%Z"],
    ] {
        assert!(!ssh(&refused).status.success(), "{refused:?}");
        let said = sockeye(&refused);
        assert_eq!(said.status.code(), Some(2), "{refused:?}: {said:?}");
    }
}

/// A running program and a command for it find each other by a socket whose name contains tokens, and so does
/// the forward to add.
#[test]
#[ignore = "needs sshd, ssh"]
fn tokens_mean_the_same_in_commands_to_a_running_program() {
    let (sshd, echo) = (Sshd::start(), Target::echo());
    let config = sshd.ssh_config();
    for client in BOTH {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        let socket = at("%C-%%-%r");
        let running = client.start_master(&config, &socket);
        let (listen, local) = (at("%n-%p"), folder.path().join(format!("{HOST}-{}", sshd.port())));
        let spec = format!("{listen}:127.0.0.1:{}", echo.port());
        assert!(
            client.tells(&config, &socket, &["forward", "-L", &spec]),
            "{client:?} {running:?}"
        );
        assert!(UnixStream::connect(&local).is_ok(), "{client:?} {running:?}");
        assert!(client.tells(&config, &socket, &["cancel", "-L", &spec]), "{client:?} {running:?}");
        wait::until("it is gone", || UnixStream::connect(&local).is_err());
        assert!(!client.tells(&config, &socket, &["forward", "-L", &format!("/x/%Z:{spec}")]));
        let sockets = fs::read_dir(folder.path()).expect("a folder").flatten();
        let names: Vec<_> = sockets.map(|entry| entry.file_name()).collect();
        let end = format!("-%-{}", user());
        assert!(names.iter().any(|name| name.to_string_lossy().ends_with(&end)), "{names:?}");
        assert!(client.tells(&config, &socket, &["exit"]), "{client:?}");
    }
}
