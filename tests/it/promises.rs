//! The tests that the security page names exist.

use std::fs;
use std::path::Path;

/// The text of all Rust files below a folder.
fn sources(folder: &Path) -> String {
    let entries =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let texts = entries.map(|path| {
        if path.is_dir() {
            sources(&path)
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            fs::read_to_string(&path).expect("a file")
        } else {
            String::new()
        }
    });
    texts.collect()
}

#[test]
fn the_tests_that_promises_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("src/guide/security.md")).expect("the page");
    let promises = page.split("## What is promised").nth(1).expect("the heading");
    let promises = promises.split("\n## ").next().expect("a section");
    let code = sources(&root.join("src")) + &sources(&root.join("tests"));
    let mut count = 0;
    for promise in promises.lines() {
        let words = promise.split('`').skip(1).step_by(2);
        let is_name = |word: &&str| {
            word.contains('_')
                && word.chars().all(|c| c.is_ascii_lowercase() || "_0123456789".contains(c))
        };
        for name in words.filter(is_name).filter(|word| word.matches('_').count() > 1) {
            count += 1;
            assert!(code.contains(&format!("fn {name}(")), "there is no test {name}");
        }
    }
    assert!(count > 15, "only {count} tests are named");
}
