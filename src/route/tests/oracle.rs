//! Compares the matcher with a naive one over generated rules and queries, and the explanation with the decision.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

/// A rule as written in a file.
#[derive(Clone, Debug)]
struct Written {
    domain: Vec<String>,
    suffix: Vec<String>,
    keyword: Vec<String>,
    regex: Vec<String>,
    cidr: Vec<String>,
    lists: Vec<Vec<String>>,
    port: Vec<(u16, u16)>,
    source: Vec<String>,
    listener: Vec<String>,
    user: Vec<String>,
    resolve: Resolve,
    action: Action,
}

/// A query as sent by a client.
#[derive(Clone, Debug)]
struct Asked {
    host: Option<String>,
    port: Option<u16>,
    source: Option<IpAddr>,
    listener: String,
    user: Option<String>,
    resolved: Vec<IpAddr>,
}

impl Written {
    fn has_destination(&self) -> bool {
        [&self.domain, &self.suffix, &self.keyword, &self.regex, &self.cidr]
            .iter()
            .any(|texts| !texts.is_empty())
            || !self.lists.is_empty()
    }

    fn rule(&self, name: &str) -> Rule {
        let mut built = rule(name, |c| {
            self.domain.iter().for_each(|text| c.domain(text).expect(text));
            self.suffix.iter().for_each(|text| c.domain_suffix(text).expect(text));
            self.keyword.iter().for_each(|text| c.domain_keyword(text).expect(text));
            self.regex.iter().for_each(|text| c.domain_regex(text).expect(text));
            self.cidr.iter().for_each(|text| c.cidr(text).expect(text));
            self.lists.iter().for_each(|lines| c.list(list("list.txt", &lines.join("\n"))));
            self.port.iter().for_each(|(a, b)| c.port(PortRange::new(*a, *b).expect("a range")));
            self.source.iter().for_each(|text| c.source(text).expect(text));
            self.listener.iter().for_each(|text| c.listener(text).expect(text));
            self.user.iter().for_each(|text| c.user(text).expect(text));
            if !self.cidr.is_empty() || !self.lists.is_empty() {
                c.resolve(self.resolve);
            }
        });
        built.action = self.action.clone();
        built
    }

    /// The conditions other than those on the destination.
    fn others_hold(&self, asked: &Asked) -> bool {
        let port =
            asked.port.is_some_and(|p| self.port.iter().any(|(a, b)| (*a..=*b).contains(&p)));
        let source = asked.source.is_some_and(|ip| any_contains(&self.source, ip));
        (self.port.is_empty() || port)
            && (self.source.is_empty() || source)
            && (self.listener.is_empty() || self.listener.contains(&asked.listener))
            && (self.user.is_empty() || asked.user.as_ref().is_some_and(|u| self.user.contains(u)))
    }

    fn name_holds(&self, name: &str) -> bool {
        self.domain.iter().any(|text| text.eq_ignore_ascii_case(name))
            || self.suffix.iter().any(|text| below(name, text))
            || self.keyword.iter().any(|text| name.contains(&text.to_lowercase()))
            || self.regex.iter().any(|text| naive_regex(text, name))
            || self.lists.iter().flatten().any(|entry| match entry.strip_prefix("*.") {
                Some(suffix) => below(name, suffix),
                None => entry.eq_ignore_ascii_case(name),
            })
    }

    fn address_holds(&self, ip: IpAddr) -> bool {
        naive_leads_to(ip).into_iter().any(|ip| {
            any_contains(&self.cidr, ip) || self.lists.iter().any(|list| any_contains(list, ip))
        })
    }

    /// The action, if these addresses were resolved for the name.
    fn does(&self, looked_up: Option<&[IpAddr]>) -> Action {
        naive_action(&self.action, looked_up)
    }
}

fn naive_action(action: &Action, looked_up: Option<&[IpAddr]>) -> Action {
    match action {
        Action::Direct { .. } => {
            let addresses = looked_up.map(|all| all.iter().map(IpAddr::to_canonical).collect());
            Action::Direct { addresses }
        }
        other => other.clone(),
    }
}

