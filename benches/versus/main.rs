//! `cargo bench --bench versus`: compares this program, `ssh -D` and each other peer found, on one
//! machine, through one `sshd`, to one target.
//!
//! ```text
//! client ──► peer ──(link)──► sshd ──► target      a measure is one kind of load on this road
//! ```
//!
//! With `--packets` the link is a pair of TUN devices, one of them in a network namespace with `sshd` and
//! the target (`wire`): real TCP meets the queues. Otherwise the link relays TCP streams (`link`), loses
//! nothing, and needs no privileges.
//!
//! `bed` is what all peers share, `peer` lists them, `instance` is a running one, `measure` applies
//! a load, `rounds` sets the order, `results` holds the figures, and `report` presents them. Run by
//! `cargo test --benches`, it does everything once and briefly, as a smoke test.

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
mod namespace;
mod peer;
mod process;
mod queue;
mod report;
mod results;
mod rounds;
mod sshd;
mod stats;
mod target;
mod wire;

use std::env;
use std::fs::File;
use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::Args;
use crate::bed::{Bed, Carried, Way};
use crate::database::Database;
use crate::effort::Effort;
use crate::measure::Measure;
use crate::namespace::Namespace;
use crate::peer::{BASE, Peer};
use crate::report::Setting;
use crate::results::Results;
use crate::rounds::Rounds;
use crate::sshd::Sshd;

fn main() -> ExitCode {
    // As a test it gets the arguments of the test harness, which have no meaning here.
    let as_test = !env::args().any(|argument| argument == "--bench");
    let outcome = if as_test { smoke() } else { bench() };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("versus: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does everything once and briefly, including packets if possible.
fn smoke() -> Result<()> {
    block_on(&Args::parse_from(AS_TEST), Effort::Smoke, &Carried::Streams)?;
    match split() {
        Ok(packets) => block_on(&Args::parse_from(AS_TEST_OF_PACKETS), Effort::Smoke, &packets),
        Err(error) => print(&format!("versus: without --packets: {error:#}\n")),
    }
}

/// Runs what the command line asks for.
fn bench() -> Result<()> {
    // Cargo passes its own `--bench` on.
    let args = Args::parse_from(env::args().filter(|argument| argument != "--bench"));
    let effort = if args.quick { Effort::Quick } else { Effort::Full };
    let carried = if args.packets && !args.list {
        split().unwrap_or_else(|error| {
            let text = format!("--packets needs root and {TUN}: {error:#}");
            Args::command().error(ErrorKind::Io, text).exit()
        })
    } else {
        Carried::Streams
    };
    block_on(&args, effort, &carried)
}

/// Moves this process into a network namespace of its own, and creates another for the servers. Running
/// threads stay behind, so it precedes their start.
fn split() -> Result<Carried> {
    File::options().read(true).write(true).open(TUN).with_context(|| format!("open {TUN}"))?;
    namespace::enter_new()?;
    Ok(Carried::Packets(Namespace::new()?))
}

#[tokio::main(worker_threads = 2)]
async fn block_on(args: &Args, effort: Effort, carried: &Carried) -> Result<()> {
    // However this ends, everything that was started is dropped, and thereby stopped, before the process exits.
    tokio::select! {
        outcome = run(args, effort, carried) => outcome,
        outcome = interrupted() => outcome,
    }
}

async fn run(args: &Args, effort: Effort, carried: &Carried) -> Result<()> {
    let mut measures = measure::all();
    measures.retain(|measure| {
        let has_line = matches!(measure.availability(), Some(Way::Over(_)));
        args.wants_measure(&measure.name) && (has_line || !args.packets)
    });
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
    let speed = check::link_speed(effort.timing(Way::Near).span / 2).await?;
    let bed = Bed::start(&sshd, &databases, carried)?;
    if let Carried::Packets(_) = carried {
        check::wires(&bed).await.context("the lines are not right")?;
    }
    let rounds = if effort == Effort::Full { args.rounds } else { 1 };
    let results = Rounds::new(&bed, peers, measures, effort).run(rounds).await;
    let road = match carried {
        Carried::Streams => {
            format!("The link carries {speed:.0} MB/s when it adds no delay.")
        }
        Carried::Packets(far) => packets(&bed, far)?,
    };
    let setting = setting(&bed, &results.peers, effort, rounds, &road);
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

/// The databases that the measures need and that are installed; measures that need another are removed.
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

/// The verdict as a test: everything must have worked with `ssh -D`.
fn judge(results: &Results) -> Result<()> {
    let start = format!("{BASE}, ");
    match results.notes.iter().find(|note| note.starts_with(&start)) {
        None => Ok(()),
        Some(note) => bail!("{note}"),
    }
}

fn setting(bed: &Bed, peers: &[Peer], effort: Effort, rounds: u16, road: &str) -> Setting {
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
        "Everything on one machine; medians of {rounds} interleaved rounds; ratios are medians of the \
         rounds' ratios. {road}{caution}"
    );
    Setting { machine, method }
}

/// The congestion control, and the packet loss.
fn packets(bed: &Bed, far: &Namespace) -> Result<String> {
    let here = namespace::congestion_control()?;
    let there = far.inside(namespace::congestion_control)?;
    let control = if here == there { here } else { format!("{here} up, {there} down") };
    let losses = bed.losses().join(", ");
    Ok(format!("The lines carry packets, with {control}; packets lost, of all peers: {losses}."))
}

/// A thousand idle connections need five thousand descriptors, here and in `sshd`.
fn raise_descriptor_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(8192, |maximum| maximum.min(8192));
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).context("raise the limit of open files")?;
    }
    Ok(())
}

/// Completes, with an error, on an interrupt from the user or the system.
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

/// The device from which TUN devices are created.
const TUN: &str = "/dev/net/tun";
/// A selection with one measure of each kind, for a few seconds.
const AS_TEST: [&str; 5] = [
    "versus",
    "--peers=sockeye",
    "--only=16 at a time,eight downloads,eight uploads,lte: one upload",
    "--only=ping under,nobody reads",
    "--only=idle,first byte,cut to,redis,pgbench",
];
/// The same with packets, and `ssh -D` alone.
const AS_TEST_OF_PACKETS: [&str; 4] =
    ["versus", "--packets", "--peers=ssh -D", "--only==fibre: one upload"];
