use super::*;

fn service(scope: Scope) -> Service {
    Service {
        name: "work".to_owned(),
        scope,
        program: "/usr/bin/sock eye".into(),
        config: "/home/me/50% $x \"<&>\"/config.toml".into(),
        agent: Some("/tmp/ssh-1/agent.2".into()),
        user: "me".to_owned(),
        user_id: 1000,
        home: "/home/me".into(),
        configurations: "/home/me/cfg".into(),
        writes: vec!["/run/my sockets".into()],
    }
}

#[test]
fn words_of_a_unit_are_quoted() {
    let unit = systemd::unit(&service(Scope::User), Some(252));
    let start = "ExecStart=\"/usr/bin/sock eye\" --config \
                 \"/home/me/50%% $$x \\\"<&>\\\"/config.toml\"\n";
    assert!(unit.contains(start), "{unit}");
    assert!(unit.contains("Environment=\"SSH_AUTH_SOCK=/tmp/ssh-1/agent.2\"\n"), "{unit}");
    assert!(unit.contains("ReadWritePaths=-\"/run/my sockets\"\n"), "{unit}");
}

#[test]
fn a_unit_suits_the_installed_systemd() {
    for (version, line, other) in [
        (None, "ExecReload=", "notify-reload"),
        (Some(252), "ExecReload=", "RestartSteps"),
        (Some(253), "Type=notify-reload\n", "ExecReload="),
        (Some(257), "RestartSteps=", "ExecReload="),
    ] {
        let unit = systemd::unit(&service(Scope::User), version);
        assert!(unit.contains(line) && !unit.contains(other), "{version:?}: {unit}");
    }
}

#[test]
fn the_scope_determines_the_path_and_the_user() {
    let (user, system) = (service(Scope::User), service(Scope::System));
    assert_eq!(systemd::path(&user), Path::new("/home/me/cfg/systemd/user/work.service"));
    assert_eq!(systemd::path(&system), Path::new("/etc/systemd/system/work.service"));
    assert!(systemd::unit(&system, None).contains("\nUser=me\n"));
    assert!(!systemd::unit(&user, None).contains("\nUser="));
    // `sockeye status` looks for the socket there.
    assert!(systemd::unit(&system, None).contains("\nRuntimeDirectory=sockeye-1000\n"));
    assert!(systemd::unit(&user, None).contains("\nRuntimeDirectory=sockeye\n"));
    // In a unit of the machine `%h` is root's home.
    let unit = systemd::unit(&system, None);
    assert!(unit.contains("ReadWritePaths=-\"/home/me/.ssh\"\n") && !unit.contains("%h"), "{unit}");
    assert_eq!(launchd::path(&user), Path::new("/home/me/Library/LaunchAgents/sockeye.work.plist"));
    let plist = launchd::plist(&system);
    assert!(plist.contains("<key>UserName</key>\n\t<string>me</string>"), "{plist}");
    assert!(plist.contains("50% $x \"&lt;&amp;&gt;\"/config.toml"), "{plist}");
}

#[test]
fn the_commands_work_in_a_shell_whatever_the_path() {
    let service = Service { home: "/home/o'me".into(), ..service(Scope::User) };
    let next = launchd::next(&service);
    let words = shlex::split(&next).expect("whole quotes");
    let path = launchd::path(&service);
    assert_eq!(words.last().map(Path::new), Some(&*path), "{next}");
}

#[test]
fn only_a_file_of_its_own_is_replaced() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("below/sockeye.service");
    install(&path, &format!("# {MARK}\n1")).expect("written");
    install(&path, &format!("# {MARK}\n2")).expect("replaced");
    assert!(fs::read_to_string(&path).expect("a file").ends_with('2'));
    fs::write(&path, "mine").expect("a file");
    let told = install(&path, MARK).expect_err("it is somebody's").to_string();
    assert!(told.contains("was not written by this command"), "{told}");
}

#[test]
fn a_name_must_suit_a_file() {
    for (text, good) in
        [("work", true), ("a-1_b", true), ("", false), ("-x", false), ("a/b", false)]
    {
        assert_eq!(name(text).is_ok(), good, "{text}");
    }
}
