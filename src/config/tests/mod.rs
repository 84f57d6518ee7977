//! The configuration file as a whole: valid content is read, and mistakes are reported with their
//! place.

mod conditions;
mod lists;
mod mistakes;
mod properties;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::destination::Destination;
use crate::openssh::Setting;
use crate::pool::PoolSize;
use crate::route::{Outcome, Query, Select};

use super::*;
use conditions::CONDITIONS;
use mistakes::{MISTAKES, WARNINGS};

/// A directory that contains `config.toml`.
struct Folder(TempDir);

impl Folder {
    fn with(text: &str) -> Self {
        let folder = Self(TempDir::new().expect("a directory"));
        folder.write("config.toml", text);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
        fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).expect("ours");
    }

    fn load(&self) -> Result<(Config, Vec<Mistake>), Mistakes> {
        Config::load(&self.path("config.toml"), None, &mut ())
    }

    /// The messages, without the directory.
    fn told(&self, mistakes: &[Mistake]) -> Vec<String> {
        let folder = format!("{}/", self.0.path().display());
        let line = |m: &Mistake| format!("{}: {m}", m.severity).replace(&folder, "");
        mistakes.iter().map(line).collect()
    }
}

fn good(text: &str) -> Config {
    let folder = Folder::with(text);
    match folder.load() {
        Ok((config, warnings)) if warnings.is_empty() => config,
        Ok((_, warnings)) => panic!("{text}\n{:#?}", folder.told(&warnings)),
        Err(Mistakes { mistakes, .. }) => panic!("{text}\n{:#?}", folder.told(&mistakes)),
    }
}

/// The messages for a text with mistakes, without the file name.
fn wrong(text: &str) -> Vec<String> {
    let folder = Folder::with(text);
    let Mistakes { mistakes, .. } = folder.load().expect_err(text);
    let told = folder.told(&mistakes);
    told.iter().map(|line| line.replacen("error: config.toml:", "", 1)).collect()
}

/// The warnings for a text that can be used.
fn warned(text: &str) -> Vec<String> {
    let folder = Folder::with(text);
    let (_, warnings) = folder.load().expect(text);
    let told = folder.told(&warnings);
    told.iter().map(|line| line.replacen("warning: config.toml:", "", 1)).collect()
}

#[test]
fn a_file_with_everything() {
    let config = good(EVERYTHING);
    assert_eq!(config.listeners.len(), 2);
    assert_eq!(&*config.listeners[0].name, "main");
    assert_eq!(&*config.listeners[1].name, "[::1]:1080");
    let servers: Vec<_> = config.servers.iter().map(|server| &*server.name).collect();
    assert_eq!(servers, ["bastion", "backup", "alias"]);
    let bastion = &config.servers[0];
    assert_eq!(bastion.server.to_string(), "ops@bastion.example.com");
    assert_eq!(bastion.sessions, PoolSize::new(1, 4).ok());
    let user = Setting::User("me".into());
    assert_eq!(bastion.ssh.options, [Setting::Port(2222), user, "Compression=no".into()]);
    assert_eq!(config.servers[2].server.to_string(), "alias");

    assert_eq!(config.router.rules().len(), 2);
    let ForwardConfig::Local { name, forward, via } = &config.forwards[0] else { panic!() };
    assert_eq!(
        (&**name, forward.to_string()),
        ("db", "127.0.0.1:5432:db.corp.example:5432".into())
    );
    assert_eq!(via.as_ref().map(|via| via.servers.len()), Some(1));
    let told: Vec<_> = config.forwards[1..].iter().map(ForwardConfig::place).collect();
    assert_eq!(told, ["0.0.0.0:8080 on bastion", "9090 on bastion"]);
    let backlog = BacklogLimits { connection: 1 << 20, memory: 64 << 20, spill: 0 };
    assert_eq!(config.backlog, Some(backlog));
}

#[test]
fn the_rules_decide_as_they_are_written() {
    let config = good(EVERYTHING);
    for (destination, rule) in [
        ("git.corp.example:443", Some("corporate")),
        ("a.bücher.example:8500", Some("corporate")),
        ("db7.other:443", Some("corporate")),
        ("the-INTRAnet.example:443", Some("corporate")),
        ("10.9.9.9:443", Some("corporate")),
        ("198.51.100.9:443", Some("corporate")),
        ("198.51.101.9:443", None),
        ("git.corp.example:80", None),
        ("ads.example:80", Some("2")),
    ] {
        let (found, action) = decide(&config, destination);
        assert_eq!(found.as_deref(), rule, "{destination}");
        match (rule, action) {
            (Some("corporate"), Action::Via(via)) => {
                assert_eq!(via.servers, ["bastion".into(), "backup".into()]);
                assert_eq!(via.select, Select::Latency);
            }
            (Some("2"), Action::Reject) => {}
            // These addresses were looked up, though there are none, so that nothing else may be connected to.
            (None, Action::Direct { addresses }) => {
                assert_eq!(addresses.is_none(), destination.starts_with("198."), "{destination}");
            }
            other => panic!("{destination}: {other:?}"),
        }
    }
}

