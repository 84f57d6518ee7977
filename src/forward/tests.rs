//! The grammar: tables of examples, and properties of all forwards.

use proptest::prelude::*;

use super::listen_address::Bind;
use super::*;
use crate::destination::InvalidDestination;
use crate::target::Target;

fn local(text: &str) -> LocalForward {
    text.parse().unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn remote(text: &str) -> RemoteForward {
    text.parse().unwrap_or_else(|why| panic!("{text}: {why}"))
}

#[test]
fn local_forwards() {
    for (text, listen, to) in [
        ("80:a:81", "80", "a:81"),
        ("0:a:81", "0", "a:81"),
        ("localhost:80:a:81", "localhost:80", "a:81"),
        (":80:a:81", "*:80", "a:81"),
        ("*:80:a:81", "*:80", "a:81"),
        ("[]:80:a:81", "*:80", "a:81"),
        ("127.0.0.2:80:A:81", "127.0.0.2:80", "a:81"),
        ("[::1]:80:[2001:DB8::1]:81", "[::1]:80", "[2001:db8::1]:81"),
        ("80:[a]:81", "80", "a:81"),
        (" 80:a:81", "80", "a:81"),
        ("80:/r.sock", "80", "/r.sock"),
        ("[::1]:80:/r.sock", "[::1]:80", "/r.sock"),
        ("/l.sock:a:81", "/l.sock", "a:81"),
        ("/l.sock:/r.sock", "/l.sock", "/r.sock"),
        ("./l:[::1]:81", "./l", "[::1]:81"),
        (r"/a\:b:a:81", r"/a\:b", "a:81"),
        ("[/a:b]:a:81", r"/a\:b", "a:81"),
        ("http:a:https", "80", "a:443"),
        ("localhost:ssh:a:domain", "localhost:22", "a:53"),
    ] {
        let forward = local(text);
        assert_eq!(forward.listen.to_string(), listen, "{text}");
        assert_eq!(forward.to.to_string(), to, "{text}");
    }
}

#[test]
fn errors_of_local_forwards() {
    use InvalidForward::*;
    for (text, why) in [
        ("", LocalForm),
        ("80", NoTarget),
        ("host:80", NoTarget),
        ("/l.sock", NoTarget),
        ("80/a/81", NoTarget),
        ("/l.sock:80", LocalForm),
        ("b:80:a:81:c", LocalForm),
        ("80:::1:81", LocalForm),
        ("80:a:81:/r", LocalForm),
        ("[::1:80:a:81", Quoting),
        ("[::1]80:a:81", Quoting),
        ("80:a:81\\", Quoting),
        ("x:a:81", ListenPort),
        ("+80:a:81", ListenPort),
        ("65536:a:81", ListenPort),
        (":a:81", ListenPort),
        ("me@host:80:a:81", Bind),
        ("80:a:0", Target(InvalidDestination::PortZero)),
        ("80:a:no-service", Target(InvalidDestination::InvalidPort)),
        ("80::81", Target(InvalidDestination::EmptyHost)),
        ("80:a b:81", Target(InvalidDestination::InvalidHost)),
        ("80:[fe80::1%eth0]:81", Target(InvalidDestination::Zone)),
    ] {
        assert_eq!(text.parse::<LocalForward>(), Err(why), "{text:?}");
    }
    let long = format!("/{}:a:81", "x".repeat(107));
    assert_eq!(long.parse::<LocalForward>(), Err(Path));
}

#[test]
fn gateway_ports_decide_about_a_bare_port() {
    let address = |text, bare| local(text).listen.address(bare).to_string();
    assert_eq!(address("80:a:81", &Bind::Loopback), "localhost:80");
    assert_eq!(address("80:a:81", &Bind::All), "*:80");
    assert_eq!(address("localhost:80:a:81", &Bind::All), "localhost:80");
    assert_eq!(address("Host:80:a:81", &Bind::All), "host:80");
    assert_eq!(address("/l.sock:a:81", &Bind::All), "/l.sock");
}

#[test]
fn remote_forwards() {
    for (text, bind, printed) in [
        ("80:a:81", "localhost", "80:a:81"),
        (":80:a:81", "", ":80:a:81"),
        ("[]:80:a:81", "", ":80:a:81"),
        ("*:80:a:81", "", "*:80:a:81"),
        ("localhost:80:a:81", "localhost", "localhost:80:a:81"),
        ("0.0.0.0:80:a:81", "0.0.0.0", "0.0.0.0:80:a:81"),
        ("[::]:80:[::1]:81", "::", "[::]:80:[::1]:81"),
        ("gate.example:80:/l.sock", "gate.example", "gate.example:80:/l.sock"),
        ("0:/l.sock", "localhost", "0:/l.sock"),
        ("80", "localhost", "80"),
        ("0", "localhost", "0"),
        (":80", "", ":80"),
        ("*:80", "", "*:80"),
        ("[::1]:80", "::1", "[::1]:80"),
    ] {
        let forward = remote(text);
        assert_eq!(forward.to_string(), printed, "{text}");
        match forward.listen {
            RemoteListen::Tcp { bind: sent, .. } => assert_eq!(sent.on_the_wire(), bind, "{text}"),
            RemoteListen::Unix(path) => panic!("{text}: {path}"),
        }
    }
    for (text, path, proxy) in [
        ("/r.sock", "/r.sock", true),
        ("/r.sock:/l.sock", "/r.sock", false),
        ("/r.sock:a:81", "/r.sock", false),
        (r"/r\:1:[::1]:81", "/r:1", false),
    ] {
        let forward = remote(text);
        assert_eq!(forward.listen, RemoteListen::Unix(path.into()), "{text}");
        assert_eq!(forward.to == RemoteTo::Proxy, proxy, "{text}");
    }
}

#[test]
fn errors_of_remote_forwards() {
    use InvalidForward::*;
    for (text, why) in [
        ("", RemoteForm),
        ("/r.sock:80", RemoteForm),
        ("b:80:a:81:c", RemoteForm),
        ("a", ListenPort),
        ("a:b", ListenPort),
        ("a b:80", RemoteBind),
        ("80:a:0", Target(InvalidDestination::PortZero)),
        ("[::1", Quoting),
    ] {
        assert_eq!(text.parse::<RemoteForward>(), Err(why), "{text:?}");
    }
}

#[test]
fn targets() {
    for (text, printed) in
        [("a:80", "a:80"), ("[::1]:80", "[::1]:80"), ("/s", "/s"), ("127.1:080", "127.0.0.1:80")]
    {
        assert_eq!(text.parse::<Target>().map(|t| t.to_string()), Ok(printed.into()), "{text}");
    }
    for text in ["", "a", "80", "a:no-service", "a:0", ":80", "a:80:90"] {
        assert!(text.parse::<Target>().is_err(), "{text:?}");
    }
}

/// Any socket path.
fn path() -> impl Strategy<Value = String> {
    "[a-z :\\[\\]\\\\]{0,20}/[a-z /:\\[\\]\\\\.]{0,40}"
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,9}(\\.[a-z]{1,9}){0,2}",
        any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|ip| ip.to_string()),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        (host(), 1..=u16::MAX).prop_map(|(host, port)| {
            super::target::read(&[
                super::fields::Field::Word(host.clone()),
                super::fields::Field::Word(port.to_string()),
            ])
            .expect("a host and a port")
        }),
        path().prop_map(|path| Target::Socket(path.into())),
    ]
}

