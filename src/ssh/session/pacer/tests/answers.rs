//! What single answers do.

use super::*;
use crate::ssh::session::pacer::base::BETWEEN_LOOKS;

/// The control of an upload that has gone on for long, and its last answer.
fn steady() -> (Pacer, Sample) {
    let mut line = Uplink::new(1_000_000);
    line.send_for(10);
    let last = line.pacer.last.expect("an answer");
    (line.pacer, last)
}

/// The answer that follows after some time in which so much was sent, in bytes.
fn next(last: Sample, millis: u64, bytes: u64, round_trip: Duration) -> Sample {
    let asked = last.asked + Duration::from_millis(millis);
    let sent = last.sent_before + bytes;
    Sample { asked, sent_before: sent, sent, round_trip, held_back: true, ..last }
}

#[test]
fn an_answer_after_long_shows_nothing_of_now() {
    for (millis, is_paced) in [(4000, true), (6000, false)] {
        let (mut pacer, last) = steady();
        let sample = next(last, millis, 1000 * millis, BEST);
        assert_eq!(
            pacer.answered(sample, BEST, SocketState::Unknown(None)).is_some(),
            is_paced,
            "{millis} ms"
        );
    }
}

#[test]
fn what_a_socket_took_bounds_the_first_pace() {
    let mut line = Uplink::new(12_500_000);
    line.rate = Some(5_000_000);
    line.send_until_paced();
    assert_eq!(line.pacer.control.expect("an upload").capacity, 5_000_000);
}

#[test]
fn a_socket_that_was_full_needs_a_pace_unless_it_leads_to_a_lan() {
    let full = SocketState::Unknown(Some(1_000_000));
    for (best, needed) in [(BEST, true), (LAN, true), (LAN / 2, false)] {
        assert_eq!(full.needs_pace(best, best), needed, "{best:?}");
        assert!(full.needs_pace(best + 3 * TARGET, best), "there is a queue");
        assert!(!SocketState::Unknown(None).needs_pace(best, best), "{best:?}");
    }
}

#[test]
fn one_answer_says_little_of_what_the_line_carries() {
    for (queue, permille) in [(Duration::ZERO, 1050), (2 * TARGET, 1500)] {
        let (mut pacer, last) = steady();
        let before = pacer.control.as_ref().expect("an upload").capacity;
        pacer.answered(
            next(last, 200, 10 * before, BEST + queue),
            BEST,
            SocketState::Unknown(None),
        );
        let after = pacer.control.expect("an upload").capacity;
        assert!((1000..=permille).contains(&(after * 1000 / before)), "{after}");
    }
}

/// Where the pace held back, what was delivered says less of the line; unless much was queued all the time.
#[test]
fn an_answer_counts_for_more_where_it_was_the_line_that_held_back() {
    for (held_back, queue, expected) in
        [(false, TARGET / 2, 900_000), (true, TARGET / 2, 950_000), (true, 2 * TARGET, 900_000)]
    {
        let (mut pacer, last) = steady();
        let control = pacer.control.as_mut().expect("an upload");
        (control.capacity, control.proven) = (1_000_000, 1_000_000);
        control.base.set(BEST, Look::From(last.asked + BETWEEN_LOOKS));
        let before = Sample { round_trip: BEST + queue, ..last };
        pacer.last = Some(before);
        // 800 kB/s, and the queue is as long as before.
        let sample = Sample { held_back, ..next(before, 200, 160_000, BEST + queue) };
        pacer.answered(sample, BEST, SocketState::Unknown(None));
        let capacity = pacer.control.expect("an upload").capacity;
        assert_eq!(capacity, expected, "{held_back}, {queue:?}");
    }
}

#[test]
fn the_server_is_asked_sooner_while_the_pace_grows() {
    let (mut pacer, _) = steady();
    let control = pacer.control.as_mut().expect("an upload");
    control.base.set(BEST, Look::From(Instant::now() + BETWEEN_LOOKS));
    control.short = 1;
    assert_eq!(pacer.again(), AGAIN);
    pacer.control.as_mut().expect("an upload").short = 2;
    assert_eq!(pacer.again(), AGAIN / 2);
}

#[test]
fn a_look_goes_on_while_answers_take_less_and_less_and_a_long_queue_goes_fast() {
    let (mut pacer, last) = steady();
    let capacity = 1_000_000;
    let control = pacer.control.as_mut().expect("an upload");
    control.capacity = capacity;
    control.base.set(BEST, Look::Since(last.asked, Depth::Usual));
    let mut before = Sample { round_trip: BEST + 10 * TARGET, ..last };
    pacer.last = Some(before);
    for (queue, expected) in [(8, Some(580_000)), (6, Some(700_000)), (4, Some(800_000)), (4, None)]
    {
        let round_trip = BEST + queue * TARGET;
        let sample = next(before, 150, 75_000, round_trip);
        // As much came to the queue meanwhile as the line carried.
        let came = capacity * micros(round_trip) / 1_000_000;
        let sample = Sample { sent: sample.sent_before + came, ..sample };
        let pace = pacer.answered(sample, BEST, SocketState::Unknown(None)).expect("an upload");
        let looks = pacer.control.as_ref().expect("an upload").base.depth();
        assert_eq!(looks.map(|_| pace), expected, "a queue of {queue} targets");
        before = sample;
    }
}

/// The state after a look in which each round trip takes this long, and another one was perhaps measured besides.
fn look(depth: Depth, round_trip: Duration, besides: Option<Duration>) -> (Pacer, Sample) {
    let (mut pacer, last) = steady();
    let look = Look::Since(last.asked, depth);
    pacer.control.as_mut().expect("an upload").base.set(BEST, look);
    if let Some(besides) = besides {
        pacer.saw(besides);
    }
    let mut sample = last;
    while pacer.control.as_ref().expect("an upload").base.depth().is_some() {
        sample = next(sample, 150, 75_000, round_trip);
        pacer.answered(sample, BEST, SocketState::Unknown(None));
    }
    (pacer, sample)
}

fn found(depth: Depth, round_trip: Duration, besides: Option<Duration>) -> Duration {
    look(depth, round_trip, besides).0.control.expect("an upload").base.takes()
}

#[test]
fn the_next_look_is_soon_while_other_traffic_is_queued() {
    for (queue, seconds) in [(TARGET / 2, 30), (4 * TARGET, 4)] {
        let (mut pacer, mut sample) = look(Depth::Doubting, BEST + queue, None);
        let ended = sample.asked;
        while pacer.control.as_ref().expect("an upload").base.depth().is_none() {
            // At the capacity, with the same queue: nothing else begins a look.
            let sent = pacer.control.as_ref().expect("an upload").capacity / 5;
            sample = Sample { held_back: false, ..next(sample, 200, sent, BEST + queue) };
            pacer.answered(sample, BEST, SocketState::Unknown(None));
        }
        assert_eq!((sample.asked - ended).as_secs(), seconds, "{queue:?}");
    }
}

#[test]
fn a_usual_look_finds_a_base_that_is_little_more_than_the_best() {
    let little = BEST + TARGET / 2;
    assert_eq!(found(Depth::Usual, little, None), little);
    assert_eq!(found(Depth::Usual, BEST + 4 * TARGET, None), BEST + TARGET);
    assert_eq!(found(Depth::Doubting, BEST + 4 * TARGET, None), BEST + 4 * TARGET);
}

#[test]
fn a_round_trip_that_was_measured_besides_counts_for_the_base() {
    let (late, besides) = (BEST + 4 * TARGET, BEST + 2 * TARGET);
    assert_eq!(found(Depth::Doubting, late, Some(besides)), besides);
}
