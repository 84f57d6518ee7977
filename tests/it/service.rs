//! The interaction with a service manager: notifications, named sockets, units.

use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use crate::support::configured::Configuration;
use crate::support::program::{Sockeye, program};
use crate::support::{command, free_port, process, wait};

/// The notification socket of a service manager.
struct Manager(UnixDatagram);

impl Manager {
    fn at(configuration: &Configuration) -> Self {
        let socket = UnixDatagram::bind(configuration.path("notify")).expect("a socket");
        socket.set_read_timeout(Some(wait::LONG)).expect("a time");
        Self(socket)
    }

    /// Receives the next message that contains `wanted`, skipping others.
    fn hears(&self, wanted: &str) -> String {
        loop {
            let mut message = [0; 4096];
            let length = self.0.recv(&mut message).unwrap_or_else(|_| panic!("never {wanted}"));
            let text = String::from_utf8_lossy(&message[..length]).into_owned();
            if text.contains(wanted) {
                return text;
            }
        }
    }
}

#[test]
fn the_manager_is_notified_of_each_phase() {
    let listen = format!("[[listen]]\naddress = \"127.0.0.1:{}\"\n", free_port());
    let configuration = Configuration::with(&listen);
    let manager = Manager::at(&configuration);
    let mut command = program();
    command.arg("--config").arg(configuration.path("config.toml"));
    command.env("NOTIFY_SOCKET", configuration.path("notify")).env("WATCHDOG_USEC", "200000");
    let mut proxy = Sockeye::spawn(command);
    manager.hears("READY=1");
    assert!(manager.hears("STATUS=").contains("no server, 0 connections"));
    manager.hears("WATCHDOG=1");
    manager.hears("WATCHDOG=1");

    process::signal(proxy.pid(), Signal::HUP);
    // They must be in one message: without the time systemd does not know which signal is answered.
    assert!(manager.hears("RELOADING=1").contains("MONOTONIC_USEC="));
    manager.hears("READY=1");
    // The reload is over, whatever its outcome.
    configuration.write("config.toml", "nonsense");
    manager.hears("RELOADING=1");
    manager.hears("READY=1");

    proxy.terminate();
    manager.hears("STOPPING=1");
    assert!(proxy.wait().success());
}

/// The process, killed on drop.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the program with a bound socket, as systemd does: descriptors start at 3.
fn activated(configuration: &Configuration, socket: TcpListener, name: &str) -> Running {
    let mut shell = command("sh");
    shell.args(["-c", "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\""]);
    shell.arg(program().get_program()).arg("--config").arg(configuration.path("config.toml"));
    shell.env("LISTEN_FDNAMES", name).env("HOME", configuration.path(""));
    shell.stdin(OwnedFd::from(socket)).stdout(Stdio::null()).stderr(Stdio::piped());
    Running(shell.spawn().expect("a shell"))
}

#[test]
fn a_socket_of_the_manager_serves_the_listener_with_its_name() {
    // The listener's own port is taken, so only the inherited socket can serve.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let own = taken.local_addr().expect("an address");
    let configuration =
        Configuration::with(&format!("[[listen]]\naddress = \"{own}\"\nname = \"main\"\n"));
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = socket.local_addr().expect("an address");
    let _running = activated(&configuration, socket, "main");
    let mut client = TcpStream::connect(at).expect("it listens before the program runs");
    client.set_read_timeout(Some(wait::LONG)).expect("a time");
    std::io::Write::write_all(&mut client, &[5, 1, 0]).expect("sent");
    let mut answer = [0; 2];
    client.read_exact(&mut answer).expect("SOCKS5");
    assert_eq!(answer, [5, 0]);
}

#[test]
fn a_public_socket_is_not_used_for_a_listener_on_loopback() {
    let configuration =
        Configuration::with("[[listen]]\naddress = \"127.0.0.1:1\"\nname = \"main\"\n");
    let socket = TcpListener::bind("0.0.0.0:0").expect("a free port");
    let mut running = activated(&configuration, socket, "main");
    let mut told = String::new();
    running.0.stderr.take().expect("a pipe").read_to_string(&mut told).expect("text");
    assert_eq!(running.0.wait().expect("a child").code(), Some(1), "{told}");
    assert!(told.contains("can be reached by other machines"), "{told}");
}

