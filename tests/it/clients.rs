//! Clients that people use, with a real `sshd`.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use crate::support::content::Content;
use crate::support::curl::Curl;
use crate::support::login::HOST;
use crate::support::program::Sockeye;
use crate::support::sshd::Sshd;
use crate::support::web::Web;
use crate::support::{command, scaled, wait};

#[test]
#[ignore = "needs sshd, curl"]
fn curl_fetches_in_every_protocol() {
    let (web, sshd) = (Web::start(), Sshd::start());
    let proxy = Sockeye::start(&sshd.ssh_config());
    let address = proxy.address();
    for scheme in ["socks5", "socks5h", "socks4", "socks4a", "http"] {
        let url = match scheme {
            // curl resolves the name itself, and may find ::1, where nothing listens.
            "socks5" | "socks4" => web.url("/bytes/100000"),
            _ => web.named_url("/bytes/100000"),
        };
        let fetched = Curl::through(&format!("{scheme}://{address}")).fetch(&url);
        assert_eq!(fetched.body(), Content::of(100_000).bytes(), "{scheme}");
    }
    let tunnel = Curl::through(&format!("http://{address}")).arguments(&["--proxytunnel"]);
    let fetched = tunnel.fetch(&web.named_url("/bytes/100000"));
    assert_eq!(fetched.body(), Content::of(100_000).bytes(), "CONNECT");
}

#[test]
#[ignore = "needs sshd, curl"]
fn curl_gives_a_password() {
    let (web, sshd) = (Web::start(), Sshd::start());
    let file = sshd.login().path("clients");
    fs::write(&file, "me:a password\n").expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
    let file = file.to_str().expect("UTF-8");
    let proxy = Sockeye::with(&sshd.ssh_config(), &["--proxy-auth", file]);
    for scheme in ["socks5h", "http"] {
        let ask = |user: &str| {
            let curl = Curl::through(&format!("{scheme}://{}", proxy.address()));
            curl.arguments(&["--proxy-user", user]).fetch(&web.named_url("/bytes/1000"))
        };
        assert_eq!(ask("me:a password").body(), Content::of(1000).bytes(), "{scheme}");
        assert_ne!(ask("me:another").code, 0, "{scheme}");
    }
}

/// `--http2` asks for an upgrade, which the proxy leaves to the web server to decline.
#[test]
#[ignore = "needs sshd, curl"]
fn curl_speaks_every_version_of_http() {
    let (web, sshd) = (Web::start(), Sshd::start());
    let proxy = Sockeye::start(&sshd.ssh_config());
    for version in ["--http1.0", "--http1.1", "--http2"] {
        for path in
            ["/bytes/1000", "/chunked/1000", "/closed/1000", "/bytes/1000?q=up{job=\"<a>|\"}"]
        {
            let curl = Curl::through(&format!("http://{}", proxy.address()));
            let fetched = curl.arguments(&[version, "--globoff"]).fetch(&web.named_url(path));
            let expected = if path.contains('?') { 0 } else { 1000 };
            assert_eq!(fetched.body(), Content::of(expected).bytes(), "{version} {path}");
        }
    }
}

#[test]
#[ignore = "needs sshd, curl"]
fn curl_finds_the_proxy_in_its_environment() {
    let (web, sshd) = (Web::start(), Sshd::start());
    let proxy = Sockeye::with(&sshd.ssh_config(), &["--sessions", "1", "-v"]);
    for (variable, scheme) in [("ALL_PROXY", "socks5h"), ("http_proxy", "http")] {
        let value = format!("{scheme}://{}", proxy.address());
        let fetched = Curl::new().variable(variable, &value).fetch(&web.named_url("/bytes/1000"));
        assert_eq!(fetched.body(), Content::of(1000).bytes(), "{variable}");
    }
    wait::until("one session at a time served both", || {
        sshd.log().matches("Accepted publickey").count() == 1 + proxy.replaced()
    });
}

#[test]
#[ignore = "needs sshd, curl"]
fn curl_connects_over_a_unix_socket() {
    let (web, sshd) = (Web::start(), Sshd::start());
    let directory = TempDir::new().expect("a directory");
    let socket = directory.path().join("proxy.sock");
    let socket = socket.to_str().expect("a path in UTF-8");
    let proxy = Sockeye::with(&sshd.ssh_config(), &["-D", socket]);
    let through = format!("socks5h://localhost{socket}");
    let fetched = Curl::through(&through).fetch(&web.named_url("/bytes/100000"));
    assert_eq!(fetched.body(), Content::of(100_000).bytes());
    assert!(proxy.log().contains(socket), "the listener is named");
}

