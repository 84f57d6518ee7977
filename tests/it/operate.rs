//! A running program is looked at and steered: what its commands say of a server that forwards, one that is
//! dead, one that forbids it, and of two programs beside each other.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::configured::{Configuration, server};
use crate::support::content::{Content, Sum};
use crate::support::login::HOST;
use crate::support::program::{Sockeye, program};
use crate::support::resolver::{Resolver, SLOW};
use crate::support::socks::Protocol;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{command, free_port, scaled, wait};

/// A runtime directory, and the programs that have their control sockets there.
struct Desk {
    directory: TempDir,
}

/// What a command said.
struct Said {
    status: i32,
    out: String,
    err: String,
}

impl Desk {
    fn new() -> Self {
        Self { directory: TempDir::with_prefix("sockeye-run-").expect("a temporary directory") }
    }

    /// Starts a proxy, and waits for its first session.
    fn start(&self, ssh_config: &Path, arguments: &[&str]) -> Sockeye {
        let mut command = program();
        command.env("XDG_RUNTIME_DIR", self.directory.path());
        command.arg("-F").arg(ssh_config).args(["-D", "127.0.0.1:0"]).args(arguments).arg(HOST);
        let proxy = Sockeye::spawn(command);
        proxy.wait_for_log("connected to ");
        proxy
    }

    /// Starts a proxy by a file.
    fn start_by(&self, configuration: &Configuration) -> Sockeye {
        let mut command = program();
        command.env("XDG_RUNTIME_DIR", self.directory.path());
        command.arg("--config").arg(configuration.path("config.toml"));
        let proxy = Sockeye::spawn(command);
        proxy.wait_for_log("connected to ");
        proxy
    }

    /// A command to what runs.
    fn say(&self, words: &str) -> Said {
        let mut command = program();
        command.env("XDG_RUNTIME_DIR", self.directory.path()).args(words.split_whitespace());
        Said::of(command.output().expect("the program under test"))
    }

    fn status(&self) -> Value {
        self.say("status --json").json()
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.directory.path().join("sockeye").join(format!("{name}.sock"))
    }
}

impl Said {
    fn of(output: Output) -> Self {
        Self {
            status: output.status.code().expect("it ends by itself"),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|why| panic!("{why}: {}{}", self.out, self.err))
    }

    #[track_caller]
    fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{}{}", self.out, self.err);
        self
    }
}

/// Sends a word, and reads it back.
fn echoes(stream: &mut TcpStream) -> bool {
    stream.write_all(b"word").is_ok() && stream.read_exact(&mut [0; 4]).is_ok()
}

fn connect(address: &str) -> TcpStream {
    let address: SocketAddr = address.parse().expect(address);
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(wait::LONG)).expect("a socket");
    stream
}

#[test]
#[ignore = "needs sshd"]
fn a_server_is_up_then_dead_then_up_again_and_each_is_told() {
    let (desk, mut sshd, echo) = (Desk::new(), Sshd::start(), Target::echo());
    desk.say("status").expect(3);
    desk.say("wait --timeout 0.2").expect(1);
    let mut proxy = desk.start(&sshd.ssh_config(), &[]);
    desk.say("wait").expect(0);
    let up = desk.say("status").expect(0);
    assert!(up.out.contains("ready, forwards"), "{}", up.out);
    let status = desk.status();
    assert_eq!(status["state"], "ready");
    assert_eq!(status["instance"]["pid"], proxy.pid());
    assert_eq!(status["servers"][0]["path"], "proved");
    assert_eq!(status["places"][0]["state"], "listening");
    desk.say("ping").expect(0);
    desk.say(&format!("ping 127.0.0.1:{}", echo.port())).expect(0);

    sshd.stop();
    wait::until("the loss is told", || desk.say("status -q").status == 1);
    let down = desk.status();
    assert_eq!(down["state"], "down");
    let reason = down["health"][0]["text"].as_str().expect("a sentence");
    assert!(!reason.is_empty());
    desk.say("wait --timeout 0.5").expect(1);

    sshd.start_again();
    desk.say("wait").expect(0);
    desk.say("status -q").expect(0);
    desk.say("stop").expect(0);
    assert!(proxy.wait().success());
    desk.say("status").expect(3);
    assert!(!desk.socket(HOST).exists());
}

