use std::path::Path;

use clap::Parser as _;
use strum::VariantArray as _;

use super::browser::{Kind, arguments, preferences};
use super::env::{Act, Shell, lines};
use super::settings::Desktop;
use super::*;

fn proxy(text: &str) -> Destination {
    address(text).expect(text)
}

#[test]
fn each_shell_has_its_lines() {
    let set = |shell| lines(shell, &Act::Set(proxy("[::1]:1080")));
    assert!(set(Shell::Sh).starts_with("export ALL_PROXY='socks5h://[::1]:1080'\n"));
    assert!(set(Shell::Fish).contains("set -gx https_proxy 'http://[::1]:1080'\n"));
    assert!(set(Shell::Powershell).contains("$env:http_proxy = 'http://[::1]:1080'\n"));
    assert!(!set(Shell::Sh).contains("HTTP_PROXY"));
    let unset = lines(Shell::Sh, &Act::Unset);
    assert_eq!(unset.lines().count(), set(Shell::Sh).lines().count());
    assert!(unset.lines().all(|line| line.starts_with("unset ")), "{unset}");
}

#[test]
fn browsers_resolve_no_names_themselves() {
    let at = proxy("127.0.0.1:1080");
    let words = arguments(Kind::Chromium, Path::new("/p"), &at);
    for word in [
        "--user-data-dir=/p",
        "--proxy-server=socks5://127.0.0.1:1080",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ] {
        assert!(words.iter().any(|w| w == word), "{word} is not in {words:?}");
    }
    let preferences = preferences(&proxy("[::1]:1080"));
    for line in ["socks\", \"::1\"", "socks_port\", 1080", "socks_remote_dns\", true"] {
        assert!(preferences.contains(line), "{preferences}");
    }
}

#[test]
fn a_word_is_a_browser_or_a_url() {
    let read = |line: &str| {
        let words = std::iter::once("browser").chain(line.split_whitespace());
        let args = BrowserArgs::try_parse_from(words).expect("words");
        BrowserCommand::validate(args).map_err(|error| error.to_string())
    };
    assert!(read("firefox https://example.com").is_ok() && read("https://example.com").is_ok());
    assert!(read("").is_ok());
    let told = read("https://a.example https://b.example").expect_err("two of them");
    assert!(told.contains("'https://b.example' is neither a browser"), "{told}");
}

#[test]
fn the_mode_is_set_last() {
    for desktop in Desktop::VARIANTS {
        let wanted = format!("{:?}", desktop.wanted(&proxy("127.0.0.1:1080")).last());
        assert!(wanted.contains("mode") || wanted.contains("ProxyType"), "{wanted}");
    }
}