#[test]
#[ignore = "needs sshd, curl"]
fn a_large_download_keeps_every_byte() {
    let (web, sshd) = (Web::start(), Sshd::start());
    let proxy = Sockeye::start(&sshd.ssh_config());
    let expected = Content::of(large()).sum();
    let path = format!("/bytes/{}", large());
    let curl = Curl::through(&format!("socks5h://{}", proxy.address()));
    assert_eq!(curl.download(&web.named_url(&path)), expected);

    let expected = Content::of(medium()).sum();
    for path in [format!("/chunked/{}", medium()), format!("/closed/{}", medium())] {
        let curl = Curl::through(&format!("http://{}", proxy.address()));
        assert_eq!(curl.download(&web.named_url(&path)), expected, "{path}");
    }
}

#[test]
#[ignore = "needs sshd, curl"]
fn a_large_upload_keeps_every_byte() {
    let (web, sshd) = (Web::start(), Sshd::start());
    let proxy = Sockeye::start(&sshd.ssh_config());
    let url = web.named_url("/sink");
    let sum = |length| {
        let sum = Content::of(length).sum();
        format!("{} {}", sum.length, sum.sha256)
    };
    let curl = Curl::through(&format!("socks5h://{}", proxy.address()));
    assert_eq!(curl.upload(large(), &url), sum(large()));
    let http = format!("http://{}", proxy.address());
    assert_eq!(Curl::through(&http).upload(medium(), &url), sum(medium()));
    assert_eq!(Curl::through(&http).upload_chunked(medium(), &url), sum(medium()));
}

#[test]
#[ignore = "needs sshd, git"]
fn git_clones_over_http() {
    let files = TempDir::new().expect("a directory");
    let commit = publish_repository(files.path());
    let (web, sshd) = (Web::with_files(files.path()), Sshd::start());
    let proxy = Sockeye::start(&sshd.ssh_config());
    for scheme in ["socks5h", "http"] {
        let clone = format!("clone-{scheme}");
        let through = format!("http.proxy={scheme}://{}", proxy.address());
        let url = web.named_url("/repo/published.git");
        git(files.path(), &["-c", &through, "clone", "-q", &url, &clone]);
        let head = git(&files.path().join(clone), &["rev-parse", "HEAD"]);
        assert_eq!(head, commit, "{scheme}");
    }
}

#[test]
#[ignore = "needs sshd, ssh, nc"]
fn ssh_goes_through_nc() {
    let sshd = Sshd::start();
    let proxy = Sockeye::start(&sshd.ssh_config());
    for version in ["5", "4", "connect"] {
        let through = format!("ProxyCommand=nc -X {version} -x {} %h %p", proxy.address());
        let output = command("ssh")
            .arg("-F")
            .arg(sshd.ssh_config())
            .args(["-o", &through, HOST, "echo over the tunnel"])
            .output()
            .expect("ssh");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.stdout, b"over the tunnel\n", "nc -X {version}: {complaint}");
    }
}

#[test]
#[ignore = "needs sshd, curl, proxychains4"]
fn proxychains_works() {
    let (web, sshd) = (Web::start(), Sshd::start());
    let proxy = Sockeye::start(&sshd.ssh_config());
    let directory = TempDir::new().expect("a directory");
    for kind in ["socks5", "socks4", "http"] {
        let config = directory.path().join(kind);
        fs::write(&config, chain(kind, proxy.address())).expect("a configuration");
        let output = command("proxychains4")
            .args(["-q", "-f"])
            .arg(&config)
            .args(["curl", "-q", "-sS", "--fail", "--max-time", "60", &web.url("/bytes/1000")])
            .output()
            .expect("proxychains4");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.stdout, Content::of(1000).bytes(), "{kind}: {complaint}");
    }
}

/// A `proxychains.conf` with a single proxy.
fn chain(kind: &str, proxy: SocketAddr) -> String {
    let (ip, port) = (proxy.ip(), proxy.port());
    format!("strict_chain\nproxy_dns\n[ProxyList]\n{kind} {ip} {port}\n")
}

/// Creates a repository that can be cloned from a static file server, and returns its commit.
fn publish_repository(directory: &Path) -> String {
    git(directory, &["init", "-q", "work"]);
    let work = directory.join("work");
    for number in 0..50_u64 {
        fs::write(work.join(format!("file-{number}")), Content::of(number * 100).bytes())
            .expect("a file");
    }
    git(&work, &["add", "."]);
    let author = ["-c", "user.name=Test", "-c", "user.email=test@localhost"];
    git(&work, &[&author[..], &["commit", "-q", "-m", "Everything"]].concat());
    git(directory, &["clone", "-q", "--bare", "work", "published.git"]);
    git(&directory.join("published.git"), &["update-server-info"]);
    git(&work, &["rev-parse", "HEAD"])
}

/// Runs git, and returns its output.
#[track_caller]
fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = command("git")
        .current_dir(directory)
        .env("HOME", directory)
        .args(arguments)
        .output()
        .expect("git");
    assert!(output.status.success(), "git: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// The length of a large transfer, in bytes.
fn large() -> u64 {
    scaled(256 << 20, 1 << 30)
}

/// The length of transfers that differ only in form, in bytes.
fn medium() -> u64 {
    scaled(32 << 20, 256 << 20)
}
