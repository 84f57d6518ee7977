//! No secret appears in output, on a command line or in an environment.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::only;
use crate::support::accounts::{Accounts, LOCKED, PASSWORD};
use crate::support::curl::Curl;
use crate::support::login::HOST;
use crate::support::person::{Agent, Person};
use crate::support::program::{Sockeye, program};
use crate::support::questions::{ANSWERS, Questions};
use crate::support::web::Web;
use crate::support::{process, wait};

/// The secrets, by name.
#[derive(Default)]
struct Secrets(Vec<(String, Vec<u8>)>);

impl Secrets {
    fn add(&mut self, name: &str, secret: &[u8]) {
        assert!(secret.len() >= 8, "{name} is too short to be told from chance");
        self.0.push((name.to_owned(), secret.to_vec()));
    }

    /// The private part of a key, and the lines of its file that do not occur in a public key.
    fn add_key(&mut self, path: &Path, passphrase: Option<&str>) {
        let key = russh::keys::load_secret_key(path, passphrase).expect("a key");
        let pair = key.key_data().ed25519().expect("an Ed25519 key");
        self.add(&format!("the private half of {}", path.display()), &pair.private.to_bytes());
        let text = fs::read_to_string(path).expect("a key");
        let body = text.lines().filter(|line| !line.starts_with("-----"));
        for (number, line) in body.enumerate().skip(2).filter(|(_, line)| line.len() >= 16) {
            self.add(&format!("line {number} of {}", path.display()), line.as_bytes());
        }
    }

    /// The names of the secrets that occur in `text`, in any encoding.
    fn in_text(&self, text: &[u8]) -> Vec<&str> {
        let found = |secret: &Vec<u8>| forms(secret).iter().any(|form| contains(text, form));
        self.0.iter().filter(|(_, secret)| found(secret)).map(|(name, _)| name.as_str()).collect()
    }

    #[track_caller]
    fn assert_absent(&self, what: &str, text: &[u8]) {
        let found = self.in_text(text);
        assert!(found.is_empty(), "{found:?} in {what}:\n{}", String::from_utf8_lossy(text));
    }
}

/// The encodings in which bytes may appear.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex: Vec<String> = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let hex = hex.concat();
    let list = |separator: &str| {
        let numbers: Vec<String> = secret.iter().map(u8::to_string).collect();
        numbers.join(separator)
    };
    let texts = [
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        hex.to_uppercase(),
        hex,
        list(", "),
        list(","),
    ];
    let texts = texts.map(String::into_bytes);
    // The Base64 form inside longer data depends on the alignment, so there are three.
    let shifted = [1, 2].map(|shift| {
        let mut longer = vec![0; shift];
        longer.extend(secret);
        let text = STANDARD.encode(longer).into_bytes();
        text[4..text.len() - 4].to_vec()
    });
    texts.into_iter().chain(shifted).chain([secret.to_vec()]).collect()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The parameters of a run.
struct Run<'a> {
    config: PathBuf,
    answers: &'a [&'a str],
    format: &'a str,
    proxy_auth: &'a Path,
}

impl Run<'_> {
    fn start(&self) -> (Sockeye, Person) {
        let person = Person::with(self.answers);
        let mut command = program();
        command.arg("-vvv").args(["--log-format", self.format, "--proxy-auth"]);
        command.arg(self.proxy_auth).arg("-F").arg(&self.config);
        command.args(["-D", "127.0.0.1:0", HOST]);
        person.answers(&mut command);
        (Sockeye::spawn(command), person)
    }

    /// Runs the program until it is logged in or gives up; `used` runs when it is logged in.
    fn check(&self, secrets: &Secrets, what: &str, used: impl Fn(&Sockeye)) {
        let (mut program, person) = self.start();
        wait::until("it is in, or gives up", || {
            program.log().contains("listening on ") || !process::is_running(program.pid())
        });
        let proc = |name: &str| fs::read(format!("/proc/{}/{name}", program.pid()));
        for name in ["cmdline", "environ"] {
            secrets.assert_absent(&format!("{what}: {name}"), &proc(name).unwrap_or_default());
        }
        if process::is_running(program.pid()) {
            used(&program);
            program.terminate();
        }
        program.wait();
        let said =
            || program.log().contains("cannot connect") || program.log().contains("logged in");
        wait::until("all is said", said);
        secrets.assert_absent(&format!("{what}, as {}", self.format), program.log().as_bytes());
        secrets.assert_absent(&format!("{what}: the programs that ask"), &person.processes());
        assert_eq!(person.asked().is_empty(), person.processes().is_empty());
    }
}

