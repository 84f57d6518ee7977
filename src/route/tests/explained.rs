//! The content of explanations, for people and for programs.

use super::*;

fn router() -> Router {
    let mut corporate = rule("corporate", |c| {
        c.domain("git.example").expect("a name");
        c.domain_suffix("corp.example").expect("a name");
        c.cidr("10.0.0.0/8").expect("a prefix");
        c.port("8000-8999".parse().expect("a range"));
        c.port(443.try_into().expect("a port"));
    });
    let servers = vec!["bastion".into(), "backup".into()];
    corporate.action = Action::Via(Arc::new(Via { servers, select: Select::Order }));
    let ads = rule("ads", |c| c.list(list("ads.txt", "*.ads.example\n")));
    let mut near = rule("near", |c| {
        c.cidr("192.168.0.0/16").expect("a prefix");
        c.resolve(Resolve::Local);
    });
    near.action = direct();
    Router::new(vec![ads, corporate, near], Action::Reject)
}

fn explain(host: &str, port: u16, resolved: Option<&[&str]>) -> Explanation {
    let resolved = resolved.map(ips);
    router().explain(&query(&host.parse().expect(host), port), resolved.as_deref())
}

#[test]
fn each_rule_explains_why_it_matched_or_not() {
    assert_eq!(
        explain("a.corp.example", 8080, None).to_string(),
        "a.corp.example:8080\n\
         \x20 rule ads: does not match\n\
         \x20   list: no (a.corp.example is not there (ads.txt))\n\
         \x20 rule corporate: matches\n\
         \x20   port: yes (8000-8999)\n\
         \x20   domain_suffix: yes (*.corp.example)\n\
         \x20 => via bastion, backup (order), by rule corporate; \
         its name is looked up on the far side"
    );
    let explained = explain("x.ads.example", 443, None).to_string();
    assert!(explained.contains("list: yes (*.ads.example in ads.txt)"), "{explained}");
    assert!(explained.ends_with("=> reject, by rule ads"), "{explained}");
}

#[test]
fn a_name_resolved_here_is_explained_before_and_after_the_look_up() {
    let before = explain("a.test", 443, None);
    assert_eq!((before.action(), before.resolve), (None, Some(Resolver::Here)));
    let text = before.to_string();
    assert!(text.contains("cidr: no (only literal addresses are compared)"), "{text}");
    assert!(text.contains("cidr: not known yet (a.test has to be looked up here first)"), "{text}");
    let after = explain("a.test", 443, Some(&["192.168.7.7", "203.0.113.1"]));
    assert_eq!((after.action(), after.resolve), (Some("direct"), Some(Resolver::Here)));
    let text = after.to_string();
    assert!(text.contains("cidr: yes (192.168.7.7 in 192.168.0.0/16)"), "{text}");
    assert!(text.contains("=> direct to 192.168.7.7, by rule near"), "{text}");
    assert_eq!(explain("a.test", 443, Some(&[])).action(), Some("reject"));
}

#[test]
fn the_json_has_the_documented_fields() {
    let json = serde_json::to_value(explain("git.example", 443, None)).expect("JSON");
    assert_eq!(
        json,
        serde_json::json!({
            "destination": "git.example:443",
            "action": "via",
            "rule": "corporate",
            "servers": ["bastion", "backup"],
            "resolve": "far side",
            "trace": [
                {"rule": "ads", "verdict": "passed", "conditions": [{
                    "condition": "list",
                    "finding": "failed",
                    "text": "git.example is not there (ads.txt)",
                }]},
                {"rule": "corporate", "verdict": "matched", "conditions": [
                    {"condition": "port", "finding": "held", "text": "443"},
                    {"condition": "domain", "finding": "held", "text": "git.example"},
                ]},
            ],
        })
    );
    let json = serde_json::to_value(explain("[2001:db8::1]", 443, None)).expect("JSON");
    assert_eq!(json["destination"], "[2001:db8::1]:443");
    assert_eq!(
        (&json["action"], &json["rule"], &json["servers"], &json["resolve"]),
        (
            &serde_json::json!("reject"),
            &serde_json::Value::Null,
            &serde_json::json!([]),
            &serde_json::Value::Null
        )
    );
}

#[test]
fn configured_text_cannot_move_the_cursor() {
    let odd = rule("odd\x1b[2J\n", |c| c.user("a\x1b\n").expect("a text"));
    let host = "a.example".parse().expect("a name");
    let query = Query { user: Some("a\x1b\n"), ..query(&host, 1) };
    let text = Router::new(vec![odd], direct()).explain(&query, None).to_string();
    assert!(!text.contains('\x1b'), "{text:?}");
    assert_eq!(text.lines().count(), 4, "{text:?}");
}
