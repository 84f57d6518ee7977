//! Tests that this machine cannot run are skipped, and named.

use std::fs::File;
use std::io::Write as _;
use std::net::ToSocketAddrs as _;
use std::panic::Location;
use std::thread;

/// Whether this process is root. If not, the calling test counts as skipped: it is named on standard
/// error and in the file of `SOCKEYE_SKIPPED`, and fails if `CI=true`.
#[track_caller]
pub(crate) fn unless_root(why: &str) -> bool {
    let is_root = rustix::process::getuid().is_root();
    if !is_root {
        skip(why, Location::caller());
    }
    is_root
}

/// Whether this program exists. If not, the test counts as skipped, as in [`unless_root`].
#[track_caller]
pub(crate) fn unless_found(program: &str) -> bool {
    let found = super::command("sh").args(["-c", "command -v \"$0\" >/dev/null", program]).status();
    let is_found = found.is_ok_and(|status| status.success());
    if !is_found {
        skip(&format!("there is no {program}"), Location::caller());
    }
    is_found
}

/// The name of this machine, if it has an address. If not, the test counts as skipped, as in
/// [`unless_root`].
#[track_caller]
pub(crate) fn unless_named() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let is_found = (name.as_str(), 0).to_socket_addrs().is_ok();
    if !is_found {
        skip(&format!("{name} has no address"), Location::caller());
    }
    is_found.then_some(name)
}

/// The path in a variable that `tests/run.sh` sets. If it does not exist, the test counts as skipped.
#[track_caller]
pub(crate) fn unless_made(variable: &str) -> Option<std::path::PathBuf> {
    let made = std::env::var_os(variable).map(std::path::PathBuf::from);
    let made = made.filter(|path| path.exists());
    if made.is_none() {
        skip(&format!("{variable} names nothing"), Location::caller());
    }
    made
}

fn skip(why: &str, place: &Location<'_>) {
    let thread = thread::current();
    // A runner with one process per test passes the name in this variable.
    let told = std::env::var("NEXTEST_TEST_NAME").ok();
    let test = told.as_deref().or(thread.name()).unwrap_or("a test");
    let line = format!("SKIPPED: {test} ({}:{}): {why}\n", place.file(), place.line());
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "not in CI: {line}");
    // Written directly, because the runner captures the output of macros while a test passes.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(list) = std::env::var_os("SOCKEYE_SKIPPED") {
        let list = File::options().append(true).create(true).open(list);
        list.and_then(|mut list| list.write_all(line.as_bytes()))
            .expect("the list of skipped tests");
    }
}
