//! Explains from the figures what holds a connection up.

use std::time::Duration;

use crate::pool::SessionView;
use crate::printable::{Lines, printable, size};
use crate::registry::{Connection, State};

/// What holds the connection up, in a sentence; `None` if nothing visible does.
pub(super) fn of(connection: &Connection, session: Option<&SessionView>) -> Option<String> {
    let waiting = connection.waiting();
    let held = waiting.memory + waiting.disk;
    match connection.state() {
        State::Ended => return None,
        State::Waiting if connection.since().elapsed() >= LONG => {
            let what = match connection.stages().decided {
                None => "a look-up on this machine has not finished",
                Some(_) => "no server has a session for it",
            };
            return Some(format!("waits {}: {what}", seconds(connection.since().elapsed())));
        }
        State::Opening if connection.since().elapsed() >= LONG => {
            let waits = seconds(connection.since().elapsed());
            return Some(match connection.server() {
                Some(server) => format!(
                    "the far side of {} has looked the name up, or connected, for {waits}",
                    shown(&server)
                ),
                None => format!("the target has not answered for {waits}"),
            });
        }
        State::Waiting | State::Opening | State::Relaying | State::HalfClosed => {}
    }
    if held >= MUCH {
        return Some(format!("its client is slow: {} wait for it", size(held)));
    }
    // The figures of an idle session may be old.
    if let Some(full) = session.filter(|session| session.active > 0).and_then(full_line) {
        return Some(full);
    }
    let stalled = connection.stalled();
    if stalled >= LONG && stalled * 2 >= connection.began().elapsed() {
        return Some(format!(
            "what the client sends waits for the server's window: {} so far",
            seconds(stalled)
        ));
    }
    None
}

/// A remark if the link of a session is saturated: a round trip takes much longer than it could.
pub(super) fn full_line(session: &SessionView) -> Option<String> {
    let (now, best) = session.round_trip?;
    let much = now >= best * 3 && now >= best + Duration::from_millis(30);
    much.then(|| {
        format!(
            "the line is full: a round trip of session {} takes {}, at best {}",
            session.id,
            millis(now),
            millis(best)
        )
    })
}

pub(super) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

pub(super) fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    if millis < 10.0 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") }
}

/// Escapes a name for use in a sentence.
pub(super) fn shown(name: &str) -> String {
    printable(name, 100, Lines::One)
}

/// The wait from which a remark is worth making.
const LONG: Duration = Duration::from_secs(1);
/// The amount of buffered data from which a client counts as slow, in bytes.
const MUCH: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::SessionState;
    use crate::registry::{Connections, Waiting};
    use crate::request::Request;

    fn session(now: u64, best: u64) -> SessionView {
        SessionView {
            id: 1,
            state: SessionState::Ready,
            age: Duration::ZERO,
            round_trip: Some((Duration::from_millis(now), Duration::from_millis(best))),
            channels: 1,
            opening: 0,
            active: 0,
            bulk: 0,
            slow_readers: 0,
            held: 0,
            sent: 0,
            received: 0,
            window: 0,
            host_key_type: String::new(),
            host_key_fingerprint: String::new(),
            key_exchange: String::new(),
            cipher: String::new(),
        }
    }

    #[test]
    fn a_line_is_full_if_a_round_trip_takes_much_longer_than_the_best() {
        let full = full_line(&session(120, 20)).expect("it is full");
        assert!(full.contains("takes 120 ms, at best 20 ms"), "{full}");
        assert_eq!(full_line(&session(25, 20)), None);
        assert_eq!(full_line(&session(95, 60)), None, "not three times as long");
        assert_eq!(full_line(&session(12, 1)), None, "nobody notices");
    }

    #[test]
    fn a_slow_client_is_blamed_before_a_server_with_a_closed_window() {
        let connection = Connections::default().begin(&Request::for_test("db.example:5432"));
        connection.opened();
        connection.stalled_for(LONG / 2);
        assert_eq!(of(&connection, None), None);
        connection.stalled_for(LONG / 2);
        let told = of(&connection, None);
        assert_eq!(
            told.as_deref(),
            Some("what the client sends waits for the server's window: 1.0 s so far")
        );
        connection.set_waiting(Waiting { memory: MUCH / 2, disk: MUCH / 2 });
        assert_eq!(
            of(&connection, None).as_deref(),
            Some("its client is slow: 1.0 MiB wait for it")
        );
    }

    #[test]
    fn a_full_line_holds_a_connection_up_only_while_the_session_is_active() {
        let request = Request::for_test("db.example:5432");
        let connection = Connections::default().begin(&request);
        connection.opened();
        let idle = session(120, 20);
        assert_eq!(of(&connection, Some(&idle)), None);
        let full = full_line(&idle);
        assert_eq!(of(&connection, Some(&SessionView { active: 1, ..idle })), full);
    }
}
