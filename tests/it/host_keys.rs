//! Host keys: what this program makes of each case is what `ssh` makes of it, with the same server
//! and the same files.

mod cases;
mod learning;
mod stage;

use crate::support::verdict::{Naysayer, Verdict};

use cases::{Case, OursWhere};
use stage::{Files, Stage};

/// Each case with each `StrictHostKeyChecking`, against `ssh` and against this program.
#[test]
#[ignore = "needs sshd"]
fn the_verdicts_are_those_of_ssh() {
    let naysayer = Naysayer::new();
    let mut stages: Vec<Stage> = Vec::new();
    let mut wrong = Vec::new();
    let cases = cases::all();
    for case in &cases {
        let known = stages.iter().position(|stage| stage.shows == case.shows);
        let at = known.unwrap_or_else(|| {
            stages.push(Stage::new(case.shows));
            stages.len() - 1
        });
        check(case, &stages[at], &naysayer, &mut wrong);
    }
    let (count, wrong_count) = (cases.len() * CHECKING.len(), wrong.len());
    assert!(wrong.is_empty(), "{wrong_count} of {count}:\n{}", wrong.join("\n"));
}

fn check(case: &Case, stage: &Stage, naysayer: &Naysayer, wrong: &mut Vec<String>) {
    for (checking, letter) in CHECKING.iter().zip(case.ssh.chars()) {
        let look = || {
            let files = Files::new(&case.files.of(stage));
            let mut lines = vec![format!("StrictHostKeyChecking {checking}")];
            lines.extend(case.options.iter().map(|option| files.spell_out(option)));
            let config = stage.config(&files, &lines);
            (config, files)
        };
        let (config, _files) = look();
        let (theirs, they_said) = naysayer.verdict_of_ssh(&config);
        let (config, _files) = look();
        let (ours, we_said) = naysayer.verdict_of_program(&config);
        let expected = match letter {
            'A' => Verdict::Accepted,
            'R' => Verdict::Refused,
            'Q' => Verdict::Asks,
            other => panic!("no verdict: {other}"),
        };
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
}

const CHECKING: [&str; 4] = ["yes", "ask", "accept-new", "no"];
