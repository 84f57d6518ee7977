//! Error texts are complete: no error in `src` has its cause both in its text and in `source`.

use std::fs;

use regex::Regex;

use crate::layers::{rust_files, src};

/// The declarations that derive `Error`, each with the number of its first line, from 1.
fn errors(text: &str) -> Vec<(usize, Vec<&str>)> {
    let lines: Vec<_> = text.lines().collect();
    let derives = |line: &str| line.starts_with("#[derive(") && line.contains("Error");
    let starts = (0..lines.len()).filter(|&at| derives(lines[at]));
    let ends = |line: &&str| {
        matches!(*line, "}" | ")") || line.starts_with("pub struct") && line.ends_with(';')
    };
    starts
        .map(|at| {
            let length = lines[at..].iter().position(ends).unwrap_or(0);
            (at + 1, lines[at..=at + length].to_vec())
        })
        .collect()
}

/// The lines of a declaration that set `source`, counted from its first line.
fn causes(declaration: &[&str]) -> Vec<usize> {
    let mut is_transparent = false;
    let mut found = Vec::new();
    for (at, line) in declaration.iter().enumerate() {
        if line.contains("#[error(") {
            is_transparent = line.contains("transparent");
        }
        let line = line.trim_start();
        let is_cause = line.contains("#[source]") || line.starts_with("source:");
        if is_cause || line.contains("#[from]") && !is_transparent {
            found.push(at);
        }
    }
    found
}

#[test]
fn error_texts_are_complete() {
    let (mut files, mut found, mut seen) = (Vec::new(), Vec::new(), 0);
    rust_files(&src(), &mut files);
    for file in files.iter().filter(|file| !file.ends_with("tests.rs")) {
        let text = fs::read_to_string(file).expect("source");
        for (first, declaration) in errors(&text) {
            seen += 1;
            let file = file.display();
            found.extend(causes(&declaration).iter().map(|at| format!("{file}:{}", first + at)));
        }
    }
    assert!(seen > 50, "the tree was not read: {seen}");
    assert!(
        found.is_empty(),
        "a cause belongs into the text, and not into `source`:\n{}",
        found.join("\n")
    );
}

#[test]
fn a_cause_in_source_is_found() {
    let wrong = [
        "#[derive(Debug, thiserror::Error)]",
        "pub enum Error {",
        "    #[error(\"no file: {0}\")]",
        "    File(#[from] io::Error),",
        "    #[error(transparent)]",
        "    Other(#[from] Other),",
        "    #[error(\"no line\")]",
        "    Line {",
        "        source: io::Error,",
        "    },",
        "}",
        "struct Next;",
    ];
    let text = wrong.join("\n");
    let declarations = errors(&text);
    assert_eq!(declarations.len(), 1);
    assert_eq!(causes(&declarations[0].1), [3, 8]);
}

/// The first cells of the tables of messages.
fn messages(page: &str) -> Vec<&str> {
    let (mut found, mut is_table) = (Vec::new(), false);
    for line in page.lines() {
        let first = line.strip_prefix("| ").and_then(|line| line.split(" |").next());
        match first {
            None => is_table &= line.starts_with('|'),
            Some("message" | "the log says") => is_table = true,
            Some(cell) if is_table => found.push(cell),
            Some(_) => {}
        }
    }
    found
}

/// The words of a message that occur verbatim in the code: those between names, numbers and notes in parentheses.
fn fixed(message: &str) -> Vec<String> {
    let note = Regex::new(r"\((?:a|in|with)[^)]*\)").expect("good");
    let gap = Regex::new(
        r"…|; |: |[()]|N (?:connections|more keys were)|\b[A-Z]\b|\b(?:NAME|FILE|LINE|DIR)\b|\d+|\bIPv[46]\b",
    )
    .expect("good");
    let message = note.replace_all(message, "…");
    let parts = gap.split(&message).map(|part| part.trim_matches(|c| " ,:'".contains(c)));
    parts.filter(|part| part.len() > 5).map(str::to_owned).collect()
}

/// The system's message for EADDRINUSE.
const OF_THE_SYSTEM: &str = "Address already in use";

#[test]
fn the_messages_of_the_guide_are_those_of_the_code() {
    let (mut files, mut code) = (Vec::new(), String::new());
    rust_files(&src(), &mut files);
    for file in files.iter().filter(|file| !file.ends_with("tests.rs")) {
        code += &fs::read_to_string(file).expect("source");
    }
    // A string that continues on the next line.
    let code = Regex::new(r"\\\n\s*").expect("good").replace_all(&code, "");
    let page = include_str!("../../src/dashboard/page/locked.html");
    let messages = messages(include_str!("../../src/guide/failures.md"));
    assert!(messages.len() > 100, "{} messages", messages.len());
    let parts = messages
        .iter()
        .flat_map(|message| fixed(message).into_iter().map(move |part| (message, part)));
    let foreign: Vec<_> = parts
        .filter(|(_, part)| {
            ![&*code, page, OF_THE_SYSTEM].iter().any(|text| text.contains(&**part))
        })
        .collect();
    assert!(foreign.is_empty(), "not said in src: {foreign:#?}");
}
