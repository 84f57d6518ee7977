use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::destination::InvalidDestination;

/// The list in a text without mistakes.
fn read(text: impl AsRef<[u8]>) -> Result<List, ListError> {
    let (list, mistakes) = List::read(text.as_ref(), "test.txt", &mut ())?;
    assert_eq!(mistakes, Mistakes::default());
    Ok(list)
}

fn holds(list: &List, host: &str) -> bool {
    match host.parse().expect(host) {
        crate::destination::Host::Name(name) => list.find_name(&name).is_some(),
        crate::destination::Host::Ip(ip) => list.find_address(ip).is_some(),
    }
}

fn mistakes(text: impl AsRef<[u8]>) -> Mistakes {
    let (_, mistakes) = List::read(text.as_ref(), "test.txt", &mut ()).expect("it can be read");
    assert!(mistakes.count > 0, "no mistakes");
    mistakes
}

#[test]
fn every_form_of_an_entry() {
    let text = "\u{feff}# a comment\r\n\
        Plain.Example.  # behind an entry\r\n\
        *.suffix.example\n\
        .dotted.example\n\
        +.clash.example\n\
        \t bücher.example\n\n\
        192.0.2.7\n\
        10.0.0.0/8\n\
        2001:db8::/32\n\
        ::1\n\
        0.0.0.0 ads.example Tracker.example#both\n\
        127.0.0.1 localhost\n\
        fe80::1%lo0 localhost\n\
        0.0.0.0 0.0.0.0\n\
        last.example";
    let list = read(text).expect("entries");
    for host in [
        "plain.example",
        "suffix.example",
        "a.suffix.example",
        "a.b.dotted.example",
        "a.clash.example",
        "xn--bcher-kva.example",
        "192.0.2.7",
        "10.1.2.3",
        "2001:db8::1",
        "::1",
        "ads.example",
        "tracker.example",
        "last.example",
    ] {
        assert!(holds(&list, host), "{host}");
    }
    for host in ["a.plain.example", "a.ads.example", "localhost", "0.0.0.0", "127.0.0.1", "fe80::1"]
    {
        assert!(!holds(&list, host), "{host}");
    }
    assert_eq!(list.len(), 12);
}

#[test]
fn an_empty_file_is_an_empty_list() {
    for text in ["", "\n", "# nothing", "\u{feff}"] {
        assert!(read(text).expect("no entries").is_empty(), "{text:?}");
    }
}

#[test]
fn all_mistakes_are_reported_with_their_lines() {
    let text = b"good.example\na b\n10.0.0.0/33\na*.example\n*.1.2.3.4\na..b\n\
        \xff\xfe.example\nbad\x1b[2J.example\ngood.example # \xff\n\n";
    let mistakes = mistakes(text);
    let recorded: Vec<_> = mistakes.first.iter().map(|m| (m.line, m.why.clone())).collect();
    let invalid = InvalidEntry::Name(InvalidDestination::InvalidHost);
    assert_eq!(
        recorded,
        [
            (2, InvalidEntry::Words),
            (3, InvalidEntry::Prefix),
            (4, InvalidEntry::Wildcard),
            (5, InvalidEntry::Address),
            (6, invalid.clone()),
            (7, InvalidEntry::Encoding),
            (8, invalid),
        ]
    );
    assert_eq!(mistakes.count, 7);
    assert_eq!(mistakes.first[6].text, "bad\\u{1b}[2J.example");
}

