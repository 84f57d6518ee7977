//! The semantics of rules, case by case.

mod explained;
mod oracle;

use std::net::IpAddr;
use std::sync::Arc;

use super::*;
use crate::destination::Host;

/// A rule with these conditions that rejects.
pub(super) fn rule(name: &str, fill: impl FnOnce(&mut ConditionsBuilder)) -> Rule {
    let mut builder = ConditionsBuilder::default();
    fill(&mut builder);
    let conditions = builder.build().expect("conditions");
    Rule { name: name.into(), conditions, action: Action::Reject }
}

/// A list with these lines.
pub(super) fn list(name: &str, lines: &str) -> Arc<List> {
    Arc::new(List::read(lines.as_bytes(), name, &mut ()).expect("entries").0)
}

pub(super) fn direct() -> Action {
    Action::Direct { addresses: None }
}

pub(super) fn query(host: &Host, port: u16) -> Query<'_> {
    Query { host: Some(host), port: Some(port), listener: "main", source: None, user: None }
}

/// The name of the deciding rule.
fn decider(router: &Router, query: &Query<'_>) -> Option<String> {
    match router.decide(query, None) {
        Outcome::Decided(decision) => decision.rule.map(|name| name.to_string()),
        Outcome::Resolve => panic!("no look-up was asked for"),
    }
}

/// Whether a rule by itself matches a host, on port 443.
fn matches(rule: &Rule, host: &str) -> bool {
    let router = Router::new(vec![rule.clone()], direct());
    decider(&router, &query(&host.parse().expect(host), 443)).is_some()
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().expect(text)).collect()
}

#[test]
fn each_condition_on_the_destination_in_any_spelling() {
    let domain = rule("domain", |c| c.domain("Git.Corp.Example.").expect("a name"));
    let suffix = rule("suffix", |c| c.domain_suffix("Corp.example").expect("a name"));
    let keyword = rule("keyword", |c| c.domain_keyword("IntrA").expect("a part"));
    let regex = rule("regex", |c| c.domain_regex(r"^DB\d+\.").expect("an expression"));
    let cidr = rule("cidr", |c| c.cidr("10.0.0.0/8").expect("a prefix"));
    let idna = rule("idna", |c| c.domain_suffix("bücher.example").expect("a name"));
    for (rule, host, expected) in [
        (&domain, "git.corp.example", true),
        (&domain, "GIT.corp.example.", true),
        (&domain, "a.git.corp.example", false),
        (&domain, "corp.example", false),
        (&suffix, "corp.example", true),
        (&suffix, "a.b.CORP.example", true),
        (&suffix, "acorp.example", false),
        (&suffix, "example", false),
        (&suffix, "corp.example.com", false),
        (&keyword, "my-intranet.example", true),
        (&keyword, "inter.example", false),
        (&regex, "Db12.example", true),
        (&regex, "xdb12.example", false),
        (&cidr, "10.200.0.1", true),
        (&cidr, "0xa000001", true),
        (&cidr, "::ffff:10.0.0.1", true),
        (&cidr, "11.0.0.1", false),
        (&cidr, "::a00:1", true),
        (&cidr, "ten.example", false),
        (&idna, "www.Bücher.example", true),
        (&idna, "xn--bcher-kva.example", true),
    ] {
        assert_eq!(matches(rule, host), expected, "{} {host}", rule.name);
    }
}

#[test]
fn destinations_are_alternatives_and_the_other_kinds_must_hold_too() {
    let all = rule("all", |c| {
        c.domain("a.example").expect("a name");
        c.cidr("192.0.2.0/24").expect("a prefix");
        c.port("8000-8999".parse().expect("a range"));
        c.port(443.try_into().expect("a port"));
        c.source("127.0.0.0/8").expect("a prefix");
        c.listener("main").expect("a name");
        c.user("alice").expect("a name");
    });
    let router = Router::new(vec![all], direct());
    let hosts: [Host; 3] = ["a.example", "192.0.2.1", "b.example"].map(|h| h.parse().expect(h));
    let good = Query {
        host: Some(&hosts[0]),
        port: Some(443),
        listener: "main",
        source: Some("::ffff:127.0.0.9".parse().expect("an address")),
        user: Some("alice"),
    };
    let other = Some("10.0.0.1".parse().expect("an address"));
    for (query, expected) in [
        (good, true),
        (Query { host: Some(&hosts[1]), ..good }, true),
        (Query { port: Some(8500), ..good }, true),
        (Query { host: Some(&hosts[2]), ..good }, false),
        (Query { host: None, ..good }, false),
        (Query { port: Some(80), ..good }, false),
        (Query { port: None, ..good }, false),
        (Query { source: other, ..good }, false),
        (Query { source: None, ..good }, false),
        (Query { listener: "other", ..good }, false),
        (Query { user: Some("Alice"), ..good }, false),
        (Query { user: None, ..good }, false),
    ] {
        assert_eq!(decider(&router, &query).is_some(), expected, "{query:?}");
    }
}

#[test]
fn the_first_matching_rule_wins_and_the_default_applies_otherwise() {
    let rules = vec![
        rule("one", |c| c.domain("a.example").expect("a name")),
        rule("two", |c| c.domain_suffix("example").expect("a name")),
    ];
    let router = Router::new(rules, Action::Reject);
    let decider = |host: &str| decider(&router, &query(&host.parse().expect(host), 1));
    assert_eq!(decider("a.example").as_deref(), Some("one"));
    assert_eq!(decider("b.example").as_deref(), Some("two"));
    assert_eq!(decider("b.test"), None);
}

