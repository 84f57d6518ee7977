//! Package managers with a real `sshd`, each with a static registry of the test's own, addressed by a
//! name that only the far side resolves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::command;
use crate::support::content::{Content, Sum};
use crate::support::program::Sockeye;
use crate::support::sshd::Sshd;
use crate::support::web::Web;

/// A registry behind the proxy, and a home directory for its client.
struct Registry {
    files: TempDir,
    home: TempDir,
    web: Web,
    _sshd: Sshd,
    proxy: Sockeye,
}

impl Registry {
    fn start() -> Self {
        let (files, home) = (directory(), directory());
        let (web, sshd) = (Web::with_files(files.path()), Sshd::start());
        let proxy = Sockeye::start(&sshd.ssh_config());
        Self { files, home, web, _sshd: sshd, proxy }
    }

    fn url(&self, path: &str) -> String {
        self.web.named_url(&format!("/repo/{path}"))
    }

    fn proxy(&self) -> String {
        format!("http://{}", self.proxy.address())
    }

    /// Writes a file of the registry.
    fn publish(&self, path: &str, bytes: impl AsRef<[u8]>) {
        write(self.files.path(), path, bytes);
    }

    /// Packs directories of the registry into an archive there, and returns its SHA-256.
    fn pack(&self, archive: &str, directory: &str) -> String {
        let mut tar = command("tar");
        run(tar.current_dir(self.files.path()).args(["-czf", archive, directory]));
        let bytes = fs::read(self.files.path().join(archive)).expect("packed");
        Sum::of(&bytes[..]).expect("in memory").sha256
    }

    /// A command of the client, run in its home.
    fn client(&self, program: &str) -> Command {
        let mut client = command(program);
        client.env("HOME", self.home.path()).current_dir(self.home.path());
        client
    }

    fn at_home(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    /// Checks that the proxy was used, and nothing bypassed it.
    fn assert_used(&self) {
        assert!(self.web.requests() > 0, "nothing was fetched");
    }
}

#[test]
#[ignore = "needs sshd, wget"]
fn wget_fetches() {
    let registry = Registry::start();
    let url = registry.web.named_url("/bytes/100000");
    let mut wget = registry.client("wget");
    run(wget.env("http_proxy", registry.proxy()).args(["-q", "-O", "got", &url]));
    assert_eq!(fs::read(registry.at_home("got")).expect("a file"), Content::of(100_000).bytes());
    registry.assert_used();
}

#[test]
#[ignore = "needs sshd, python3 with pip"]
fn pip_downloads() {
    let registry = Registry::start();
    let wheel = "testpackage-1.0-py3-none-any.whl";
    let mut python = registry.client("python3");
    run(python.args(["-c", WHEEL, wheel]));
    let bytes = fs::read(registry.at_home(wheel)).expect("built");
    registry.publish(&format!("simple/testpackage/{wheel}"), &bytes);
    let index = format!("<!DOCTYPE html><a href=\"{wheel}\">{wheel}</a>");
    registry.publish("simple/testpackage/index.html", index);
    let mut pip = registry.client("python3");
    pip.args(["-m", "pip", "-q", "download", "--isolated", "--disable-pip-version-check"]);
    pip.args(["--no-deps", "--trusted-host", "localhost", "--dest", "got"]);
    pip.args(["--proxy", &registry.proxy(), "--index-url", &registry.url("simple/")]);
    run(pip.arg("testpackage"));
    assert_eq!(fs::read(registry.at_home("got").join(wheel)).expect("a wheel"), bytes);
    registry.assert_used();
}

#[test]
#[ignore = "needs sshd, npm"]
fn npm_packs() {
    let registry = Registry::start();
    registry.publish("package/package.json", r#"{"name": "testpackage", "version": "1.0.0"}"#);
    registry.pack("testpackage-1.0.0.tgz", "package");
    let tarball = registry.url("testpackage-1.0.0.tgz");
    let manifest = format!(
        r#"{{"name": "testpackage", "dist-tags": {{"latest": "1.0.0"}}, "versions": {{"1.0.0":
        {{"name": "testpackage", "version": "1.0.0", "dist": {{"tarball": "{tarball}"}}}}}}}}"#
    );
    registry.publish("testpackage", manifest);
    let mut npm = registry.client("npm");
    npm.args(["pack", "--silent", "--proxy", &registry.proxy(), "--noproxy", "", "--no-audit"]);
    run(npm.args(["--registry", &registry.url(""), "testpackage"]));
    let packed = fs::read(registry.at_home("testpackage-1.0.0.tgz")).expect("a tarball");
    assert!(packed.starts_with(b"\x1f\x8b"), "a tarball");
    registry.assert_used();
}

