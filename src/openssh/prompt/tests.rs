use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use super::*;

/// A program that runs `script` to answer. Another process writes the file: a child forked by a
/// concurrent test would inherit an open descriptor, and the program could not start (ETXTBSY).
fn program(dir: &Path, script: &str) -> PathBuf {
    let path = dir.join("askpass");
    let mut install = std::process::Command::new("install");
    install.args(["-m", "700", "/dev/stdin"]).arg(&path).stdin(Stdio::piped());
    let mut install = install.spawn().expect("install, of coreutils");
    let mut input = install.stdin.take().expect("a pipe");
    write!(input, "#!/bin/sh\n{script}\n").expect("sent");
    drop(input);
    assert!(install.wait().expect("a child").success());
    path
}

fn by_program(dir: &Path, script: &str) -> Prompter {
    let program = Some(program(dir, script));
    let environment = Environment { program, require: Require::Force, ..Environment::default() };
    Prompter::with(Way::Person(environment))
}

#[test]
fn the_means_are_chosen_as_in_ssh() {
    use Terminal::{Missing as NoTty, Present as Tty};
    let program = || Means::Program("p".into());
    for (require, has_display, terminal, expected) in [
        (Require::Unset, false, Tty, Means::Terminal),
        (Require::Unset, true, Tty, Means::Terminal),
        (Require::Unset, true, NoTty, program()),
        (Require::Unset, false, NoTty, Means::Nobody),
        (Require::Never, true, NoTty, Means::Nobody),
        (Require::Never, true, Tty, Means::Terminal),
        (Require::Prefer, true, Tty, program()),
        (Require::Prefer, false, Tty, Means::Terminal),
        (Require::Prefer, false, NoTty, Means::Nobody),
        (Require::Force, false, Tty, program()),
        (Require::Force, false, NoTty, program()),
    ] {
        let environment = Environment {
            program: Some("p".into()),
            require,
            has_display,
            ..Environment::default()
        };
        assert_eq!(environment.means(terminal), expected, "{require:?} {has_display} {terminal:?}");
        let none = Environment { program: None, ..environment };
        let expected = if terminal == Tty { Means::Terminal } else { Means::Nobody };
        assert_eq!(none.means(terminal), expected, "{require:?} {has_display} {terminal:?}");
    }
}

#[tokio::test]
async fn a_prompter_that_asks_nobody_fails_every_question() {
    let prompter = Prompter::nobody();
    assert!(!prompter.can_ask());
    assert!(matches!(prompter.secret("?").await, Err(PromptError::Nobody)));
    let prompter = Prompter::scripted(&["x"]);
    let silent = prompter.silent();
    assert!(prompter.can_ask() && !silent.can_ask());
    assert!(matches!(silent.line("?").await, Err(PromptError::Nobody)));
    let _open = prompter.asked_elsewhere();
    assert!(silent.is_waiting(), "it knows of what the others ask");
    assert!(!prompter.apart().is_waiting(), "and another server's does not");
}

/// The terminal belongs to others once the program is in the background; a window can still ask.
#[tokio::test]
async fn in_the_background_only_the_program_asks() {
    let dir = tempfile::tempdir().expect("a directory");
    let asking = by_program(dir.path(), "echo yes");
    let clone = asking.clone();
    asking.detach();
    assert!(clone.can_ask());
    assert_eq!(*clone.line("?").await.expect("answered"), "yes");

    let environment = Environment { in_background: true, ..Environment::default() };
    assert_eq!(environment.means(Terminal::Present), Means::Nobody);
    let program = Some(PathBuf::from("p"));
    let with_display = Environment { program, has_display: true, ..environment };
    assert_eq!(with_display.means(Terminal::Present), Means::Program("p".into()));
    let never = Environment { require: Require::Never, ..with_display };
    assert_eq!(never.means(Terminal::Present), Means::Nobody);
}

#[tokio::test]
async fn the_program_gets_the_question_and_gives_the_answer() {
    let dir = tempfile::tempdir().expect("a directory");
    let prompter = by_program(dir.path(), r#"echo "$1|$SSH_ASKPASS_PROMPT"; echo more"#);
    assert!(prompter.can_ask());
    assert_eq!(*prompter.secret("a \x1b[2J b").await.expect("answered"), "a \\u{1b}[2J b|");
    assert_eq!(*prompter.line("x").await.expect("answered"), "x|");
    assert_eq!(*prompter.confirm("sure?").await.expect("answered"), "sure?|confirm");
    assert!(!prompter.is_waiting());
}

#[tokio::test]
async fn ok_and_cancel_of_the_program() {
    let dir = tempfile::tempdir().expect("a directory");
    let prompter = by_program(dir.path(), "exit 0");
    assert_eq!(*prompter.confirm("?").await.expect("answered"), "yes");
    assert_eq!(*prompter.secret("?").await.expect("answered"), "");
    let prompter = by_program(dir.path(), "echo yes; exit 1");
    assert!(matches!(prompter.confirm("?").await, Err(PromptError::Cancelled)));
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let dir = tempfile::tempdir().expect("a directory");
    // The program ends by SIGPIPE once enough has been read.
    let prompter = by_program(dir.path(), "exec yes aaaaaaa | tr -d '\\n'");
    let answer = prompter.secret("?").await;
    assert!(answer.map_or(true, |a| a.len() <= MAX_ANSWER));
}

#[tokio::test]
async fn one_question_at_a_time() {
    let dir = tempfile::tempdir().expect("a directory");
    // `mkdir` fails if the other question is still open.
    let open = dir.path().join("open");
    let open = open.to_str().expect("UTF-8");
    let script = format!("mkdir '{open}' || exit 1; sleep 0.05; rmdir '{open}'; echo a");
    let prompter = by_program(dir.path(), &script);
    let ask = || prompter.secret("?");
    let (a, b, c) = tokio::join!(ask(), ask(), ask());
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
}

#[tokio::test]
async fn a_missing_program_is_reported() {
    let environment = Environment {
        program: Some("/nonexistent/askpass".into()),
        require: Require::Force,
        ..Environment::default()
    };
    let prompter = Prompter::with(Way::Person(environment));
    assert!(matches!(prompter.secret("?").await, Err(PromptError::Failed(_))));
}
