//! The proxy auto-configuration file in a real JavaScript engine, compared with the program's
//! decisions on the same requests.

use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;

use sockeye::destination::{Destination, Host};
use sockeye::route::{
    Action, ConditionsBuilder, List, Localhost, Query, Resolve, Router, Rule, Select, Via, pac,
};

use crate::support::command;

fn rule(name: &str, action: Action, fill: impl FnOnce(&mut ConditionsBuilder)) -> Rule {
    let mut builder = ConditionsBuilder::default();
    fill(&mut builder);
    Rule { name: name.into(), conditions: builder.build().expect("conditions"), action }
}

fn list(lines: &str) -> Arc<List> {
    Arc::new(List::read(lines.as_bytes(), "list.txt", &mut ()).expect("entries").0)
}

fn direct() -> Action {
    Action::Direct { addresses: None }
}

fn via() -> Action {
    Action::Via(Arc::new(Via { servers: vec!["bastion".into()], select: Select::Order }))
}

/// Rules that a browser can evaluate completely.
fn plain_rules() -> Vec<Rule> {
    vec![
        rule("an \"odd\" name\n*/ é\u{2028}", Action::Reject, |c| {
            c.domain("ads.near.example").expect("a name");
            c.domain("__proto__").expect("a name");
            c.domain_keyword("track").expect("a part");
        }),
        rule("ports", via(), |c| {
            c.domain_suffix("near.example").expect("a name");
            c.port("8000-8999".parse().expect("a range"));
            c.port(22.try_into().expect("a port"));
        }),
        rule("names", direct(), |c| {
            c.domain("one.example").expect("a name");
            c.domain_suffix("near.example").expect("a name");
            c.domain_regex(r"^db\d+\.[a-c]*x$").expect("an expression");
            c.list(list("*.listed.example\n0.0.0.0 host.example\n198.51.100.7\n"));
        }),
        rule("addresses", direct(), |c| {
            for prefix in ["10.0.0.0/8", "192.0.2.16/29", "fd00::/8", "2001:db8::/45", "::1"] {
                c.cidr(prefix).expect(prefix);
            }
        }),
        rule("empty", direct(), |c| c.list(list(""))),
    ]
}

/// Rules that a browser cannot evaluate; each precedes a rule that sends everything direct.
fn rules_beyond() -> Vec<(&'static str, Rule)> {
    let long: Vec<_> = (0..20_000).map(|n| format!("n{n}.example")).collect();
    let long = long.join("\n");
    vec![
        ("user", rule("user", via(), |c| c.user("alice").expect("a name"))),
        ("source", rule("source", via(), |c| c.source("127.0.0.1").expect("an address"))),
        ("listener", rule("listener", via(), |c| c.listener("main").expect("a name"))),
        ("user, direct", rule("user", direct(), |c| c.user("alice").expect("a name"))),
        ("regex", rule("regex", via(), |c| c.domain_regex(r"\bone\b").expect("an expression"))),
        ("list", rule("list", via(), |c| c.list(list(&long)))),
        (
            "resolve",
            rule("resolve", via(), |c| {
                c.cidr("0.0.0.0/0").expect("a prefix");
                c.resolve(Resolve::Local);
            }),
        ),
    ]
}

/// Names and addresses, spelt as a browser may spell them.
const HOSTS: [&str; 56] = [
    "one.example",
    "ONE.example.",
    "a.one.example",
    "near.example",
    "a.b.near.example",
    "ads.near.example",
    "anear.example",
    "tracker.example",
    "db1.x",
    "db12.abcx",
    "db.x",
    "DB7.cx",
    "db1.dx",
    "listed.example",
    "x.listed.example",
    "host.example",
    "a.host.example",
    "198.51.100.7",
    "198.51.100.8",
    "10.0.0.1",
    "11.0.0.1",
    "192.0.2.15",
    "192.0.2.16",
    "192.0.2.23",
    "192.0.2.24",
    "::1",
    "[::1]",
    "::2",
    "0.0.0.0",
    "::",
    "::a00:1",
    "64:ff9b::a00:1",
    "2002:a00:1::",
    "2001:0:1::",
    "fd00::5efe:a00:1",
    "fd12:3456::7",
    "fe00::1",
    "2001:db8:7:ffff::",
    "2001:db8:8::",
    "2001:0DB8:0:0:0:0:0:1",
    "::ffff:10.1.2.3",
    "::ffff:a01:203",
    "::ffff:11.1.2.3",
    "__proto__",
    "constructor",
    "tostring",
    "localhost",
    "n1.example",
    "127.1",
    "0x0a000001",
    "167772161",
    "010.0.0.1",
    "10.0.0.1.",
    "a_b.example",
    "xn--bcher-kva.example",
    "n1",
];

/// URLs as a browser passes them, with their hosts.
fn corpus() -> Vec<(String, String)> {
    let schemes = ["http", "https", "ws", "ftp"];
    let mut corpus = Vec::new();
    for (n, host) in HOSTS.iter().enumerate() {
        let bare = host.trim_matches(['[', ']']);
        let bracketed = if host.contains(':') { format!("[{bare}]") } else { bare.to_owned() };
        for port in ["", ":22", ":443", ":8000", ":8999", ":9000"] {
            let scheme = schemes[n % schemes.len()];
            corpus.push((format!("{scheme}://{bracketed}{port}/a?b:80"), (*host).to_owned()));
        }
    }
    corpus
}

