use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing::dispatcher::with_default;
use tracing::{debug, error, info, info_span, trace, warn};

use super::*;

/// A writer that keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no writer panics").clone()).expect("text")
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const NORMAL: LogOptions = LogOptions { verbosity: Some(Verbosity::Normal), format: Format::Text };

/// What `log` writes to the log.
fn logged(options: LogOptions, look: Look, log: impl FnOnce()) -> String {
    let kept = Kept::default();
    let writer = kept.clone();
    with_default(&subscriber(options, look, move || writer.clone()).0, log);
    kept.text()
}

fn every_level() {
    error!("e");
    warn!("w");
    info!("i");
    debug!("d");
    trace!("t");
}

fn with(verbosity: Verbosity) -> LogOptions {
    LogOptions { verbosity: Some(verbosity), ..NORMAL }
}

#[test]
fn lines_of_a_file_are_dated() {
    for verbosity in [Verbosity::Normal, Verbosity::Debug] {
        let text = logged(with(verbosity), Look::Dated, || warn!("w"));
        let (time, rest) = text.split_once(' ').expect("words");
        assert!(humantime::parse_rfc3339(time).is_ok(), "{text}");
        assert!(!rest.contains(&time[..10]), "once: {text}");
        assert!(verbosity == Verbosity::Debug || rest == "warning: w\n", "{text}");
    }
}

#[test]
fn normal_lines_are_bare() {
    let text = logged(NORMAL, Look::Plain, || {
        let _span = info_span!("session", server = "s").entered();
        every_level();
        info!(protocols = 4, "listening on {}", "127.0.0.1:1080");
    });
    assert_eq!(text, "error: e\nwarning: w\ni\nlistening on 127.0.0.1:1080 protocols=4\n");
}

#[test]
fn levels() {
    assert_eq!(logged(with(Verbosity::Quiet), Look::Plain, every_level), "error: e\n");
    let count = |verbosity| logged(with(verbosity), Look::Plain, every_level).lines().count();
    assert_eq!(count(Verbosity::Debug), 4);
    assert_eq!(count(Verbosity::Trace), 5);
}

#[test]
fn verbose_lines_have_time_level_target_and_spans() {
    let text = logged(with(Verbosity::Debug), Look::Plain, || {
        let _outer = info_span!("request", id = 7).entered();
        let _inner = info_span!("dial").entered();
        debug!(port = 80, "opened");
    });
    let (time, rest) = text.split_once(' ').expect("a time");
    assert!(time.starts_with("20") && time.ends_with('Z') && time.contains('T'), "{time}");
    assert_eq!(rest, format!("DEBUG {} request{{id=7}} dial: opened port=80\n", module_path!()));
}

