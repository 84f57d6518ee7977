//! The command line: starting, failing to start, and stopping.

use std::fs::{self, File, Permissions};
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use rustix::process::Signal;
use tempfile::{NamedTempFile, TempDir};

use crate::support::content::Content;
use crate::support::curl::Curl;
use crate::support::link::{Link, Quality};
use crate::support::login::{HOST, Login};
use crate::support::program::{Sockeye, program};
use crate::support::rude::Rude;
use crate::support::socks::Protocol;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::web::Web;
use crate::support::{command, free_port, process, wait};

#[test]
fn help_and_version_succeed() {
    let help = run(program().arg("--help"));
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("-D"), "{}", text(&help.stdout));
    let version = run(program().arg("--version"));
    assert_eq!(version.status.code(), Some(0));
    let version = text(&version.stdout);
    assert!(version.contains(env!("CARGO_PKG_VERSION")) && version.contains("russh"), "{version}");
}

#[test]
fn a_wrong_command_line_is_status_2() {
    for arguments in [
        &[][..],
        &["-D", "127.0.0.1:65536", HOST],
        &["-D", "not a port", HOST],
        &["-Z", HOST],
        &["-M", HOST],
        &["-O", "nonsense", HOST],
        &["-X", HOST],
        &[HOST, "uptime"],
        &["-p", "0", HOST],
        &["--log-format", "xml", HOST],
    ] {
        let output = run(program().args(arguments));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
        assert!(!output.stderr.is_empty(), "{arguments:?} is refused without a word");
    }
}

#[test]
fn a_listener_off_loopback_needs_permission() {
    for bind in ["0.0.0.0:0", "*:0", "[::]:0"] {
        let output = run(program().args(["-F", "none", "-D", bind, HOST]));
        assert_eq!(output.status.code(), Some(2), "{bind}: {}", text(&output.stderr));
        let complaint = text(&output.stderr);
        assert!(complaint.contains("--allow-remote"), "{complaint}");
    }
}

#[test]
#[ignore = "needs sshd"]
fn a_listener_off_loopback_serves_with_permission() {
    let (target, sshd) = (Target::echo(), Sshd::start());
    let config = sshd.ssh_config();
    let mut command = program();
    command.arg("-F").arg(config).args(["-D", "0.0.0.0:0", "--allow-remote", HOST]);
    let proxy = Sockeye::spawn(command);
    proxy.wait_for_log("connected to ");
    let loopback = SocketAddr::from(([127, 0, 0, 1], proxy.address().port()));
    drop(Protocol::Socks5.open(loopback, "127.0.0.1", target.port()));
}

#[test]
fn a_password_file_that_others_may_read_is_refused() {
    let file = NamedTempFile::new().expect("a file");
    fs::write(file.path(), "user:secret\n").expect("a file");
    for mode in [0o644, 0o640, 0o604] {
        fs::set_permissions(file.path(), Permissions::from_mode(mode)).expect("a mode");
        let output = run(program().arg("--proxy-auth").arg(file.path()).args(["-F", "none", HOST]));
        assert_eq!(output.status.code(), Some(2), "{mode:o}: {}", text(&output.stderr));
        assert!(!text(&output.stderr).contains("secret"));
    }
}

#[test]
#[ignore = "needs sshd"]
fn a_taken_port_is_named() {
    let (taken, sshd) = (TcpListener::bind("127.0.0.1:0").expect("a port"), Sshd::start());
    let address = taken.local_addr().expect("an address").to_string();
    let output = run(program().arg("-F").arg(sshd.ssh_config()).args(["-D", &address, HOST]));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains(&address), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr).matches("in use").count(), 1, "{}", text(&output.stderr));
}

