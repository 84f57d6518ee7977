//! Events as log lines.

use serde::Serialize;
use strum::EnumString;

use crate::printable::{Lines, printable, word};
use crate::registry::{Connection, Event, SessionEnd};

/// The log level: the least severe lines that are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, EnumString)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub(in crate::dashboard) enum Level {
    /// Adds requests as they come in.
    #[strum(serialize = "debug", serialize = "trace")]
    Debug,
    /// Adds finished requests, and new sessions and listeners.
    #[default]
    Info,
    /// Adds failed requests and lost sessions.
    #[strum(serialize = "warning", serialize = "warn")]
    Warning,
    /// Only servers that cannot be reached.
    #[strum(serialize = "error", serialize = "fatal", serialize = "panic")]
    Error,
    Silent,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(in crate::dashboard) struct Line {
    r#type: Level,
    payload: String,
}

/// The line for an event, if it is at least as severe as `level`.
pub(in crate::dashboard) fn log_line(event: &Event, level: Level) -> Option<Line> {
    let (r#type, text) = match event {
        Event::ConnectionOpened(connection) => (Level::Debug, opened(connection)),
        Event::ConnectionClosed(connection) => closed(connection),
        Event::SessionUp { server, session } => {
            (Level::Info, format!("session {session} of {server} is ready"))
        }
        Event::SessionDown { server, session, end, reason } => {
            let level = if *end == SessionEnd::Lost { Level::Warning } else { Level::Info };
            (level, format!("session {session} of {server} has ended: {reason}"))
        }
        Event::AttemptFailed { server, reason } => {
            (Level::Error, format!("cannot connect to {server}: {reason}"))
        }
        Event::ForwardChanged(forward) => {
            let about = forward.about();
            let name = about.name.as_ref().unwrap_or(&about.spec);
            (Level::Info, format!("{} {name}: {}", word(about.kind), word(forward.state())))
        }
        Event::Reloaded(text) => (Level::Info, text.to_string()),
    };
    let payload = printable(&text, LONGEST, Lines::One);
    (r#type >= level).then_some(Line { r#type, payload })
}

fn opened(connection: &Connection) -> String {
    let request = connection.request();
    format!("#{} {} {} → {}", connection.id(), request.protocol, request.source, request.target)
}

fn closed(connection: &Connection) -> (Level, String) {
    let opened = opened(connection);
    if let Some(failure) = connection.failure() {
        return (Level::Warning, format!("{opened}: {failure}"));
    }
    let way = connection.server().map_or_else(String::new, |server| format!(" by {server}"));
    let ended = connection.outcome().map_or("ended", word);
    let traffic = connection.traffic();
    let (up, down) = (traffic.up, traffic.down);
    (Level::Info, format!("{opened}{way}: {ended}, {up} bytes up, {down} down"))
}

/// The longest line, in characters.
const LONGEST: usize = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_includes_all_that_is_more_severe() {
        let event = Event::SessionDown {
            server: "box".into(),
            session: 3,
            end: SessionEnd::Lost,
            reason: "\x1b[2Jgone".into(),
        };
        let line = log_line(&event, Level::default()).expect("it is worth a word");
        assert_eq!(line.r#type, Level::Warning);
        assert!(line.payload.contains("session 3 of box"), "{line:?}");
        assert!(!line.payload.contains('\x1b'), "{line:?}");
        assert!(log_line(&event, Level::Warning).is_some());
        assert_eq!(log_line(&event, Level::Error), None);
        assert!("loud".parse::<Level>().is_err());
        assert_eq!("warn".parse::<Level>().ok(), Some(Level::Warning));
    }
}
