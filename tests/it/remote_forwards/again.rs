//! Listeners on a server after the loss of their session.

use super::*;

#[test]
#[ignore = "needs sshd"]
fn listeners_return_after_a_cut() {
    let (echo, sshd, port) = (Target::echo(), Sshd::start(), free_port());
    let directory = TempDir::new().expect("a directory");
    let socket = directory.path().join("there");
    let target = format!("127.0.0.1:{}", echo.port());
    let on_socket = format!("{}:{target}", socket.display());
    let sshd_unlinks = Sshd::with(&["StreamLocalBindUnlink yes"]);
    for (sshd, forwards) in [
        (&sshd, vec![format!("{port}:{target}"), format!("0:{target}")]),
        // If sshd may not unlink it, the file of the cut session occupies the path.
        (&sshd_unlinks, vec![on_socket]),
    ] {
        let arguments: Vec<&str> = forwards.iter().flat_map(|f| ["-R", f.as_str()]).collect();
        let proxy = listening(sshd, &arguments);
        for round in 1..=3 {
            sshd.kill_children();
            wait::until("every listener is there again", || {
                proxy.log().matches(" of testhost again").count() == round * forwards.len()
            });
            assert_eq!(proxy.log().matches("no longer listening").count(), round * forwards.len());
        }
        if forwards.len() == 1 {
            assert_eq!(echoed_over_unix(&socket), WORDS);
        } else {
            assert_eq!(echoed_over_tcp(at(port)), WORDS);
            let chosen = proxy.log().lines().filter_map(chosen_port).find(|p| *p != port);
            assert_eq!(echoed_over_tcp(&at_chosen(chosen.expect("a chosen port"))[..]), WORDS);
        }
    }
}

/// The session is lost to us, but its `sshd` has not noticed and keeps the port.
#[test]
#[ignore = "needs sshd"]
fn a_port_held_by_a_zombie_session_is_retried_until_it_is_free() {
    let (echo, sshd, port) = (Target::echo(), Sshd::start(), free_port());
    let forward = format!("{port}:127.0.0.1:{}", echo.port());
    let link = Link::to(sshd.port());
    let mut command = program();
    command.arg("-F").arg(sshd.ssh_config_through(link.port()));
    command.args(["-R", &forward, "--sessions", "1", HOST]);
    let proxy = Sockeye::spawn(command);
    proxy.wait_for_log(&format!("listening on port {port} of testhost"));
    let zombies = sshd.children();
    for child in &zombies {
        process::signal(*child, Signal::STOP);
    }
    link.cut();
    proxy.wait_for_log(&format!("no longer listening on port {port} of testhost"));
    proxy.wait_for_log(&format!("cannot listen on port {port} of testhost, will try again"));
    assert!(!proxy.log().contains("of testhost again"), "{}", proxy.log());
    for child in &zombies {
        process::signal(*child, Signal::KILL);
    }
    proxy.wait_for_log(&format!("listening on port {port} of testhost again"));
    assert_eq!(proxy.log().matches("cannot listen on").count(), 1, "told once");
    assert_eq!(echoed_over_tcp(at(port)), WORDS);
}

/// One port of the server's choice is as good as another.
#[test]
#[ignore = "needs sshd"]
fn where_a_zombie_holds_a_chosen_port_the_server_chooses_another() {
    let (echo, sshd) = (Target::echo(), Sshd::start());
    let forward = format!("0:127.0.0.1:{}", echo.port());
    let alive = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1"];
    let arguments = [&alive[..], &["-R", &forward, "--sessions", "1"]].concat();
    let proxy = listening(&sshd, &arguments);
    let chosen = || proxy.log().lines().filter_map(chosen_port).collect::<Vec<_>>();
    let first = chosen()[0];
    let zombies = sshd.children();
    for child in &zombies {
        process::signal(*child, Signal::STOP);
    }
    let second = wait::until_some("it listens elsewhere", || {
        chosen().into_iter().find(|port| *port != first)
    });
    assert_eq!(echoed_over_tcp(&at_chosen(second)[..]), WORDS);
    assert!(!proxy.log().contains("cannot listen on"), "{}", proxy.log());
    for child in &zombies {
        process::signal(*child, Signal::KILL);
    }
}

/// Nothing else asks for a session where there is only `-R`: so the person is asked again for it.
#[test]
#[ignore = "needs ssh"]
fn listeners_return_after_a_login_by_a_person() {
    let server = Scripted::forwarding(Script::Close);
    let link = Link::to(server.port());
    let directory = TempDir::new().expect("a directory");
    let askpass = directory.path().join("askpass");
    write_program(&askpass, &format!("#!/bin/sh\necho '{PASSWORD}'\n"));
    let mut command = program();
    command.env("SSH_ASKPASS", &askpass).env("SSH_ASKPASS_REQUIRE", "force");
    command.arg("-F").arg(server.ssh_config_through(link.port()));
    command.args(["-o", "PreferredAuthentications=password", "-R", "8080:127.0.0.1:1", HOST]);
    let proxy = Sockeye::spawn(command);
    proxy.wait_for_log("listening on port 8080 of testhost (");
    link.cut();
    proxy.wait_for_log("listening on port 8080 of testhost again");
    assert_eq!(server.seen().listens.len(), 2);
}