#[test]
fn the_notations_of_ad_blockers_and_of_block_lists() {
    use InvalidEntry::{Cosmetic, Exception, Name, PageRule, Wildcard};
    let text = b"[Adblock Plus 2.0]\n! Title: a list\n  ! another comment\n\
        ||ads.example^\n||tracker.example^$important\n||192.0.2.7^\n\
        ; a comment of Spamhaus\n203.0.113.0/24 ; SBL1\nplain.example; note\n\
        ##.generic-banner\n## an ornament ##\n";
    let list = read(text).expect("entries");
    for host in [
        "ads.example",
        "a.ads.example",
        "tracker.example",
        "192.0.2.7",
        "203.0.113.9",
        "plain.example",
    ] {
        assert!(holds(&list, host), "{host}");
    }
    assert_eq!(list.len(), 5);

    let text = b"shop.example##.banner\nshop.example#@#.banner\n@@||good.example^\n\
        ||ads.example^$third-party\n||ads.example\n|https://ads.example/\n||ads.example/path^\n\
        ||ad*.example^\n[::1]\n";
    let recorded: Vec<_> = mistakes(text).first.into_iter().map(|m| m.why).collect();
    let invalid = || Name(InvalidDestination::InvalidHost);
    let page = || PageRule;
    assert_eq!(recorded[..6], [Cosmetic, Cosmetic, Exception, page(), page(), page()],);
    assert_eq!(recorded[6..8], [invalid(), Wildcard]);
}

#[test]
fn other_notations_are_mistakes_instead_of_useless_names() {
    use InvalidEntry::{Character, Clash, Dnsmasq, Json, Number, Yaml};
    for (line, why) in [
        ("DOMAIN-SUFFIX,ads.example", Clash),
        ("IP-CIDR,192.0.2.0/24,no-resolve", Clash),
        ("address=/ads.example/0.0.0.0", Dnsmasq),
        ("server=/ads.example/", Dnsmasq),
        ("1,ads.example", Character),
        ("ads.example,tracker.example", Character),
        ("\"ads.example\",", Json),
        ("'+.ads.example'", Character),
        ("+ads.example", Character),
        ("{", Json),
        ("  \"domain_suffix\": [", Json),
        ("payload:", Yaml),
        ("  - '+.ads.example'", Yaml),
        ("127.0.0.1 ads.example,tracker.example", Character),
        ("||ads.example,^", Character),
        ("- ads.example", Yaml),
        ("13335", Number),
        ("127.1", Number),
    ] {
        let (list, mistakes) = List::read(line.as_bytes(), "test.txt", &mut ()).expect("read");
        assert_eq!(mistakes.first.iter().map(|m| &m.why).collect::<Vec<_>>(), [&why], "{line}");
        assert!(list.is_empty(), "{line}");
    }
}

#[test]
fn invalid_lines_are_skipped_and_the_rest_is_kept() {
    let text = "a.example\nb b\n0.0.0.0 c.example d..d e.example\n";
    let (list, mistakes) = List::read(text.as_bytes(), "test.txt", &mut ()).expect("read");
    assert_eq!(mistakes.first.iter().map(|m| m.line).collect::<Vec<_>>(), [2, 3]);
    for host in ["a.example", "c.example", "e.example"] {
        assert!(holds(&list, host), "{host}");
    }
    assert_eq!(list.len(), 3);
}

#[test]
fn reported_mistakes_are_bounded() {
    let line = format!("{}\n", "a b ".repeat(100));
    let mistakes = mistakes(line.repeat(1000));
    assert_eq!((mistakes.first.len(), mistakes.count), (10, 1000));
    assert!(mistakes.first.iter().all(|m| m.text.chars().count() <= 81), "{mistakes:?}");
}

#[test]
fn an_overlong_line_is_one_mistake_and_a_long_comment_none() {
    let long = "a".repeat(1 << 20);
    let mistakes = mistakes(format!("{long}\nb b\n"));
    let recorded: Vec<_> = mistakes.first.iter().map(|m| (m.line, m.why.clone())).collect();
    assert_eq!(recorded, [(1, InvalidEntry::TooLong), (2, InvalidEntry::Words)]);
    let list = read(format!("# {long}\nb.example\n")).expect("entries");
    assert!(holds(&list, "b.example"));
}

/// The recorded progress: the size, and the bytes so far.
#[derive(Default)]
struct Recorded(Option<u64>, u64);

