//! The list of servers and their sessions, one a line.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};

use super::super::facts::Facts;
use super::super::model::Model;
use super::super::series::History;
use super::cells::{age, figure, fit, put, rate, spark, trip};
use super::theme::Theme;
use crate::control::schema::{Jump, Server, Session, Traffic};

/// The item on a line.
#[derive(Clone, Copy, Debug)]
enum Item<'a> {
    Server(&'a Server),
    Jump(&'a Jump),
    Session(&'a Session),
}

struct Cells {
    name: Rect,
    state: Rect,
    down: Rect,
    down_spark: Rect,
    up: Rect,
    up_spark: Rect,
    trip: Rect,
    trip_spark: Rect,
    channels: Rect,
    /// Everything after the state.
    rest: Rect,
}

/// The number of lines that the servers get above another list, including the heading.
pub(super) fn height(model: &Model, height: u16) -> u16 {
    let servers = &model.facts().status.servers;
    if servers.is_empty() {
        return 0;
    }
    let room = (height / 3).max(3);
    let all = items(model.facts()).len() + 1;
    u16::try_from(all).unwrap_or(u16::MAX).min(room)
}

/// Draws the list from line `offset` on. If there is not enough room, sessions are left out first.
pub(super) fn draw(model: &Model, theme: &Theme, offset: usize, area: Rect, buffer: &mut Buffer) {
    let facts = model.facts();
    let mut rows = area.rows();
    if let Some(row) = rows.next() {
        heading(theme, row, buffer);
    }
    let room = usize::from(area.height.saturating_sub(1));
    let mut items = items(facts);
    let is_whole = model.pane == super::Pane::Servers;
    if !is_whole && items.len() > room {
        items.retain(|item| matches!(item, Item::Server(_)));
    }
    let more = items.len().saturating_sub(offset).saturating_sub(room);
    for (n, (item, row)) in items.iter().skip(offset).zip(rows).enumerate() {
        if more > 0 && n + 1 == room {
            put(format!("… and {} more", more + 1), theme.aside(), row, buffer);
        } else {
            item.draw(facts, theme, row, buffer);
        }
    }
}

/// Each server, followed by its jump hosts and its sessions.
fn items(facts: &Facts) -> Vec<Item<'_>> {
    let servers = facts.status.servers.iter();
    let with_sessions = servers.flat_map(|server| {
        let jumps = server.jumps.iter().map(Item::Jump);
        let sessions = server.sessions.iter().map(Item::Session);
        std::iter::once(Item::Server(server)).chain(jumps).chain(sessions)
    });
    with_sessions.collect()
}

fn heading(theme: &Theme, row: Rect, buffer: &mut Buffer) {
    let cells = Cells::of(row);
    buffer.set_style(row, theme.heading());
    let style = theme.heading();
    put("SERVER", style, cells.name, buffer);
    put("STATE", style, cells.state, buffer);
    figure("DOWN/s", style, cells.down, buffer);
    figure("UP/s", style, cells.up, buffer);
    figure("TRIP", style, cells.trip, buffer);
    figure("CHAN", style, cells.channels, buffer);
}

impl Item<'_> {
    fn draw(self, facts: &Facts, theme: &Theme, row: Rect, buffer: &mut Buffer) {
        match self {
            Self::Server(server) => draw_server(facts, server, theme, row, buffer),
            Self::Jump(jump) => draw_jump(jump, theme, row, buffer),
            Self::Session(session) => draw_session(facts, session, theme, row, buffer),
        }
    }
}

fn draw_server(facts: &Facts, server: &Server, theme: &Theme, row: Rect, buffer: &mut Buffer) {
    let cells = Cells::of(row);
    put(fit(&server.name, cells.name.width), Theme::title(), cells.name, buffer);
    let is_up = server.state == "ready";
    let word = match server.path.as_str() {
        path @ ("forbidden" | "silent") if is_up => path,
        _ => server.state.as_str(),
    };
    if !is_up {
        put(fit(word, cells.state.width), theme.state(word), cells.state, buffer);
        put(fit(&why(server), cells.rest.width), theme.wrong(), cells.rest, buffer);
        return;
    }
    let most = server.max.map_or_else(String::new, |max| format!("/{max}"));
    let state = format!("{word} {}{most}", server.sessions.len());
    put(fit(&state, cells.state.width), theme.state(word), cells.state, buffer);
    let history = facts.servers.get(&server.name);
    draw_figures(&cells, &server.traffic, server.round_trip, history, theme, buffer);
    let channels: usize = server.sessions.iter().map(|session| session.channels).sum();
    figure(channels.to_string(), Theme::title(), cells.channels, buffer);
}

