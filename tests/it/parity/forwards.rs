//! What a forward of the command line says: names of services, tokens and variables.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::command;
use crate::support::login::{HOST, Login, user};
use crate::support::program::program;

/// What it says that it would use.
fn told(mut asked: Command, config: &Path, arguments: &[&str]) -> Output {
    asked.env("A_WORD", "w o").env_remove("NO_WORD").arg("-F").arg(config);
    asked.args(arguments).arg(HOST).output().expect("it ends")
}

#[test]
#[ignore = "needs ssh"]
fn services_tokens_and_variables_stand_for_what_they_do_with_ssh() {
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
