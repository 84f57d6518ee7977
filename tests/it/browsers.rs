//! A real browser through the proxy, by each protocol that a browser speaks.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};

use tempfile::TempDir;
use tokio_tungstenite::tungstenite;

use crate::support::browser::Browser;
use crate::support::configured::{Configuration, server};
use crate::support::program::Sockeye;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::web::Web;
use crate::support::{command, free_port};

#[test]
#[ignore = "needs sshd, chromium, node, openssl"]
fn a_browser_loads_sends_and_talks() {
    let (sshd, sites) = (Sshd::with(&NEAR), Sites::start());
    let proxy = Sockeye::start(&sshd.ssh_config());
    for protocol in ["socks5", "http", "socks4"] {
        let Some(mut browser) = Browser::through(&format!("{protocol}://{}", proxy.address()))
        else {
            return;
        };
        let before = sshd.targets().len();
        sites.visit(&mut browser);
        let asked = sshd.targets().split_off(before);
        for port in [sites.web.port(), sites.socket.port(), sites.tls.port] {
            // A browser looks up names itself for SOCKS4, which takes addresses only.
            let host = if protocol == "socks4" { "127.0.0.1" } else { "localhost" };
            let target = format!("{host} port {port}");
            assert!(asked.contains(&target), "{protocol}: {target} is missing in {asked:?}");
        }
    }
}

#[test]
#[ignore = "needs sshd, chromium, node, openssl"]
fn a_browser_is_asked_for_the_password_of_a_listener() {
    let (sshd, sites, port) = (Sshd::with(&NEAR), Sites::start(), free_port());
    let configuration = Configuration::with(&format!(
        "[[listen]]\naddress = \"127.0.0.1:{port}\"\nauth = \"users\"\n\
         [default]\nvia = \"a\"\n{}",
        server("a", &sshd)
    ));
    let users = configuration.path("users");
    fs::write(&users, "ada:secret\n").expect("a file");
    fs::set_permissions(&users, Permissions::from_mode(0o600)).expect("ours");
    let proxy = configuration.start();
    proxy.wait_for_log("listening on ");
    let Some(mut browser) = Browser::through(&format!("http://127.0.0.1:{port}")) else { return };
    browser.log_in("ada", "secret");
    sites.visit(&mut browser);
    assert!(proxy.log().contains("this proxy asks for a user name and a password"), "it is asked");
}

/// What there is to see on the far side.
struct Sites {
    web: Web,
    /// Sends back what it receives over a `WebSocket`.
    socket: Target,
    tls: Tls,
}

impl Sites {
    fn start() -> Self {
        let socket = Target::start(|stream| {
            let Ok(mut socket) = tungstenite::accept(stream) else { return Ok(()) };
            while let Ok(message) = socket.read() {
                if message.is_text() && socket.send(message).is_err() {
                    break;
                }
            }
            Ok(())
        });
        Self { web: Web::start(), socket, tls: Tls::start() }
    }

    /// Loads an encrypted page, and from a plain one much at once; uploads, and talks to the `WebSocket`.
    fn visit(&self, browser: &mut Browser) {
        browser.open(&format!("https://localhost:{}/", self.tls.port));
        browser.until("it is there", &format!("document.body.textContent === '{ENCRYPTED}'"));
        browser.open(&self.web.named_url("/fields"));
        browser.until("it is there", "document.body.textContent.startsWith('GET /fields ')");
        let loaded = browser.evaluate(
            "Promise.all(Array.from({ length: 20 }, async (_, n) => {
                const answer = await fetch(`/${n % 2 ? 'bytes' : 'chunked'}/${(n + 1) * 10000}`);
                return (await answer.arrayBuffer()).byteLength;
            })).then((lengths) => lengths.reduce((sum, length) => sum + length))",
        );
        assert_eq!(loaded, 2_100_000);
        let sent = browser.evaluate(
            "fetch('/sink', { method: 'POST', body: 'x'.repeat(3e6) }).then((it) => it.text())",
        );
        assert!(sent.as_str().is_some_and(|sum| sum.starts_with("3000000 ")), "{sent}");
        let told = browser.evaluate(&format!(
            "new Promise((told, failed) => {{
                const socket = new WebSocket('ws://localhost:{}/');
                socket.onopen = () => socket.send('hello');
                socket.onmessage = (message) => told(message.data);
                socket.onerror = () => failed(new Error('no WebSocket'));
            }})",
            self.socket.port()
        ));
        assert_eq!(told, "hello");
    }
}

/// A web server that encrypts, with a certificate of its own. Dropping it kills it.
struct Tls {
    node: Child,
    port: u16,
    _files: TempDir,
}

impl Tls {
    fn start() -> Self {
        let files = TempDir::with_prefix("sockeye-tls-").expect("a temporary directory");
        let [key, certificate] = ["key.pem", "cert.pem"].map(|name| files.path().join(name));
        let mut openssl = command("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        openssl.args(["-nodes", "-subj", "/CN=localhost", "-keyout"]).arg(&key);
        let output = openssl.arg("-out").arg(&certificate).output().expect("openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut node = command("node");
        node.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/node/https_server.js"));
        node.arg(&key).arg(&certificate).arg(ENCRYPTED);
        let mut node = node.stdout(Stdio::piped()).spawn().expect("node");
        let mut line = String::new();
        let mut output = BufReader::new(node.stdout.take().expect("a pipe"));
        output.read_line(&mut line).expect("a pipe");
        let port = line.trim().parse().expect("a port");
        Self { node, port, _files: files }
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.node.kill();
        let _ = self.node.wait();
    }
}

/// What a browser asks for by itself goes nowhere; each destination is logged.
const NEAR: [&str; 2] = ["PermitOpen localhost:* 127.0.0.1:*", "LogLevel DEBUG1"];
const ENCRYPTED: &str = "an encrypted page";
