//! The dashboard in a real Chromium, and the ways to reach it.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::process::{Resource, getrlimit};
use tempfile::TempDir;

use crate::support::browser::Browser;
use crate::support::configured::{Configuration, server};
use crate::support::login::HOST;
use crate::support::program::{Sockeye, program};
use crate::support::socks::{Answer, Protocol};
use crate::support::sshd::Sshd;
use crate::support::{command, free_port, skip, wait};

/// A target that accepts and holds every connection.
struct Holder {
    port: u16,
    held: Arc<Mutex<Vec<TcpStream>>>,
}

impl Holder {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let port = listener.local_addr().expect("bound").port();
        let held = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&held);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                into.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
            }
        });
        Self { port, held }
    }

    fn count(&self) -> usize {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// The program with a dashboard, the token, and the address.
struct Stage {
    proxy: Sockeye,
    link: String,
    /// Written `127.0.0.1:PORT`.
    address: String,
    token: String,
    _directory: TempDir,
}

impl Stage {
    fn start(sshd: &Sshd, arguments: &[&str]) -> Self {
        let directory = TempDir::with_prefix("sockeye-dashboard-").expect("a directory");
        let (file, token) = (directory.path().join("token"), "0123456789abcdef".repeat(4));
        fs::write(&file, &token).expect("a file");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("ours");
        let mut command = program();
        command.env("XDG_RUNTIME_DIR", directory.path());
        command.arg("-F").arg(sshd.ssh_config()).args(["-D", "127.0.0.1:0"]);
        command.arg("--dashboard=127.0.0.1:0").arg("--dashboard-token").arg(&file);
        command.args(arguments).arg(HOST);
        let proxy = Sockeye::spawn(command);
        proxy.wait_for_log("connected to ");
        let (link, address) = place(&proxy);
        Self { proxy, link, address, token, _directory: directory }
    }

    /// Requests a path with the token; returns the status and the text.
    fn get(&self, path: &str) -> (u16, String) {
        let mut curl = command("curl");
        curl.args(["-s", "-w", "\n%{http_code}", "-H"]);
        curl.arg(format!("Authorization: Bearer {}", self.token));
        let output = curl.arg(format!("http://{}{path}", self.address)).output().expect("curl");
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        let (text, status) = said.rsplit_once('\n').expect("a status");
        (status.parse().expect("a number"), text.to_owned())
    }
}

/// The link that a program has printed, and its address.
fn place(proxy: &Sockeye) -> (String, String) {
    proxy.wait_for_log("dashboard at ");
    let log = proxy.log();
    let (_, rest) = log.split_once("dashboard at ").expect("it was printed");
    let link = rest.split_whitespace().next().expect("a link").to_owned();
    let address = link.trim_start_matches("http://").split('/').next().expect("an address");
    let address = address.to_owned();
    (link, address)
}

/// The number of connections of which this process can hold both ends.
fn many() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if limit >= 5000 { 2000 } else { 300 }
}

#[test]
#[ignore = "needs sshd, chromium"]
fn the_page_shows_two_thousand_connections_and_ends_one() {
    let Some(mut browser) = Browser::start() else { return };
    let (sshd, holder, count) = (Sshd::start(), Holder::start(), many());
    let stage = Stage::start(&sshd, &[]);
    let proxy = stage.proxy.address();
    let open = || Protocol::Socks5.open(proxy, "127.0.0.1", holder.port);
    let mut clients: Vec<TcpStream> = (0..count).map(|_| open()).collect();
    wait::until("all are there", || holder.count() == count);

    browser.open(&stage.link);
    browser.until("it has a status", "document.getElementById('state').textContent === 'ready'");
    browser.picture("overview");
    browser.press("2");
    let all = format!("document.getElementById('shown').textContent === '{count}'");
    browser.until("all are counted", &all);
    let rows = browser.evaluate("document.querySelectorAll('.grid-body .grid-row').length");
    assert!(rows.as_u64().is_some_and(|rows| (5..100).contains(&rows)), "{rows} rows in the page");
    browser.until(
        "a row is whole",
        "document.querySelector('.grid-body .c-target').textContent.includes(':')",
    );
    browser.picture("connections");

    end_the_newest(&mut browser, count);
    let mut newest = clients.pop().expect("the newest");
    assert!(newest.read(&mut [0; 1]).is_err(), "its client was reset");

    browser.press("/");
    for key in ["n", "o", "n", "e"] {
        browser.press(key);
    }
    let none = format!("document.getElementById('shown').textContent === '0 of {}'", count - 1);
    browser.until("the filter counts", &none);
    for view in ["servers", "rules", "log", "overview"] {
        browser.evaluate(&format!("document.getElementById('tab-{view}').click()"));
        browser.until("it is shown", &format!("!document.getElementById('{view}').hidden"));
    }
    browser.until("its server is shown", "document.getElementById('servers').textContent.includes('round trip') || (document.getElementById('tab-servers').click(), false)");
    browser.picture("servers");

    assert_eq!(browser.complaints(), Vec::<String>::new());
    let origin = format!("http://{}/", stage.address);
    let outside: Vec<_> =
        browser.requests().into_iter().filter(|url| !url.starts_with(&origin)).collect();
    assert_eq!(outside, Vec::<String>::new());
    assert_eq!(browser.evaluate("document.cookie"), "", "no script sees the cookie");

    nothing_from_elsewhere(&mut browser, &stage.address);
    assert_eq!(stage.get("/readyz").0, 200);
    clients.pop().expect("another").write_all(b"x").expect("it lives");
}

