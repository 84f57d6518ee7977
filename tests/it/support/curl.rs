//! `curl`, the most common client.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread;

use super::command;
use super::content::{Content, Sum};

/// A `curl` that reports errors, has a time limit, and knows no other proxy.
#[derive(Debug)]
pub(crate) struct Curl(Command);

/// The outcome of a run.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// Its exit status; 0 is success.
    pub(crate) code: i32,
    pub(crate) body: Vec<u8>,
    pub(crate) complaint: String,
}

impl Curl {
    /// Uses a proxy, in the syntax of `--proxy`.
    pub(crate) fn through(proxy: &str) -> Self {
        Self::new().arguments(&["--proxy", proxy])
    }

    /// Uses no proxy yet.
    pub(crate) fn new() -> Self {
        let mut curl = command("curl");
        curl.args(["-q", "-sS", "--fail", "--max-time", "300", "--noproxy", ""]);
        Self(curl)
    }

    /// Adds arguments.
    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.0.args(arguments);
        self
    }

    /// Sets an environment variable.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Fetches.
    pub(crate) fn fetch(mut self, url: &str) -> Fetched {
        let output = self.0.arg(url).output().expect("curl");
        Fetched {
            code: output.status.code().unwrap_or(-1),
            body: output.stdout,
            complaint: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fetches, and computes a checksum of the content without keeping it.
    #[track_caller]
    pub(crate) fn download(self, url: &str) -> Sum {
        let mut curl = self.start(url);
        let sum = Sum::of(curl.stdout.take().expect("a pipe")).expect("a pipe");
        assert!(curl.wait().expect("curl").success(), "curl failed after {} bytes", sum.length);
        sum
    }

    /// Sends `length` bytes of [`Content`] by PUT, with a Content-Length, and returns the answer.
    #[track_caller]
    pub(crate) fn upload(self, length: u64, url: &str) -> String {
        let length_field = format!("Content-Length: {length}");
        // An empty Transfer-Encoding disables the chunks that curl uses for a pipe.
        self.arguments(&["-T", "-", "-H", &length_field, "-H", "Transfer-Encoding:"])
            .send(length, url)
    }

    /// Sends `length` bytes in chunks.
    #[track_caller]
    pub(crate) fn upload_chunked(self, length: u64, url: &str) -> String {
        self.arguments(&["-T", "-"]).send(length, url)
    }

    /// Starts a fetch whose body the caller reads.
    pub(crate) fn start(mut self, url: &str) -> Child {
        let (stdin, stdout) = (Stdio::piped(), Stdio::piped());
        self.0.arg(url).stdin(stdin).stdout(stdout).stderr(Stdio::null()).spawn().expect("curl")
    }

    fn send(self, length: u64, url: &str) -> String {
        let mut curl = self.start(url);
        let mut stdin = curl.stdin.take().expect("a pipe");
        let sending = thread::spawn(move || {
            std::io::copy(&mut Content::of(length), &mut stdin).and_then(|_| stdin.flush())
        });
        let mut answer = String::new();
        curl.stdout.take().expect("a pipe").read_to_string(&mut answer).expect("text");
        sending.join().expect("no panic").expect("curl reads all of it");
        assert!(curl.wait().expect("curl").success(), "curl failed");
        answer
    }
}

impl Fetched {
    /// The body, if curl succeeded.
    #[track_caller]
    pub(crate) fn body(self) -> Vec<u8> {
        assert_eq!(self.code, 0, "curl: {}", self.complaint);
        self.body
    }
}