/// The results of the script in node, one for each entry of the corpus.
fn ask_node(script: &str, corpus: &[(String, String)]) -> Vec<String> {
    let file = tempfile::Builder::new().suffix(".pac").tempfile().expect("a file");
    std::fs::write(file.path(), script).expect("room");
    let mut node = command("node")
        .args(["-e", RUNNER])
        .arg(file.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node");
    let asked = serde_json::to_vec(corpus).expect("JSON");
    node.stdin.take().expect("a pipe").write_all(&asked).expect("node reads");
    let output = node.wait_with_output().expect("node ends");
    assert!(output.status.success(), "node: {}", output.status);
    serde_json::from_slice(&output.stdout).expect("an answer for each")
}

/// The program's decision on a browser's URL and host.
fn action(router: &Router, url: &str, host: &str) -> &'static str {
    let default = match url.split_once("://").expect("a URL").0 {
        "http" | "ws" => 80,
        "https" => 443,
        _ => 21,
    };
    let authority = url.split('/').nth(2).expect("an authority");
    let port = Destination::parse(authority, Some(default)).map_or(default, |d| d.port());
    let host: Host = host.parse().expect(host);
    let query =
        Query { host: Some(&host), port: Some(port), listener: "other", source: None, user: None };
    router.explain(&query, None).action().unwrap_or("unknown")
}

fn script(router: &Router) -> String {
    let proxies = ["127.0.0.1:1080", "[::1]:1080"].map(|p| Destination::parse(p, None).expect(p));
    pac(router, &proxies, Localhost::ByRules)
}

#[test]
#[ignore = "needs node"]
fn a_browser_goes_direct_exactly_where_the_rules_say_so() {
    let corpus = corpus();
    for default in [via(), direct(), Action::Reject] {
        let router = Router::new(plain_rules(), default);
        let answers = ask_node(&script(&router), &corpus);
        assert_eq!(answers.len(), corpus.len());
        let mut direct = 0;
        for ((url, host), answer) in corpus.iter().zip(&answers) {
            let action = action(&router, url, host);
            let direct_here = action == "direct" && !ODD.contains(&&**host);
            let expected = if direct_here { "DIRECT" } else { TO_PROXY };
            assert_eq!(answer, expected, "{url} {host}: {action}");
            direct += usize::from(answer == "DIRECT");
        }
        assert!(direct > 40 && direct < corpus.len(), "{direct} of {}", corpus.len());
    }
}

#[test]
#[ignore = "needs node"]
fn requests_that_a_browser_cannot_decide_go_to_the_proxy() {
    let corpus = corpus();
    for (what, beyond) in rules_beyond() {
        let router = Router::new(vec![beyond, rule("rest", direct(), |_| {})], via());
        let answers = ask_node(&script(&router), &corpus);
        for ((url, host), answer) in corpus.iter().zip(answers) {
            // Conditions on names do not apply to literal addresses, nor those on IPv4 to IPv6.
            let names_only = ["regex", "list", "resolve"].contains(&what);
            let literal = matches!(host.parse(), Ok(Host::Ip(_)));
            let known = names_only && literal && action(&router, url, host) == "direct";
            let direct = known && !ODD.contains(&&**host);
            assert_eq!(answer, if direct { "DIRECT" } else { TO_PROXY }, "{what}: {url} {host}");
        }
    }
}

#[test]
#[ignore = "needs node"]
fn malformed_urls_go_to_the_proxy() {
    let corpus: Vec<_> = [
        ("gopher://one.example/", "one.example"),
        ("", ""),
        ("http:///", ""),
        ("http://a b/", "a b"),
        ("http://one.example/", "one..example"),
        ("http://1.2.3.4.5/", "1.2.3.4.5"),
        ("http://256.0.0.1/", "256.0.0.1"),
        ("http://[:::]/", ":::"),
        ("http://[1:2:3]/", "1:2:3"),
        ("http://[::12345]/", "::12345"),
        ("http://[fe80::1%25eth0]/", "fe80::1%25eth0"),
    ]
    .map(|(url, host)| (url.to_owned(), host.to_owned()))
    .into();
    for answer in ask_node(&script(&Router::new(plain_rules(), direct())), &corpus) {
        assert_eq!(answer, TO_PROXY);
    }
}

/// Loads the file in a context of its own, without node's globals, as a browser does.
const RUNNER: &str = "
const fs = require('fs'), vm = require('vm');
const context = vm.createContext(Object.create(null));
vm.runInContext(fs.readFileSync(process.argv[1], 'latin1'), context);
const asked = JSON.parse(fs.readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(asked.map(([url, host]) => context.FindProxyForURL(url, host))));
";

/// Spellings of addresses that no browser passes on, and addresses that embed another one. The
/// script leaves them to the proxy.
const ODD: [&str; 12] = [
    "127.1",
    "0x0a000001",
    "167772161",
    "010.0.0.1",
    "0.0.0.0",
    "::",
    "::2",
    "::a00:1",
    "64:ff9b::a00:1",
    "2002:a00:1::",
    "2001:0:1::",
    "fd00::5efe:a00:1",
];

/// Both listeners, and nothing else.
const TO_PROXY: &str =
    "PROXY 127.0.0.1:1080; SOCKS5 127.0.0.1:1080; PROXY [::1]:1080; SOCKS5 [::1]:1080";