/// An address and those that it leads to, in the generated forms.
fn naive_leads_to(ip: IpAddr) -> Vec<IpAddr> {
    let ip = ip.to_canonical();
    let mut all = vec![ip];
    if let IpAddr::V6(v6) = ip {
        let (bits, [.., a, b, c, d]) = (v6.to_bits(), v6.octets());
        let front = bits >> 32;
        let is_compatible = front == 0 && bits > 1;
        if is_compatible || front == 0xffff_0000 || front == 0x0064_ff9b << 64 {
            all.push([a, b, c, d].into());
        }
    }
    if all.iter().any(|ip| ip.to_string().starts_with("0.") || ip.to_string() == "::") {
        all.extend(["127.0.0.1", "::1"].map(|ip| ip.parse::<IpAddr>().expect(ip)));
    }
    all
}

fn below(name: &str, suffix: &str) -> bool {
    let suffix = suffix.to_lowercase();
    name == suffix || name.ends_with(&format!(".{suffix}"))
}

/// The meaning of the generated expressions.
fn naive_regex(expression: &str, name: &str) -> bool {
    match (expression.strip_prefix('^'), expression.strip_suffix('$')) {
        (Some(start), _) => name.starts_with(start),
        (None, Some(end)) => name.ends_with(&end.replace(r"\.", ".")),
        (None, None) => name.contains(expression),
    }
}

fn any_contains(prefixes: &[String], ip: IpAddr) -> bool {
    prefixes.iter().any(|text| {
        let (start, length) = text.split_once('/').unwrap_or((text, ""));
        let Ok(start) = start.parse::<IpAddr>() else { return false };
        let (start, ip, width) = match (start, ip) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits().into(), b.to_bits().into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            _ => return false,
        };
        let length: u32 = length.parse().unwrap_or(width);
        (length..width).fold(start ^ ip, |rest, n| rest & !(1 << (width - 1 - n))) == 0
    })
}

/// The expected result of a query: the index of the deciding rule, and its action.
fn oracle(
    rules: &[Written],
    default: &Action,
    asked: &Asked,
    looked_up: bool,
) -> Option<(Option<usize>, Action)> {
    let is_name = asked.host.as_ref().is_some_and(|host| host.contains(".x"));
    let found = (looked_up && is_name).then_some(&*asked.resolved);
    for (index, rule) in rules.iter().enumerate() {
        if !rule.others_hold(asked) {
            continue;
        }
        let decided = Some((Some(index), rule.does(found)));
        let Some(host) = &asked.host else {
            if rule.has_destination() {
                continue;
            }
            return decided;
        };
        match host.parse().expect(host) {
            _ if !rule.has_destination() => return decided,
            Host::Ip(ip) if rule.address_holds(ip) => return decided,
            Host::Name(name) if rule.name_holds(&name) => return decided,
            Host::Name(_) if rule.resolve == Resolve::Local => {
                let entries = rule.lists.iter().flatten();
                if !rule.cidr.is_empty() || entries.clone().any(|e| e.contains(['/', ':'])) {
                    if !looked_up {
                        return None;
                    }
                    let good = asked.resolved.iter().copied().filter(|ip| rule.address_holds(*ip));
                    let good: Vec<_> = good.collect();
                    if !good.is_empty() {
                        return Some((Some(index), rule.does(Some(&good))));
                    }
                }
            }
            Host::Ip(_) | Host::Name(_) => {}
        }
    }
    Some((None, naive_action(default, found)))
}

/// Names of so few labels that they often coincide.
fn name() -> impl Strategy<Value = String> {
    vec(prop::sample::select(vec!["a", "B", "ab", "c1"]), 1..4)
        .prop_map(|labels| format!("{}.x", labels.join(".")))
}

fn address() -> impl Strategy<Value = IpAddr> {
    let v4 = (0_u32..4, 0_u32..4).prop_map(|(a, b)| IpAddr::V4((a << 30 | b).into()));
    let v6 = (1_u128..4, 0_u128..4).prop_map(|(a, b)| IpAddr::V6((a << 125 | b).into()));
    let disguised = (0_u32..5, 0_u128..3, 0_u128..3).prop_map(|(form, a, b)| {
        let inside = a << 30 | b;
        IpAddr::V6(match form {
            0 => inside.into(),
            1 => (0xffff << 32 | inside).into(),
            2 => (0xffff << 48 | inside).into(),
            3 => (0x0064_ff9b << 96 | inside).into(),
            _ => (0x7f00_0001).into(),
        })
        .to_canonical()
    });
    prop_oneof![4 => v4, 4 => v6, 2 => disguised]
}