#[test]
#[ignore = "needs sshd, chromium"]
fn a_narrow_window_and_a_long_name_leave_the_other_words_whole() {
    let Some(mut browser) = Browser::start() else { return };
    let (sshd, holder) = (Sshd::start(), Holder::start());
    let long = format!("127.0.0.1:0:{}.example:80", ["a"; 4].map(|a| a.repeat(60)).join("."));
    let stage = Stage::start(&sshd, &["-L", &long]);
    let _client = Protocol::Socks5.open(stage.proxy.address(), "127.0.0.1", holder.port);
    browser.open(&stage.link);
    browser.until(
        "the name is there",
        "document.querySelector('#forwards').textContent.includes('aaa')",
    );
    for width in [1200, 360] {
        browser.make_wide(width);
        browser.until("it is so wide", &format!("innerWidth === {width}"));
        let broken = browser.evaluate(
            "[...document.querySelectorAll('#forwards :is(th, td)')].map((cell) => cell.firstChild)
            .filter((text) => !/ |aaa/.test(text.data) && (() => {
                const range = document.createRange();
                range.selectNodeContents(text);
                return range.getClientRects().length > 1;
            })()).map((text) => text.data)",
        );
        assert_eq!(broken, serde_json::json!([]), "{width}");
    }
    browser.press("2");
    browser.until(
        "a row is there",
        "document.querySelector('.grid-body .c-target').textContent.includes(':')",
    );
    let fits = "document.querySelector('.grid-body .c-target')";
    let fits =
        browser.evaluate(&format!("[{fits}.scrollWidth - {fits}.clientWidth, {fits}.textContent]"));
    assert_eq!(fits[0], 0, "{fits}");
    browser.press("5");
    browser.until(
        "its tab is in sight",
        "document.getElementById('tab-log').getBoundingClientRect().right <= innerWidth",
    );
}

/// Ends the newest connection, which stands first, by the keyboard alone.
fn end_the_newest(browser: &mut Browser, count: usize) {
    browser.evaluate("document.querySelector('.grid-body').focus()");
    browser.press("Home");
    browser.press("Delete");
    browser.until("it asks", "document.getElementById('confirm').open");
    assert_eq!(browser.evaluate("document.activeElement.value"), "no", "Enter ends nothing");
    browser.evaluate("document.querySelector('#confirm [value=yes]').click()");
    let fewer = format!("document.getElementById('shown').textContent === '{}'", count - 1);
    browser.until("it is gone", &fewer);
}

/// Checks that a page from elsewhere in the same browser can neither read nor end anything.
fn nothing_from_elsewhere(browser: &mut Browser, address: &str) {
    browser.open("data:text/html,elsewhere");
    browser.until("it is there", "location.protocol === 'data:'");
    let read = format!(
        "fetch('http://{address}/v1/status', {{credentials: 'include'}}).then(() => 'read', () => 'refused')"
    );
    assert_eq!(browser.evaluate(&read), "refused");
    let socket = format!(
        "new Promise(done => {{ const s = new WebSocket('ws://{address}/connections'); \
         s.onopen = () => done('open'); s.onerror = () => done('refused'); }})"
    );
    assert_eq!(browser.evaluate(&socket), "refused");
    let end = format!(
        "fetch('http://{address}/connections', {{method: 'POST', mode: 'no-cors', credentials: 'include', body: '{{}}'}}).then(() => 1, () => 1)"
    );
    browser.evaluate(&end);
}

