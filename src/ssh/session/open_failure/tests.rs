use super::*;

fn yes() -> impl Future<Output = bool> {
    std::future::ready(true)
}

#[test]
fn texts() {
    use TargetFault::*;
    for (text, fault) in [
        ("Connection refused", Refused),
        ("dial tcp 127.0.0.1:1: connect: connection refused", Refused),
        ("No route to host", NoRoute),
        ("Network is unreachable", NetworkUnreachable),
        ("Connection timed out", TimedOut),
        ("Name or service not known", NameNotFound),
        ("Temporary failure in name resolution", NameNotFound),
        ("No address associated with hostname", NameNotFound),
        ("lookup nowhere.invalid: no such host", NameNotFound),
        ("Name does not resolve", NameNotFound),
        ("lookup x on 127.0.0.53:53: server misbehaving", NameNotFound),
        ("[Errno 111] Connect call failed ('127.0.0.1', 1)", Refused),
        ("Multiple exceptions: [Errno 101] x ('::1', 1), [Errno 111] x ('127.0.0.1', 1)", Refused),
        ("[Errno -2] Name or service not known", NameNotFound),
        ("[Errno 113] Connect call failed ('192.0.2.1', 1)", NoRoute),
        ("connect ECONNREFUSED 127.0.0.1:1", Refused),
        ("getaddrinfo ENOTFOUND nowhere.invalid", NameNotFound),
        ("java.net.UnknownHostException: nowhere.invalid", NameNotFound),
        ("No connection could be made because the target machine actively refused it.", Refused),
        ("Connection was refused by other side: 111", Refused),
        ("open failed", Uncertain),
        ("[Errno 1111] whatever", Uncertain),
        ("", Uncertain),
    ] {
        assert_eq!(TargetFault::from_text(text), fault, "{text}");
    }
}

#[test]
fn what_the_server_refuses_by_itself_is_not_the_target_s_fault() {
    use ChannelOpenFailure as Code;
    let text = TargetFault::Refused;
    for (code, fault) in [
        (Code::AdministrativelyProhibited, TargetFault::Prohibited),
        (Code::UnknownChannelType, TargetFault::Prohibited),
        (Code::ResourceShortage, TargetFault::ServerFull),
        (Code::ConnectFailed, text),
        (Code::Other { code: 7, reason: String::new() }, TargetFault::Uncertain),
    ] {
        assert_eq!(TargetFault::from_code(&code, text), fault, "{code:?}");
    }
}

#[tokio::test]
async fn the_only_opener_takes_its_own() {
    let failures = OpenFailures::default();
    let open = failures.begin();
    failures.add(TargetFault::Refused);
    assert_eq!(open.take(async { false }).await, TargetFault::Refused);
    assert_eq!(failures.untaken(), 0);
}

#[test]
fn an_unreadable_text_may_have_been_for_any_open_that_was_outstanding() {
    let one = OpenFailures::default();
    let open = one.begin();
    assert_eq!(open.unreadable(), None);
    one.end_unreadable();
    let late = one.begin();
    assert_eq!((open.unreadable(), late.unreadable()), (Some(Unreadable::OnlyOpen), None));
    let several = OpenFailures::default();
    let (a, b) = (several.begin(), several.begin());
    several.end_unreadable();
    drop(a);
    assert_eq!(b.unreadable(), Some(Unreadable::OneOfSeveral));
    let none = OpenFailures::default();
    none.end_unreadable();
    assert_eq!(none.begin().unreadable(), None);
}

#[tokio::test]
async fn two_of_the_same_are_certain() {
    let failures = OpenFailures::default();
    let (a, b) = (failures.begin(), failures.begin());
    failures.add(TargetFault::Refused);
    failures.add(TargetFault::Refused);
    assert_eq!(a.take(yes()).await, TargetFault::Refused);
    assert_eq!(b.take(yes()).await, TargetFault::Refused);
}

#[tokio::test]
async fn two_that_differ_are_never_guessed() {
    let failures = OpenFailures::default();
    let (a, b) = (failures.begin(), failures.begin());
    failures.add(TargetFault::Refused);
    failures.add(TargetFault::NameNotFound);
    assert_eq!(a.take(yes()).await, TargetFault::Uncertain);
    assert_eq!(b.take(yes()).await, TargetFault::Uncertain);
    let c = failures.begin();
    failures.add(TargetFault::TimedOut);
    assert_eq!(c.take(yes()).await, TargetFault::TimedOut, "the doubt does not last");
}

#[tokio::test]
async fn without_a_way_to_tell_two_openers_get_the_code_alone() {
    let failures = OpenFailures::default();
    let (a, b) = (failures.begin(), failures.begin());
    failures.add(TargetFault::Refused);
    failures.add(TargetFault::Refused);
    assert_eq!(a.take(async { false }).await, TargetFault::Uncertain);
    assert_eq!(b.take(async { false }).await, TargetFault::Uncertain);
}
