//! `--version`: the versions that a bug report needs.

use std::process::{Command, Stdio};

use crate::printable::{Lines, printable};

/// The text of `--version`: this program, its SSH and I/O libraries, the `ssh` that reads the configuration, and
/// the system.
pub(super) fn report() -> String {
    format!(
        "sockeye {}\nrussh {RUSSH}\ntokio {TOKIO}\nssh: {}\nsystem: {} {}\n",
        env!("CARGO_PKG_VERSION"),
        printable(&ssh(), 100, Lines::One),
        std::env::consts::OS,
        std::env::consts::ARCH,
    )
}

/// The first line of `ssh -V`.
fn ssh() -> String {
    // `ssh -V` reads no configuration, and writes one line to standard error.
    let output = Command::new("ssh").arg("-V").stdin(Stdio::null()).stdout(Stdio::null()).output();
    match output {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            text.lines().next().unwrap_or("no version").to_owned()
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "not found".into(),
        Err(error) => format!("cannot be run: {error}"),
    }
}

/// The version of russh in Cargo.lock.
const RUSSH: &str = "0.65.1";
/// The version of tokio in Cargo.lock.
const TOKIO: &str = "1.54.1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_are_those_of_the_lock_file() {
        let lock = include_str!("../../Cargo.lock");
        for (name, version) in [("russh", RUSSH), ("tokio", TOKIO)] {
            let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
            assert!(lock.contains(&entry), "{name} {version} is not in Cargo.lock");
        }
    }

    #[test]
    fn a_report_has_a_line_for_each() {
        let report = report();
        let words: Vec<_> =
            report.lines().map(|line| line.split([' ', ':']).next().unwrap_or_default()).collect();
        assert_eq!(words, ["sockeye", "russh", "tokio", "ssh", "system"]);
    }
}