#[test]
#[ignore = "needs sshd, curl"]
fn the_proxy_does_not_connect_to_the_dashboard() {
    let (sshd, port, remote) = (Sshd::start(), free_port(), free_port());
    let fixed = free_port();
    let wanted = "[dashboard]\naddress = \"127.0.0.1:0\"\n";
    let configuration = Configuration::with(&format!(
        "{wanted}[default]\naction = \"direct\"\n[[listen]]\naddress = \"127.0.0.1:{port}\"\n{}\
         [[forward]]\nname = \"back\"\nremote = \"{remote}\"\non = \"box\"\n",
        server("box", &sshd)
    ));
    let proxy = configuration.start();
    proxy.wait_for_log("connected to ");
    let (_, address) = place(&proxy);
    let dashboard: SocketAddr = address.parse().expect("an address");
    wait::until("the server listens", || TcpStream::connect(("127.0.0.1", remote)).is_ok());
    for door in [port, remote] {
        let door: SocketAddr = format!("127.0.0.1:{door}").parse().expect("an address");
        for host in ["127.0.0.1", "0.0.0.0", "localhost"] {
            let answer = Protocol::Socks5.ask(door, host, dashboard.port()).expect("an answer");
            assert!(matches!(answer, Answer::Refused(_)), "{host} by {door}: {answer:?}");
        }
    }
    // This applies even to a target that the user has named.
    let own = free_port();
    let mut command = program();
    command.arg("-F").arg(sshd.ssh_config()).arg(format!("--dashboard=127.0.0.1:{own}"));
    command.args(["-R", &format!("{fixed}:127.0.0.1:{own}")]).arg(HOST);
    let forwarding = Sockeye::spawn(command);
    forwarding.wait_for_log("listening on ");
    let mut stream = TcpStream::connect(("127.0.0.1", fixed)).expect("the server listens");
    stream.set_read_timeout(Some(wait::LONG)).expect("a socket");
    let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
#[ignore = "needs sshd, curl, promtool"]
fn prometheus_takes_the_metrics_and_the_alerts() {
    let Some(promtool) = skip::unless_made("SOCKEYE_PROMTOOL") else { return };
    let (sshd, holder) = (Sshd::start(), Holder::start());
    let stage = Stage::start(&sshd, &[]);
    let _client = Protocol::Socks5.open(stage.proxy.address(), "127.0.0.1", holder.port);
    let (status, metrics) = stage.get("/metrics");
    assert_eq!(status, 200);
    let promtool = |arguments: &[&str], input: &str| {
        let mut promtool = command(&promtool.to_string_lossy());
        promtool.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut promtool = promtool.stderr(Stdio::piped()).spawn().expect("promtool");
        let mut stdin = promtool.stdin.take().expect("a pipe");
        stdin.write_all(input.as_bytes()).expect("it reads");
        drop(stdin);
        let output = promtool.wait_with_output().expect("it ends");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    };
    let (good, said) = promtool(&["check", "metrics"], &older(&metrics));
    assert!(good, "{said}\n{metrics}");
    let alerts = Path::new(env!("CARGO_MANIFEST_DIR")).join(".packaging/prometheus/alerts.yml");
    let (good, said) = promtool(&["check", "rules", &alerts.to_string_lossy()], "");
    assert!(good, "{said}");
    // An alert on a missing metric would never fire.
    let rules = fs::read_to_string(&alerts).expect("the rules");
    let known: Vec<_> = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    for word in words.filter(|word| word.starts_with("sockeye_")) {
        let is_known = known.iter().filter_map(|line| line.split(' ').next()).any(|name| {
            word == name
                || ["_total", "_bucket"]
                    .map(|end| format!("{name}{end}"))
                    .contains(&word.to_owned())
        });
        assert!(is_known || word == "sockeye_config_last_reload_successful", "{word}");
    }
}

/// Converts to the older Prometheus format, the only one that `promtool check metrics` reads: there,
/// counters are declared with their full names.
fn older(metrics: &str) -> String {
    let counters: Vec<_> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let declared = |line: &str| {
        let mut words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        if words[0] == "#" && words.len() > 2 && counters.contains(&words[2].as_str()) {
            words[2].push_str("_total");
        }
        words.join(" ") + "\n"
    };
    metrics.lines().filter(|line| *line != "# EOF").map(declared).collect()
}

#[test]
#[ignore = "needs sshd, chromium, zashboard"]
fn another_dashboard_shows_the_same() {
    let Some(folder) = skip::unless_made("SOCKEYE_ZASHBOARD") else { return };
    let Some(mut browser) = Browser::start() else { return };
    let (sshd, holder) = (Sshd::start(), Holder::start());
    let stage = Stage::start(&sshd, &["--dashboard-files", &folder.to_string_lossy()]);
    let clients: Vec<_> = (0..3)
        .map(|_| Protocol::Socks5.open(stage.proxy.address(), "127.0.0.1", holder.port))
        .collect();
    browser.open(&stage.link);
    browser.until("it is let in", "document.getElementById('state').textContent === 'ready'");
    let (_, port) = stage.address.split_once(':').expect("a port");
    let origin = format!("http://{}/", stage.address);
    let setup = format!("hostname=127.0.0.1&port={port}&secret={}", stage.token);
    browser.open(&format!("{origin}ui/#/setup?{setup}"));
    browser.until(
        "it has left its setup",
        "location.hash.length > 2 && !location.hash.includes('setup')",
    );
    browser.evaluate("location.hash = '#/connections'");
    let shown = format!("document.body.innerText.includes('127.0.0.1:{}')", holder.port);
    browser.until("the connections are listed", &shown);
    browser.picture("zashboard");
    browser.evaluate("location.hash = '#/proxies'");
    browser.until("the server is listed", &format!("document.body.innerText.includes('{HOST}')"));
    browser.picture("zashboard-proxies");
    // The page looks for addresses and newer versions elsewhere, and its policy blocks all of that.
    let elsewhere = |url: &String| !url.starts_with(&origin);
    let answered: Vec<_> = browser.answered().into_iter().filter(elsewhere).collect();
    assert_eq!(answered, Vec::<String>::new());
    drop(clients);
}
