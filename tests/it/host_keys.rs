//! Host keys: this program and `ssh` come to the same verdict in each case, with the same server
//! and the same files.

mod cases;
mod learning;
mod stage;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::support::scaled;
use crate::support::verdict::{Naysayer, Verdict};

use cases::{Case, OursWhere};
use stage::{Files, Stage};

/// Each case with each `StrictHostKeyChecking` against this program, and against `ssh` with one of them in turn, or
/// with all of them on a full run. Cases run concurrently, since they mostly wait for their servers.
#[test]
#[ignore = "needs sshd"]
fn the_verdicts_agree_with_ssh() {
    let mut stages: Vec<Stage> = Vec::new();
    let cases = cases::all();
    for case in &cases {
        if stages.iter().all(|stage| stage.shows != case.shows) {
            stages.push(Stage::new(case.shows));
        }
    }
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                let naysayer = Naysayer::new();
                while let Some((number, case)) = take(&cases, &next) {
                    let stage = stages.iter().find(|stage| stage.shows == case.shows);
                    let told = check(number, case, stage.expect("as above"), &naysayer);
                    wrong.lock().expect("no panic").extend(told);
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    let (count, wrong_count) = (cases.len() * CHECKING.len(), wrong.len());
    assert!(wrong.is_empty(), "{wrong_count} of {count}:\n{}", wrong.join("\n"));
}

/// The next case and its number.
fn take<'a>(cases: &'a [Case], next: &AtomicUsize) -> Option<(usize, &'a Case)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    Some((number, cases.get(number)?))
}

fn check(number: usize, case: &Case, stage: &Stage, naysayer: &Naysayer) -> Vec<String> {
    let mut wrong = Vec::new();
    for (turn, (checking, letter)) in CHECKING.iter().zip(case.ssh.chars()).enumerate() {
        let look = || {
            let files = Files::new(&case.files.of(stage));
            let mut lines = vec![format!("StrictHostKeyChecking {checking}")];
            lines.extend(case.options.iter().map(|option| files.spell_out(option)));
            let config = stage.config(&files, &lines);
            (config, files)
        };
        let expected = match letter {
            'A' => Verdict::Accepted,
            'R' => Verdict::Refused,
            'Q' => Verdict::Asks,
            other => panic!("no verdict: {other}"),
        };
        let (theirs, they_said) = if scaled(turn == number % CHECKING.len(), true) {
            let (config, _files) = look();
            naysayer.verdict_of_ssh(&config)
        } else {
            (expected, String::new())
        };
        let (config, _files) = look();
        let (ours, we_said) = naysayer.verdict_of_program(&config);
        let agreed = match case.ours {
            OursWhere::Same => ours == theirs,
            OursWhere::Refused(_) => ours == Verdict::Refused,
        };
        if theirs != expected || !agreed {
            wrong.push(format!(
                "{} with {checking}: ssh {theirs:?} (expected {expected:?}), ours {ours:?}\n\
                 --- ssh said:\n{they_said}--- we said:\n{we_said}",
                case.name
            ));
        }
    }
    wrong
}

/// The number of cases that run concurrently.
const AT_A_TIME: usize = 4;
const CHECKING: [&str; 4] = ["yes", "ask", "accept-new", "no"];
