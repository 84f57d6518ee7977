//! The guide and the README: every configuration in them is valid, and every command is accepted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use sockeye::cli;
use sockeye::config::Config;
use sockeye::guide::TOPICS;
use tempfile::TempDir;

/// A directory with the files that the guide's configurations name.
fn directory() -> TempDir {
    let directory = TempDir::new().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
    };
    file("clients", "me:a password\n");
    file("blocked.txt", "||ads.example^\nnot an entry at all\n");
    directory
}

/// The blocks of a page that are fenced as `language`.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    page.split(fence.as_str())
        .skip(1)
        .map(|rest| rest.split_once("\n```").expect("its end").0)
        .collect()
}

/// The commands of a page: those in its `console` blocks, and inline code that begins with `sockeye
/// -`, except for patterns.
fn commands(page: &str) -> Vec<&str> {
    let prompts = blocks(page, "console").into_iter().flat_map(str::lines);
    let prompts = prompts.filter_map(|line| line.strip_prefix("$ "));
    let spans = page.split('`').skip(1).step_by(2);
    let is_whole = |span: &&str| {
        span.starts_with("sockeye -")
            && span.split_whitespace().count() > 2
            && !span.contains(['|', '…', '[', '\n'])
    };
    let outside: Vec<_> = spans.filter(is_whole).collect();
    prompts.chain(outside).collect()
}

/// The words into which a shell splits a command.
fn words(command: &str) -> Vec<String> {
    let script = format!("set -- {command}\nprintf '%s\\0' \"$@\"");
    let output = Command::new("sh").args(["-c", &script]).output().expect("sh");
    assert!(output.status.success(), "{command}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.split('\0').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn try_command(command: &str, home: &Path) {
    let program = command.split_whitespace().next().expect("a program");
    if program != "sockeye" {
        let known = ELSEWHERE.iter().any(|(name, _)| *name == program);
        assert!(known, "{command}: say in ELSEWHERE where {program} is tested");
        return;
    }
    let words = words(command);
    let words = &words[1..];
    let checked = [String::from("check")];
    // A bare `sockeye` runs what `sockeye check` checks.
    let words = if words.is_empty() { &checked } else { words };
    let read = cli::Command::read(words.iter().map(Into::into));
    match read.unwrap_or_else(|exit| panic!("{command}: {exit:?}")) {
        cli::Command::Check(_) | cli::Command::Errand(_) => {
            let output = Command::new(env!("CARGO_BIN_EXE_sockeye"))
                .args(words)
                .current_dir(home)
                .env("HOME", home)
                .env_remove("XDG_CONFIG_HOME")
                .output()
                .expect("sockeye");
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{command}: {told}");
        }
        // The proxies need a server: their command lines were checked, and other tests run them.
        _ => {}
    }
}

#[test]
fn every_configuration_in_the_guide_is_valid() {
    let directory = directory();
    let file = directory.path().join("config.toml");
    let mut count = 0;
    for topic in TOPICS {
        for block in blocks(topic.text, "toml") {
            fs::write(&file, block).expect("a file");
            if let Err(mistakes) = Config::load(&file, None, &mut ()) {
                panic!("{}: {mistakes:?}\n{block}", topic.name);
            }
            count += 1;
        }
    }
    assert!(count >= 6, "{count} configurations");
}

#[test]
fn every_command_in_the_guide_is_accepted() {
    let home = directory();
    let folder = home.path().join(".config/sockeye");
    fs::create_dir_all(&folder).expect("a folder");
    let page = TOPICS.iter().find(|topic| topic.name == "configuration").expect("the page");
    let example = blocks(page.text, "toml")[0];
    fs::write(folder.join("config.toml"), example).expect("a file");
    let mut count = 0;
    for topic in TOPICS {
        for command in commands(topic.text) {
            try_command(command, home.path());
            count += 1;
        }
    }
    assert!(count >= 25, "{count} commands");
    let readme = include_str!("../../README.md");
    let lines = readme.lines().filter_map(|line| line.strip_prefix("    "));
    for command in lines.filter(|line| line.starts_with("sockeye") && !line.contains(" init ")) {
        try_command(command, home.path());
    }
}

#[test]
fn the_links_of_the_readme_lead_somewhere() {
    let readme = include_str!("../../README.md");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let links = readme.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
    let files: Vec<_> = links.filter(|link| !link.starts_with('#')).collect();
    assert!(files.len() > 8, "{files:?}");
    for file in files {
        assert!(root.join(file).is_file(), "{file} is not there");
    }
    assert!(readme.lines().count() < 150, "a README is read in two minutes");
}

/// Programs whose commands are not run here, with the reason.
const ELSEWHERE: &[(&str, &str)] = &[
    ("autossh", "the program that is left behind"),
    ("curl", "needs a proxy or a control socket: clients.rs"),
    ("export", "sets a variable of the shell: clients.rs runs curl with it"),
    ("ssh", "needs a server: clients.rs, stdio.rs"),
];

#[test]
fn the_figures_in_the_readme_are_those_of_the_tables() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("## Why").expect("the reasons");
    let (reasons, _) = rest.split_once("\n## ").expect("their end");
    let guide = TOPICS.iter().find(|topic| topic.name == "speed").expect("a page").text;
    let is_figure = |word: &&str| word.parse::<f64>().is_ok();
    let figures = |text: &'static str| -> Vec<&'static str> {
        text.split_whitespace()
            .map(|word| word.trim_matches([',', '.', ';']))
            .filter(is_figure)
            .collect()
    };
    let tables = readme.lines().chain(guide.lines()).filter(|line| line.starts_with('|'));
    let measured: Vec<_> = tables.flat_map(figures).collect();
    // These are not measured: a round trip, a percentile, and a SOCKS reply code.
    let given = ["100", "99", "05"];
    for figure in figures(reasons).into_iter().filter(|figure| !given.contains(figure)) {
        assert!(measured.contains(&figure), "{figure} is in no table: are the tables newer?");
    }
    assert!(figures(reasons).len() > given.len(), "there are some");
}
