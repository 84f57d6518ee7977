//! Addresses that lead to other addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address itself and every other one that a connection to it may reach: the connecting machine, for an
/// unspecified address; the IPv4 address inside an IPv6 address, if a translator, a relay or the system
/// extracts it. Checks of an address must apply to all of them.
///
/// - 0.0.0.0/8 and `::`: this machine (RFC 1122 section 3.2.1.3; connect(2) takes them for loopback).
/// - `::ffff:0:0/96` and `::/96`: mapped, and the deprecated compatible form (RFC 4291 section 2.5.5).
/// - `::ffff:0:0:0/96`: translated (RFC 2765 section 2.1).
/// - `64:ff9b::/96` and, in the same form, `64:ff9b:1::/48`: NAT64 (RFC 6052, RFC 8215).
/// - `2002::/16`: 6to4 (RFC 3056). `2001::/32`: Teredo (RFC 4380 section 4).
/// - an interface identifier of ISATAP (RFC 5214 section 6.1).
pub(crate) fn leads_to(ip: IpAddr) -> impl Iterator<Item = IpAddr> {
    let ip = ip.to_canonical();
    let inside = match ip {
        IpAddr::V4(_) => [None, None],
        IpAddr::V6(v6) => embedded(v6),
    };
    let whole = [Some(ip)].into_iter().chain(inside.map(|v4| v4.map(IpAddr::V4))).flatten();
    whole.flat_map(|ip| {
        let here = if is_this_machine(ip) {
            [Some(Ipv4Addr::LOCALHOST.into()), Some(Ipv6Addr::LOCALHOST.into())]
        } else {
            [None, None]
        };
        [Some(ip)].into_iter().chain(here).flatten()
    })
}

fn is_this_machine(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unspecified(),
    }
}

/// The IPv4 addresses that may be embedded; the second one is that of an ISATAP identifier.
fn embedded(ip: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let last = low_32(ip);
    let first = match ip.segments() {
        // `::` and `::1` are not IPv4-compatible addresses.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..]
        | [0x64, 0xff9b, 1, ..] => Some(last),
        [0x2002, high, low, ..] => {
            Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        // The client's address is stored with all bits inverted.
        [0x2001, 0, ..] => Some(Ipv4Addr::from_bits(!last.to_bits())),
        _ => None,
    };
    let isatap = match ip.segments() {
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => Some(last),
        _ => None,
    };
    [first, isatap]
}

/// The last 32 bits.
fn low_32(ip: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = ip.octets();
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leads(text: &str) -> Vec<String> {
        leads_to(text.parse().expect(text)).map(|ip| ip.to_string()).collect()
    }

    #[test]
    fn an_ordinary_address_leads_only_to_itself() {
        for text in ["127.0.0.1", "192.0.2.1", "255.255.255.255", "::1", "fd00::1", "2001:db8::1"] {
            assert_eq!(leads(text), [text]);
        }
    }

    #[test]
    fn unspecified_addresses_lead_to_this_machine() {
        for text in ["0.0.0.0", "0.0.0.1", "0.255.1.2", "::"] {
            assert_eq!(leads(text), [text, "127.0.0.1", "::1"]);
        }
        assert_eq!(leads("::ffff:0.0.0.0"), ["0.0.0.0", "127.0.0.1", "::1"]);
        let twice = leads("64:ff9b::");
        assert_eq!(twice, ["64:ff9b::", "0.0.0.0", "127.0.0.1", "::1"]);
    }

    #[test]
    fn every_form_reveals_its_embedded_address() {
        for text in [
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::127.0.0.1",
            "64:ff9b:1:ffff::7f00:1",
            "2002:7f00:1::",
            "2002:7f00:1:1:2:3:4:5",
            "2001::80ff:fffe",
            "2001:0:5ef5:79fd:0:1:80ff:fffe",
            "fe80::5efe:127.0.0.1",
            "2001:db8::200:5efe:127.0.0.1",
        ] {
            assert!(leads(text).contains(&"127.0.0.1".to_owned()), "{text}: {:?}", leads(text));
        }
        assert_eq!(leads("::ffff:127.0.0.1"), ["127.0.0.1"]);
    }

    /// The forms as in their RFCs, with bit operations.
    fn naive(ip: u128) -> Vec<u32> {
        let prefix = |length: u32| ip >> (128 - length);
        let word = |bits: u128| u32::try_from(bits & 0xffff_ffff).expect("32 bits");
        let last = word(ip);
        let mut found = Vec::new();
        if prefix(96) == 0 && ip > 1 || prefix(96) == 0xffff || prefix(96) == 0xffff_0000 {
            found.push(last);
        }
        if prefix(96) == 0x0064_ff9b_u128 << 64 || prefix(48) == 0x0064_ff9b_0001 {
            found.push(last);
        }
        if prefix(16) == 0x2002 {
            found.push(word(ip >> 80));
        }
        if prefix(32) == 0x2001_0000 {
            found.push(!last);
        }
        if word(ip >> 32) & 0xfdff_ffff == 0x5efe {
            found.push(last);
        }
        found
    }

    proptest! {
        #[test]
        fn the_embedded_address_matches_the_bits(
            v4 in prop_oneof![any::<u32>(), 0_u32..3, 0x7f00_0000_u32..0x7f00_0004],
            rest in any::<u128>(), form in 0..10,
        ) {
            let low = u128::from(v4);
            let ip = match form {
                0 => low,
                1 => 0xffff << 32 | low,
                2 => 0xffff << 48 | low,
                3 => 0x0064_ff9b << 96 | low,
                4 => 0x0064_ff9b_0001 << 80 | (rest >> 48 & !0xffff_ffff) | low,
                5 => 0x2002 << 112 | low << 80 | rest >> 48,
                6 => 0x2001_0000 << 96 | (rest >> 32 & !0xffff_ffff) | u128::from(!v4),
                7 => rest & !0xffff_ffff_ffff_ffff | 0x5efe << 32 | low,
                8 => rest & !0xffff_ffff_ffff_ffff | 0x0200_5efe << 32 | low,
                _ => rest,
            };
            let address = IpAddr::V6(Ipv6Addr::from_bits(ip));
            let found: Vec<_> = leads_to(address).collect();
            prop_assert_eq!(found[0], address.to_canonical());
            for inside in naive(ip) {
                let inside = Ipv4Addr::from_bits(inside);
                prop_assert!(found.contains(&inside.into()), "{} in {:?}", inside, found);
                let here = inside.octets()[0] == 0;
                prop_assert!(!here || found.contains(&Ipv4Addr::LOCALHOST.into()), "{:?}", found);
            }
            let known = naive(ip).len() + 1;
            let others = found.iter().filter(|ip| !ip.is_loopback()).count();
            prop_assert!(others <= known, "{:?} of {}", found, address);
        }
    }
}