#[test]
#[ignore = "needs ssh"]
fn a_server_that_cannot_be_reached_is_status_1() {
    let login = Login::new();
    let output = start_in_vain(&login.ssh_config(free_port(), &[]), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    for rude in Rude::ALL {
        let server = rude.start();
        let config = login.ssh_config(server.port(), &["StrictHostKeyChecking no"]);
        let output = start_in_vain(&config, &["-o", "ConnectTimeout=1"]);
        assert_eq!(output.status.code(), Some(1), "{rude:?}: {}", text(&output.stderr));
    }
}

#[test]
#[ignore = "needs ssh"]
fn a_slip_in_the_name_of_a_command_is_seen() {
    for (word, meant) in [("chek", Some("'sockeye check'")), ("gateway", None)] {
        let unknown = format!("HostName={word}.invalid");
        let output = run(program().args(["-F", "none", "-o", &unknown, "-D", "127.0.0.1:0", word]));
        let told = text(&output.stderr);
        assert!(told.contains("does not resolve"), "{told}");
        assert_eq!(told.contains("did you mean"), meant.is_some(), "{told}");
        assert!(meant.is_none_or(|meant| told.contains(meant)), "{told}");
    }
}

#[test]
#[ignore = "needs sshd"]
fn a_key_that_the_server_does_not_know_is_status_1() {
    let sshd = Sshd::start();
    let stranger = sshd.login().make_key("stranger");
    let line = format!("IdentityFile {}", stranger.display());
    // The keys of an ssh_config accumulate, so this one names no other.
    let config = sshd.login().ssh_config(sshd.port(), &[&line]);
    let only = fs::read_to_string(&config).expect("the configuration");
    let known = format!("    IdentityFile {}\n", sshd.login().client_key().display());
    fs::write(&config, only.replace(&known, "")).expect("the configuration");
    let output = start_in_vain(&config, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
}

#[test]
#[ignore = "needs sshd"]
fn an_unknown_host_key_is_refused() {
    let sshd = Sshd::start();
    let config = sshd.login().ssh_config(sshd.port(), &["StrictHostKeyChecking ask"]);
    fs::write(sshd.login().path(&format!("known_hosts-{}", sshd.port())), "").expect("a file");
    let output = start_in_vain(&config, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let fingerprint = Login::fingerprint(&sshd.login().host_key());
    assert!(text(&output.stderr).contains(&fingerprint), "{}", text(&output.stderr));
    assert!(!sshd.log().contains("Accepted"), "nobody logged in");
}

#[test]
#[ignore = "needs sshd"]
fn a_changed_host_key_is_refused_whatever_is_asked_for() {
    let sshd = Sshd::start();
    let other = sshd.login().make_key("other");
    for checking in ["yes", "accept-new", "no"] {
        let line = format!("StrictHostKeyChecking {checking}");
        let config = sshd.login().ssh_config(sshd.port(), &[&line]);
        sshd.login().know_host(sshd.port(), &other);
        let output = start_in_vain(&config, &[]);
        assert_eq!(output.status.code(), Some(1), "{checking}: {}", text(&output.stderr));
        for key in [&other, &sshd.login().host_key()] {
            let fingerprint = Login::fingerprint(key);
            assert_eq!(
                text(&output.stderr).matches(&fingerprint).count(),
                1,
                "{}",
                text(&output.stderr)
            );
        }
        let mut lines = 0;
        for line in text(&output.stderr).lines() {
            assert!(!line.contains("\\n"), "{line}");
            lines += 1;
        }
        assert!(lines > 3, "{}", text(&output.stderr));
    }
    assert!(!sshd.log().contains("Accepted"), "nobody logged in");
}

#[test]
#[ignore = "needs sshd"]
fn a_new_host_key_is_recorded_on_request() {
    let sshd = Sshd::start();
    let config = sshd.login().ssh_config(sshd.port(), &["StrictHostKeyChecking accept-new"]);
    let known_hosts = sshd.login().path(&format!("known_hosts-{}", sshd.port()));
    fs::remove_file(&known_hosts).expect("a file");
    drop(Sockeye::start(&config));
    let recorded = fs::read_to_string(&known_hosts).expect("the record");
    assert!(recorded.contains("ssh-ed25519 "), "{recorded}");
    // The record also serves programs that trust only recorded keys, such as ssh itself.
    let strict = ["-o", "StrictHostKeyChecking=yes"];
    drop(Sockeye::with(&config, &strict));
    let ssh = run(crate::support::command("ssh")
        .arg("-F")
        .arg(&config)
        .args(strict)
        .args([HOST, "true"]));
    assert!(ssh.status.success(), "{}", text(&ssh.stderr));
}

#[test]
#[ignore = "needs sshd"]
fn core_dumps_and_tracing_are_disabled() {
    let sshd = Sshd::start();
    let proxy = Sockeye::start(&sshd.ssh_config());
    let limits = fs::read_to_string(format!("/proc/{}/limits", proxy.pid())).expect("its limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a line");
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
    // The files under /proc of a process that may not be traced belong to root.
    let owner = fs::metadata(format!("/proc/{}/environ", proxy.pid())).expect("its files");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&owner), 0);
}

#[test]
#[ignore = "needs sshd"]
fn quiet_is_quiet() {
    let (target, sshd) = (Target::echo(), Sshd::start());
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut command = program();
    command.arg("-q").arg("-F").arg(sshd.ssh_config()).args(["-D", &address.to_string(), HOST]);
    let mut proxy = Sockeye::spawn(command);
    wait::until("it listens", || std::net::TcpStream::connect(address).is_ok());
    drop(Protocol::Socks5.open(address, "127.0.0.1", target.port()));
    proxy.terminate();
    assert_eq!(proxy.wait().code(), Some(0));
    assert_eq!(proxy.log(), "");
}

#[test]
#[ignore = "needs sshd"]
fn it_serves_in_the_background() {
    let (target, sshd) = (Target::echo(), Sshd::start());
    let config = sshd.ssh_config();
    let (status, said) = start_in_background(&config);
    assert_eq!(status, Some(0), "{said}");
    let address = said.split_once("listening on ").expect("a listener").1;
    let address = address.split(' ').next().and_then(|a| a.parse().ok()).expect("its address");
    // Both work as soon as the foreground process has exited, without waiting.
    drop(Protocol::Socks5.open(address, "127.0.0.1", target.port()));
    let pids = process::with_argument(&config);
    assert_eq!(pids.len(), 1, "one process is left in the background");
    process::signal(pids[0], Signal::TERM);
    wait::until("the background process ends", || !process::is_running(pids[0]));
}

#[test]
#[ignore = "needs ssh"]
fn a_failure_in_the_background_sets_the_status() {
    let login = Login::new();
    let config = login.ssh_config(free_port(), &[]);
    let (status, said) = start_in_background(&config);
    assert_eq!(status, Some(1), "{said}");
    assert!(process::with_argument(&config).is_empty(), "nothing is left in the background");
}

#[test]
#[ignore = "needs sshd, curl"]
fn a_drain_lets_a_transfer_finish() {
    let (web, sshd) = (Web::start(), Sshd::start());
    // It takes at least two seconds, so that the transfer continues while the program drains.
    let quality = Quality { delay: std::time::Duration::ZERO, rate: 1 << 20 };
    let link = Link::with(sshd.port(), quality);
    let mut proxy = Sockeye::start(&sshd.ssh_config_through(link.port()));
    let address = proxy.address();
    let mut curl = Curl::through(&format!("socks5h://{address}"))
        .start(&web.named_url(&format!("/bytes/{}", 2 << 20)));
    let mut output = curl.stdout.take().expect("a pipe");
    let mut bytes = vec![0; 1000];
    output.read_exact(&mut bytes).expect("the download begins");
    proxy.terminate();
    wait::until("it stops accepting", || std::net::TcpStream::connect(address).is_err());
    output.read_to_end(&mut bytes).expect("the rest");
    assert!(curl.wait().expect("curl").success());
    assert_eq!(bytes, Content::of(2 << 20).bytes());
    assert_eq!(proxy.wait().code(), Some(0));
}

#[test]
#[ignore = "needs sshd"]
fn a_second_signal_exits_at_once() {
    let (target, sshd) = (Target::echo(), Sshd::start());
    let mut proxy = Sockeye::start(&sshd.ssh_config());
    let address = proxy.address();
    let held = Protocol::Socks5.open(address, "127.0.0.1", target.port());
    proxy.terminate();
    wait::until("it stops accepting", || std::net::TcpStream::connect(address).is_err());
    proxy.terminate();
    proxy.wait();
    drop(held);
}

#[test]
#[ignore = "needs ssh, taskset"]
fn a_signal_before_the_first_session_leaves_no_socket() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let login = Login::new();
    let config = login.ssh_config(silent.local_addr().expect("bound").port(), &[]);
    let control = login.path("control.sock");
    for _ in 0..30 {
        // On one processor, the thread that ends the program is faster than those that drop its tasks.
        let mut command = command("taskset");
        command
            .args(["--cpu-list", &a_processor()])
            .arg(program().get_program())
            .arg("-F")
            .arg(&config);
        command.args(["-D", "127.0.0.1:0", "-S"]).arg(&control).arg(HOST);
        let mut proxy = Sockeye::spawn(command);
        wait::until("it can be controlled", || control.exists());
        proxy.terminate();
        proxy.wait();
        assert!(!control.exists());
    }
}

