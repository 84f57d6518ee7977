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
fn a_refusal_by_the_server_is_not_the_target_s_fault() {
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
async fn the_only_opener_claims_its_own_failure() {
    let failures = OpenFailures::default();
    let open = failures.begin();
    failures.add(TargetFault::Refused);
    assert_eq!(open.take(async { false }).await, TargetFault::Refused);
    assert_eq!(failures.unclaimed(), 0);
}

#[test]
fn an_undecodable_text_may_belong_to_any_pending_open() {
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
async fn two_equal_failures_are_certain() {
    let failures = OpenFailures::default();
    let (a, b) = (failures.begin(), failures.begin());
    failures.add(TargetFault::Refused);
    failures.add(TargetFault::Refused);
    assert_eq!(a.take(yes()).await, TargetFault::Refused);
    assert_eq!(b.take(yes()).await, TargetFault::Refused);
}

#[tokio::test]
async fn differing_failures_are_never_guessed() {
    let failures = OpenFailures::default();
    let (a, b) = (failures.begin(), failures.begin());
    failures.add(TargetFault::Refused);
    failures.add(TargetFault::NameNotFound);
    assert_eq!(a.take(yes()).await, TargetFault::Uncertain);
    assert_eq!(b.take(yes()).await, TargetFault::Uncertain);
    let c = failures.begin();
    failures.add(TargetFault::TimedOut);
    assert_eq!(c.take(yes()).await, TargetFault::TimedOut, "certainty returns");
}

#[tokio::test]
async fn without_a_barrier_two_openers_get_only_the_code() {
    let failures = OpenFailures::default();
    let (a, b) = (failures.begin(), failures.begin());
    failures.add(TargetFault::Refused);
    failures.add(TargetFault::Refused);
    assert_eq!(a.take(async { false }).await, TargetFault::Uncertain);
    assert_eq!(b.take(async { false }).await, TargetFault::Uncertain);
}

/// After a guess was avoided, what is left may belong to either.
#[tokio::test]
async fn a_doubtful_failure_stays_doubtful() {
    let failures = OpenFailures::default();
    let (a, b) = (failures.begin(), failures.begin());
    failures.add(TargetFault::Refused);
    assert_eq!(a.take(async { false }).await, TargetFault::Uncertain);
    failures.add(TargetFault::NameNotFound);
    assert_eq!(b.take(yes()).await, TargetFault::Uncertain, "it came after");

    let [a, b, c, d] = std::array::from_fn(|_| failures.begin());
    failures.add(TargetFault::Refused);
    failures.add(TargetFault::NameNotFound);
    assert_eq!(a.take(yes()).await, TargetFault::Uncertain);
    assert_eq!(b.take(yes()).await, TargetFault::Uncertain, "the only one left");
    failures.add(TargetFault::Refused);
    failures.add(TargetFault::Refused);
    assert_eq!(c.take(yes()).await, TargetFault::Refused, "both are new");
    assert_eq!(d.take(yes()).await, TargetFault::Refused);

    let [a, b, c] = std::array::from_fn(|_| failures.begin());
    failures.add(TargetFault::Refused);
    failures.add(TargetFault::NameNotFound);
    assert_eq!(a.take(yes()).await, TargetFault::Uncertain);
    failures.add(TargetFault::Refused);
    assert_eq!(b.take(yes()).await, TargetFault::Uncertain, "one of two is doubtful");
    assert_eq!(c.take(yes()).await, TargetFault::Uncertain);
}
