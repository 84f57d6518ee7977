use self::uplink::{BEST, Feed, Uplink};
use super::base::{Look, SLIGHT};
use super::*;

mod answers;
mod uplink;

const BOTH: [Feed; 2] = [Feed::Answers, Feed::Kernel];

/// Each capacity with each feed.
fn fed(capacities: [u64; 3]) -> impl Iterator<Item = (Feed, u64)> {
    BOTH.into_iter().flat_map(move |feed| capacities.map(|capacity| (feed, capacity)))
}

#[test]
fn an_upload_fills_the_line_and_not_the_queue() {
    // A single burst is a target on the first, and nearly one on the second.
    for feed in BOTH {
        for (capacity, targets) in [(30_000, 4), (250_000, 4), (625_000, 2), (12_500_000, 2)] {
            let mut line = Uplink::fed(feed, capacity);
            assert!(line.send_for(3) > 2 * TARGET, "it finds out");
            line.used(3);
            let longest = line.send_for(60);
            assert!(longest < targets * TARGET, "{longest:?} at {capacity} by {feed:?}");
            let used = line.used(60);
            assert!(used >= 98, "{used} % of {capacity} by {feed:?}");
        }
    }
}

#[test]
fn the_queue_of_the_beginning_goes_soon() {
    for found in [None, Some(100), Some(120), Some(140)] {
        let mut line = Uplink::new(12_500_000);
        // Buffers have taken some of what the socket took.
        line.rate = found.map(|hundredths| line.capacity / 100 * hundredths);
        line.send_until_paced();
        line.send_for_millis(400);
        let longest = line.send_for_millis(600);
        assert!(longest < 2 * TARGET, "{longest:?} where {found:?} % were found");
        line.used(1);
        line.send_for(10);
        let used = line.used(10);
        assert!(used >= 98, "{used} %");
    }
}

#[test]
fn an_upload_that_begins_between_two_questions_is_as_fast_at_once() {
    for (capacity, idle) in [(12_500_000, 100), (12_500_000, 400), (625_000, 400)] {
        let mut line = Uplink::new(capacity);
        line.idle_for(idle);
        line.send_until_paced();
        let found = line.pacer.control.as_ref().expect("an upload").capacity;
        let permille = found * 1000 / capacity;
        assert!((800..=1200).contains(&permille), "{permille} of {capacity} after {idle} ms");
    }
}

#[test]
fn a_pace_that_grows_is_not_far_too_much() {
    let mut line = Uplink::new(1_000_000);
    line.send_for(10);
    line.capacity = 8_000_000;
    line.most = line.capacity / 2;
    line.queue = 0;
    let longest = line.send_for(10);
    assert!(longest < Duration::from_millis(90), "{longest:?}");
    line.used(10);
    line.send_for(10);
    assert!(line.used(10) >= 97);
}

#[test]
fn a_pace_that_is_far_too_low_grows_in_spite_of_bursts() {
    for (feed, capacity) in fed([250_000, 625_000, 12_500_000]) {
        let mut line = Uplink::fed(feed, capacity);
        line.send_until_paced();
        line.send_for(3);
        line.pacer.control.as_mut().expect("an upload").capacity = capacity / 3;
        line.send_for(3);
        line.used(1);
        line.send_for(3);
        let used = line.used(3);
        assert!(used >= 97, "{used} % of {capacity} by {feed:?}");
    }
}

#[test]
fn the_base_is_found_when_the_queue_has_gone() {
    let mut line = Uplink::new(12_500_000);
    line.send_until_paced();
    let look = Look::Since(line.now, Depth::Usual);
    line.pacer.control.as_mut().expect("an upload").base.set(BEST, look);
    line.send_for_millis(1500);
    let base = &line.pacer.control.as_ref().expect("an upload").base;
    assert_eq!(base.depth(), None, "it is over");
    assert!(base.takes() <= BEST + SLIGHT, "{:?}", base.takes());
}

#[test]
fn a_line_that_changes_is_followed() {
    let mut line = Uplink::new(1_000_000);
    line.send_for(10);
    line.capacity = 4_000_000;
    line.most = line.capacity / 10;
    line.send_for(10);
    line.used(10);
    assert!(line.send_for(20) < 2 * TARGET);
    assert!(line.used(20) >= 97);
    line.capacity = 500_000;
    line.most = line.capacity / 10;
    line.queue = line.queue.min(line.most);
    line.send_for(10);
    line.used(10);
    assert!(line.send_for(20) < 2 * TARGET);
    assert!(line.used(20) >= 97);
}

