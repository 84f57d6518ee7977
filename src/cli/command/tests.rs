use super::*;
use std::path::PathBuf;

use crate::cli::run_options::RunIn;
use crate::cli::values::default_listener;
use crate::forward::exposure::Reach;
use crate::observe::logs::Format;
use crate::openssh::{AddressFamily, Setting};
use crate::relay::BacklogLimits;

fn read_line(line: &str) -> Result<Command, Exit> {
    Command::read(line.split_whitespace().map(Into::into))
}

fn proxy(line: &str) -> ProxyCommand {
    match read_line(line) {
        Ok(Command::Proxy(proxy)) => *proxy,
        other => panic!("{line}: {other:?}"),
    }
}

fn problems(line: &str) -> Vec<Problem> {
    match read_line(line) {
        Err(Exit::Wrong(problems)) => problems,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn a_line_of_ssh() {
    let proxy = proxy("-fND 1090 -p 2222 -l me -i k -F none -oA=b -4 you@host");
    assert_eq!(proxy.server.to_string(), "you@host");
    assert_eq!(
        proxy.ssh,
        SshOptions {
            config_file: Some("none".into()),
            options: vec![
                Setting::Port(2222),
                Setting::User("me".into()),
                Setting::Identity("k".into()),
                "A=b".into(),
                Setting::Name
            ],
            address_family: Some(AddressFamily::Inet),
            ..SshOptions::default()
        }
    );
    assert_eq!(proxy.run.listeners, ["localhost:1090".parse().expect("an address")]);
    assert_eq!(proxy.run.run_in, RunIn::Background);
}

#[test]
fn the_last_address_family_wins() {
    assert_eq!(proxy("-4 -6 host").ssh.address_family, Some(AddressFamily::Inet6));
    assert_eq!(proxy("-64 host -v").ssh.address_family, Some(AddressFamily::Inet));
}

#[test]
fn defaults() {
    let proxy = proxy("host");
    assert_eq!(proxy.ssh, SshOptions { options: vec![Setting::Name], ..SshOptions::default() });
    assert_eq!(proxy.run.listeners, [], "the configuration has a word in it");
    for family in [AddressFamily::Any, AddressFamily::Inet, AddressFamily::Inet6] {
        assert_eq!(Reach::of(&default_listener(family)), Reach::Machine);
    }
    let only_ipv6 = default_listener(AddressFamily::Inet6);
    assert_eq!(only_ipv6.to_string(), "[::1]:1080");
    assert_eq!((proxy.run.run_in, proxy.run.proxy_auth), (RunIn::Foreground, None));
    let plain = LogOptions { verbosity: None, format: Format::Text };
    assert_eq!(proxy.run.log, plain);
}

#[test]
fn ports_and_users_keep_their_order_around_the_name() {
    let user = |name: &str| Setting::User(name.into());
    for (line, expected) in [
        ("-p 1 -p 2 -la h", vec![Setting::Port(1), user("a"), Setting::Name]),
        ("-oUser=b -Nla x@h", vec!["User=b".into(), user("a"), Setting::Name]),
        ("x@h:3 -l a -o Port=1", vec![Setting::Name, user("a"), "Port=1".into()]),
        ("-P t h -o Tag=u", vec![Setting::Tag("t".into()), Setting::Name, "Tag=u".into()]),
    ] {
        assert_eq!(proxy(line).ssh.options, expected, "{line}");
    }
}

#[test]
fn bounds() {
    let bounds = proxy("--sessions 2..3 --backlog 1MiB,2MiB,0 host");
    assert_eq!(bounds.sessions, PoolSize::new(2, 3).ok());
    let expected = BacklogLimits { connection: 1 << 20, memory: 2 << 20, spill: 0 };
    assert_eq!(bounds.run.backlog, Some(expected));
    assert_eq!(proxy("host").run.backlog, None);
    let wrong = problems("--sessions 0 --backlog 1 host");
    assert!(matches!(
        wrong.as_slice(),
        [Problem::Value { flag: "--backlog", .. }, Problem::Value { flag: "--sessions", .. }]
    ));
}

#[test]
fn levels() {
    let verbosity = |line| proxy(line).run.log.verbosity;
    assert_eq!(verbosity("-q host"), Some(Verbosity::Quiet));
    assert_eq!(verbosity("-v host"), Some(Verbosity::Debug));
    assert_eq!(verbosity("-vv host"), Some(Verbosity::Trace));
    assert_eq!(verbosity("-vvvv host"), Some(Verbosity::Trace));
    assert_eq!(proxy("--log-format json host").run.log.format, Format::Json);
}

#[test]
fn a_listener_off_loopback_needs_a_password_or_a_flag() {
    assert_eq!(problems("-D *:1 host"), [Problem::OpenToAll { flag: 'D', text: "*:1".into() }]);
    assert_eq!(
        problems("-D [::]:1 host"),
        [Problem::OpenToAll { flag: 'D', text: "[::]:1".into() }]
    );
    assert_eq!(proxy("-D *:1 --allow-remote host").run.listeners.len(), 1);
    assert_eq!(proxy("-D *:1 --proxy-auth f host").run.proxy_auth, Some("f".into()));
    assert_eq!(proxy("-D 127.0.0.2:1 -D [::1]:1 -D /s host").run.listeners.len(), 3);
}

/// Every form of a flag that admits clients, and whether it makes a proxy for other machines.
#[test]
fn a_proxy_open_to_other_machines_is_found_in_every_form() {
    for (line, open) in [
        ("-D 1", None),
        ("-D localhost:1", None),
        ("-D [::ffff:127.0.0.1]:1", None),
        ("-D /s", None),
        ("-D :1", Some(('D', "*:1"))),
        ("-D 0.0.0.0:1", Some(('D', "0.0.0.0:1"))),
        ("-D [::ffff:0.0.0.0]:1", Some(('D', "0.0.0.0:1"))),
        ("-D 192.0.2.1:1", Some(('D', "192.0.2.1:1"))),
        ("-g -D 1", Some(('D', "*:1"))),
        ("-R 0", None),
        ("-R localhost:0", None),
        ("-R 127.0.0.1:0", None),
        ("-R [::1]:0", None),
        ("-R /s", None),
        ("-R *:0", Some(('R', "*:0"))),
        ("-R :0", Some(('R', ":0"))),
        ("-R 0.0.0.0:0", Some(('R', "0.0.0.0:0"))),
        ("-R [::]:0", Some(('R', "[::]:0"))),
        ("-R 192.0.2.1:0", Some(('R', "192.0.2.1:0"))),
        ("-R name:0", Some(('R', "name:0"))),
        // -g applies to this machine only.
        ("-g -R 0", None),
        // Its only target is what the user wants other machines to reach.
        ("-R *:0:a:80", None),
        ("-R *:0:/s", None),
        ("-L *:1:a:80", None),
        ("-L *:1:/s", None),
        ("-g -L 1:a:80", None),
    ] {
        let open: Vec<_> = open
            .map(|(flag, text)| Problem::OpenToAll { flag, text: text.to_owned() })
            .into_iter()
            .collect();
        let line = format!("{line} host");
        let told = match read_line(&line) {
            Ok(_) => Vec::new(),
            Err(_) => problems(&line),
        };
        assert_eq!(told, open, "{line}");
        proxy(&format!("--allow-remote {line}"));
        proxy(&format!("--proxy-auth f {line}"));
    }
}

#[test]
fn forwards_work_with_or_without_a_proxy() {
    let forwards = proxy("-L 80:a:81 -L /l:/r -R 0 -R *:82:b:83 host");
    assert_eq!(forwards.run.listeners, [], "with a forward and no -D there is no proxy");
    let texts: Vec<_> = forwards.local_forwards.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["80:a:81", "/l:/r"]);
    let texts: Vec<_> = forwards.remote_forwards.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["0", "*:82:b:83"]);
    assert_eq!(proxy("-L 80:a:81 -D 1 host").run.listeners.len(), 1);
    let stdio = proxy("-W a:80 host");
    assert_eq!(stdio.stdio_forward, "a:80".parse().ok());
    assert_eq!(stdio.run.listeners, []);
}

