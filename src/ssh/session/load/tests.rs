use super::*;

#[test]
fn every_counter_returns_to_zero() {
    let load = Arc::new(Load::default());
    let lease = load.lease(OpenKind::Plain);
    assert_eq!((load.channels(), load.opening()), (1, 1));
    let unresolved = load.lease(OpenKind::UnresolvedName);
    assert_eq!((load.opening(), load.unresolved()), (2, 1));
    drop(unresolved);
    assert_eq!((load.opening(), load.unresolved()), (1, 0));
    lease.confirmed();
    assert_eq!((load.channels(), load.opening()), (1, 0));
    lease.set_reading(Reading::Behind);
    lease.set_reading(Reading::Behind);
    lease.set_held(true);
    assert_eq!((load.slow_readers(), load.held()), (1, 1));
    lease.finish();
    lease.set_reading(Reading::Behind);
    lease.set_held(true);
    assert_eq!((load.slow_readers(), load.held()), (0, 0), "it is finished");
    drop(lease);
    drop(load.lease(OpenKind::Plain));
    assert_eq!((load.channels(), load.opening(), load.slow_readers()), (0, 0, 0));
}

#[test]
fn a_channel_is_not_alone_beside_a_listener() {
    let load = Arc::new(Load::default());
    let lease = load.lease(OpenKind::Plain);
    assert!(lease.is_alone());
    let listening = load.listen();
    assert!(!lease.is_alone());
    drop(listening);
    assert!(lease.is_alone());
    let _other = load.lease(OpenKind::Plain);
    assert!(!lease.is_alone());
}

#[test]
fn a_transfer_is_bulk_while_it_runs_and_an_idle_connection_is_inactive() {
    let load = Arc::new(Load::default());
    let (small, large) = (load.lease(OpenKind::Plain), load.lease(OpenKind::Plain));
    small.sent(100);
    large.received(200 * 1024);
    assert_eq!((load.active(), load.bulk()), (2, 0));
    large.received(200 * 1024);
    large.received(500 * 1024);
    assert_eq!((load.active(), load.bulk()), (2, 1));
    assert_eq!(load.beat().busiest, 0, "it may have begun late in the beat");
    assert_eq!((load.active(), load.bulk()), (2, 1), "they were in the previous beat");
    load.beat();
    assert_eq!((load.active(), load.bulk()), (0, 0));
    large.received(900 * 1024);
    load.beat();
    large.received(700 * 1024);
    assert_eq!(load.beat().busiest, 700 * 1024);
    large.received(200 * 1024);
    assert_eq!((load.active(), load.bulk()), (1, 1));
    drop(large);
    assert_eq!((load.active(), load.bulk()), (0, 0), "finished channels do not count");
    small.finish();
    assert_eq!(load.channels(), 0);
    drop(small);
    assert_eq!(load.channels(), 0, "it is removed once");
    assert_eq!(load.carried(), 100 + 2700 * 1024);
}

#[test]
fn a_transfer_that_fills_the_line_is_bulk_however_slow_the_line_is() {
    let load = Arc::new(Load::default());
    let transfer = load.lease(OpenKind::Plain);
    for _ in 0..2 {
        transfer.sent(100 * 1024);
        transfer.received(60 * 1024);
        load.beat();
    }
    transfer.sent(60 * 1024);
    load.beat();
    load.beat();
    assert_eq!(load.bulk(), 0, "below the minimum");
    transfer.sent(70 * 1024);
    assert_eq!(load.bulk(), 1);
    load.beat();
    load.beat();
    let (picture, download) = (load.lease(OpenKind::Plain), load.lease(OpenKind::Plain));
    download.received(1000 * 1024);
    load.beat();
    load.beat();
    load.beat();
    picture.received(200 * 1024);
    assert_eq!(load.bulk(), 0, "below a quarter of the line");
    picture.received(100 * 1024);
    assert_eq!(load.bulk(), 1);
}