#[test]
fn a_secret_would_be_found() {
    let mut secrets = Secrets::default();
    secrets.add("the password", b"hunter2-hunter2");
    for text in [
        "x hunter2-hunter2 y",
        "Basic dXNlcjpodW50ZXIyLWh1bnRlcjI=",
        "68756e746572322d68756e74657232",
        "[104, 117, 110, 116, 101, 114, 50, 45, 104, 117, 110, 116, 101, 114, 50]",
    ] {
        assert_eq!(secrets.in_text(text.as_bytes()), ["the password"], "{text}");
    }
    assert_eq!(secrets.in_text(b"hunter2"), [""; 0]);
}

const PASSPHRASE: &str = "passphrase-hides-me-42";
const MISTAKE: &str = "mistyped-secret-17";
const PROXY: &str = "proxy-secret-5519";
const WRONG_PROXY: &str = "wrong-proxy-secret-66";

#[test]
#[ignore = "needs sshd, unshare, curl"]
fn no_secret_shows_at_any_level() {
    let all = ["UsePAM yes", "PasswordAuthentication yes", "KbdInteractiveAuthentication yes"];
    let Some(server) = Accounts::start(&all) else { return };
    let (questions, web) = (Questions::start(), Web::start());
    let (key, in_agent) = (server.key("key", &[]), server.key("in_agent", &[]));
    let locked = server.key("locked", &["-t", "ed25519", "-a", "1", "-N", PASSPHRASE]);
    let proxy_auth = server.path("proxy_auth");
    fs::write(&proxy_auth, format!("user:{PROXY}\n")).expect("written");
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&proxy_auth, owner_only).expect("a mode");
    let agent = Agent::start();
    agent.add(&in_agent, &[]);

    let mut secrets = Secrets::default();
    let typed = [PASSWORD, PASSPHRASE, MISTAKE, PROXY, WRONG_PROXY];
    for secret in typed.into_iter().chain(ANSWERS) {
        secrets.add(secret, secret.as_bytes());
    }
    secrets.add_key(&key, None);
    secrets.add_key(&in_agent, None);
    secrets.add_key(&locked, Some(PASSPHRASE));

    let (agent, locked, plain) = (agent.line(), only(&locked), only(&key));
    let user = format!("User {LOCKED}");
    let matrix: &[(&str, &[&str], &[&str])] = &[
        ("a key", &[&plain], &[]),
        ("the agent", &[&agent], &[]),
        ("a passphrase", &[&locked], &[MISTAKE, PASSPHRASE]),
        ("no passphrase", &[&locked, "PreferredAuthentications publickey"], &[MISTAKE; 3]),
        ("a password", &["PreferredAuthentications password"], &[MISTAKE, PASSWORD]),
        ("wrong passwords", &["PreferredAuthentications password"], &[MISTAKE; 3]),
        ("questions", &["PreferredAuthentications keyboard-interactive"], &[MISTAKE, PASSWORD]),
        ("a locked account", &[&user], &[PASSWORD; 6]),
    ];
    server.authorize(&[&server.path("key"), &server.path("in_agent"), &server.path("locked")]);
    for format in ["text", "json"] {
        let run = |config, answers| Run { config, answers, format, proxy_auth: &proxy_auth };
        for (what, lines, answers) in matrix {
            run(server.client(lines), answers)
                .check(&secrets, what, |program| fetch(program, &web));
        }
        run(questions.ssh_config(), &ANSWERS).check(&secrets, "one-time passwords", |_| {});
        let wrong = [ANSWERS[0], MISTAKE, ANSWERS[0], ANSWERS[1], MISTAKE];
        run(questions.ssh_config(), &wrong).check(&secrets, "wrong ones", |_| {});
    }
}

/// Clients with the right password and with a wrong one, in each protocol.
fn fetch(program: &Sockeye, web: &Web) {
    for scheme in ["socks5h", "http"] {
        for (password, expected) in [(PROXY, true), (WRONG_PROXY, false)] {
            let proxy = format!("{scheme}://user:{password}@{}", program.address());
            let fetched = Curl::through(&proxy).fetch(&web.named_url("/bytes/10"));
            assert_eq!(fetched.code == 0, expected, "{scheme}: {}", fetched.complaint);
        }
    }
}
