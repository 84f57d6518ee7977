//! Figures and texts for people.

use std::fmt::Write as _;

use crate::control::schema::{Connection, Forward, Jump, Server, Status, Traffic};
pub(super) use crate::printable::{line as text, size};

/// The status of a running program, one line for each part.
pub(super) fn status(status: &Status) -> String {
    let instance = &status.instance;
    let mut out = format!(
        "{}: {}, for {} (pid {})\n",
        text(&instance.name),
        text(&status.state),
        time(instance.uptime),
        instance.pid
    );
    for server in &status.servers {
        let _ = writeln!(out, "  server {}: {}", text(&server.name), server_line(server));
        for jump in &server.jumps {
            let _ = writeln!(out, "    jump host {}: {}", text(&jump.name), jump_line(jump));
        }
    }
    for forward in &status.forwards {
        let _ = writeln!(out, "  {}", forward_line(forward));
    }
    let connections = &status.connections;
    let open = connections.relaying + connections.opening + connections.waiting;
    let _ = write!(out, "  connections: {open} open");
    for (count, what) in [(connections.waiting, "waiting"), (connections.opening, "opening")] {
        if count > 0 {
            let _ = write!(out, ", {count} {what}");
        }
    }
    let _ = writeln!(
        out,
        ", {} in all, {} failed; {}",
        connections.total,
        connections.failed,
        rates(&status.traffic)
    );
    if !status.programs.is_empty() {
        let programs = status.programs.iter();
        let programs = programs.map(|one| format!("{} ({})", text(&one.name), one.connections));
        let _ = writeln!(out, "  used by: {}", programs.collect::<Vec<_>>().join(", "));
    }
    if let Some(configuration) = &status.configuration {
        for mistake in &configuration.mistakes {
            let (file, mistake) = (text(&configuration.file), text(mistake));
            // Most begin with it already.
            let names_it = mistake.strip_prefix(&*file).is_some_and(|rest| rest.starts_with(':'));
            let prefix = if names_it { String::new() } else { format!("{file}: ") };
            let _ = writeln!(out, "  {prefix}{mistake}");
        }
    }
    out
}

fn server_line(server: &Server) -> String {
    let mut line = text(&server.state);
    if server.state == "ready" {
        match (server.path.as_str(), &server.path_reason) {
            ("proved", _) => line.push_str(", forwards"),
            (_, Some(reason)) => {
                let _ = write!(line, ", but {}", text(reason));
            }
            (_, None) => {}
        }
        let _ = write!(line, ", sessions {}", server.sessions.len());
        if let Some(max) = server.max {
            let _ = write!(line, " of {max}");
        }
        if let Some(trip) = server.round_trip {
            let _ = write!(line, ", round trip {}", millis(trip));
        }
        let _ = write!(line, ", {}", rates(&server.traffic));
    } else {
        if !server.reason.is_empty() {
            let _ = write!(line, ": {}", text(&server.reason));
        }
        if let Some(next) = server.next_attempt {
            let _ = write!(line, "; next attempt in {}", time(next));
        }
        if server.waiting > 0 {
            let _ = write!(line, "; requests that wait: {}", server.waiting);
        }
    }
    line
}

fn jump_line(jump: &Jump) -> String {
    let mut line = text(&jump.state);
    if jump.state == "ready" {
        let _ = write!(line, ", sessions {}", jump.sessions);
        if let Some(trip) = jump.round_trip {
            let _ = write!(line, ", round trip {}", millis(trip));
        }
    } else if !jump.reason.is_empty() {
        let _ = write!(line, ": {}", text(&jump.reason));
    }
    line
}

/// The line of a listener or forward.
pub(super) fn forward_line(forward: &Forward) -> String {
    let mut line = format!("{} {}", flag(forward), text(&forward.spec));
    if let Some(server) = &forward.server {
        let _ = write!(line, " on {}", text(server));
    }
    if let Some(name) = &forward.name {
        let _ = write!(line, " ({})", text(name));
    }
    let _ = write!(line, ": {}", text(&forward.state));
    if !forward.addresses.is_empty() {
        let _ = write!(line, " at {}", text(&forward.addresses.join(", ")));
    }
    if let Some(reason) = &forward.reason {
        let _ = write!(line, ": {}", text(reason));
    }
    if forward.origin == "run_time" {
        line.push_str(", added at run time");
    }
    let _ = write!(line, ", id {}", forward.id);
    if forward.suspicious > 0 {
        let _ = write!(
            line,
            "; requests for public addresses by clients that ask for names as well (they may look names \
             up by themselves): {}",
            forward.suspicious
        );
    }
    line
}