#[test]
#[ignore = "needs sshd, cargo"]
fn cargo_fetches() {
    let registry = Registry::start();
    let manifest = "[package]\nname = \"testcrate\"\nversion = \"1.0.0\"\nedition = \"2024\"\n";
    registry.publish("testcrate-1.0.0/Cargo.toml", manifest);
    registry.publish("testcrate-1.0.0/src/lib.rs", "");
    let sum = registry.pack("testcrate-1.0.0.crate", "testcrate-1.0.0");
    let download = registry.url("{crate}-{version}.crate");
    registry.publish("index/config.json", format!(r#"{{"dl": "{download}"}}"#));
    let entry =
        r#"{"name": "testcrate", "vers": "1.0.0", "deps": [], "features": {}, "yanked": false"#;
    registry.publish("index/te/st/testcrate", format!("{entry}, \"cksum\": \"{sum}\"}}\n"));
    let manifest = "[package]\nname = \"a\"\nversion = \"1.0.0\"\nedition = \"2024\"\n\
                    [dependencies]\ntestcrate = { version = \"1\", registry = \"test\" }\n";
    write(registry.home.path(), "Cargo.toml", manifest);
    write(registry.home.path(), "src/lib.rs", "");
    let (index, proxy) = (registry.url("index/"), registry.proxy());
    let config =
        format!("[registries.test]\nindex = \"sparse+{index}\"\n[http]\nproxy = \"{proxy}\"\n");
    write(registry.home.path(), ".cargo/config.toml", config);
    let tool = PathBuf::from(std::env::var_os("CARGO").expect("cargo runs the tests"));
    let mut cargo = registry.client(&tool.to_string_lossy());
    // It looks for its compiler in its own directory.
    cargo.env("PATH", tool.parent().expect("a directory"));
    run(cargo.env("CARGO_HOME", registry.at_home("cargo")).args(["fetch", "-q"]));
    let lock = fs::read_to_string(registry.at_home("Cargo.lock")).expect("a lock file");
    assert!(lock.contains(&sum), "{lock}");
    registry.assert_used();
}

#[test]
#[ignore = "needs sshd, apt-get"]
fn apt_updates() {
    let registry = Registry::start();
    let packages =
        "Package: testpackage\nVersion: 1.0\nArchitecture: all\nFilename: ./x.deb\nSize: 1\n";
    registry.publish("debian/Packages", packages);
    let sum = Sum::of(packages.as_bytes()).expect("in memory").sha256;
    let release = format!(
        "Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {sum} {} Packages\n",
        packages.len()
    );
    registry.publish("debian/Release", release);
    let source = format!("deb [trusted=yes] {} ./\n", registry.url("debian"));
    write(registry.home.path(), "sources.list", source);
    fs::create_dir_all(registry.at_home("lists/partial")).expect("a directory");
    let home = registry.home.path().display();
    let mut apt = registry.client("apt-get");
    for option in [
        format!("Dir::Etc::sourcelist={home}/sources.list"),
        "Dir::Etc::sourceparts=/dev/null".to_owned(),
        format!("Dir::State::lists={home}/lists"),
        format!("Dir::Cache={home}/cache"),
        format!("Acquire::http::Proxy={}", registry.proxy()),
        "Acquire::Languages=none".to_owned(),
        "Acquire::GzipIndexes=false".to_owned(),
        "APT::Sandbox::User=".to_owned(),
        "APT::Update::Error-Mode=any".to_owned(),
    ] {
        apt.args(["-o", &option]);
    }
    run(apt.args(["-q", "update"]));
    let lists = fs::read_dir(registry.at_home("lists")).expect("a directory");
    let lists = lists.map(|entry| entry.expect("an entry").path());
    let fetched = lists.filter(|path| path.to_string_lossy().ends_with("_Packages"));
    let fetched: Vec<_> = fetched.map(|path| fs::read_to_string(path).expect("a list")).collect();
    assert_eq!(fetched, [packages]);
    registry.assert_used();
}

fn directory() -> TempDir {
    TempDir::new().expect("a directory")
}

fn write(directory: &Path, path: &str, bytes: impl AsRef<[u8]>) {
    let path = directory.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs::write(path, bytes).expect("room");
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().expect("the program");
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&told));
}

/// A Python script that writes a minimal wheel.
const WHEEL: &str = "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    wheel.writestr('testpackage.py', 'x = 1')
    info = 'testpackage-1.0.dist-info/'
    wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: testpackage\\nVersion: 1.0\\n')
    tag = 'Root-Is-Purelib: true\\nTag: py3-none-any\\n'
    wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\n' + tag)
    wheel.writestr(info + 'RECORD', '')
";
