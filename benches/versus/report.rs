//! The presentation of the results: the table, and the files under `target/versus/`.

pub(crate) mod document;
mod plot;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use crate::results::Results;

/// The setting of the measurements.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The machine and the versions.
    pub(crate) machine: String,
    /// How the figures were taken.
    pub(crate) method: String,
}

/// The table for the terminal, with the setting.
pub(crate) fn text(results: &Results, setting: &Setting) -> String {
    let mut lines = vec![table::text(results), setting.machine.clone(), setting.method.clone()];
    lines.extend(results.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n") + "\n"
}

/// Writes the figures, the table for the README and the plots; returns the directory.
pub(crate) fn write(results: &Results, setting: &Setting) -> Result<PathBuf> {
    let dir = directory();
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    let mut json = results.to_json();
    json["setting"] = json!({ "machine": setting.machine, "method": setting.method });
    fs::write(dir.join("results.json"), format!("{json:#}\n"))?;
    let table = table::markdown(results, |_| true);
    let text = format!("{table}\n{}\n\n{}\n", setting.machine, setting.method);
    fs::write(dir.join("table.md"), text)?;
    plot::all(results, &dir).context("draw the pictures")?;
    Ok(dir)
}

/// `versus` in the build directory, where the binary is.
fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("versus")
}