#[test]
fn only_our_own_targets_are_written() {
    let trace = with(Verbosity::Trace);
    for options in [trace, LogOptions { format: Format::Json, ..trace }] {
        let text = logged(options, Look::Plain, || {
            error!(target: "hyper::proto", "secret");
            error!(target: "fast_socks5", "secret");
            error!(target: "russh", "secret");
            error!(target: "sockeye::ssh", "ours");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("ours"), "{text}");
    }
}

#[test]
fn nothing_from_outside_moves_the_cursor_or_starts_a_line() {
    let evil = "a\x1b[2J\u{9b}31m\r\nwarning: fake\u{202e}";
    for format in [Format::Text, Format::Json] {
        for verbosity in [Verbosity::Normal, Verbosity::Trace] {
            let text =
                logged(LogOptions { verbosity: Some(verbosity), format }, Look::Plain, || {
                    let _span = info_span!("s", field = evil, shown = %evil).entered();
                    info!(text = evil, display = %evil, debug = ?evil, "{evil}");
                });
            let text = text.strip_suffix('\n').expect("a line");
            for (index, line) in text.split('\n').enumerate() {
                assert!(!line.contains(crate::printable::is_deceptive), "{line:?}");
                assert!(index == 0 || line.starts_with("  "), "{text:?}");
            }
        }
    }
}

#[test]
fn a_message_of_several_lines_stays_in_lines() {
    let text = logged(NORMAL, Look::Plain, || error!(field = "a\nb", "one\ntwo"));
    assert_eq!(text, "error: one\n  two field=a\\nb\n");
}

#[test]
fn a_value_cannot_pose_as_another_field() {
    let text = logged(NORMAL, Look::Plain, || {
        info!(reason = "x server=\"evil\"", name = %"a b", plain = "p", none = "", "m");
    });
    assert_eq!(text, "m reason=\"x server=\\\"evil\\\"\" name=\"a b\" plain=p none=\"\"\n");
}

#[test]
fn a_line_is_bounded() {
    let long = "é".repeat(100_000);
    let text = logged(with(Verbosity::Trace), Look::Plain, || {
        let _span = info_span!("s", a = %long, b = %long).entered();
        info!(value = %long, "{long}");
    });
    assert!(text.len() <= super::super::text::MAX_LINE + "…\n".len(), "{}", text.len());
    assert!(text.ends_with("…\n"), "the cut is shown");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn colours_only_when_asked_for() {
    let text = logged(NORMAL, Look::Ansi, every_level);
    assert_eq!(text, "\x1b[31;1merror:\x1b[0m e\n\x1b[33mwarning:\x1b[0m w\ni\n");
}

#[test]
fn json_has_everything_at_any_level() {
    let options = LogOptions { verbosity: Some(Verbosity::Normal), format: Format::Json };
    let text = logged(options, Look::Ansi, || {
        let _span = info_span!("request", id = 7).entered();
        info!(port = 80, "opened");
        debug!("not at this level");
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with('{') && text.ends_with("}\n"), "{text}");
    for part in [
        "\"timestamp\":\"20",
        "\"level\":\"INFO\"",
        &format!("\"module\":\"{}\"", module_path!()),
        "\"message\":\"opened\"",
        "\"port\":80",
        "\"spans\":[{",
        "\"name\":\"request\"",
        "\"id\":7",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn json_has_no_key_twice() {
    let options = LogOptions { verbosity: Some(Verbosity::Normal), format: Format::Json };
    let text = logged(options, Look::Plain, || {
        let _span = info_span!("client", name = "n", target = "of the span").entered();
        info!(
            target = "a.example:443",
            level = 1,
            timestamp = 2,
            module = "m",
            spans = 3,
            "opened"
        );
    });
    // A parser keeps only one of two equal keys, so this counts them.
    let keys = |text: &str| text.matches("\":").count();
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&text).expect("an object");
    let again = serde_json::to_string(&object).expect("JSON");
    assert_eq!(keys(&text), keys(&again), "{text}");
    assert_eq!(object["target"], "a.example:443");
    assert_eq!((&object["level"], &object["level_"]), (&"INFO".into(), &1.into()));
    assert_eq!((&object["spans"], &object["module_"]), (&3.into(), &"m".into()));
    assert_eq!(
        (&object["spans_"][0]["name"], &object["spans_"][0]["name_"]),
        (&"client".into(), &"n".into())
    );
}

#[test]
fn a_json_line_is_bounded() {
    let options = LogOptions { verbosity: Some(Verbosity::Normal), format: Format::Json };
    let long = "\u{9b}".repeat(100_000);
    let text = logged(options, Look::Plain, || info!(value = %long, "{long}"));
    assert!(text.len() < 30_000, "{} bytes", text.len());
    serde_json::from_str::<serde_json::Value>(&text).expect("an object");
}

#[test]
fn how_much_is_logged_can_change() {
    let kept = Kept::default();
    let writer = kept.clone();
    let (dispatch, volume) = subscriber(NORMAL, Look::Plain, move || writer.clone());
    with_default(&dispatch, || {
        debug!("before");
        volume.set(Verbosity::Debug);
        debug!("louder");
        volume.set(Verbosity::Quiet);
        info!("after");
    });
    let text = kept.text();
    assert!(text.ends_with("louder\n") && text.contains("DEBUG"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}
