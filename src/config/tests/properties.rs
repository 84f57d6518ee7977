//! Properties that hold for any text.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn no_text_is_a_panic(text in "\\PC{0,200}") {
        let _ = mistakes_of(&text);
    }

    #[test]
    fn no_toml_is_a_panic(lines in prop::collection::vec(line(), 0..30)) {
        let text = lines.concat();
        for mistake in mistakes_of(&text) {
            // A place lies within the text, and a mistake is one line.
            let line = mistake.place.map_or(1, |place| place.line);
            prop_assert!(1 <= line && line <= text.lines().count() + 1, "{mistake}");
            prop_assert!(!mistake.to_string().contains('\n'), "{mistake}");
        }
    }
}

/// The mistakes of a text, without a file.
fn mistakes_of(text: &str) -> Vec<Mistake> {
    let report = Report::default();
    let mut nobody = ();
    let mut lists = Lists::new(None, &mut nobody);
    Config::read(Path::new("/nowhere/config.toml"), text, &report, &mut lists);
    report.into_parts().mistakes
}

/// A line that probably passes the parser.
fn line() -> impl Strategy<Value = String> {
    let [header, key, value] = [HEADERS, KEYS, VALUES].map(prop::sample::select);
    prop_oneof![
        1 => header.prop_map(|header| format!("{header}\n")),
        3 => (key, value).prop_map(|(key, value)| format!("{key} = {value}\n")),
        1 => ("[a-z.]{1,9}", "\\PC{0,20}").prop_map(|(key, value)| format!("{key} = '{value}'\n")),
    ]
}

/// Table headers, and texts that look like one.
const HEADERS: &[&str] = &[
    "[[listen]]",
    "[[rule]]",
    "[server.a]",
    "[server.b]",
    "[default]",
    "[[forward]]",
    "[backlog]",
    "[server]",
    "[listen]",
    "[rule.x]",
    "[[default]]",
];

/// Keys of every table, and a misspelt one.
const KEYS: &[&str] = &[
    "address",
    "name",
    "auth",
    "allow_remote",
    "host",
    "sessions",
    "port",
    "user",
    "identity",
    "options",
    "domain",
    "domain_suffix",
    "domain_keyword",
    "domain_regex",
    "cidr",
    "list",
    "source",
    "listener",
    "via",
    "action",
    "select",
    "resolve",
    "local",
    "remote",
    "on",
    "to",
    "connection",
    "memory",
    "files",
    "server",
    "rule",
    "domian",
];

/// Values of every type, good and bad.
const VALUES: &[&str] = &[
    "\"a\"",
    "\"*\"",
    "\"10.0.0.1/8\"",
    "\"::/0\"",
    "[]",
    "[1, \"a\", []]",
    "{}",
    "{ min = 1 }",
    "0",
    "-1",
    "0x10",
    "99999999999999999999",
    "1.5",
    "nan",
    "true",
    "1979-05-27",
    "\"\"",
    "\"0.0.0.0:1\"",
    "'('",
    "\"\\u0000\"",
    "\"\\u202e\"",
    "[\"a\", \"a\"]",
    "\"direct\"",
    "\"order\"",
    "\"local\"",
    "\"1-0\"",
    "\"é\"",
    "\"/s\"",
    "\"h:1\"",
];