#[test]
fn the_queue_of_others_is_not_ours() {
    let mut line = Uplink::new(1_000_000);
    line.send_for(10);
    line.foreign = Duration::from_millis(80);
    line.send_for(30);
    line.used(30);
    line.send_for(30);
    let used = line.used(30);
    assert!(used >= 92, "{used} %");
}

#[test]
fn a_session_that_began_on_a_full_line_finds_its_round_trip() {
    let mut line = Uplink::new(625_000);
    line.best_known = BEST + Duration::from_millis(90);
    line.rate = Some(600_000);
    line.send_for(8);
    line.used(8);
    assert!(line.send_for(20) < 2 * TARGET);
    assert!(line.used(20) >= 97);
}

#[test]
fn questions_that_follow_at_once_change_nothing() {
    let mut line = Uplink::new(625_000);
    line.send_for(10);
    let before = line.pacer.control.as_ref().expect("an upload").capacity;
    let last = line.pacer.last.expect("an answer");
    for micros in [1, 1000, 50_000] {
        let asked = last.asked + Duration::from_micros(micros);
        line.pacer.answered(
            Sample { asked, round_trip: BEST, ..last },
            BEST,
            SocketState::Unknown(None),
        );
    }
    assert_eq!(line.pacer.control.expect("an upload").capacity, before);
}

#[test]
fn who_sends_little_is_not_held_back() {
    let mut pacer = Pacer::default();
    let begun = Instant::now();
    for beat in 1..20 {
        let asked = begun + Duration::from_millis(500) * beat;
        let sent = u64::from(beat) * 1000;
        let (round_trip, sent_before) = (BEST * 10, sent);
        let stretch = Stretch { since: begun, sent_before: 0 };
        let sample = Sample { asked, sent_before, stretch, round_trip, sent, held_back: false };
        assert_eq!(pacer.answered(sample, BEST, SocketState::Unknown(Some(1_000_000))), None);
    }
}

#[test]
fn an_upload_is_not_starved_by_the_queue_of_others() {
    for (feed, capacity) in fed([250_000, 625_000, 12_500_000]) {
        let mut line = Uplink::fed(feed, capacity);
        line.send_for(10);
        line.foreign = Duration::from_millis(80);
        line.send_for(3);
        line.used(3);
        line.send_for(10);
        let used = line.used(10);
        assert!(used >= 90, "{used} % of {capacity} by {feed:?}");
    }
}

#[test]
fn an_upload_is_not_starved_by_a_queue_of_others_that_comes_and_goes() {
    for (feed, capacity) in fed([250_000, 625_000, 12_500_000]) {
        let mut line = Uplink::fed(feed, capacity);
        line.send_for(10);
        line.used(10);
        for tenth in 0..600 {
            line.foreign = Duration::from_millis(20 + tenth * 7 % 80);
            line.send_for_millis(100);
        }
        let used = line.used(60);
        assert!(used >= 45, "{used} % of {capacity} by {feed:?}");
    }
}

#[test]
fn a_pace_that_is_a_little_too_high_is_put_right_without_a_stop() {
    for (feed, capacity) in fed([250_000, 625_000, 12_500_000]) {
        let mut line = Uplink::fed(feed, capacity);
        line.send_for(10);
        let control = line.pacer.control.as_mut().expect("an upload");
        control.capacity = capacity / 100 * 120;
        control.proven = control.capacity;
        (line.doubted, line.carried) = (0, 0);
        line.send_for(3);
        assert_eq!(line.doubted, 0, "at {capacity}");
        let used = line.used(3);
        assert!(used >= 97, "{used} % of {capacity} by {feed:?}");
    }
}

#[test]
fn answers_that_wait_at_the_server_stop_no_upload() {
    for capacity in [250_000, 625_000, 12_500_000] {
        let mut line = Uplink::new(capacity);
        line.late = Duration::from_millis(45);
        line.send_for(10);
        line.used(10);
        line.send_for(60);
        let used = line.used(60);
        assert!(used >= 96, "{used} % of {capacity}");
    }
}
