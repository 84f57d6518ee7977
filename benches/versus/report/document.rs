//! The tables of the README and of the guide, written from what was measured.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Setting, table};
use crate::results::Results;

/// Puts the figures into the documents, between their two marks.
pub(crate) fn write(results: &Results, setting: &Setting) -> Result<()> {
    let setting = format!("{}\n{}", setting.machine, setting.method);
    for (name, table) in
        [("README.md", table::summary(results)), ("src/guide/speed.md", table::markdown(results))]
    {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let document = fs::read_to_string(&path).with_context(|| format!("read {name}"))?;
        let text = replaced(&document, &format!("{table}\n{setting}"))
            .with_context(|| format!("{name} lacks one of the lines {BEGIN} and {END}"))?;
        fs::write(&path, text).with_context(|| format!("write {name}"))?;
    }
    Ok(())
}

/// A document with another text between its marks; none where it has no marks.
fn replaced(document: &str, text: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{text}\n\n{END}{after}"))
}

const BEGIN: &str = "<!-- versus -->";
const END: &str = "<!-- /versus -->";