fn local_listen() -> impl Strategy<Value = LocalListen> {
    let bind = prop_oneof![
        Just(None),
        Just(Some(Bind::Loopback)),
        Just(Some(Bind::All)),
        any::<std::net::IpAddr>().prop_map(|ip| Some(Bind::Address(ip.to_canonical()))),
        "[a-z]{9}".prop_map(|name| Some(Bind::Name(name.into()))),
    ];
    prop_oneof![
        (bind, any::<u16>()).prop_map(|(bind, port)| LocalListen::Tcp { bind, port }),
        path().prop_map(|path| LocalListen::Unix(path.into())),
    ]
}

fn remote_listen() -> impl Strategy<Value = RemoteListen> {
    let bind = prop_oneof![
        Just(RemoteBind::Unsaid),
        "[a-z0-9.*:-]{0,20}".prop_map(|text| RemoteBind::As(text.into())),
    ];
    prop_oneof![
        (bind, any::<u16>()).prop_map(|(bind, port)| RemoteListen::Tcp { bind, port }),
        path().prop_map(|path| RemoteListen::Unix(path.into())),
    ]
}

proptest! {
    #[test]
    fn every_local_forward_parses_from_its_text(listen in local_listen(), to in target()) {
        let forward = LocalForward { listen, to };
        prop_assert_eq!(forward.to_string().parse(), Ok(forward.clone()));
        prop_assert_eq!(forward.listen.to_string().parse(), Ok(forward.listen));
        prop_assert_eq!(super::target::AsField(&forward.to).to_string().parse(), Ok(forward.to));
    }

    #[test]
    fn every_remote_forward_parses_from_its_text(
        listen in remote_listen(), to in prop::option::of(target()),
    ) {
        let forward =
            RemoteForward { listen, to: to.map_or(RemoteTo::Proxy, RemoteTo::Fixed) };
        prop_assert_eq!(forward.to_string().parse(), Ok(forward.clone()));
        prop_assert_eq!(forward.listen.to_string().parse(), Ok(forward.listen));
    }

    #[test]
    fn any_parsed_text_prints_an_equivalent_one(text in "[\\PC\\[\\]:/\\\\0-9]{0,60}") {
        if let Ok(forward) = text.parse::<LocalForward>() {
            prop_assert_eq!(forward.to_string().parse(), Ok(forward));
        }
        if let Ok(forward) = text.parse::<RemoteForward>() {
            prop_assert_eq!(forward.to_string().parse(), Ok(forward));
        }
    }
}