#[test]
fn a_unit_of_the_user_is_where_systemd_looks_for_it() {
    let configuration = Configuration::with("[[listen]]\naddress = \"127.0.0.1:1080\"\n");
    let mut install = configuration.command("service");
    install.args(["install", "--manager", "systemd"]);
    install.env("XDG_CONFIG_HOME", configuration.path("cfg"));
    let output = install.env("HOME", configuration.path("home")).output().expect("the program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(configuration.path("cfg/systemd/user/sockeye.service").is_file());
}

/// Runs a program that finds no room in any file, as on a full disk.
const WITHOUT_ROOM: &str = "trap '' XFSZ; ulimit -f 0; exec \"$@\"";

#[test]
fn on_a_full_disk_no_half_of_a_file_is_left() {
    let configuration = Configuration::with("[[listen]]\naddress = \"127.0.0.1:1080\"\n");
    let file = configuration.path("config.toml").display().to_string();
    let run = |mut command: Command, words: &[&str]| {
        command.args(words).env("XDG_CONFIG_HOME", configuration.path("cfg"));
        let output = command.env("HOME", configuration.path("home")).output().expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let without_room = || {
        let mut bash = command("bash");
        bash.args(["-c", WITHOUT_ROOM, "bash"]).arg(program().get_program());
        bash
    };
    let install = ["service", "install", "--manager", "systemd", "--config", &file];
    for (words, written) in
        [(&["init"][..], "cfg/sockeye/config.toml"), (&install, "cfg/systemd/user/sockeye.service")]
    {
        let written = configuration.path(written);
        let (done, told) = run(without_room(), words);
        assert!(!done && told.contains("cannot write"), "{words:?}: {told}");
        assert!(!written.exists(), "{words:?}");
        let (done, told) = run(program(), words);
        assert!(done && written.metadata().expect("a file").len() > 0, "{words:?}: {told}");
    }
    let unit = configuration.path("cfg/systemd/user/sockeye.service");
    let before = fs::read(&unit).expect("a unit");
    assert!(!run(without_room(), &install).0);
    assert_eq!(fs::read(&unit).expect("a unit"), before);
}

#[test]
#[ignore = "needs systemd-analyze"]
fn systemd_takes_the_units() {
    let configuration = Configuration::with("[[listen]]\naddress = \"127.0.0.1:1080\"\n");
    for scope in ["--user", "--system"] {
        let output = configuration.run("service", &["print", scope, "--manager", "systemd"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let unit = configuration.path("sockeye.service");
        std::fs::write(&unit, &output.stdout).expect("a file");
        let mut analyze = command("systemd-analyze");
        // The manual page that the unit names is not installed here.
        analyze.env("XDG_RUNTIME_DIR", configuration.path(""));
        let verified = analyze.args(["verify", "--man=no", scope]).arg(&unit).output();
        let verified = verified.expect("systemd-analyze");
        let told = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(verified.status.success() && !told.contains("sockeye.service"), "{scope}: {told}");
    }
}

/// Runs "$0" as a machine service with a /run of its own, and uses the commands as from a terminal.
const AS_A_SERVICE: &str = "\
mount -t tmpfs none /run && mkdir -m 700 /run/sockeye-$(id -u) /run/mine
RUNTIME_DIRECTORY=/run/sockeye-$(id -u) \"$0\" --config \"$1\" &
trap 'kill $!' EXIT
export XDG_RUNTIME_DIR=/run/mine TMPDIR=/run/mine
\"$0\" wait --timeout 60 && \"$0\" status config && \"$0\" stop && wait $! && trap - EXIT";

#[test]
#[ignore = "needs unshare"]
fn a_service_of_the_machine_is_found_by_the_commands() {
    let configuration = Configuration::with("[[listen]]\naddress = \"127.0.0.1:0\"\n");
    let mut machine = command("unshare");
    machine.args(["--user", "--map-root-user", "--mount", "sh", "-c", AS_A_SERVICE]);
    machine.arg(program().get_program()).arg(configuration.path("config.toml"));
    machine.env_remove("XDG_RUNTIME_DIR").env("HOME", configuration.path(""));
    let output = machine.output().expect("unshare");
    let (said, log) = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success(), "{log}");
    assert!(String::from_utf8_lossy(&said).contains("config"), "{log}");
}

/// Prints the unit for a user who runs "$0" under sudo, and whom the password database "$1" lists.
const BY_SUDO: &str = "\
mount --bind \"$1\" /etc/passwd
SUDO_USER=sockeye-alice HOME=/nonexistent \"$0\" service print --system --manager systemd";

#[test]
#[ignore = "needs unshare"]
fn a_service_of_the_machine_has_the_configuration_of_the_sudo_user() {
    let configuration = Configuration::with("");
    let home = configuration.path("home");
    let file = home.join(".config/sockeye/config.toml");
    fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
    fs::write(&file, "[server.bastion]\n[default]\nvia = \"bastion\"\n").expect("a file");
    let line = format!("sockeye-alice:x:0:0::{}:/bin/sh\n", home.display());
    configuration.write("passwd", &line);
    let mut sudo = command("unshare");
    sudo.args(["--user", "--map-root-user", "--mount", "sh", "-c", BY_SUDO]);
    sudo.arg(program().get_program()).arg(configuration.path("passwd"));
    let output = sudo.output().expect("unshare");
    let (unit, log) = (String::from_utf8_lossy(&output.stdout), output.stderr);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&log));
    assert!(unit.contains(&format!("--config \"{}\"\n", file.display())), "{unit}");
    assert!(unit.contains("\nUser=sockeye-alice\n"), "{unit}");
}
