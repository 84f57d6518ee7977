//! The modules of `src` depend on each other in one direction only: the order that `lib.rs` lists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, lowest first; `ssh::session` precedes `ssh`.
fn layers() -> Vec<String> {
    let lib = fs::read_to_string(src().join("lib.rs")).expect("the map");
    let list = lib.split("//! # The layers").nth(1).expect("the list's heading");
    let block = list.split("//! ```").nth(1).expect("the list");
    let lines = block.lines().skip(1).filter_map(|line| line.strip_prefix("//! "));
    lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

pub(crate) fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

pub(crate) fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The module path of a file, such as `["ssh", "session", "load"]`.
fn module(file: &Path) -> Vec<String> {
    let relative = file.strip_prefix(src()).expect("below src").with_extension("");
    let mut parts: Vec<_> =
        relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// The layer of a module path: the one with the longest matching prefix.
fn layer_of(layers: &[String], path: &[String]) -> Option<usize> {
    let is_beginning = |layer: &String| {
        let parts: Vec<_> = layer.split("::").collect();
        path.len() >= parts.len() && parts.iter().zip(path).all(|(part, of)| part == of)
    };
    let found = layers.iter().enumerate().filter(|(_, layer)| is_beginning(layer));
    found.max_by_key(|(_, layer)| layer.len()).map(|(place, _)| place)
}

/// The absolute paths that a line of `module` refers to: `crate::…` and `super::…`. Inside `mod tests { … }`, a
/// `super` goes up one module less.
fn named(line: &str, module: &[String]) -> Vec<Vec<String>> {
    let segments = |text: &str| -> Vec<String> {
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        let path = &text[..end.unwrap_or(text.len())];
        path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let mut found: Vec<_> = line
        .match_indices("crate::")
        .map(|(at, word)| segments(&line[at + word.len()..]))
        .collect();
    let is_import = line.trim_start().starts_with("use super::");
    if let Some(at) = line.find("super::").filter(|_| is_import) {
        let path = segments(&line[at..]);
        let up = path.iter().take_while(|part| *part == "super").count();
        let nested = usize::from(line.starts_with(' '));
        let kept = (module.len() + nested).saturating_sub(up).min(module.len());
        found.push(module[..kept].iter().chain(&path[up..]).cloned().collect());
    }
    found
}

#[test]
fn no_module_imports_an_upper_layer() {
    let layers = layers();
    assert!(layers.len() > 15, "the list was not found: {layers:?}");
    let mut files = Vec::new();
    rust_files(&src(), &mut files);
    let mut arrows = BTreeSet::new();
    for file in files {
        let module = module(&file);
        // The modules of the binary are above all layers of the library.
        if matches!(module[0].as_str(), "lib" | "main" | "allocator") {
            continue;
        }
        let own = layer_of(&layers, &module);
        let own = own.unwrap_or_else(|| panic!("{} is in no layer of lib.rs", file.display()));
        let text = fs::read_to_string(&file).expect("a file");
        for (number, line) in text.lines().enumerate() {
            for path in named(line, &module) {
                // The root of a folder may re-export from its submodules.
                let is_own_root =
                    path.first() == module.first() && layer_of(&layers, &path) > Some(own);
                let is_module =
                    path.get(1).is_some_and(|name| name.starts_with(char::is_lowercase));
                let is_for_tests = path.iter().any(|part| part == "testing");
                if is_for_tests || (is_own_root && !is_module) {
                    continue;
                }
                if layer_of(&layers, &path).is_some_and(|used| used > own) {
                    arrows.insert(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
                }
            }
        }
    }
    let arrows: Vec<_> = arrows.into_iter().collect();
    assert!(arrows.is_empty(), "arrows up:\n{}", arrows.join("\n"));
}
