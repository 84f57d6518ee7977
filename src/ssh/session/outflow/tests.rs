use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use tokio::time::Instant;

use super::*;

fn is_pending(future: std::pin::Pin<&mut impl Future>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

#[tokio::test]
async fn on_a_fast_line_nobody_waits_until_the_socket_is_full() {
    let (outflow, turn) = (Outflow::default(), Turn::default());
    assert_eq!(outflow.piece(), MOST_PIECE, "it may be slow");
    outflow.took(1 << 20);
    assert_eq!(outflow.piece(), usize::MAX);
    outflow.room(&turn, 10_000).await;
    outflow.room(&turn, 10_000).await;
    outflow.keep(100);
    let mut waits = pin!(outflow.room(&turn, 10_000));
    assert!(is_pending(waits.as_mut()));
    outflow.keep(50);
    assert!(is_pending(waits.as_mut()));
    outflow.keep(0);
    waits.await;
    assert_eq!(outflow.waiting(), Duration::ZERO);
}

#[tokio::test]
async fn on_a_slow_line_each_sender_has_one_piece_on_its_way() {
    let (outflow, one, other) = (Outflow::default(), Turn::default(), Turn::default());
    outflow.measured(250_000);
    assert_eq!(outflow.piece(), 5000);
    outflow.room(&one, 10_000).await;
    let mut waits = pin!(outflow.room(&one, 10_000));
    assert!(is_pending(waits.as_mut()));
    outflow.room(&other, 10_000).await;
    outflow.handed_over();
    waits.await;
    outflow.room(&other, 10_000).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_much_keeps_the_pace_and_what_is_little_does_not_wait() {
    let (outflow, turn) = (Outflow::default(), Turn::default());
    outflow.pace.store(500_000, Relaxed);
    let begun = Instant::now();
    for _ in 0..50 {
        assert_eq!(outflow.room(&turn, 1 << 20).await, 4 << 10);
        outflow.handed_over();
    }
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(380), "200 kB in {took:?}");
    let begun = Instant::now();
    assert_eq!(outflow.room(&turn, 100).await, 100);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn who_sends_much_little_holds_up_nobody_for_long() {
    let (outflow, little, much) = (Outflow::default(), Turn::default(), Turn::default());
    outflow.measured(1_000_000);
    outflow.pace.store(100_000, Relaxed);
    for _ in 0..1000 {
        outflow.room(&little, 1000).await;
        outflow.handed_over();
    }
    let begun = Instant::now();
    outflow.room(&much, 1 << 20).await;
    let waited = begun.elapsed();
    assert!(waited <= Duration::from_millis(60), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_no_more_holds_up_nobody() {
    let (outflow, turn) = (Outflow::default(), Turn::default());
    outflow.pace.store(100_000, Relaxed);
    outflow.room(&turn, 32 << 10).await;
    for _ in 0..50 {
        assert!(is_pending(pin!(outflow.room(&turn, 32 << 10))));
    }
    let begun = Instant::now();
    outflow.room(&turn, 32 << 10).await;
    let waited = begun.elapsed();
    assert!(waited <= Duration::from_millis(400), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_a_pause_is_a_new_stretch() {
    let outflow = Outflow::default();
    outflow.took(100);
    tokio::time::advance(2 * PAUSE).await;
    let begun = Instant::now();
    outflow.took(50);
    tokio::time::advance(PAUSE / 2).await;
    outflow.took(50);
    // A socket that is full makes no pause.
    outflow.keep(10);
    tokio::time::advance(2 * PAUSE).await;
    outflow.took(10);
    let Stretch { since, sent_before } = *lock(&outflow.stretch);
    assert_eq!((since, sent_before), (begun, 100));
}

#[test]
fn a_piece_is_what_the_line_carries_in_a_moment() {
    let outflow = Outflow::default();
    for (rate, piece) in [(1000, 1 << 10), (1_000_000, 20_000), (10 << 20, 32 << 10)] {
        outflow.measured(rate);
        assert_eq!(outflow.piece(), piece, "{rate}");
    }
    outflow.measured(100 << 20);
    assert_eq!(outflow.piece(), usize::MAX);
}

#[tokio::test(start_paused = true)]
async fn what_lies_before_a_question_is_what_russh_was_given() {
    let (outflow, turn) = (Outflow::default(), Turn::default());
    outflow.took(1000);
    outflow.room(&turn, 300).await;
    outflow.asks();
    assert_eq!(outflow.sent_before.load(Relaxed), 1300, "russh has not handed it over");
    outflow.took(310);
    outflow.handed_over();
    outflow.asks();
    assert_eq!(outflow.sent_before.load(Relaxed), 1310);
}

/// An upload of 100 kB/s over 50 ms, of which the kernel knows this when it is asked.
async fn send(outflow: &Outflow, least: Duration, round_trip: Duration, unsent: u64) {
    for _ in 0..4 {
        send_some(outflow, least, round_trip, unsent).await;
    }
}

async fn send_some(outflow: &Outflow, least: Duration, round_trip: Duration, unsent: u64) {
    tokio::time::advance(Duration::from_millis(200)).await;
    assert!(outflow.wants_delivery());
    let delivery = Delivery { round_trip, least, outstanding: 10_000, unsent };
    outflow.delivered(Some(delivery));
    assert!(!outflow.wants_delivery(), "it was asked");
    outflow.took(20_000);
}

const BEST: Duration = Duration::from_millis(50);

#[tokio::test(start_paused = true)]
async fn the_kernel_tells_the_pace_and_answers_that_wait_at_the_server_do_not() {
    let outflow = Outflow::default();
    outflow.set_best(BEST);
    outflow.took(10_000);
    send(&outflow, BEST, 2 * BEST, 100).await;
    let pace = outflow.pace.load(Relaxed);
    assert!((50_000..120_000).contains(&pace), "{pace}");
    outflow.asks();
    tokio::time::advance(6 * BEST).await;
    assert!(outflow.answered(6 * BEST, BEST).is_some(), "it is asked again");
    assert_eq!(outflow.pace.load(Relaxed), pace);
}

#[tokio::test(start_paused = true)]
async fn an_answer_still_counts_for_the_round_trip_without_a_queue() {
    let (outflow, little) = (Outflow::default(), Duration::from_millis(7));
    outflow.set_best(BEST);
    outflow.took(10_000);
    send(&outflow, BEST, 2 * BEST, 100).await;
    assert_eq!(outflow.base(), Some(BEST));
    for _ in 0..20 {
        outflow.asks();
        send_some(&outflow, BEST, BEST + 2 * little, 0).await;
        outflow.answered(BEST + little, BEST);
    }
    assert_eq!(outflow.base(), Some(BEST + little));
}

#[tokio::test(start_paused = true)]
async fn there_is_no_pace_unless_the_socket_is_full_and_there_is_a_queue() {
    for (round_trip, unsent) in [(BEST + AHEAD, 100), (2 * BEST, 0)] {
        let outflow = Outflow::default();
        outflow.set_best(BEST);
        outflow.took(10_000);
        send(&outflow, BEST, round_trip, unsent).await;
        assert_eq!(outflow.pace.load(Relaxed), 0, "{round_trip:?}, {unsent} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn the_kernel_knows_nothing_of_a_server_behind_a_proxy() {
    let outflow = Outflow::default();
    outflow.set_best(BEST);
    outflow.took(10_000);
    send(&outflow, BEST / 50, 2 * BEST, 100).await;
    assert_eq!(outflow.pace.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_kernel_that_does_not_count_is_asked_once() {
    let outflow = Outflow::default();
    assert!(outflow.wants_delivery());
    outflow.delivered(None);
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert!(!outflow.wants_delivery());
}