#[test]
fn a_rule_without_conditions_matches_everything_and_one_with_an_empty_list_nothing() {
    let socket = Query { host: None, port: None, listener: "", source: None, user: None };
    let router = Router::new(vec![rule("all", |_| {})], direct());
    assert_eq!(decider(&router, &socket).as_deref(), Some("all"));
    let empty = rule("empty", |c| c.list(list("empty.txt", "# nothing\n")));
    assert!(!matches(&empty, "a.example") && !matches(&empty, "10.0.0.1"));
}

#[test]
fn another_default_shares_the_rules() {
    let router =
        Router::new(vec![rule("one", |c| c.domain("a.example").expect("a name"))], direct());
    let other = router.with_default(Action::Reject);
    let hosts: [Host; 2] = ["a.example", "b.example"].map(|h| h.parse().expect(h));
    assert_eq!(other.decide(&query(&hosts[0], 1), None), router.decide(&query(&hosts[0], 1), None));
    let rejected = Decision { rule: None, action: Action::Reject };
    assert_eq!(other.decide(&query(&hosts[1], 1), None), Outcome::Decided(rejected));
}

/// Goes direct on port 443: `example` by name, or 10.0.0.0/8 or the list's 192.0.2.0/24 by a look-up.
fn resolving() -> Router {
    let mut local = rule("local", |c| {
        c.domain_suffix("example").expect("a name");
        c.cidr("10.0.0.0/8").expect("a prefix");
        c.list(list("near.txt", "192.0.2.0/24\n"));
        c.port(443.try_into().expect("a port"));
        c.resolve(Resolve::Local);
    });
    local.action = direct();
    Router::new(vec![local, rule("rest", |_| {})], direct())
}

#[test]
fn a_look_up_is_requested_only_if_it_decides() {
    let router = resolving();
    let decide = |host: &str, port| router.decide(&query(&host.parse().expect(host), port), None);
    assert_eq!(decide("a.test", 443), Outcome::Resolve);
    for (host, port, rule) in
        [("a.test", 80, "rest"), ("a.example", 443, "local"), ("10.0.0.1", 443, "local")]
    {
        let Outcome::Decided(decision) = decide(host, port) else { panic!("{host}: a look-up") };
        assert_eq!(decision.rule.as_deref(), Some(rule), "{host}");
    }
}

#[test]
fn direct_goes_only_to_the_addresses_that_were_checked() {
    let router = resolving();
    let name: Host = "a.test".parse().expect("a name");
    let decide = |found: &[&str]| match router.decide(&query(&name, 443), Some(&ips(found))) {
        Outcome::Decided(Decision { rule, action: Action::Direct { addresses } }) => {
            (rule.expect("a rule").to_string(), addresses)
        }
        Outcome::Decided(Decision { rule, .. }) => (rule.expect("a rule").to_string(), None),
        Outcome::Resolve => panic!("asked twice"),
    };
    let checked = Some(ips(&["10.0.0.1", "192.0.2.9"]));
    let found = ["203.0.113.1", "::ffff:10.0.0.1", "2001:db8::1", "192.0.2.9"];
    assert_eq!(decide(&found), ("local".to_owned(), checked));
    assert_eq!(decide(&["203.0.113.1"]), ("rest".to_owned(), None));
    assert_eq!(decide(&[]), ("rest".to_owned(), None));
}

#[test]
fn errors_state_the_reason() {
    let mut c = ConditionsBuilder::default();
    let error = |result: Result<(), ConditionError>| result.expect_err("a mistake").to_string();
    for (message, part) in [
        (error(c.domain("a b")), "not a host name"),
        (error(c.domain("")), "empty"),
        (error(c.domain("10.0.0.1")), "`cidr`"),
        (error(c.domain("*.example")), "`domain_suffix`"),
        (error(c.domain_suffix("a.*.example")), "`*`"),
        (error(c.domain_suffix("*.")), "empty"),
        (error(c.domain_keyword("")), "empty"),
        (error(c.domain_keyword("a/b")), "no host name"),
        (error(c.domain_keyword("bücher")), "ASCII"),
        (error(c.domain_regex("(")), "regular expression"),
        (error(c.domain_regex(r"a{1000}{1000}")), "regular expression"),
        (error(c.domain_regex(&"(".repeat(60))), "regular expression"),
        (error(c.cidr("10.0.0.0/33")), "10.0.0.0/8"),
        (error(c.source("example")), "10.0.0.0/8"),
        (error(c.listener("")), "empty"),
        (error(c.user("")), "empty"),
    ] {
        assert!(message.contains(part), "{message:?} without {part:?}");
    }
    // The invalid conditions were not added: without conditions, everything matches.
    let conditions = c.build().expect("no conditions");
    let all = Rule { name: "all".into(), conditions, action: Action::Reject };
    assert!(matches(&all, "a.example"));

    let mut useless = ConditionsBuilder::default();
    useless.domain("a.example").expect("a name");
    useless.resolve(Resolve::Local);
    assert!(matches!(useless.build(), Err(ConditionError::NothingToResolve)));
}

#[test]
fn routers_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Router>();
    shared::<List>();
}
