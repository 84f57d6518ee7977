//! Tests: all spellings of a host are equal, and its normal spelling parses as itself.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

/// A number in one of the three bases allowed in an IPv4 address.
fn number(value: u32, base: u8) -> String {
    match base {
        0 => value.to_string(),
        1 => format!("0{value:o}"),
        2 => format!("0x{value:x}"),
        _ => format!("0X{value:08X}"),
    }
}

/// An IPv4 address as `parts` numbers, each in its base; the last one covers the remaining bytes.
fn in_parts(ip: Ipv4Addr, parts: usize, bases: [u8; 4]) -> String {
    let octets = ip.octets();
    let last = octets[parts - 1..].iter().fold(0, |sum, octet| sum << 8 | u32::from(*octet));
    let first = octets[..parts - 1].iter().map(|octet| u32::from(*octet));
    let numbers = first.chain([last]).zip(bases).map(|(value, base)| number(value, base));
    numbers.collect::<Vec<_>>().join(".")
}

/// A name whose letters have unambiguous upper case forms.
fn name() -> impl Strategy<Value = String> {
    let label = prop_oneof!["[a-z][a-z0-9]{0,9}", "[a-zäöüéñ]{1,9}", "[а-я]{1,9}", "[東京都]{1,4}"];
    // The last label is not a number, since the whole would then be an address.
    (prop::collection::vec(label, 0..3), "[a-z]{1,9}").prop_map(|(mut labels, last)| {
        labels.push(last);
        labels.join(".")
    })
}

/// Mostly characters that are valid in hosts.
fn nearly_a_host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9a-fxX.]{0,24}",
        "[0-9a-f:.%\\[\\]]{0,48}",
        "[a-zA-Z0-9._~ÄäßςΣéK。．\u{200d}\u{ad}\u{301}\u{5d0}%@/\\\\ -]{0,40}",
        "(xn--)?[a-z0-9-]{0,12}(\\.xn--[a-z0-9-]{0,12}){0,3}\\.?",
        "([a-zü0-9-]{0,70}\\.){0,9}",
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn all_spellings_of_an_ipv4_address_are_equal(
        bits in any::<u32>(), parts in 1..=4_usize, bases in any::<[u8; 4]>(), dot in "\\.?",
    ) {
        let ip = Ipv4Addr::from(bits);
        let v6 = ip.to_ipv6_mapped();
        let spellings = [
            in_parts(ip, parts, bases.map(|base| base % 4)) + &dot,
            v6.to_string(),
            format!("[{v6}]"),
            format!("::FFFF:{:x}:{:x}", bits >> 16, bits & 0xffff),
            format!("0:0:0:0:0:ffff:{ip}"),
        ];
        for spelling in spellings {
            let read = spelling.parse();
            prop_assert_eq!(read, Ok(Host::Ip(ip.into())), "{}", spelling);
        }
    }

    #[test]
    fn an_ipv6_address_parses_as_itself_and_has_no_zone(bits in any::<u128>(), zone in "[a-z0-9]{0,9}") {
        let ip = Ipv6Addr::from(bits);
        let groups = ip.segments().map(|group| format!("{group:04X}")).join(":");
        for spelling in [ip.to_string(), format!("[{ip}]"), groups.clone(), format!("[{groups}]")] {
            prop_assert_eq!(spelling.parse(), Ok(Host::from(IpAddr::V6(ip))), "{}", spelling);
        }
        for spelling in [format!("{ip}%{zone}"), format!("[{ip}%25{zone}]")] {
            let read = spelling.parse::<Host>();
            prop_assert_eq!(read, Err(InvalidDestination::Zone), "{}", spelling);
        }
    }

    #[test]
    fn a_name_is_equal_in_any_case_and_with_a_trailing_dot(name in name()) {
        let host: Host = name.parse().expect("a name");
        let ascii = host.to_string();
        let spellings = [
            name.to_uppercase(),
            format!("{name}."),
            // The ideographic full stop (RFC 3490 section 3.1).
            name.replace('.', "\u{3002}"),
            // Decomposed letters, as stored by some file systems.
            name.replace('é', "e\u{301}").replace('ü', "u\u{308}"),
            ascii.clone(),
            ascii.to_uppercase(),
            format!("{ascii}."),
        ];
        for spelling in spellings {
            prop_assert_eq!(spelling.parse(), Ok(host.clone()), "{}", spelling);
        }
        prop_assert_eq!(name.is_ascii(), !ascii.contains("xn--"));
    }

    #[test]
    fn any_parsed_host_is_in_its_normal_spelling(text in nearly_a_host(), port in 1_u16..) {
        let Ok(host) = text.parse::<Host>() else { return Ok(()) };
        let normal = host.to_string();
        prop_assert_eq!(normal.parse(), Ok(host.clone()));
        if let Host::Name(name) = &host {
            let plain = |c: char| c.is_ascii_graphic() && !c.is_ascii_uppercase();
            prop_assert!(name.chars().all(plain), "{:?}", name);
            prop_assert!(!name.contains(['/', '\\', '@', ':', '%', '[', ']', '?', '#']), "{}", name);
            prop_assert!(name.len() <= MAX_NAME && !name.ends_with('.'), "{}", name);
            prop_assert!(name.parse::<IpAddr>().is_err(), "{}", name);
        }
        // Parsers that accept a host among other things accept it, too.
        let there = Destination::new(host, port).expect("not port 0");
        prop_assert_eq!(Destination::parse(&there.to_string(), None), Ok(there.clone()));
        prop_assert_eq!(Destination::from_parts(&normal, &port.to_string()), Ok(there));
    }

    #[test]
    fn no_authority_causes_a_panic(text in nearly_a_host(), port in "(:[0-9+ -]{0,6})?") {
        for text in [text.clone() + &port, format!("[{text}]{port}")] {
            if let Ok(destination) = Destination::parse(&text, Some(80)) {
                prop_assert_eq!(Destination::parse(&destination.to_string(), None), Ok(destination));
            }
        }
    }
}
