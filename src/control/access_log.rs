//! The access log: for each finished request its client, target, route, outcome, duration and size, one a line.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::schema;
use super::view::connection_view;
use crate::file;
use crate::observe::lines::Lines;
use crate::observe::logs::Format;
use crate::printable;
use crate::registry::{Connection, Event, Events};

/// Where the lines go, and in what format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// The file to append to; `-` is standard output.
    pub file: PathBuf,
    pub format: Format,
}

impl AccessLog {
    /// Starts to write, in a thread of its own that ends with the program. Requests that finish faster
    /// than they can be written are counted instead.
    pub fn start(&self, events: &Events) -> io::Result<()> {
        let out: Box<dyn Write + Send> = if self.file.as_os_str() == "-" {
            Box::new(io::stdout())
        } else {
            Box::new(file::append(&self.file)?)
        };
        let lost: fn(u64) -> String = match self.format {
            Format::Text => |count| format!("lost={count}\n"),
            Format::Json => |count| format!("{{\"lost\":{count}}}\n"),
        };
        let writing = Writing { out: Lines::new(out, lost), log: self.clone(), fails: false };
        let events = events.listen();
        thread::Builder::new()
            .name("access log".into())
            .spawn(move || writing.run(events))
            .map(drop)
    }
}

/// The thread that writes.
struct Writing {
    out: Lines<Box<dyn Write + Send>>,
    log: AccessLog,
    /// The last lines could not be written, which has been logged.
    fails: bool,
}

impl Writing {
    fn run(mut self, mut events: Receiver<Event>) {
        let mut lines = String::new();
        loop {
            match events.blocking_recv() {
                Ok(Event::ConnectionClosed(connection)) => {
                    lines.push_str(&line(&connection, self.log.format));
                }
                Ok(_) => {}
                Err(RecvError::Lagged(lost)) => self.out.lose(lost),
                Err(RecvError::Closed) => break,
            }
            if events.is_empty() || lines.len() >= AT_ONCE {
                self.write(&lines);
                lines.clear();
            }
        }
    }

    fn write(&mut self, lines: &str) {
        let written = self.out.write(lines.as_bytes()).and_then(|()| self.out.flush());
        if let Err(error) = &written
            && !self.fails
        {
            let file = printable::path(&self.log.file);
            tracing::warn!(
                "cannot write the access log {file}: {error}; requests are missing there"
            );
        }
        self.fails = written.is_err();
    }
}

fn line(connection: &Connection, format: Format) -> String {
    let view = connection_view(connection, None);
    match format {
        Format::Json => serde_json::to_string(&view).unwrap_or_default() + "\n",
        Format::Text => text_line(view),
    }
}

fn text_line(view: schema::Connection) -> String {
    let began = UNIX_EPOCH + Duration::from_millis(view.began);
    let mut line = format!("began={} id={}", humantime::format_rfc3339_millis(began), view.id);
    let session = view.session.map_or_else(String::new, |session| format!("#{session}"));
    let server = view.server.map(|server| format!("{server}{session}"));
    for (name, value) in [
        ("listener", Some(view.listener)),
        ("protocol", Some(view.protocol)),
        ("source", Some(view.source)),
        ("user", view.user),
        ("target", Some(view.target)),
        ("rule", view.rule),
        ("server", server),
        ("outcome", view.outcome),
        ("failure", view.failure),
    ] {
        if let Some(value) = value {
            let _ = write!(line, " {name}={}", printable::value(&printable::line(&value)));
        }
    }
    for (name, took) in [
        ("waited", view.stages.waited),
        ("opened", view.stages.opened),
        ("first_byte", view.stages.first_byte),
        ("total", view.stages.total),
    ] {
        if let Some(took) = took {
            let _ = write!(line, " {name}={took}");
        }
    }
    let _ = writeln!(line, " up={} down={}", view.traffic.up, view.traffic.down);
    line
}

/// Bytes that are written at once while more requests end.
const AT_ONCE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::SystemTime;

    use super::*;
    use crate::destination::Destination;
    use crate::registry::{Outcome, Registry};
    use crate::request::{Protocol, Request, Source};

    fn logged(format: Format) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("log");
        let registry = Registry::default();
        AccessLog { file: file.clone(), format }.start(&registry.events).expect("a file");
        let target = Destination::parse("db.example:5432", None).expect("good").into();
        let (listener, protocol) = ("l".into(), Protocol::Socks5);
        let user = Some("a b\n".into());
        let request = Request { listener, protocol, source: Source::Unix, user, target };
        registry.connections.begin(&request).fail(Outcome::NoSession, "the server is away".into());
        for _ in 0..6000 {
            let text = fs::read_to_string(&file).expect("a file");
            if text.ends_with('\n') {
                return text;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("no line");
    }

    #[test]
    fn a_request_is_one_line_whatever_it_contains() {
        let text = logged(Format::Text);
        assert!(text.contains("user=\"a b\\n\" target=db.example:5432"), "{text}");
        assert!(
            text.contains("outcome=no_session failure=\"the server is away\" total="),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1);
        let began = text.strip_prefix("began=").and_then(|rest| rest.split(' ').next());
        let began = humantime::parse_rfc3339(began.expect("a time")).expect("a time");
        assert!(SystemTime::now().duration_since(began).is_ok_and(|ago| ago.as_secs() < 3600));
        let json: serde_json::Value = serde_json::from_str(&logged(Format::Json)).expect("JSON");
        assert_eq!((&json["outcome"], &json["user"]), (&"no_session".into(), &"a b\n".into()));
    }
}
