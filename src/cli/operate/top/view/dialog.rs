//! Dialogs on top of everything else: the help, and the confirmation before connections are ended.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph, Widget};

use super::super::model::{Mode, Model};
use super::cells::fit;
use super::theme::Theme;

pub(super) fn draw(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    match &model.mode {
        Mode::Ordinary | Mode::Filter => {}
        Mode::Help => {
            let lines = HELP.iter().map(|line| (*line).to_owned()).collect();
            show(" keys ", lines, theme, area, buffer);
        }
        Mode::Kill(ids) => show(" kill ", question(model, ids), theme, area, buffer),
    }
}

fn question(model: &Model, ids: &[u64]) -> Vec<String> {
    let what = match ids {
        [id] => {
            let known = model.facts().connections.get(id);
            let target = known.map_or_else(String::new, |seen| {
                format!(" to {}", fit(&seen.connection.target, 40))
            });
            format!("End connection {id}{target}?")
        }
        ids => format!("End all {} connections that are listed?", ids.len()),
    };
    let clients = if ids.len() == 1 { "Its client is reset." } else { "Their clients are reset." };
    vec![what, clients.to_owned(), String::new(), "y yes    any other key no".to_owned()]
}

fn show(title: &str, lines: Vec<String>, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let widest = lines.iter().map(|line| Line::raw(line.as_str()).width()).max().unwrap_or(0);
    let size = |inner: usize, most: u16| u16::try_from(inner + 2).unwrap_or(u16::MAX).min(most);
    let width = Constraint::Length(size(widest + 2, area.width));
    let height = Constraint::Length(size(lines.len(), area.height));
    let area = area.centered(width, height);
    Clear.render(area, buffer);
    let block = Block::bordered()
        .border_set(theme.border)
        .title(title)
        .title_style(Theme::title())
        .padding(ratatui::widgets::Padding::horizontal(1));
    let lines: Vec<_> = lines.into_iter().map(Line::raw).collect();
    Paragraph::new(lines).block(block).render(area, buffer);
}

const HELP: &[&str] = &[
    "1 to 5, Tab   connections, servers, rules, listeners, events",
    "Up Down PgUp PgDn Home End    move",
    "Enter         details of the selected connection",
    "/             filter: words that are all found in target, client,",
    "              server, rule, user, listener, state or program",
    "s S           sort by the next column, or the previous one",
    "r             reverse the order",
    "k             end the selected connection (asks first)",
    "K             end all connections that are listed (asks first)",
    "space         pause, and resume",
    "Esc           back; then clears the filter",
    "Ctrl-Z        suspend; fg resumes",
    "Ctrl-L        redraw",
    "q, Ctrl-C     quit",
];
