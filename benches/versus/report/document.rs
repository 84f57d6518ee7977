//! The tables of the README and of the guide, generated from the results.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Setting, table};
use crate::measure::{self, Group};
use crate::results::Results;

/// A table in a document, between two marks.
struct Section {
    document: &'static str,
    /// The name in the marks, as in `<!-- versus lines -->`.
    mark: &'static str,
    wanted: Wanted,
}

/// Whether a row belongs to a table, given its group, its measure's name, and its own name.
type Wanted = fn(Group, &str, &str) -> bool;

/// Writes the figures into the documents. A table with missing measures, as with `--only`, is left
/// unchanged. Returns the tables that were written.
pub(crate) fn write(results: &Results, setting: &Setting) -> Result<Vec<String>> {
    let setting = format!("{}\n{}", setting.machine, setting.method);
    let mut written = Vec::new();
    for Section { document, mark, wanted } in SECTIONS {
        if !is_complete(results, wanted) {
            continue;
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
        let text = fs::read_to_string(&path).with_context(|| format!("read {document}"))?;
        let table = format!(
            "{}\n{setting}",
            table::markdown(results, |line| wanted(line.group, &line.measure, line.row.what))
        );
        let text = replaced(&text, mark, &table)
            .with_context(|| format!("{document} lacks one of the marks of {mark}"))?;
        fs::write(&path, text).with_context(|| format!("write {document}"))?;
        written.push(format!("{document} ({mark})"));
    }
    Ok(written)
}

/// Whether every row of a table was measured.
fn is_complete(results: &Results, wanted: Wanted) -> bool {
    measure::all().iter().all(|measure| {
        let was_taken = results.lines.iter().any(|line| line.measure == measure.name);
        let mut rows = measure.rows.iter();
        was_taken || !rows.any(|row| wanted(measure.group, &measure.name, row.what))
    })
}

/// A document with the text between two marks replaced; `None` if the marks are missing.
fn replaced(document: &str, mark: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {mark} -->"), format!("<!-- /{mark} -->"));
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n\n{text}\n\n{end}{after}"))
}

const SECTIONS: [Section; 4] = [
    Section {
        document: "README.md",
        mark: "versus",
        wanted: |_, measure, what| SUMMARY.contains(&(measure, what)),
    },
    Section {
        document: "README.md",
        mark: "versus lines",
        wanted: |_, measure, what| measure.starts_with("cable") && what == "a page",
    },
    Section {
        document: "src/guide/speed.md",
        mark: "versus",
        wanted: |group, _, _| group != Group::Line,
    },
    Section {
        document: "src/guide/speed.md",
        mark: "versus lines",
        // The line called far has no rate limit, and is in the other table.
        wanted: |group, measure, _| group == Group::Line && !measure.starts_with("far"),
    },
];

/// The figures that a newcomer wants to know first: measures and their rows.
const SUMMARY: [(&str, &str); 8] = [
    ("short connections, 1 at a time", "rate"),
    ("short connections, 64 at a time", "rate"),
    ("one download", "speed"),
    ("one download", "CPU a GB"),
    ("100 ms: one download", "speed"),
    ("ping under four downloads", "p99"),
    ("1 000 idle connections", "memory each"),
    ("cut to the next served request", "time"),
];
