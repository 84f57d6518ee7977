//! A real headless Chromium, controlled through the `DevTools` protocol.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

use super::wait::{self, LONG};
use super::{command, skip};

/// A browser with one page and a profile of its own, and the complaints of that page. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    last: u64,
    told: Vec<Value>,
    /// The user's name and password for a proxy.
    login: Option<[String; 2]>,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser; if there is none, the test is skipped.
    #[track_caller]
    pub(crate) fn start() -> Option<Self> {
        Self::with(&[])
    }

    /// As [`Self::start`], with everything through the proxy at a URL, even to this machine, and with every
    /// certificate accepted.
    #[track_caller]
    pub(crate) fn through(proxy: &str) -> Option<Self> {
        let proxy = format!("--proxy-server={proxy}");
        Self::with(&[&proxy, "--proxy-bypass-list=<-loopback>", "--ignore-certificate-errors"])
    }

    #[track_caller]
    fn with(arguments: &[&str]) -> Option<Self> {
        if !skip::unless_found("chromium") {
            return None;
        }
        let profile = TempDir::with_prefix("sockeye-chromium-").expect("a temporary directory");
        let mut chromium = command("chromium");
        chromium
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-dev-shm-usage"])
            .arg("--remote-debugging-port=0")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(arguments)
            .arg("about:blank")
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = chromium.spawn().expect("chromium");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe"));
        let address = loop {
            let mut line = String::new();
            let read = lines.read_line(&mut line).expect("a pipe");
            assert!(read > 0, "chromium ended before it listened");
            if let Some(address) = line.trim().strip_prefix("DevTools listening on ws://") {
                break address.to_owned();
            }
        };
        // The rest must be drained, or the pipe fills up.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let (host, _) = address.split_once('/').expect("a path");
        let stream = TcpStream::connect(host).expect("it listens");
        stream.set_read_timeout(Some(LONG)).expect("a socket");
        let (socket, _) = client(format!("ws://{address}"), stream).expect("a WebSocket");
        let (last, told, session, login) = (0, Vec::new(), None, None);
        let mut browser = Self { child, socket, session, last, told, login, _profile: profile };
        let target = browser.say("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.say("Target.attachToTarget", &attach);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.say(&format!("{domain}.enable"), &json!({}));
        }
        Some(browser)
    }

    /// Navigates to a page.
    pub(crate) fn open(&mut self, url: &str) {
        let opened = self.say("Page.navigate", &json!({ "url": url }));
        assert_eq!(opened["errorText"], Value::Null, "{url}");
    }

    /// Gives the proxy a name and a password whenever it asks, as a user does in its dialogue.
    pub(crate) fn log_in(&mut self, user: &str, password: &str) {
        self.login = Some([user.to_owned(), password.to_owned()]);
        self.say("Fetch.enable", &json!({ "handleAuthRequests": true }));
    }

    /// Makes the window so wide, in pixels.
    pub(crate) fn make_wide(&mut self, width: u32) {
        let size =
            json!({ "width": width, "height": 700, "deviceScaleFactor": 1, "mobile": false });
        self.say("Emulation.setDeviceMetricsOverride", &size);
    }

    /// The value of an expression, after a promise that it may be.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let ask = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let said = self.say("Runtime.evaluate", &ask);
        assert_eq!(said["exceptionDetails"], Value::Null, "{expression}");
        said["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, expression: &str) {
        // The page may be changing at this moment.
        let expression =
            format!("(() => {{ try {{ return Boolean({expression}) }} catch {{}} }})()");
        wait::until(what, || self.evaluate(&expression) == true);
    }

    /// Presses a key.
    pub(crate) fn press(&mut self, key: &str) {
        let code = match key {
            "Enter" => 13,
            "Home" => 36,
            "Delete" => 46,
            "ArrowDown" => 40,
            _ => 0,
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": key, "windowsVirtualKeyCode": code });
            if key.len() == 1 {
                event["text"] = key.into();
            }
            self.say("Input.dispatchKeyEvent", &event);
        }
    }

    /// The complaints of the page: exceptions, console messages, and requests refused by its policy or
    /// its server.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let is_one = |told: &&Value| match told["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Runtime.consoleAPICalled") => true,
            Some("Log.entryAdded") => told["params"]["entry"]["level"] != "verbose",
            _ => false,
        };
        self.told.iter().filter(is_one).map(|told| told["params"].to_string()).collect()
    }

    /// The requested URLs, except for those that contain their content.
    pub(crate) fn requests(&self) -> Vec<String> {
        let sent = self.told.iter().filter(|told| {
            told["method"] == "Network.requestWillBeSent"
                || told["method"] == "Network.webSocketCreated"
        });
        let url = |told: &Value| {
            let params = &told["params"];
            params["request"]["url"].as_str().or(params["url"].as_str()).map(str::to_owned)
        };
        sent.filter_map(url)
            .filter(|url| !url.starts_with("data:") && !url.starts_with("blob:"))
            .collect()
    }

    /// The URLs that were answered.
    pub(crate) fn answered(&self) -> Vec<String> {
        let received = self.told.iter().filter(|told| told["method"] == "Network.responseReceived");
        let url = |told: &Value| told["params"]["response"]["url"].as_str().map(str::to_owned);
        received.filter_map(url).filter(|url| url.starts_with("http")).collect()
    }

    /// Saves a screenshot if `SOCKEYE_PICTURES` names a directory.
    pub(crate) fn picture(&mut self, name: &str) {
        let Some(directory) = std::env::var_os("SOCKEYE_PICTURES") else { return };
        let picture = self.say("Page.captureScreenshot", &json!({ "format": "png" }));
        let picture = STANDARD.decode(picture["data"].as_str().expect("a text")).expect("base64");
        fs::write(Path::new(&directory).join(format!("{name}.png")), picture).expect("a file");
    }

    fn say(&mut self, method: &str, params: &Value) -> Value {
        let id = self.send(method, params);
        loop {
            let told = self.socket.read().expect("an answer");
            let Message::Text(text) = told else { continue };
            let told: Value = serde_json::from_str(&text).expect("JSON");
            if told["id"] == id {
                assert_eq!(told["error"], Value::Null, "{method}");
                return told["result"].clone();
            }
            self.let_through(&told);
            self.told.push(told);
        }
    }

    /// Sends a command, and returns the number of its answer.
    fn send(&mut self, method: &str, params: &Value) -> u64 {
        self.last += 1;
        let mut said = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = &self.session {
            said["sessionId"] = session.as_str().into();
        }
        self.socket.send(Message::text(said.to_string())).expect("it listens");
        self.last
    }

    /// Continues a request that waits for its log-in: after [`Self::log_in`], each does.
    fn let_through(&mut self, told: &Value) {
        let id = &told["params"]["requestId"];
        match (told["method"].as_str(), &self.login) {
            (Some("Fetch.requestPaused"), _) => {
                self.send("Fetch.continueRequest", &json!({ "requestId": id }));
            }
            (Some("Fetch.authRequired"), Some([user, password])) => {
                assert_eq!(told["params"]["authChallenge"]["source"], "Proxy");
                let login = json!({
                    "response": "ProvideCredentials", "username": user, "password": password
                });
                let params = json!({ "requestId": id, "authChallengeResponse": login });
                self.send("Fetch.continueWithAuth", &params);
            }
            _ => {}
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