#[test]
#[ignore = "needs sshd"]
fn a_unix_socket_is_removed_at_the_end() {
    let sshd = Sshd::start();
    let directory = TempDir::new().expect("a directory");
    let socket = directory.path().join("proxy.sock");
    let mut proxy = Sockeye::with(&sshd.ssh_config(), &["-D", socket.to_str().expect("UTF-8")]);
    let mode = fs::metadata(&socket).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o077, 0, "nobody else may connect");
    proxy.terminate();
    assert_eq!(proxy.wait().code(), Some(0));
    assert!(!socket.exists());
}

/// The number of a processor that may be used.
fn a_processor() -> String {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let (_, list) = status.split_once("Cpus_allowed_list:").expect("a list");
    list.trim_start().chars().take_while(char::is_ascii_digit).collect()
}

/// Runs a command that must end by itself.
fn run(command: &mut Command) -> Output {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("the command");
    let pid = child.id();
    let ended = thread::spawn(move || child.wait_with_output().expect("the command's output"));
    let deadline = std::time::Instant::now() + wait::LONG;
    while !ended.is_finished() && std::time::Instant::now() < deadline {
        thread::sleep(std::time::Duration::from_millis(10));
    }
    if !ended.is_finished() {
        process::signal(pid, Signal::KILL);
        let output = ended.join().expect("no panic");
        panic!("it did not end by itself, and said:\n{}", text(&output.stderr));
    }
    ended.join().expect("no panic")
}

/// Starts the program, which must fail before it serves.
fn start_in_vain(config: &Path, arguments: &[&str]) -> Output {
    let mut command = program();
    run(command.arg("-F").arg(config).args(["-D", "127.0.0.1:0"]).args(arguments).arg(HOST))
}

/// Starts with `-f`; returns the status of the foreground process, and its output.
fn start_in_background(config: &Path) -> (Option<i32>, String) {
    // A file and not a pipe, because the background process may keep it open.
    let said = NamedTempFile::new().expect("a file");
    let mut child = program()
        .arg("-f")
        .arg("-F")
        .arg(config)
        .args(["-D", "127.0.0.1:0", HOST])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(said.path()).expect("a file"))
        .spawn()
        .expect("the program");
    let status =
        wait::until_some("the foreground process ends", || child.try_wait().expect("a child"));
    (status.code(), fs::read_to_string(said.path()).expect("a file"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
