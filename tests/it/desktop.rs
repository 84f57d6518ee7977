//! The commands that point shells, browsers and the desktop at the proxy.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::program::program;
use crate::support::{command, free_port, write_program};

/// A separate home directory.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(TempDir::with_prefix("sockeye-desktop-").expect("a temporary directory"))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = command(program);
        command.env("HOME", self.0.path()).env("GSETTINGS_BACKEND", "keyfile");
        // No running instance may be found.
        command.env("TMPDIR", self.0.path());
        command
    }

    fn sockeye(&self, words: &[&str]) -> Output {
        let mut command = self.command(&program().get_program().to_string_lossy());
        command.args(words).output().expect("the program under test")
    }
}

/// The output of a command, which must have succeeded.
fn told(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_shell_sets_and_unsets_the_variables() {
    let home = Home::new();
    let mut sh = home.command("sh");
    sh.args([
        "-c",
        "eval \"$(\"$0\" env --proxy 127.0.0.1:1081)\"; env; echo ---; \
                    eval \"$(\"$0\" env --unset)\"; env",
    ]);
    let output = sh.arg(program().get_program()).output().expect("a shell");
    let told = told(&output);
    let (set, unset) = told.split_once("---").expect("both");
    assert!(set.contains("ALL_PROXY=socks5h://127.0.0.1:1081\n"), "{set}");
    assert!(set.contains("https_proxy=http://127.0.0.1:1081\n"), "{set}");
    assert!(!unset.to_lowercase().contains("_proxy"), "{unset}");
}

#[test]
fn a_browser_gets_a_profile_of_its_own_and_the_proxy() {
    let home = Home::new();
    let bin = home.0.path().join("bin");
    fs::create_dir(&bin).expect("a directory");
    let script = "#!/bin/sh\nfor word; do echo \"$word\"; done > \"$HOME/words\"\n";
    for name in ["chromium", "firefox"] {
        write_program(&bin.join(name), script);
    }
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let nobody = format!("127.0.0.1:{}", free_port());
    let browser = |words: &[&str]| {
        let mut command = home.command(&program().get_program().to_string_lossy());
        command.env("PATH", &path).arg("browser").args(words).output().expect("the program")
    };
    let output = browser(&["--proxy", &nobody]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("nothing listens on") && said.contains("start `sockeye` first"),
        "{said}"
    );

    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = listener.local_addr().expect("an address").to_string();
    told(&browser(&["--proxy", &at, "https://example.com/"]));
    let words = fs::read_to_string(home.0.path().join("words")).expect("it was started");
    assert!(words.contains(&format!("--proxy-server=socks5://{at}\n")), "{words}");
    assert!(words.ends_with("https://example.com/\n"), "{words}");
    told(&browser(&["firefox", "--proxy", &at]));
    let profile = home.0.path().join(".local/share/sockeye/firefox/user.js");
    let preferences = fs::read_to_string(profile).expect("a profile");
    assert!(preferences.contains("socks_remote_dns\", true"), "{preferences}");
}

#[test]
fn a_mistake_in_the_file_has_status_2_whichever_command_reads_it() {
    let home = Home::new();
    let file = home.0.path().join("config.toml");
    fs::write(&file, "nonsense = 1\n").expect("written");
    for words in
        ["browser", "check", "env", "explain a.example", "pac", "service print", "system-proxy on"]
    {
        let words: Vec<_> =
            words.split(' ').chain(["--config", file.to_str().expect("text")]).collect();
        let output = home.sockeye(&words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {output:?}");
    }
}

#[test]
#[ignore = "needs gsettings"]
fn the_desktop_gets_its_previous_settings_back() {
    let home = Home::new();
    let gsettings =
        |words: &[&str]| told(&home.command("gsettings").args(words).output().expect("gsettings"));
    let group = "org.gnome.system.proxy";
    gsettings(&["set", group, "mode", "'auto'"]);
    gsettings(&["set", "org.gnome.system.proxy.http", "host", "'old.example'"]);
    let on = |at: &str| told(&home.sockeye(&["system-proxy", "on", "--proxy", at]));
    assert!(on("127.0.0.1:1081").contains("GNOME: uses 127.0.0.1:1081"));
    assert_eq!(gsettings(&["get", group, "mode"]).trim(), "'manual'");
    assert_eq!(gsettings(&["get", "org.gnome.system.proxy.socks", "port"]).trim(), "1081");
    let status = |at: &str| told(&home.sockeye(&["system-proxy", "status", "--proxy", at]));
    assert!(status("127.0.0.1:1081").contains("GNOME: uses"));
    assert!(status("127.0.0.1:1").contains("does not use"));
    // Turned on again with another address: the original settings are still the ones restored.
    on("127.0.0.1:1082");
    assert!(told(&home.sockeye(&["system-proxy", "off"])).contains("restored"));
    assert_eq!(gsettings(&["get", group, "mode"]).trim(), "'auto'");
    assert_eq!(gsettings(&["get", "org.gnome.system.proxy.http", "host"]).trim(), "'old.example'");
    assert!(told(&home.sockeye(&["system-proxy", "off"])).contains("the proxy was not on"));
}

#[test]
fn settings_that_are_not_stored_are_an_error() {
    let home = Home::new();
    let bin = home.0.path().join("bin");
    fs::create_dir(&bin).expect("made");
    // This behaves as without a session bus: writes succeed, and nothing is stored.
    let script = "#!/bin/sh\n[ \"$1\" = set ] || echo \"'none'\"\n";
    write_program(&bin.join("gsettings"), script);
    let mut on = home.command(&program().get_program().to_string_lossy());
    let on = on.env("PATH", &bin).args(["system-proxy", "on", "--proxy", "127.0.0.1:1081"]);
    let output = on.output().expect("the program under test");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("GNOME does not keep the settings; is there a desktop"), "{said}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let off = told(&home.sockeye(&["system-proxy", "off"]));
    assert!(off.contains("the proxy was not on"), "{off}");
}
