//! The lists of rules, of listeners and forwards, and of events.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::Text;
use ratatui::widgets::{Row, Table, Widget};

use super::super::model::Model;
use super::cells::{age, fit, put, size};
use super::theme::Theme;
use crate::cli::operate::show;

pub(super) fn rules(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let widths = [
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Length(10),
        Constraint::Length(8),
        Constraint::Length(6),
    ];
    let [name, action, ..] = Layout::horizontal(widths).spacing(1).areas::<5>(area);
    let status = &model.facts().status;
    let now = status.instance.started + status.instance.uptime;
    let rows = model.facts().rules.iter().skip(model.offset).take(area.height.into());
    let rows = rows.map(|rule| {
        let last = rule.last_hit.map_or_else(|| "-".to_owned(), |at| age(now.saturating_sub(at)));
        Row::new([
            Text::raw(fit(&rule.name, name.width)),
            Text::raw(fit(&rule.action, action.width)),
            Text::raw(rule.hits.to_string()).right_aligned(),
            Text::raw(size(rule.bytes)).right_aligned(),
            Text::raw(last).right_aligned(),
        ])
    });
    let head = Row::new([
        Text::raw("RULE"),
        Text::raw("ACTION"),
        Text::raw("HITS").right_aligned(),
        Text::raw("BYTES").right_aligned(),
        Text::raw("LAST").right_aligned(),
    ]);
    Table::new(rows, widths).header(head.style(theme.heading())).render(area, buffer);
}

pub(super) fn forwards(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let widths = [
        Constraint::Length(3),
        Constraint::Length(2),
        Constraint::Fill(2),
        Constraint::Length(10),
        Constraint::Length(9),
        Constraint::Length(7),
        Constraint::Fill(3),
    ];
    let [_, _, spec, owner, _, _, at] = Layout::horizontal(widths).spacing(1).areas(area);
    let forwards = model.facts().status.forwards.iter();
    let rows = forwards.skip(model.offset).take(area.height.into()).map(|forward| {
        let words = match (&forward.reason, forward.suspicious) {
            (Some(reason), _) => reason.clone(),
            (None, 0) => forward.addresses.join(", "),
            (None, suspicious) => {
                format!("{}, {suspicious} by address", forward.addresses.join(", "))
            }
        };
        let name = forward.name.as_deref().or(forward.server.as_deref()).unwrap_or("-");
        Row::new([
            Text::raw(forward.id.to_string()).right_aligned(),
            Text::raw(show::flag(forward)),
            Text::raw(fit(&forward.spec, spec.width)),
            Text::raw(fit(name, owner.width)),
            Text::styled(fit(&forward.state, 9), theme.state(&forward.state)),
            Text::raw(forward.accepted.to_string()).right_aligned(),
            Text::raw(fit(&words, at.width)),
        ])
    });
    let head = Row::new([
        Text::raw("ID").right_aligned(),
        Text::raw(""),
        Text::raw("FORWARD"),
        Text::raw("NAME"),
        Text::raw("STATE"),
        Text::raw("CAME IN").right_aligned(),
        Text::raw("AT"),
    ]);
    Table::new(rows, widths).header(head.style(theme.heading())).render(area, buffer);
}

pub(super) fn happenings(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let facts = model.facts();
    if facts.happenings.is_empty() {
        put("nothing yet", theme.aside(), area, buffer);
    }
    let lines = facts.happenings.iter().skip(model.offset);
    for (happening, line) in lines.zip(area.rows()) {
        let text = format!("{:>5}  {}", age(facts.since(happening)), happening.text);
        put(fit(&text, line.width), Style::new(), line, buffer);
    }
}
