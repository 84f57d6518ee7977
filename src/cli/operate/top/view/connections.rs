//! The list of connections, one a line.

use ratatui::buffer::Buffer;
use ratatui::layout::{Layout, Rect};
use ratatui::style::Style;
use strum::VariantArray as _;

use super::super::facts::{Facts, Seen};
use super::super::model::{Link, Model};
use super::super::rows::{Column, Content, Direction};
use super::cells::{age, figure, fit, put, rate, size};
use super::theme::Theme;
use super::window;

pub(super) fn draw(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let columns = columns(area.width);
    let mut lines = area.rows();
    if let Some(line) = lines.next() {
        heading(model, &columns, theme, line, buffer);
    }
    let rows = model.rows();
    let Some((marked, _)) = model.selected(&rows) else {
        let words = match (&model.link, model.filter.as_str()) {
            (Link::Joining, _) => "",
            (_, "") => "none",
            _ => "none that the filter lets be seen",
        };
        if let Some(line) = lines.next() {
            put(words, theme.aside(), line, buffer);
        }
        return;
    };
    let first = window(marked, rows.len(), usize::from(area.height).saturating_sub(1));
    for ((n, seen), line) in rows.iter().enumerate().skip(first).zip(lines) {
        draw_one(model.facts(), seen, &columns, theme, line, buffer);
        if n == marked {
            buffer.set_style(line, Theme::marked());
        }
    }
}

fn heading(model: &Model, columns: &[Column], theme: &Theme, line: Rect, buffer: &mut Buffer) {
    buffer.set_style(line, theme.heading());
    for (column, cell) in columns.iter().zip(cells(columns, line)) {
        let mut title = column.look().title.to_owned();
        if *column == model.order.column {
            title.push_str(match model.order.direction {
                Direction::Ascending => theme.ascending,
                Direction::Descending => theme.descending,
            });
        }
        if column.look().content == Content::Figure {
            figure(title, theme.heading(), cell, buffer);
        } else {
            put(title, theme.heading(), cell, buffer);
        }
    }
}

fn draw_one(
    facts: &Facts,
    seen: &Seen,
    columns: &[Column],
    theme: &Theme,
    line: Rect,
    buffer: &mut Buffer,
) {
    for (column, cell) in columns.iter().zip(cells(columns, line)) {
        let text = fit(&text(facts, seen, *column), cell.width);
        let style = match column {
            Column::State => theme.state(&seen.connection.state),
            _ => Style::new(),
        };
        if column.look().content == Content::Figure {
            figure(text, style, cell, buffer);
        } else {
            put(text, style, cell, buffer);
        }
    }
}

fn text(facts: &Facts, seen: &Seen, column: Column) -> String {
    let connection = &seen.connection;
    match column {
        Column::Id => connection.id.to_string(),
        Column::State => connection.state.clone(),
        Column::Age => age(facts.age(seen)),
        Column::DownRate => rate(connection.traffic.down_rate),
        Column::UpRate => rate(connection.traffic.up_rate),
        Column::Down => size(connection.traffic.down),
        Column::Up => size(connection.traffic.up),
        Column::Target => connection.target.clone(),
        Column::Via => match (&connection.server, connection.session) {
            (Some(server), Some(session)) => format!("{server}#{session}"),
            (Some(server), None) => server.clone(),
            (None, _) => "-".to_owned(),
        },
        Column::Source => match &connection.process {
            Some(process) => format!("{} {}", process.name, connection.source),
            None => connection.source.clone(),
        },
        Column::Rule => connection.rule.clone().unwrap_or_else(|| "-".to_owned()),
    }
}

/// The columns that fit into this width.
fn columns(width: u16) -> Vec<Column> {
    Column::VARIANTS.iter().copied().filter(|column| column.look().from <= width).collect()
}

fn cells(columns: &[Column], line: Rect) -> Vec<Rect> {
    let widths = columns.iter().map(|column| column.look().width);
    Layout::horizontal(widths).spacing(1).split(line).to_vec()
}
