//! `cargo bench --bench versus`: this program, `ssh -D` and each other peer found, side by side, on
//! one machine, through one `sshd`, to one target.
//!
//! ```text
//! client ──► peer ──(link)──► sshd ──► target      a measure is one kind of load on this road
//! ```
//!
//! `bed` is what all peers share, `peer` who they are, `instance` one that runs, `measure` what is
//! done with it, `rounds` the order of it, `results` the figures and `report` what is shown of them.
//! Run by `cargo test --benches` it does everything once and briefly, to see that it works.

#![allow(clippy::disallowed_methods, reason = "what is started ends with the measurement")]
#![expect(clippy::cast_precision_loss, reason = "figures are shown with three digits")]

mod args;
mod bed;
mod check;
mod client;
mod database;
mod effort;
mod instance;
mod line;
mod link;
mod machine;
mod measure;
mod peer;
mod process;
mod report;
mod results;
mod rounds;
mod sshd;
mod stats;
mod target;

use std::env;
use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::Args;
use crate::bed::Bed;
use crate::database::Database;
use crate::effort::Effort;
use crate::measure::Measure;
use crate::peer::{BASE, Peer};
use crate::report::Setting;
use crate::results::Results;
use crate::rounds::Rounds;
use crate::sshd::Sshd;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    // As a test it gets the arguments of the test harness, which mean nothing here.
    let as_test = !env::args().any(|argument| argument == "--bench");
    let (args, effort) = if as_test {
        (Args::parse_from(AS_TEST), Effort::Smoke)
    } else {
        // Cargo hands its own `--bench` on.
        let args = Args::parse_from(env::args().filter(|argument| argument != "--bench"));
        let effort = if args.quick { Effort::Quick } else { Effort::Full };
        (args, effort)
    };
    // Whatever ends this, everything that was started is dropped, and so ended, before we are.
    let outcome = tokio::select! {
        outcome = run(&args, effort) => outcome,
        outcome = interrupted() => outcome,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("versus: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args, effort: Effort) -> Result<()> {
    let mut measures = measure::all();
    measures.retain(|measure| args.wants_measure(&measure.name));
    let databases = databases(&mut measures);
    if args.list || measures.is_empty() {
        let all = if measures.is_empty() { measure::all() } else { measures };
        let names: Vec<&str> = all.iter().map(|measure| measure.name.as_str()).collect();
        return print(&(names.join("\n") + "\n"));
    }
    let Some(sshd) = Sshd::find() else {
        return print("versus: nothing measured: there is no sshd (Debian: openssh-server)\n");
    };
    let peers = peer::find(args);
    ensure!(peers.iter().any(|peer| peer.name == BASE), "there is nothing to compare with");
    raise_descriptor_limit()?;
    check::instruments().await.context("the instruments are not right")?;
    let speed = check::link_speed(effort.timing(bed::Way::Near).span / 2).await?;
    let bed = Bed::start(&sshd, &databases).await?;
    let rounds = if effort == Effort::Full { args.rounds } else { 1 };
    let setting = setting(&bed, &peers, effort, rounds, speed);
    let results = Rounds::new(&bed, peers, measures, effort).run(rounds).await;
    print(&report::text(&results, &setting))?;
    match effort {
        Effort::Smoke => judge(&results),
        Effort::Full | Effort::Quick => {
            let dir = report::write(&results, &setting)?;
            if args.document {
                let written = report::document::write(&results, &setting)?;
                let which = if written.is_empty() { "none".into() } else { written.join(", ") };
                print(&format!("tables written anew: {which}\n"))?;
            }
            print(&format!("written to {}\n", dir.display()))
        }
    }
}

/// The databases that the measures want and that are here; measures of the others are taken out.
fn databases(measures: &mut Vec<Measure>) -> Vec<Database> {
    let mut databases: Vec<Database> = Vec::new();
    measures.retain(|measure| {
        let Some(database) = measure.database() else { return true };
        let is_installed = database.is_installed();
        if !is_installed {
            eprintln!("versus: without {}: {database:?} is not installed", measure.name);
        } else if !databases.contains(&database) {
            databases.push(database);
        }
        is_installed
    });
    databases
}

/// As a test: everything must have worked with `ssh -D`.
fn judge(results: &Results) -> Result<()> {
    let start = format!("{BASE}, ");
    match results.notes.iter().find(|note| note.starts_with(&start)) {
        None => Ok(()),
        Some(note) => bail!("{note}"),
    }
}

fn setting(bed: &Bed, peers: &[Peer], effort: Effort, rounds: u16, link_speed: f64) -> Setting {
    let mut versions: Vec<String> = Vec::new();
    for peer in peers {
        if !versions.contains(&peer.version) {
            versions.push(peer.version.clone());
        }
    }
    let machine = format!(
        "Machine: {}. Versions: {}; the server is {}.",
        machine::description(),
        versions.join(", "),
        bed.sshd().version(),
    );
    let caution = if effort == Effort::Full { "" } else { " A short run: not a result." };
    let method = format!(
        "Everything on loopback; medians of {rounds} interleaved rounds; ratios are medians of the \
         rounds' ratios. The link carries {link_speed:.0} MB/s when it adds no delay.{caution}"
    );
    Setting { machine, method }
}

/// A thousand idle connections are five thousand descriptors, here and in `sshd`.
fn raise_descriptor_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(8192, |maximum| maximum.min(8192));
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).context("raise the limit of open files")?;
    }
    Ok(())
}

/// Comes back, with an error, when the user or the system asks for the end.
async fn interrupted() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        pressed = tokio::signal::ctrl_c() => pressed?,
    }
    bail!("interrupted");
}

fn print(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("write to standard output")
}

/// Enough to go through every kind of measure once, in a few seconds.
const AS_TEST: [&str; 5] = [
    "versus",
    "--peers=sockeye",
    "--only=16 at a time,eight downloads,eight uploads,lte: one upload",
    "--only=ping under,nobody reads",
    "--only=idle,first byte,cut to,redis,pgbench",
];
