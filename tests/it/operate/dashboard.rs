//! `sockeye dashboard`, and a dashboard that a reload opens, moves and closes.

use std::fs;
use std::process::Command;

use rustix::process::getuid;
use tempfile::TempDir;

use super::desk::{Desk, echoes};
use crate::support::configured::{Configuration, server};
use crate::support::login::HOST;
use crate::support::socks::Protocol;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{command, free_port, wait};

/// Requests a page as a browser does; returns the status and the text.
fn browse(browser: &mut Command, url: &str) -> (u16, String) {
    browser.args(["-s", "-L", "-H", "Accept: text/html", "-w", "\n%{http_code}", url]);
    let output = browser.output().expect("it runs");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let (text, status) = said.rsplit_once('\n').expect("a status");
    (status.parse().expect("a number"), text.to_owned())
}

/// A browser, with these cookies.
fn curl(cookies: &TempDir) -> Command {
    let mut curl = command("curl");
    curl.arg("-b").arg(cookies.path().join("jar")).arg("-c").arg(cookies.path().join("jar"));
    curl
}

/// Whether this is the page itself, not the one for clients without access.
fn is_in((status, text): &(u16, String)) -> bool {
    *status == 200 && text.contains("dashboard.js")
}

#[test]
#[ignore = "needs sshd, curl, setpriv"]
fn a_link_admits_one_browser_once_and_no_other_user() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let without = desk.start(&sshd.ssh_config(), &[]);
    let refused = desk.say("dashboard").expect(1);
    assert!(refused.err.contains("--dashboard opens one"), "{}", refused.err);
    drop(without);
    let _proxy = desk.start(&sshd.ssh_config(), &["--dashboard=127.0.0.1:0"]);
    let link = || desk.say(&format!("dashboard {HOST}")).expect(0).out.trim_end().to_owned();
    let (first, second) = (link(), link());
    assert!(first.starts_with("http://127.0.0.1:") && first != second, "{first} {second}");
    let page = first.split('?').next().expect("an address").to_owned();
    let jars = [(); 2].map(|()| TempDir::new().expect("a folder"));
    assert!(is_in(&browse(&mut curl(&jars[0]), &first)));
    assert!(is_in(&browse(&mut curl(&jars[0]), &page)), "the cookie stays");
    assert!(!is_in(&browse(&mut curl(&jars[1]), &first)), "it was used");
    assert!(is_in(&browse(&mut curl(&jars[1]), &second)), "another one was not");

    let token = desk.say("dashboard --token").expect(0).out;
    let bearer = format!("Authorization: Bearer {}", token.trim_end());
    let status = format!("{page}v1/status");
    assert_eq!(browse(command("curl").args(["-H", &bearer]), &status).0, 200);
    if !getuid().is_root() {
        return;
    }
    // A browser sends the cookie to every server on this host, whoever runs it.
    let stranger = || {
        let mut other = command("setpriv");
        other.args(["--reuid=65534", "--clear-groups", "curl"]);
        other
    };
    let jar = fs::read_to_string(jars[0].path().join("jar")).expect("a jar");
    let cookie = jar.lines().find(|line| line.contains("sockeye-")).expect("a cookie");
    let mut words = cookie.split('\t').rev();
    let (value, name) = (words.next().expect("a value"), words.next().expect("a name"));
    let stolen = format!("Cookie: {name}={value}");
    assert_eq!(browse(command("curl").args(["-H", &stolen]), &status).0, 200);
    assert_ne!(browse(stranger().args(["-H", &stolen]), &status).1.get(..1), Some("{"));
    let third = link();
    assert!(!is_in(&browse(&mut stranger(), &third)), "a link that was seen");
    assert!(is_in(&browse(&mut curl(&jars[1]), &third)), "and it is still good");
    // A script may run as any user who was given the token, as Prometheus does.
    assert_eq!(browse(stranger().args(["-H", &bearer]), &status).0, 200);
}

#[test]
#[ignore = "needs sshd, curl"]
fn a_reload_opens_moves_and_closes_the_dashboard() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let (port, first, second) = (free_port(), free_port(), free_port());
    let rest = format!(
        "[default]\nvia = \"box\"\n[[listen]]\naddress = \"127.0.0.1:{port}\"\n{}",
        server("box", &sshd)
    );
    let at = |port: u16| format!("[dashboard]\naddress = \"127.0.0.1:{port}\"\n{rest}");
    let configuration = Configuration::with(&rest);
    let _proxy = desk.start_by(&configuration);
    let lives = |port: u16| {
        browse(&mut command("curl"), &format!("http://127.0.0.1:{port}/livez")).0 == 200
    };
    let reload = |text: &str| {
        configuration.write("config.toml", text);
        desk.say("reload")
    };
    desk.say("dashboard").expect(1);
    reload(&at(first)).expect(0);
    assert!(lives(first));
    let link = desk.say("dashboard").expect(0).out;
    assert!(link.contains(&format!(":{first}/?code=")), "{link}");

    reload(&at(second)).expect(0);
    assert!(lives(second) && !lives(first));
    // The address is the same, with other content.
    let folder = format!("files = \"{}\"\n", configuration.path("").display());
    let with = |files: &str| at(second).replacen(']', &format!("]\n{files}"), 1);
    reload(&with(&folder)).expect(0);
    assert!(lives(second));
    let refused = reload(&with("files = \"none\"\n")).expect(1);
    assert!(refused.err.contains("none"), "{}", refused.err);
    assert!(lives(second), "what was there stays");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
    let refused = reload(&at(taken.local_addr().expect("bound").port())).expect(1);
    assert!(refused.err.contains("cannot listen"), "{}", refused.err);
    assert!(lives(second), "what was there stays");
    reload(&rest).expect(0);
    assert!(!lives(second));
    desk.say("dashboard").expect(1);
}

#[test]
#[ignore = "needs sshd, curl"]
fn a_draining_program_leaves_its_dashboard_address_to_the_next() {
    let (desk, sshd, target) = (Desk::new(), Sshd::start(), Target::echo());
    let at = format!("--dashboard=127.0.0.1:{}", free_port());
    let first = desk.start(&sshd.ssh_config(), &[&at]);
    let mut held = Protocol::Socks5.open(first.address(), "127.0.0.1", target.port());
    assert!(echoes(&mut held));
    let token = desk.say("dashboard --token").expect(0).out;
    let (events, bearer) = (desk.directory.path().join("events"), token.trim_end());
    let mut watching = command("curl");
    watching.args(["-sN", "-H", &format!("Authorization: Bearer {bearer}"), "-o"]).arg(&events);
    let page = at.replace("--dashboard=", "http://");
    let mut watching = watching.arg(format!("{page}/v1/events")).spawn().expect("curl");
    let shown = |word: &str| {
        wait::until(word, || fs::read_to_string(&events).is_ok_and(|text| text.contains(word)));
    };
    shown("\"ready\"");
    desk.say("stop").expect(0);
    let second = desk.start(&sshd.ssh_config(), &[&at]);
    assert!(second.log().contains("dashboard at "), "{}", second.log());
    assert!(echoes(&mut held), "the first one still drains");
    shown("\"draining\"");
    drop(held);
    watching.wait().expect("it ends with the first one");
}