#[test]
#[ignore = "needs sshd"]
fn a_server_that_forbids_forwarding_is_not_up() {
    let (desk, sshd) = (Desk::new(), Sshd::with(&["AllowTcpForwarding no"]));
    let _proxy = desk.start(&sshd.ssh_config(), &[]);
    let said = desk.say("status").expect(1);
    assert!(said.out.contains("forbids forwarding"), "{}", said.out);
    let status = desk.status();
    assert_eq!(
        (&status["state"], &status["servers"][0]["path"]),
        (&"down".into(), &"forbidden".into())
    );
    desk.say("wait --timeout 0.5").expect(1);
    let ping = desk.say("ping --json 127.0.0.1:9").expect(1).json();
    assert_eq!(ping["culprit"], "far_side", "{ping}");
    let refused = desk.say("forward add -R 0:127.0.0.1:9").expect(1);
    assert!(refused.err.contains("cannot listen"), "{}", refused.err);
}

#[test]
#[ignore = "needs sshd"]
fn two_programs_have_two_names() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let mut first = desk.start(&sshd.ssh_config(), &[]);
    let second = desk.start(&sshd.ssh_config(), &[]);
    let both = desk.say("status --json").expect(0);
    let named = |n: usize| {
        serde_json::from_str::<Value>(both.out.lines().nth(n).expect("two")).expect("JSON")
    };
    assert_eq!(
        (&named(0)["instance"]["name"], &named(1)["instance"]["name"]),
        (&HOST.into(), &format!("{HOST}-2").into())
    );
    let which = desk.say("ping").expect(2);
    assert!(which.err.contains(&format!("{HOST}, {HOST}-2")), "{}", which.err);
    desk.say(&format!("ping -n {HOST}-2")).expect(0);
    desk.say(&format!("-O check {HOST}")).expect(0);
    desk.say(&format!("-O exit {HOST}")).expect(0);
    assert!(first.wait().success());
    let left = desk.status();
    assert_eq!(left["instance"]["pid"], second.pid());
    desk.say(&format!("status {HOST}")).expect(3);
    let other = desk.directory.path().join("other.sock");
    let explicit = ["-S", other.to_str().expect("ASCII")];
    let third = desk.start(&sshd.ssh_config(), &explicit);
    desk.say(&format!("-O check -S {}", other.display())).expect(0);
    drop((second, third));
}

#[test]
#[ignore = "needs sshd"]
fn forwards_kills_and_reloads_disturb_nothing_else() {
    let (sshd, echo) = (Sshd::start(), Target::echo());
    let length = scaled(64 << 20, 1_000_000_000);
    let source = Target::source(length);
    let port = free_port();
    let listen = format!("[default]\nvia = \"box\"\n[[listen]]\naddress = \"127.0.0.1:{port}\"\n");
    let configuration = Configuration::with(&format!("{listen}{}", server("box", &sshd)));
    let desk = Desk::new();
    let proxy = desk.start_by(&configuration);
    let address: SocketAddr = format!("127.0.0.1:{port}").parse().expect("an address");

    let mut download = Protocol::Socks5.open(address, "127.0.0.1", source.port());
    download.write_all(b"x").expect("open");
    let mut victim = Protocol::Socks5.open(address, "127.0.0.1", echo.port());
    assert!(echoes(&mut victim));

    let added =
        desk.say(&format!("forward add -L 127.0.0.1:0:127.0.0.1:{}", echo.port())).expect(0);
    let here =
        added.out.split(" at ").nth(1).and_then(|rest| rest.split(',').next()).expect("an address");
    let mut through = connect(here);
    assert!(echoes(&mut through));
    let there =
        desk.say(&format!("forward add --name back -R 0:127.0.0.1:{}", echo.port())).expect(0);
    assert!(there.out.contains("listening at "), "{}", there.out);

    let connections = desk.say("connections --json");
    let id = |port: u16| {
        let found =
            connections.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let mut found = found
            .filter(|c| c["target"] == format!("127.0.0.1:{port}") && c["protocol"] == "socks5");
        found.next().expect("it lives")["id"].as_u64().expect("a number")
    };
    desk.say(&format!("kill {}", id(echo.port()))).expect(0);
    assert!(!echoes(&mut victim), "it was ended");
    desk.say("kill 999999").expect(1);

    configuration.write(
        "config.toml",
        &format!("{listen}{}[server.broken]\nnonsense = 1\n", server("box", &sshd)),
    );
    let refused = desk.say("reload").expect(1);
    assert!(refused.err.contains("nonsense"), "{}", refused.err);
    assert_eq!(desk.status()["configuration"]["mistakes"].as_array().expect("a list").len(), 1);
    let rule = "[[rule]]\nname = \"ads\"\ndomain = [\"ads.example\"]\naction = \"reject\"\n";
    configuration.write("config.toml", &format!("{listen}{}{rule}", server("box", &sshd)));
    wait::until("it is in force", || desk.say("reload").status == 0);

    assert!(echoes(&mut through), "a reload changes nothing for what runs");
    assert!(echoes(&mut connect(here)), "a forward of the run time outlives a reload");
    let list = desk.say("forward list").expect(0);
    assert!(list.out.contains("(back)"), "{}", list.out);
    let denial = desk.say(&format!("forward remove -D 127.0.0.1:{port}")).expect(1);
    assert!(denial.err.contains("configuration file"), "{}", denial.err);
    let local = here.rsplit(':').next().expect("a port");
    desk.say(&format!("-O cancel -L 127.0.0.1:{local}:127.0.0.1:{}", echo.port())).expect(0);
    assert!(echoes(&mut through), "what came in goes on");
    assert!(TcpStream::connect(here.parse::<SocketAddr>().expect("an address")).is_err());

    assert_eq!(Sum::of(&download).expect("whole"), Content::of(length).sum());

    sshd.kill_children();
    let back = || {
        let forwards = desk.say("forward list --json");
        let places =
            forwards.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        places.into_iter().any(|place| place["name"] == "back" && place["state"] == "listening")
    };
    wait::until("the server listens again after a reconnect", back);
    drop(proxy);
}

