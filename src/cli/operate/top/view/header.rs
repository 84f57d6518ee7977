//! The header: which program it is, how it is doing, and its traffic.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::super::model::{Link, Model};
use super::cells::{figure, fit, put, rate, spark};
use super::is_stale;
use super::theme::Theme;
use crate::cli::operate::show;

pub(super) fn draw(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let [first, second] = Layout::vertical([Constraint::Length(1); 2]).areas(area);
    program(model, theme, first, buffer);
    traffic(model, theme, second, buffer);
}

fn program(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let status = &model.facts().status;
    let instance = &status.instance;
    if model.link == Link::Joining {
        put("sockeye top", Theme::title(), area, buffer);
        return;
    }
    let name = format!("sockeye {}: ", fit(&instance.name, area.width / 3));
    let state = if is_stale(model) { "?" } else { status.state.as_str() };
    let mut line = Line::from(vec![
        Span::styled(name, Theme::title()),
        Span::styled(fit(state, 12), theme.state(state)),
    ]);
    let age = format!(", for {}", show::time(instance.uptime));
    for more in [age, format!(", pid {}", instance.pid)] {
        if line.width() + more.len() <= usize::from(area.width) {
            line.push_span(more);
        }
    }
    line.render(area, buffer);
    if model.is_frozen() {
        figure(" paused ", Theme::marked(), area, buffer);
    }
}

fn traffic(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let facts = model.facts();
    let (counts, traffic) = (&facts.status.connections, &facts.status.traffic);
    let [down_word, down, down_spark, up_word, up, up_spark, words] = Layout::horizontal([
        Constraint::Length(4),
        Constraint::Length(8),
        Constraint::Fill(1),
        Constraint::Length(2),
        Constraint::Length(8),
        Constraint::Fill(1),
        Constraint::Length(WORDS.min(area.width.saturating_sub(FIGURES))),
    ])
    .spacing(1)
    .areas(area);
    put("down", theme.aside(), down_word, buffer);
    figure(rate(traffic.down_rate), Theme::title(), down, buffer);
    spark(&facts.total.down, theme, theme.down(), down_spark, buffer);
    put("up", theme.aside(), up_word, buffer);
    figure(rate(traffic.up_rate), Theme::title(), up, buffer);
    spark(&facts.total.up, theme, theme.up(), up_spark, buffer);
    let open = counts.waiting + counts.opening + counts.relaying;
    let mut text = format!("{open} open");
    let others = [
        (counts.failed, "failed"),
        (counts.waiting as u64, "waiting"),
        (counts.opening as u64, "opening"),
    ];
    for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
        let more = format!(", {count} {what}");
        if text.len() + more.len() <= words.width.into() {
            text += &more;
        }
    }
    figure(fit(&text, words.width), Theme::title(), words, buffer);
}

pub(super) fn has_trouble(model: &Model) -> bool {
    model.link != Link::Up || !model.facts().status.health.is_empty()
}

/// Draws the first problem, and the number of others.
pub(super) fn trouble(model: &Model, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let text = match &model.link {
        Link::Joining => "no answer yet".to_owned(),
        Link::Silent(seconds) => {
            format!("the program has not answered for {seconds} s; the figures are old")
        }
        Link::Gone(why) => format!("{why}; trying again, the figures are old"),
        Link::Up => {
            let health = &model.facts().status.health;
            let Some(first) = health.first() else { return };
            let more = match health.len() - 1 {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            let room = area.width.saturating_sub(u16::try_from(more.len()).unwrap_or(0) + 2);
            let text = format!("{} {}: {}", first.what, first.name, first.text);
            fit(&text, room) + &more
        }
    };
    put(fit(&format!("! {text}"), area.width), theme.wrong(), area, buffer);
}

/// The columns that the text about connections needs.
const WORDS: u16 = 40;
/// The columns that the figures beside it need, with the gaps.
const FIGURES: u16 = 28;
