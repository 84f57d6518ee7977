//! Everything that is known about one connection.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::super::model::{Details, Model};
use super::cells::{age, fit, put, rate, size, spark};
use super::theme::Theme;
use crate::cli::operate::show;
use crate::control::schema::{Connection, Session};

pub(super) fn draw(
    model: &Model,
    details: &Details,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let connection = &details.connection;
    let facts = facts_of(model, connection);
    let length = u16::try_from(facts.len()).unwrap_or(u16::MAX);
    let [upper, rates, _, lower] = Layout::vertical([
        Constraint::Length(length),
        Constraint::Length(2),
        Constraint::Length(1),
        Constraint::Fill(1),
    ])
    .areas(area);
    for ((name, text), line) in facts.iter().zip(upper.rows()) {
        draw_fact(name, text, theme, line, buffer);
    }
    draw_rates(details, theme, rates, buffer);
    draw_stages(connection, theme, lower, buffer);
}

fn draw_fact(name: &str, text: &str, theme: &Theme, line: Rect, buffer: &mut Buffer) {
    let room = line.width.saturating_sub(NAMES);
    let style = if name == "why" { theme.wrong() } else { Style::new() };
    Line::from(vec![
        Span::styled(format!("{name:<width$}", width = usize::from(NAMES)), theme.aside()),
        Span::styled(fit(text, room), style),
    ])
    .render(line, buffer);
}

/// The known facts, with their names.
fn facts_of(model: &Model, connection: &Connection) -> Vec<(&'static str, String)> {
    let state = match &connection.outcome {
        Some(outcome) => format!("{}: {outcome}", connection.state),
        None => format!("{} for {}", connection.state, age(connection.in_state)),
    };
    let mut from = connection.source.clone();
    if let Some(user) = &connection.user {
        from = format!("{user} at {from}");
    }
    if let Some(process) = &connection.process {
        from = format!("{from}, {} (pid {})", process.name, process.pid);
    }
    let traffic = &connection.traffic;
    let mut facts = vec![
        ("connection", format!("{}, {state}", connection.id)),
        ("from", from),
        ("came in", format!("{} at {}", connection.protocol, connection.listener)),
        ("to", connection.target.clone()),
        ("rule", connection.rule.clone().unwrap_or_else(|| "the default".to_owned())),
        ("over", over(model, connection)),
        ("began", format!("{} ago", age(connection.age))),
        ("bytes", format!("{} down, {} up", size(traffic.down), size(traffic.up))),
    ];
    let held = connection.waiting_memory + connection.waiting_disk;
    if held > 0 {
        let disk = size(connection.waiting_disk);
        facts.push((
            "held",
            format!("{} wait for the client, of these {disk} in a file", size(held)),
        ));
    }
    if connection.stalled >= 1.0 {
        let stalled = show::millis(connection.stalled);
        facts.push(("stalled", format!("{stalled} so far, for the server's window")));
    }
    if let Some(why) = connection.failure.as_ref().or(connection.remark.as_ref()) {
        facts.push(("why", why.clone()));
    }
    facts
}

/// The route of the connection.
fn over(model: &Model, connection: &Connection) -> String {
    let Some(server) = &connection.server else { return "no server".to_owned() };
    let Some(id) = connection.session else { return server.clone() };
    let servers = model.facts().status.servers.iter();
    let session = servers.flat_map(|server| &server.sessions).find(|session| session.id == id);
    let more = session.map_or_else(String::new, about);
    format!("{server}, session {id}{more}")
}

fn about(session: &Session) -> String {
    let state = if session.state == "ready" { "" } else { &format!("{}, ", session.state) };
    let trip = match (session.round_trip, session.best_round_trip) {
        (Some(now), Some(best)) => {
            format!("round trip {} (best {}), ", show::millis(now), show::millis(best))
        }
        _ => String::new(),
    };
    format!(": {state}{trip}{} channels, {}", session.channels, session.cipher)
}

fn draw_rates(details: &Details, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let (traffic, history) = (&details.connection.traffic, &details.history);
    let both = [
        ("down", traffic.down_rate, &history.down, theme.down()),
        ("up", traffic.up_rate, &history.up, theme.up()),
    ];
    for ((name, now, series, style), line) in both.into_iter().zip(area.rows()) {
        let [word, figure, plot] = Layout::horizontal([
            Constraint::Length(NAMES),
            Constraint::Length(10),
            Constraint::Fill(1),
        ])
        .areas(line);
        put(name, theme.aside(), word, buffer);
        put(rate(now), Theme::title(), figure, buffer);
        spark(series, theme, style, plot, buffer);
    }
}

/// Draws the stages one after another, each as wide as it took time.
fn draw_stages(connection: &Connection, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let stages = &connection.stages;
    let all = [
        ("rule", stages.decided),
        ("session", stages.waited),
        ("open", stages.opened),
        ("first byte", stages.first_byte),
    ];
    let sum: f64 = all.iter().filter_map(|(_, took)| *took).sum();
    let mut lines = area.rows();
    if let Some(line) = lines.next() {
        let total = stages
            .total
            .map_or_else(String::new, |total| format!(", of {} in all", show::millis(total)));
        put(format!("stages{total}"), theme.heading(), line, buffer);
    }
    let mut before = 0.0;
    for ((name, took), line) in all.into_iter().zip(lines) {
        let [word, time, bar] = Layout::horizontal([
            Constraint::Length(NAMES),
            Constraint::Length(10),
            Constraint::Fill(1),
        ])
        .areas(line);
        put(name, theme.aside(), word, buffer);
        let Some(took) = took else {
            put("-", theme.aside(), time, buffer);
            continue;
        };
        put(show::millis(took), Theme::title(), time, buffer);
        let (blank, full) = (part(before, sum, bar.width), part(before + took, sum, bar.width));
        let full = full.saturating_sub(blank).max(1);
        let text = " ".repeat(blank.into()) + &theme.bars.full.repeat(full.into());
        put(text, theme.trip(), bar, buffer);
        before += took;
    }
}

/// The share of a width, less one column, so that the shortest stage remains visible.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between nothing and the width"
)]
fn part(time: f64, sum: f64, width: u16) -> u16 {
    let share = if sum > 0.0 { (time / sum).clamp(0.0, 1.0) } else { 0.0 };
    (share * f64::from(width.saturating_sub(1))) as u16
}

/// The width of the names, in columns.
const NAMES: u16 = 12;