/// The flag of ssh that makes such a forward.
pub(super) fn flag(forward: &Forward) -> &'static str {
    match forward.kind.as_str() {
        "dynamic" => "-D",
        "local" => "-L",
        _ => "-R",
    }
}

pub(super) fn connection_line(connection: &Connection) -> String {
    let mut line = format!(
        "{:>6}  {:<11} {:>7}  {:>10} up {:>10} down  {} -> {}",
        connection.id,
        text(&connection.state),
        time(connection.age),
        size(connection.traffic.up),
        size(connection.traffic.down),
        client(connection),
        text(&connection.target),
    );
    if let Some(server) = &connection.server {
        let _ = write!(line, " over {}", text(server));
        if let Some(session) = connection.session {
            let _ = write!(line, "#{session}");
        }
    }
    if let Some(rule) = &connection.rule {
        let _ = write!(line, " by {}", text(rule));
    }
    if let Some(outcome) = &connection.outcome {
        let _ = write!(line, ": {}", text(outcome));
    }
    if let Some(remark) = connection.failure.as_ref().or(connection.remark.as_ref()) {
        let _ = write!(line, " ({})", text(remark));
    }
    line
}

/// The client, with its program if that is known.
pub(super) fn client(connection: &Connection) -> String {
    match &connection.process {
        Some(process) => format!("{} ({})", text(&connection.source), text(&process.name)),
        None => text(&connection.source),
    }
}

fn rates(traffic: &Traffic) -> String {
    format!("{}/s up, {}/s down", size(traffic.up_rate), size(traffic.down_rate))
}

/// Formats milliseconds, with fractions.
pub(super) fn millis(millis: f64) -> String {
    if millis < 10.0 {
        format!("{millis:.1} ms")
    } else if millis < 1000.0 {
        format!("{millis:.0} ms")
    } else {
        format!("{:.1} s", millis / 1000.0)
    }
}

/// Formats a time in milliseconds, in its two largest units.
pub(super) fn time(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86400, seconds % 86400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::schema::{ClientProgram, Configuration};

    #[test]
    fn times_have_at_most_two_units() {
        let told: Vec<_> = [900, 59_999, 60_000, 3_660_000, 90_000_000].map(time).into();
        assert_eq!(told, ["0 s", "59 s", "1 min", "1 h 1 min", "1 d 1 h"]);
        assert_eq!(
            [0.84, 9.96, 120.0, 2300.0].map(millis),
            ["0.8 ms", "10.0 ms", "120 ms", "2.3 s"]
        );
    }

    #[test]
    fn text_from_outside_cannot_move_the_cursor() {
        let program = ClientProgram { name: "b\x1b[2J".into(), connections: 1 };
        let server = Server {
            name: "a\x1b[2J".into(),
            state: "down".into(),
            reason: "no\nroute".into(),
            next_attempt: Some(12_000),
            ..Server::default()
        };
        let (servers, programs) = (vec![server], vec![program]);
        let told = status(&Status { programs, servers, ..Status::default() });
        assert!(!told.contains('\x1b') && told.lines().count() == 4, "{told}");
        assert!(told.contains("down: no\\nroute; next attempt in 12 s"), "{told}");
    }

    #[test]
    fn a_mistake_names_its_file_once() {
        let mistakes = ["/c.toml:5:7: there is no server 'b'", "cannot listen on 127.0.0.1:1"];
        let configuration = Configuration {
            file: "/c.toml".into(),
            mistakes: mistakes.map(Into::into).into(),
            ..Configuration::default()
        };
        let told = status(&Status { configuration: Some(configuration), ..Status::default() });
        let lines =
            ["  /c.toml:5:7: there is no server 'b'", "  /c.toml: cannot listen on 127.0.0.1:1"];
        assert!(told.ends_with(&format!("{}\n", lines.join("\n"))), "{told}");
    }
}