/// Draws a jump host.
fn draw_jump(jump: &Jump, theme: &Theme, row: Rect, buffer: &mut Buffer) {
    let cells = Cells::of(row);
    put(fit(&format!("  by {}", jump.name), cells.name.width), theme.aside(), cells.name, buffer);
    let state = format!("{} {}", jump.state, jump.sessions);
    put(fit(&state, cells.state.width), theme.state(&jump.state), cells.state, buffer);
    if jump.reason.is_empty() {
        figure(trip(jump.round_trip), Theme::title(), cells.trip, buffer);
    } else {
        put(fit(&jump.reason, cells.rest.width), theme.wrong(), cells.rest, buffer);
    }
}

fn draw_session(facts: &Facts, session: &Session, theme: &Theme, row: Rect, buffer: &mut Buffer) {
    let cells = Cells::of(row);
    put(format!("  #{}", session.id), theme.aside(), cells.name, buffer);
    let state = format!("{} {}", session.state, age(session.age));
    put(fit(&state, cells.state.width), theme.state(&session.state), cells.state, buffer);
    let history = facts.sessions.get(&session.id);
    draw_figures(&cells, &session.traffic, session.round_trip, history, theme, buffer);
    figure(session.channels.to_string(), theme.aside(), cells.channels, buffer);
}

fn draw_figures(
    cells: &Cells,
    traffic: &Traffic,
    round_trip: Option<f64>,
    history: Option<&History>,
    theme: &Theme,
    buffer: &mut Buffer,
) {
    figure(rate(traffic.down_rate), Theme::title(), cells.down, buffer);
    figure(rate(traffic.up_rate), Theme::title(), cells.up, buffer);
    figure(trip(round_trip), Theme::title(), cells.trip, buffer);
    if let Some(history) = history {
        spark(&history.down, theme, theme.down(), cells.down_spark, buffer);
        spark(&history.up, theme, theme.up(), cells.up_spark, buffer);
        spark(&history.trip, theme, theme.trip(), cells.trip_spark, buffer);
    }
}

/// Why a server has no session, and what happens next.
fn why(server: &Server) -> String {
    let mut text = server.reason.clone();
    if text.is_empty() {
        "connecting".clone_into(&mut text);
    }
    if let Some(next) = server.next_attempt {
        text = format!("next in {}: {text}", age(next));
    }
    if server.waiting > 0 {
        text = format!("{} wait, {text}", server.waiting);
    }
    text
}

impl Cells {
    fn of(row: Rect) -> Self {
        if row.width < NARROW {
            return Self::few(row);
        }
        // If there is little room, the plot of sent bytes goes first of the three.
        let up_spark = if row.width < WIDE { Constraint::Length(0) } else { Constraint::Fill(2) };
        let [name, state, down, down_spark, up, up_spark, trip, trip_spark, channels] =
            Layout::horizontal([
                Constraint::Length(row.width / 6),
                Constraint::Length(13),
                Constraint::Length(8),
                Constraint::Fill(3),
                Constraint::Length(8),
                up_spark,
                Constraint::Length(7),
                Constraint::Fill(2),
                Constraint::Length(4),
            ])
            .spacing(1)
            .areas(row);
        let rest = Rect { x: down.x, width: row.right().saturating_sub(down.x), ..row };
        Self { name, state, down, down_spark, up, up_spark, trip, trip_spark, channels, rest }
    }

    /// The most important cells only.
    fn few(row: Rect) -> Self {
        let [name, state, down, trip, channels] = Layout::horizontal([
            Constraint::Fill(1),
            Constraint::Length(9),
            Constraint::Length(8),
            Constraint::Length(7),
            Constraint::Length(4),
        ])
        .spacing(1)
        .areas(row);
        let rest = Rect { x: down.x, width: row.right().saturating_sub(down.x), ..row };
        let none = Rect { width: 0, ..row };
        let (down_spark, up, up_spark, trip_spark) = (none, none, none, none);
        Self { name, state, down, down_spark, up, up_spark, trip, trip_spark, channels, rest }
    }
}

/// The columns that plots need.
const NARROW: u16 = 60;
/// The columns that all plots need.
const WIDE: u16 = 100;
