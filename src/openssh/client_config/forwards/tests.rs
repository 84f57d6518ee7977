//! Comparisons with the output of OpenSSH 9.2, and with the installed `ssh`.

use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;

fn printed(output: &str) -> ConfiguredForwards {
    read(&Settings::from_lines(output), Wording::Printed).expect(output)
}

fn written(options: &[&str]) -> Result<ConfiguredForwards, ConfigError> {
    let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    let local = Local { user: Some("me".into()), ..Local::default() };
    let (name, host_name) = ("Alias", "host.example");
    let tokens = Tokens { name, host_name, port: 22, user: "you", ..Tokens::of(&local) };
    read(&Settings::from_options(&options), Wording::Written(tokens))
}

fn texts<T: ToString>(forwards: &[T]) -> Vec<String> {
    forwards.iter().map(ToString::to_string).collect()
}

#[test]
fn what_ssh_prints() {
    let forwards = printed(
        "exitonforwardfailure yes\ngatewayports yes\ndynamicforward 1080\ndynamicforward 80\n\
         dynamicforward [*]:1\ndynamicforward /d.sock\ndynamicforward /l.sock\n\
         localforward 80 /r.sock\nlocalforward [::1]:81 [::2]:90\nlocalforward []:82 [a]:90\n\
         localforward /l.sock /r.sock\nlocalforward /with a:space [h]:80\n\
         remoteforward 80 [socks]:0\nremoteforward 81\nremoteforward []:0 [a]:1\n\
         remoteforward /r /l\nremoteforward /r:1 [::1]:80\nremoteforward 83 /l x\n",
    );
    assert_eq!(
        texts(&forwards.local),
        ["80:/r.sock", "[::1]:81:[::2]:90", "*:82:a:90", "/l.sock:/r.sock", "/with a\\:space:h:80"]
    );
    assert_eq!(
        texts(&forwards.remote),
        ["80", "81", ":0:a:1", "/r:/l", "/r\\:1:[::1]:80", "83:/l x"]
    );
    assert_eq!(texts(&forwards.dynamic), ["1080", "*:1", "/d.sock"]);
    assert!(forwards.gateway_ports.is_on() && forwards.exit_on_forward_failure.is_on());
    assert_eq!(printed("port 22\n"), ConfiguredForwards::default());
}

#[test]
fn without_ssh_the_options_are_read_as_written() {
    let forwards = written(&[
        "LocalForward 80 a:81",
        "LocalForward=[::1]:80   [::2]:81",
        "RemoteForward 80",
        "RemoteForward=/r /l",
        "RemoteForward /%h/%u-%% [::1]:80",
        "LocalForward /%n /%r-%p",
        "DynamicForward *:1",
        "ExitOnForwardFailure=yes",
    ])
    .expect("readable");
    assert_eq!(texts(&forwards.local), ["80:a:81", "[::1]:80:[::2]:81", "/Alias:/you-22"]);
    let of_remote = ["80", "/r:/l", "/host.example/me-%:[::1]:80"];
    assert_eq!(texts(&forwards.remote), of_remote);
    assert_eq!(texts(&forwards.dynamic), ["*:1"]);
    assert!(forwards.exit_on_forward_failure.is_on());
    let cleared = written(&["LocalForward 80 a:81", "ClearAllForwardings yes"]);
    let only = ConfiguredForwards { clear_all: Switch::On, ..ConfiguredForwards::default() };
    assert_eq!(cleared.expect("readable"), only);
}

#[test]
fn an_invalid_value_is_reported_with_its_keyword() {
    let told = written(&["LocalForward 80 a:0"]).expect_err("no port").to_string();
    assert!(told.starts_with("LocalForward '80 a:0': the target: "), "{told}");
    assert!(told.contains("ClearAllForwardings"), "{told}");
}

