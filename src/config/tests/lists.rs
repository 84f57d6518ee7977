//! Lists are read once, and their mistakes are reported.

use super::*;

#[test]
fn a_list_is_read_once_and_again_when_it_has_changed() {
    let rules = "[[rule]]\nlist = \"names\"\naction = \"direct\"\n";
    let folder = Folder::with(&rules.repeat(3));
    folder.write("names", "a.example\n");
    let mut reads = Reads(0);
    let path = folder.path("config.toml");
    let (first, _) = Config::load(&path, None, &mut reads).expect("good");
    let (second, _) = Config::load(&path, Some(&first), &mut reads).expect("good");
    assert_eq!((reads.0, second.entries()), (1, 1));
    folder.write("names", "a.example\nb.example\n");
    let (third, _) = Config::load(&path, Some(&second), &mut reads).expect("good");
    assert_eq!((reads.0, third.entries()), (2, 2));
    // The second reload also reuses what the first one reused.
    Config::load(&path, Some(&third), &mut reads).expect("good");
    assert_eq!(reads.0, 2);
}

/// Counts the lists that are read.
struct Reads(usize);

impl Progress for Reads {
    fn start(&mut self, _: &str, _: Option<u64>) {
        self.0 += 1;
    }

    fn advance(&mut self, _: u64) {}
}

#[test]
fn mistakes_of_lists_have_their_own_lines() {
    let folder = Folder::with("[[rule]]\nlist = [\"names\", \"none\"]\naction = \"reject\"\n");
    folder.write("names", "a.example\na b\n10.0.0.0/33\n");
    let Mistakes { mistakes, files } = folder.load().expect_err("mistakes");
    let told = folder.told(&mistakes);
    assert_eq!(
        told,
        [
            "error: names:2: 'a b': one entry a line, or an address and names as in a hosts file",
            "error: names:3: '10.0.0.0/33': not a range of addresses, as 10.0.0.0/8 or fd00::/8",
            "error: names: 2 lines are not entries; invalid_lines = \"skip\" in the rule leaves such \
             lines out",
            "error: config.toml:2:18: list 'none': cannot be opened: No such file or directory \
             (os error 2)",
        ]
    );
    // Whoever waits for a corrected configuration has to watch all of them.
    assert_eq!(files, ["config.toml", "names", "none"].map(|name| folder.path(name)).into());
}

#[test]
fn a_list_without_entries_is_a_warning() {
    let folder = Folder::with("[[rule]]\nlist = \"names\"\naction = \"reject\"\n");
    folder.write("names", "# nothing\n");
    let (_, warnings) = folder.load().expect("good");
    let told = "warning: config.toml:2:8: list 'names' has no entries and matches nothing";
    assert_eq!(folder.told(&warnings), [told]);
}

#[test]
fn invalid_lines_are_skipped_if_the_rule_says_so() {
    let text = "[[rule]]\nlist = \"names\"\ninvalid_lines = \"skip\"\naction = \"direct\"\n";
    let folder = Folder::with(text);
    folder.write("names", "a.example\na b\nc d\n");
    let (config, warnings) = folder.load().expect("good");
    let entry = "one entry a line, or an address and names as in a hosts file";
    let told = folder.told(&warnings);
    assert_eq!(
        told,
        [
            format!("warning: names:2: 'a b': {entry}"),
            format!("warning: names:3: 'c d': {entry}"),
            "warning: names: 2 lines are not entries and left out".to_owned(),
        ]
    );
    assert_eq!(config.entries(), 1);
    // On a reload only a list that has changed is reported again.
    let again = |config: &Config| Config::load(&folder.path("config.toml"), Some(config), &mut ());
    let (config, warnings) = again(&config).expect("good");
    assert_eq!(warnings, []);
    // Without the setting the list is refused, even if it was read before.
    folder.write("config.toml", &text.replace("skip", "refuse"));
    assert_eq!(again(&config).expect_err("refused").mistakes.len(), 3);
    // A file without any valid entry is not a list, but a page that says "not found".
    folder.write("config.toml", text);
    folder.write("names", "<html>not found</html>\n");
    let refused = again(&config).expect_err("refused").mistakes;
    assert_eq!(refused.len(), 2);
    assert_eq!(folder.told(&refused)[1], "error: names: 1 line is not an entry; the file has none");
}