/// The decision on alice's request through the listener `main`, for a name without an address.
fn decide(config: &Config, destination: &str) -> (Option<Arc<str>>, Action) {
    let destination = Destination::parse(destination, None).expect(destination);
    let query = Query {
        host: Some(destination.host()),
        port: Some(destination.port()),
        listener: "main",
        source: Some([127, 0, 0, 1].into()),
        user: Some("alice"),
    };
    match config.router.decide(&query, Some(&[])) {
        Outcome::Decided(decision) => (decision.rule, decision.action),
        Outcome::Resolve => panic!("{destination} was looked up"),
    }
}

#[test]
fn a_rule_names_a_listener_by_any_of_its_addresses() {
    let text = |address: &str, wanted: &str| {
        format!(
            "[[listen]]\nname = \"main\"\naddress = \"{address}\"\nallow_remote = true\n\
             [[forward]]\nname = \"main\"\nlocal = \"127.0.0.1:5432\"\nto = \"a.example:1\"\n\
             [[rule]]\nname = \"by address\"\nlistener = \"{wanted}\"\naction = \"reject\"\n\
             [default]\naction = \"direct\"\n"
        )
    };
    for (address, wanted) in [
        ("127.0.0.1:1080", "127.0.0.1:1080"),
        ("1080", "localhost:1080"),
        ("1080", "127.0.0.1:1080"),
        ("[::1]:1080", "1080"),
        ("*:1080", "0.0.0.0:1080"),
        ("[::ffff:127.0.0.1]:1080", "127.0.0.1:1080"),
        ("./s.sock", "./s.sock"),
        ("1080", "127.0.0.1:5432"),
        ("1080", "5432"),
    ] {
        let (rule, _) = decide(&good(&text(address, wanted)), "a.example:443");
        assert_eq!(rule.as_deref(), Some("by address"), "{address} {wanted}");
    }
    // Another interface makes another listener.
    let folder = Folder::with(&text("127.0.0.1:1080", "*:1080"));
    let (config, warnings) = folder.load().expect("good");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(decide(&config, "a.example:443").0, None);
}

#[test]
fn an_empty_file_rejects() {
    let config = good("");
    assert_eq!(config.router.rules().len(), 0);
    assert_eq!(decide(&config, "example.com:443"), (None, Action::Reject));
}

#[test]
fn a_file_that_has_become_empty_is_an_error() {
    let folder = Folder::with("[default]\naction = \"direct\"\n");
    let (before, _) = folder.load().expect("good");
    let load = || Config::load(&folder.path("config.toml"), Some(&before), &mut ());
    folder.write("config.toml", "\n");
    let Mistakes { mistakes, .. } = load().expect_err("empty");
    let told = "error: config.toml: is empty; write at least a comment if that is meant";
    assert_eq!(folder.told(&mistakes), [told]);
    folder.write("config.toml", "# nothing\n");
    load().expect("meant");
}