fn prefix() -> impl Strategy<Value = String> {
    (address(), any::<prop::sample::Index>()).prop_map(|(ip, length)| {
        let width = if ip.is_ipv4() { 33 } else { 129 };
        format!("{ip}/{}", length.index(width))
    })
}

fn regex() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec!["a", "b", "ab", "c1"]);
    prop_oneof![
        part.clone().prop_map(|text| format!("^{text}")),
        part.clone().prop_map(|text| format!(r"{text}\.x$")),
        part.prop_map(str::to_owned),
    ]
}

fn entry() -> impl Strategy<Value = String> {
    prop_oneof![name(), name().prop_map(|name| format!("*.{name}")), prefix()]
}

fn action() -> impl Strategy<Value = Action> {
    let via = Via { servers: vec!["s".into()], select: Select::Order };
    prop::sample::select(vec![Action::Via(Arc::new(via)), direct(), Action::Reject])
}

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["one", "two"]).prop_map(str::to_owned)
}

fn written() -> impl Strategy<Value = Written> {
    let port = (1_u16..5, 0_u16..3).prop_map(|(first, more)| (first, first + more));
    let keyword = prop::sample::select(vec!["B.", "c", "b.a"]).prop_map(str::to_owned);
    let names = (vec(name(), 0..2), vec(name(), 0..2), vec(keyword, 0..2), vec(regex(), 0..2));
    let addresses = (vec(prefix(), 0..2), vec(vec(entry(), 0..4), 0..2));
    let others = (vec(port, 0..2), vec(prefix(), 0..2), vec(word(), 0..2), vec(word(), 0..2));
    let resolve = prop::sample::select(vec![Resolve::Remote, Resolve::Local]);
    (names, addresses, others, resolve, action()).prop_map(
        |((domain, suffix, keyword, regex), (cidr, lists), others, resolve, action)| {
            let (port, source, listener, user) = others;
            Written {
                domain,
                suffix,
                keyword,
                regex,
                cidr,
                lists,
                port,
                source,
                listener,
                user,
                resolve,
                action,
            }
        },
    )
}

fn asked() -> impl Strategy<Value = Asked> {
    let host = prop_oneof![4 => name(), 3 => address().prop_map(|ip| ip.to_string())];
    let host = option::weighted(0.95, (host, 1_u16..8));
    (host, option::of(address()), word(), option::of(word()), vec(address(), 0..3)).prop_map(
        |(destination, source, listener, user, resolved)| {
            let (host, port) = destination.unzip();
            Asked { host, port, source, listener, user, resolved }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_matcher_agrees_with_a_naive_one_and_with_the_explanation(
        rules in vec(written(), 0..5), default in action(), asked in vec(asked(), 1..8),
    ) {
        let built = rules.iter().enumerate().map(|(n, rule)| rule.rule(&n.to_string())).collect();
        let router = Router::new(built, default.clone());
        for asked in asked {
            let host: Option<Host> = asked.host.as_ref().map(|text| text.parse().expect(text));
            let query = Query {
                host: host.as_ref(),
                port: asked.port,
                listener: &asked.listener,
                source: asked.source,
                user: asked.user.as_deref(),
            };
            for looked_up in [false, true] {
                let resolved = looked_up.then_some(&*asked.resolved);
                let outcome = router.decide(&query, resolved);
                let expected = match oracle(&rules, &default, &asked, looked_up) {
                    None => Outcome::Resolve,
                    Some((rule, action)) => {
                        let rule = rule.map(|n| n.to_string().into());
                        Outcome::Decided(Decision { rule, action })
                    }
                };
                prop_assert_eq!(&outcome, &expected, "{:?}", asked);
                let explanation = router.explain(&query, resolved);
                prop_assert_eq!(&explanation.outcome, &expected);
                let last = explanation.trace.last().map(|step| step.verdict);
                let matched = explanation.rule().is_some();
                prop_assert_eq!(last == Some(Verdict::Matched), matched);
                prop_assert_eq!(last == Some(Verdict::Resolve), expected == Outcome::Resolve);
            }
        }
    }
}