#[test]
fn an_invalid_forward_is_explained() {
    let told = |line| problems(line).iter().map(ToString::to_string).collect::<Vec<_>>();
    let forms = told("-L 80 -R a -W a -L 80:a:0 host");
    assert_eq!(forms.len(), 4, "{forms:?}");
    for (text, start) in forms.iter().zip(["-L '80': ", "-L '80:a:0': ", "-R 'a': ", "-W 'a': "]) {
        assert!(text.starts_with(start), "{text}");
    }
    assert_eq!(problems("-W a:80 -W b:80 host"), [Problem::TwoStdioForwards]);
    assert_eq!(problems("-fW a:80 host"), [Problem::StdioInBackground]);
}

#[test]
fn gateway_ports_open_what_has_no_bind_address() {
    let open = proxy("-g -L 80:a:81 host");
    assert_eq!(open.gateway_ports, GatewayPorts::Yes);
    assert_eq!(proxy("-L 80:a:81 host").gateway_ports, GatewayPorts::Configured);
    assert_eq!(problems("-g -D 1 host"), [Problem::OpenToAll { flag: 'D', text: "*:1".into() }]);
    assert_eq!(proxy("-g -D localhost:1 host").run.listeners.len(), 1);
}

#[test]
fn the_address_of_the_dashboard_without_its_sign() {
    for line in ["--dashboard 9090", "--dashboard 9090 host", "host --dashboard 9090"] {
        assert_eq!(problems(line), [Problem::DetachedAddress("9090".into())], "{line}");
    }
    let at_all = problems("--dashboard localhost:9090 host");
    assert_eq!(at_all, [Problem::DetachedAddress("localhost:9090".into())]);
    assert_eq!(problems("--dashboard host ls"), [Problem::RemoteCommand("ls".into())]);
    assert_eq!(problems("--dashboard=9090 host 1"), [Problem::RemoteCommand("1".into())]);
    assert_eq!(proxy("--dashboard 127.0.0.1:2222").server.to_string(), "127.0.0.1:2222");
}

