//! Draws the model of `sockeye top` into the cells of a terminal, without side effects.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;
use strum::VariantArray as _;

use super::model::{Link, Mode, Model, Pane};
use crate::printable::word;
use cells::put;
pub(super) use theme::Theme;

mod cells;
mod connections;
mod details;
mod dialog;
mod header;
mod lists;
mod servers;
#[cfg(test)]
mod tests;
mod theme;

pub(super) fn draw(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    if area.width < NARROWEST || area.height < LOWEST {
        put(format!("{NARROWEST}x{LOWEST} at least"), theme.wrong(), area, buffer);
        return;
    }
    let servers = if model.pane == Pane::Servers || model.details.is_some() {
        0
    } else {
        servers::height(model, area.height)
    };
    let [head, trouble, above, tabs, body, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(u16::from(header::has_trouble(model))),
        Constraint::Length(servers),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    header::draw(model, theme, head, buffer);
    header::trouble(model, theme, trouble, buffer);
    if servers > 0 {
        servers::draw(model, theme, 0, above, buffer);
    }
    draw_tabs(model, theme, tabs, buffer);
    match (&model.details, model.pane) {
        (Some(details), _) => details::draw(model, details, theme, body, buffer),
        (None, Pane::Connections) => connections::draw(model, theme, body, buffer),
        (None, Pane::Servers) => servers::draw(model, theme, model.offset, body, buffer),
        (None, Pane::Rules) => lists::rules(model, theme, body, buffer),
        (None, Pane::Forwards) => lists::forwards(model, theme, body, buffer),
        (None, Pane::Happenings) => lists::happenings(model, theme, body, buffer),
    }
    draw_foot(model, theme, foot, buffer);
    dialog::draw(model, theme, area, buffer);
    theme.reduce(buffer);
}

/// Draws the tabs, with the shown list marked.
fn draw_tabs(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let mut line = Line::default();
    for (n, pane) in Pane::VARIANTS.iter().enumerate() {
        let is_shown = *pane == model.pane;
        let style = if is_shown { Theme::marked() } else { theme.aside() };
        let title = if is_shown || area.width >= TABS { word(pane) } else { "" };
        line.push_span(Span::styled(format!(" {} {title} ", n + 1), style));
    }
    if model.pane == Pane::Connections && model.details.is_none() {
        let (listed, all) = (model.rows().len(), model.facts().connections.len());
        let count = if listed == all { all.to_string() } else { format!("{listed} of {all}") };
        line.push_span(Span::styled(format!("  {count}"), Theme::title()));
    }
    line.render(area, buffer);
}

/// Draws the filter, the outcome of the last command, or the keys.
fn draw_foot(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let room = area.width.saturating_sub(12);
    let line = match (&model.mode, &model.note) {
        (Mode::Filter, _) => Line::from(vec![
            Span::styled("filter: ", Theme::title()),
            Span::raw(cells::fit(&model.filter, room)),
            Span::styled(" ", Theme::marked()),
        ]),
        (_, Some(note)) => Line::styled(cells::fit(note, area.width), Theme::title()),
        (_, None) if model.details.is_some() => {
            Line::styled("Esc back  k kill  q quit", theme.aside())
        }
        (_, None) if !model.filter.is_empty() && model.pane == Pane::Connections => {
            let filter = cells::fit(&model.filter, area.width.saturating_sub(30));
            Line::from(vec![
                Span::styled("filter: ", Theme::title()),
                Span::raw(filter),
                Span::styled("  / change  Esc away", theme.aside()),
            ])
        }
        (_, None) if model.pane == Pane::Connections => {
            let keys =
                "? help  / filter  s sort  r reverse  Enter details  k kill  space pause  q quit";
            Line::styled(cells::fit(keys, area.width), theme.aside())
        }
        (_, None) => Line::styled("? help  Tab next  space pause  q quit", theme.aside()),
    };
    line.render(area, buffer);
}

/// The first visible line of a list of so many lines, such that `line` is visible.
fn window(line: usize, lines: usize, height: usize) -> usize {
    line.saturating_sub(height / 2).min(lines.saturating_sub(height))
}

/// Whether the state on the screen is out of date.
fn is_stale(model: &Model) -> bool {
    matches!(model.link, Link::Silent(_) | Link::Gone(_))
}

/// The columns that the names of all lists need.
const TABS: u16 = 70;
/// The fewest columns that are worth drawing in.
const NARROWEST: u16 = 40;
/// The fewest lines that are worth drawing in.
const LOWEST: u16 = 8;
