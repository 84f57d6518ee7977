//! The manual pages, rendered by `man`.

use std::process::{Command, Stdio};

use sockeye::guide::TOPICS;
use tempfile::TempDir;

use crate::support::program::program;

/// The output of a command, which must give no warnings.
fn silently(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    let warnings = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && warnings.is_empty(), "{command:?}: {warnings}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
#[ignore = "needs man: tests/run.sh"]
fn all_pages_are_shown_without_a_warning() {
    let directory = TempDir::new().expect("a directory");
    silently(program().args(["man", "--directory"]).arg(directory.path()));
    let entries = directory.path().read_dir().expect("readable");
    let mut pages: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    pages.sort();
    let shown = silently(
        Command::new("man").args(["--warnings", "-l"]).args(&pages).env("LC_ALL", "C.UTF-8"),
    );
    assert!(shown.contains("SOCKS4"), "{shown}");
}

#[test]
#[ignore = "needs man: tests/run.sh"]
fn each_key_of_the_configuration_is_in_the_manual() {
    let directory = TempDir::new().expect("a directory");
    silently(program().args(["man", "--directory"]).arg(directory.path()));
    let page = directory.path().join("sockeye.toml.5");
    let mut man = Command::new("man");
    let shown = silently(man.arg("-l").arg(page).env("LC_ALL", "C.UTF-8").env("MANWIDTH", "1000"));
    let guide = TOPICS.iter().find(|topic| topic.name == "configuration").expect("a page");
    let keys = guide.text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let mut count = 0;
    for (key, _) in keys {
        let is_entry = |line: &str| line.trim_start().starts_with(key);
        assert!(shown.lines().any(is_entry), "{key} is not in {shown}");
        count += 1;
    }
    assert!(count > 40, "{count} keys");
    for part in ["[[listen]]", "[server.NAME]", "    address = \"127.0.0.1:1080\"", "FILES"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
}