#[test]
fn paths_are_relative_to_the_file() {
    let folder = Folder::with(
        "[[listen]]\naddress = \"./s.sock\"\nauth = \"users\"\n\
         [server.a]\nidentity = [\"key\", \"/k\"]\nssh_config = \"conf\"\n\
         [[rule]]\nlist = \"names\"\nvia = \"a\"\n\
         [server.b]\nssh_config = \"none\"\n[dashboard]\ntoken = \"token\"\n",
    );
    folder.write("token", "0123456789abcdef0123456789abcdef\n");
    folder.write("users", "ada:secret\n");
    folder.write("names", "example.com\n");
    let (config, _) = folder.load().expect("good");
    let server = &config.servers[0];
    let identities = [folder.path("key"), "/k".into()].map(Setting::Identity);
    assert_eq!(server.ssh.options, identities);
    assert_eq!(server.ssh.config_file, Some(folder.path("conf")));
    assert_eq!(config.entries(), 1);
    let files = ["conf", "config.toml", "names", "token", "users"].map(|name| folder.path(name));
    assert_eq!(config.files, files.into());
    let listener = &config.listeners[0];
    assert_eq!(listener.address.to_string(), folder.path("./s.sock").display().to_string());
    assert!(listener.auth.is_some());
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn every_mistake_has_its_place_and_a_hint() {
    for (text, told) in MISTAKES.iter().chain(CONDITIONS) {
        assert_eq!(wrong(text), *told, "{text}");
    }
}

#[test]
fn suspicious_settings_are_warnings() {
    for (text, told) in WARNINGS {
        assert_eq!(warned(text), *told, "{text}");
    }
}

#[test]
fn all_mistakes_are_reported_together_in_order() {
    let told = wrong(
        "[[rule]]\nvia = \"nobody\"\ncidr = \"10.0.0.1/8\"\n[default]\nvia = []\n\
         [[listen]]\naddress = \"x\"\n[server.a]\nport = 0\n[other]\n",
    );
    let lines: Vec<_> = told.iter().map(|line| line.split(':').next().unwrap_or("")).collect();
    assert_eq!(lines, ["2", "3", "5", "7", "9", "10"], "{told:#?}");
}

#[test]
fn a_missing_file_is_named() {
    let folder = Folder::with("");
    let Mistakes { mistakes, .. } =
        Config::load(&folder.path("none"), None, &mut ()).expect_err("missing");
    let told = "error: none: cannot be read: No such file or directory (os error 2)";
    assert_eq!(folder.told(&mistakes), [told]);
    let Mistakes { mistakes, .. } =
        Config::load(folder.0.path(), None, &mut ()).expect_err("a directory");
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
}

#[test]
fn a_file_that_is_not_text_is_refused_at_its_line() {
    let folder = Folder::with("");
    fs::write(folder.path("config.toml"), b"# one\n# \xff\n").expect("a file");
    let Mistakes { mistakes, .. } = folder.load().expect_err("not text");
    assert_eq!(folder.told(&mistakes), ["error: config.toml:2: is not UTF-8"]);
}

#[test]
fn a_file_that_others_may_write_is_a_warning() {
    for (mode, told) in [(0o644, 0), (0o600, 0), (0o664, 1), (0o666, 1)] {
        let folder = Folder::with("");
        let path = folder.path("config.toml");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("ours");
        let (_, warnings) = folder.load().expect("good");
        assert_eq!(warnings.len(), told, "{mode:o} {:?}", folder.told(&warnings));
    }
}

#[test]
fn a_password_file_that_others_may_read_is_refused() {
    let folder = Folder::with("[[listen]]\naddress = \"1080\"\nauth = \"users\"\n");
    folder.write("users", "ada:secret\n");
    fs::set_permissions(folder.path("users"), Permissions::from_mode(0o644)).expect("ours");
    let Mistakes { mistakes, .. } = folder.load().expect_err("not private");
    let told = folder.told(&mistakes);
    assert_eq!(
        told,
        [
            "error: config.toml:3:8: auth: users may be read by others (mode 0644); set its mode to 0600"
        ]
    );
}

#[test]
fn a_proxy_on_a_server_may_ask_for_a_password() {
    let folder =
        Folder::with("[server.a]\n[[forward]]\nremote = \"*:0\"\non = \"a\"\nauth = \"users\"\n");
    folder.write("users", "ada:secret\n");
    fs::set_permissions(folder.path("users"), Permissions::from_mode(0o600)).expect("ours");
    let (config, _) = folder.load().expect("good");
    let [ForwardConfig::Remote { auth: Some(auth), .. }] = config.forwards.as_slice() else {
        panic!("{:?}", config.forwards);
    };
    assert!(auth.verify(b"ada", b"secret").is_some());
    // Without the file it must not become open to everyone.
    fs::remove_file(folder.path("users")).expect("there");
    folder.load().expect_err("no password");
}

const EVERYTHING: &str = r#"
[[listen]]
address = "127.0.0.1:1080"
name = "main"

[[listen]]
address = "[::1]:1080"

[server.bastion]
host = "ops@bastion.example.com"
sessions = { min = 1, max = 4 }
port = 2222
user = "me"
options = ["Compression=no"]

[server.backup]
host = "backup"
sessions = "2..3"

[server.alias]
sessions = 3

[[rule]]
name = "corporate"
domain = ["GIT.corp.example."]
domain_suffix = ["Bücher.example", ".corp.example"]
domain_keyword = ["Intra"]
domain_regex = ['^db\d+\.']
cidr = ["10.0.0.0/8", "fd00::/8", "192.0.2.7", "::ffff:198.51.100.0/120"]
port = [443, "8000-8999"]
source = ["127.0.0.0/8"]
listener = ["main", "[::1]:1080"]
user = ["alice"]
resolve = "local"
via = ["bastion", "backup"]
select = "latency"

[[rule]]
domain_keyword = "ads"
action = "reject"

[[forward]]
name = "db"
local = "127.0.0.1:5432"
to = "db.corp.example:5432"
via = "bastion"

[[forward]]
remote = "0.0.0.0:8080"
on = "bastion"
to = "127.0.0.1:3000"

[[forward]]
remote = "9090"
on = "bastion"

[default]
action = "direct"

[backlog]
connection = "1MiB"
memory = 67108864
files = 0
"#;