#[test]
fn all_problems_are_reported_at_once() {
    let problems = problems("-X -M -D x -D *:1 -p 0 -Ja -Jb @ ls -la");
    let tells = |test: fn(&Problem) -> bool| problems.iter().filter(|p| test(p)).count();
    assert_eq!(problems.len(), 8, "{problems:?}");
    assert_eq!(tells(|p| matches!(p, Problem::Refused('X' | 'M'))), 2);
    assert_eq!(tells(|p| matches!(p, Problem::Value { flag: "-D", .. })), 1);
    assert_eq!(tells(|p| matches!(p, Problem::OpenToAll { .. })), 1);
    assert_eq!(tells(|p| matches!(p, Problem::Value { flag: "-p", .. })), 1);
    assert_eq!(tells(|p| matches!(p, Problem::SeveralJumps)), 1);
    assert_eq!(tells(|p| matches!(p, Problem::Value { flag: "host", .. })), 1);
    assert_eq!(tells(|p| matches!(p, Problem::RemoteCommand(c) if c == "ls -la")), 1);
}

#[test]
fn the_demo() {
    let demo = |line| match read_line(line) {
        Ok(Command::Demo(demo)) => demo,
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(demo("demo").until, DemoUntil::Stopped);
    assert_eq!(demo("demo").listeners, []);
    let once = demo("demo --once -D 1090 -v");
    assert_eq!(once.until, DemoUntil::Checked);
    assert_eq!(once.log.verbosity, Some(Verbosity::Debug));
    assert_eq!(
        problems("demo -D *:1"),
        [Problem::value("-D", "*:1", "the demo listens on loopback only")]
    );
    assert!(matches!(read_line("demo host"), Err(Exit::Unreadable(_))));
    assert_eq!(proxy("ssh://demo").server.to_string(), "demo");
    assert_eq!(proxy("-v demo").server.to_string(), "demo");
}

#[test]
fn commands_that_read_the_file() {
    let file = |line| match read_line(line) {
        Ok(Command::Check(check)) => check.file().expect("a file").named.clone(),
        Ok(Command::Errand(Errand::Explain(explain))) => explain.file.named,
        Ok(Command::Errand(Errand::Pac(pac))) => pac.file.named,
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(file("check"), None);
    for line in [
        "check --config f",
        "check --config f --dashboard",
        "check --connect -D 1081 --config f",
        "explain --config f a.example",
        "pac --config f",
    ] {
        assert_eq!(file(line), Some("f".into()), "{line}");
    }
    assert!(
        matches!(read_line("check -p 22 host"), Ok(Command::Check(check)) if check.file().is_none())
    );
    for line in ["check --config f host", "check --config f -p 22"] {
        assert!(matches!(read_line(line), Err(Exit::Wrong(_))), "{line}");
    }
    for line in ["explain", "explain --from x a", "explain a:0", "pac -D 1"] {
        assert!(matches!(read_line(line), Err(Exit::Unreadable(_))), "{line}");
    }
    for word in ["check", "explain", "pac"] {
        assert_eq!(proxy(&format!("ssh://{word}")).server.to_string(), word);
        let help = read_line(&format!("{word} --help")).expect_err("help");
        assert_eq!(help.status(), 0);
    }
}

#[test]
fn a_file_and_the_flags_that_go_with_it() {
    let file = |line| match read_line(line) {
        Ok(Command::File(file)) => file,
        other => panic!("{line}: {other:?}"),
    };
    let command = file("--config c -fvD 1090 --backlog 1MiB,2MiB,0");
    assert_eq!(command.file, PathBuf::from("c"));
    assert_eq!(command.run.listeners, ["localhost:1090".parse().expect("an address")]);
    assert_eq!(
        (command.run.run_in, command.run.log.verbosity),
        (RunIn::Background, Some(Verbosity::Debug))
    );
    assert_eq!(command.run.backlog.map(|backlog| backlog.spill), Some(0));
    assert_eq!(file("--config c").run.listeners, []);
    assert_eq!(problems("--config c host"), [Problem::HostAndFile]);
    assert_eq!(
        problems("--config c -D *:1"),
        [Problem::OpenToAll { flag: 'D', text: "*:1".into() }]
    );
    let flags = "-p 1 -l u -i k -F f -o A=b -6 --sessions 1 -L 1:a:1 -R 1 -W a:1 -J a -b h -B i -C -c x -m y -P t";
    let wrong = problems(&format!("--config c {flags}"));
    let belongs = |problem: &&Problem| matches!(problem, Problem::BelongsToFile { .. });
    assert_eq!(wrong.iter().filter(belongs).count(), 17, "{wrong:?}");
}

#[test]
fn an_autossh_line_gets_one_error_about_its_monitor_port() {
    for line in ["-M 0 -f -N -D 1080 user@host", "-M 20000 host"] {
        assert_eq!(problems(line), [Problem::Refused('M')], "{line}");
    }
    let text = Problem::Refused('M').to_string();
    assert!(text.contains("leave out autossh's -M, too, with its port"), "{text}");
}

#[test]
fn exit_statuses() {
    let status = |line| read_line(line).expect_err(line).status();
    assert_eq!(status("--help"), 0);
    assert_eq!(status("-V"), 0);
    assert_eq!(status("-Z"), 2);
    assert_eq!(status("-X host"), 2);
    assert_eq!(status("demo -Z"), 2);
}