impl Progress for Recorded {
    fn start(&mut self, _: &str, bytes: Option<u64>) {
        self.0 = bytes;
    }

    fn advance(&mut self, bytes: u64) {
        self.1 += bytes;
    }
}

#[test]
fn progress_ends_at_the_size_of_the_file() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let text = format!("a.example\n# {}\n10.0.0.0/8", "x".repeat(100_000));
    file.write_all(text.as_bytes()).expect("room");
    let mut recorded = Recorded::default();
    let (list, _) = List::load(file.path(), "a list", &mut recorded).expect("entries");
    assert_eq!((list.len(), list.name()), (2, "a list"));
    assert_eq!((recorded.0, recorded.1), (Some(text.len() as u64), text.len() as u64));
}

#[test]
fn a_missing_file_is_an_error() {
    let missing = List::load(Path::new("/nonexistent/list"), "missing", &mut ());
    assert!(matches!(missing, Err(ListError::Open(_))), "{missing:?}");
    let directory = List::load(Path::new("/"), "directory", &mut ());
    assert!(matches!(directory, Err(ListError::Open(_))), "{directory:?}");
}

/// Names and addresses without a pattern that could be compressed, which is the worst case.
#[test]
fn an_entry_takes_less_than_forty_bytes() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut kinds: [(&str, String); 6] = [
        ("names", String::new()),
        ("suffixes", String::new()),
        ("IPv4 addresses", String::new()),
        ("IPv4 prefixes", String::new()),
        ("IPv6 addresses", String::new()),
        ("IPv6 prefixes", String::new()),
    ];
    for _ in 0..100_000 {
        let labels = [random.usize(3..10), random.usize(5..15)];
        let [host, site] = labels.map(|n| (0..n).map(|_| random.lowercase()).collect::<String>());
        let top = random.choice(["com", "net", "org", "de", "co.uk"]).expect("some");
        let (v4, v6) = (std::net::Ipv4Addr::from(random.u32(..)), random.u128(..));
        let v6 = std::net::Ipv6Addr::from(v6 >> 3 | 1 << 125);
        for ((_, text), line) in kinds.iter_mut().zip([
            format!("{host}.{site}.{top}"),
            format!("*.{site}.{top}"),
            v4.to_string(),
            format!("{v4}/{}", random.u8(16..=32)),
            v6.to_string(),
            format!("{v6}/{}", random.u8(32..=64)),
        ]) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    for (kind, text) in kinds {
        let list = read(text).expect("entries");
        let bytes = list.heap_bytes().div_ceil(list.len());
        println!("{kind}: {}, {bytes} bytes each", list.len());
        assert!(bytes < 40, "{kind}: {bytes} bytes an entry");
    }
}

/// An almost valid line in one of the notations.
fn nearly_an_entry() -> impl Strategy<Value = Vec<u8>> {
    let forms = prop_oneof![
        "(\\*\\.|\\.|\\|\\|)?[a-zA-Z0-9_.-]{0,30}\\^?( *[#;!].{0,9})?",
        "[0-9a-f:.]{0,40}(/[0-9]{0,4})?",
        "[0-9.]{1,15}[ \t][a-z. \t-]{0,40}",
        "\\PC{0,60}",
    ];
    prop_oneof![
        9 => forms.prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..80),
    ]
}

proptest! {
    #[test]
    fn any_list_is_read_and_its_mistakes_have_line_numbers(
        lines in prop::collection::vec(nearly_an_entry(), 0..8),
    ) {
        let text = lines.join(&b'\n');
        let count = text.split(|byte| *byte == b'\n').count() as u64;
        let (_, mistakes) = List::read(&*text, "test.txt", &mut ()).expect("it can be read");
        prop_assert!(mistakes.count <= count);
        for mistake in &mistakes.first {
            prop_assert!((1..=count).contains(&mistake.line), "{}", mistake);
            prop_assert!(!mistake.to_string().contains(char::is_control), "{}", mistake);
        }
    }
}