#[test]
#[ignore = "needs sshd, unshare, root"]
fn a_ping_names_the_stage_that_is_to_blame() {
    let desk = Desk::new();
    let culprit = |destination: &str| desk.say(&format!("ping --json {destination}")).json();

    let Some(resolver) = Resolver::start() else { return };
    let mut sshd = Sshd::asking(resolver);
    let (echo, flood) = (Target::echo(), Target::flood());
    let proxy = desk.start(&sshd.ssh_config(), &["--sessions", "1"]);
    let refused = culprit(&format!("127.0.0.1:{}", free_port()));
    assert_eq!(
        (&refused["culprit"], &refused["opened"]),
        (&"target".into(), &false.into()),
        "{refused}"
    );
    let fine = culprit(&format!("127.0.0.1:{}", echo.port()));
    assert_eq!(fine["culprit"], "none", "{fine}");
    let slow = culprit(&format!("{SLOW}:{}", echo.port()));
    assert_eq!((&slow["culprit"], &slow["opened"]), (&"far_side".into(), &true.into()), "{slow}");

    let unread = Protocol::Socks5.open(proxy.address(), "127.0.0.1", flood.port());
    wait::until("the client that does not read is to blame", || {
        let ping = culprit(&format!("127.0.0.1:{}", echo.port()));
        ping["culprit"] == "client"
            && ping["verdict"].as_str().is_some_and(|v| v.contains("does not keep up"))
    });
    drop(unread);
    sshd.stop();
    wait::until("it is gone", || desk.say("status -q").status == 1);
    let away = culprit(&format!("127.0.0.1:{}", echo.port()));
    assert_eq!((&away["culprit"], &away["opened"]), (&"session".into(), &false.into()), "{away}");
    drop(proxy);
}

#[test]
#[ignore = "needs sshd, curl, setpriv"]
fn the_control_socket_is_the_user_s_alone_and_no_browser_s() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let proxy = desk.start(&sshd.ssh_config(), &[]);
    let socket = desk.socket(HOST);
    let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o777;
    assert_eq!((mode(&socket), mode(socket.parent().expect("a directory"))), (0o600, 0o700));

    let ask = |fields: &[&str]| {
        let mut curl = command("curl");
        curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket"]).arg(&socket);
        for field in fields {
            curl.args(["-H", field]);
        }
        let output = curl.arg("http://localhost/v1/status").output().expect("curl");
        String::from_utf8(output.stdout).expect("ASCII")
    };
    assert_eq!(ask(&[]), "200");
    assert_eq!(ask(&["Host: evil.example"]), "421");
    assert_eq!(ask(&["Host: localhost:80"]), "421");
    assert_eq!(ask(&["Origin: http://localhost"]), "403");
    assert_eq!(ask(&["Referer: http://localhost/"]), "403");
    assert_eq!(ask(&["Sec-Fetch-Site: cross-site"]), "403");
    assert_eq!(ask(&["Sec-Fetch-Site: none"]), "200");

    // Whoever gets past the modes is told apart by the user's id.
    if rustix::process::getuid().is_root() {
        for path in [desk.directory.path(), socket.parent().expect("a directory"), &socket] {
            fs::set_permissions(path, Permissions::from_mode(0o777)).expect("ours");
        }
        let mut other = command("setpriv");
        other.args(["--reuid=65534", "--clear-groups", "curl", "-s", "--unix-socket"]).arg(&socket);
        let output = other.arg("http://localhost/v1/status").output().expect("setpriv");
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    }

    let refused = desk.say(&format!("kill --all --nonsense {}", proxy.pid())).expect(2);
    assert!(refused.err.contains("nonsense"), "{}", refused.err);
}