/// A proxy on the server is not open to all of this side because of a slip.
#[test]
fn a_permission_that_cannot_be_read_permits_nothing() {
    let permitted = |value: &str| {
        let lines = format!("permitremoteopen {value}\n");
        read(&Settings::from_lines(&lines), Wording::Printed).map(|read| read.permit_remote_open)
    };
    assert_eq!(permitted("any").expect("a permission"), PermitOpen::Any);
    assert_ne!(permitted("a.example:80 *:443").expect("two"), PermitOpen::Any);
    for value in ["a.example", "a.example:80 443", "any none", "*"] {
        let error = permitted(value).expect_err(value).to_string();
        assert!(error.starts_with("PermitRemoteOpen has a value that cannot be read"), "{error}");
    }
}

/// What the installed `ssh` prints for an argument; none where it refuses it.
fn ask_ssh(flag: &str, argument: &str) -> Option<String> {
    let mut ssh = Command::new("ssh");
    ssh.args(["-G", "-F", "none", flag, argument, "host"]);
    let output = ssh.output().expect("ssh");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The result of our own parser for an argument.
fn read_ourselves(flag: &str, argument: &str) -> Option<ConfiguredForwards> {
    let mut forwards = ConfiguredForwards::default();
    match flag {
        "-L" => forwards.local.push(argument.parse().ok()?),
        "-R" => forwards.remote.push(argument.parse().ok()?),
        _ => forwards.dynamic.push(argument.parse().ok()?),
    }
    Some(forwards)
}

#[test]
#[ignore = "needs ssh"]
fn our_parser_agrees_with_ssh() {
    let sides = ["80", "b:80", "127.0.0.1:80", ":80", "*:80", "localhost:80", "[::1]:80", "[]:80"];
    let paths = ["/s", "./s", "/a\\:b", "[/a:b]", "\\[/x", "a/b\\\\c"];
    let targets = ["a:81", "[::1]:81", "[a]:81", "1.2.3.4:65535"];
    for flag in ["-L", "-R", "-D"] {
        for listen in sides.iter().chain(&paths) {
            compare(flag, listen);
            for to in targets.iter().chain(&paths) {
                compare(flag, &format!("{listen}:{to}"));
            }
        }
        for odd in [
            "",
            " ",
            " 80:a:81",
            "80:",
            "80:a:81:",
            "80:a:81:c:d",
            "80:::1:81",
            "[::1",
            "[::1]80:a:81",
            "65536:a:81",
            "-1:a:81",
            "x:a:81",
            "80:a:0",
            "80:a:65536",
            "80:a:x",
            "80/a/81",
            "::1/80/a/81",
            "a",
            "/",
        ] {
            compare(flag, odd);
        }
    }
}

/// Checks that both read the same, or both reject it. Only ssh accepts `-D` with the path of a target, which is
/// not a proxy.
#[track_caller]
fn compare(flag: &str, argument: &str) {
    let (theirs, ours) = (ask_ssh(flag, argument), read_ourselves(flag, argument));
    let theirs = theirs.as_deref().map(printed);
    let is_no_proxy = flag == "-D" && theirs.as_ref().is_some_and(|told| !told.local.is_empty());
    assert_eq!(ours, theirs.filter(|_| !is_no_proxy), "{flag} {argument:?}");
}

#[test]
#[ignore = "needs ssh"]
fn our_parser_agrees_with_ssh_on_generated_arguments() {
    let field = prop_oneof![
        "[1-9][0-9]{0,3}",
        "[a-z]{1,5}",
        Just("*".to_owned()),
        Just("[::1]".to_owned()),
        Just("127.0.0.1".to_owned()),
        "/[a-z.]{1,6}",
        "[a-z/:\\[\\]\\\\]{0,5}",
    ];
    let arguments = prop::collection::vec(field, 1..6).prop_map(|fields| fields.join(":"));
    let flags = prop::sample::select(vec!["-L", "-R", "-D"]);
    let config = ProptestConfig { cases: 600, failure_persistence: None, ..Default::default() };
    TestRunner::new(config)
        .run(&(flags, arguments), |(flag, argument)| {
            // Whatever we accept, ssh reads in the same way. ssh alone accepts some hosts that cannot exist.
            if let Some(ours) = read_ourselves(flag, &argument) {
                let theirs = ask_ssh(flag, &argument).as_deref().map(printed);
                prop_assert_eq!(theirs, Some(ours), "{} {:?}", flag, argument);
            }
            Ok(())
        })
        .expect("agreement");
}
