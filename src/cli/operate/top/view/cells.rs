//! Texts and figures that fit into a cell.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{RenderDirection, Sparkline, Widget};

use super::super::series::Series;
use super::theme::Theme;
use crate::cli::operate::show;
use crate::printable::{Lines, printable};

/// A text from outside, escaped and cut to this width; a cut is marked.
pub(super) fn fit(text: &str, width: u16) -> String {
    let width = usize::from(width);
    let mut shown = printable(text, width, Lines::One);
    if Line::raw(shown.as_str()).width() <= width {
        return shown;
    }
    // Wide characters, and the mark itself, take columns too.
    while Line::raw(shown.as_str()).width() + 1 > width && shown.pop().is_some() {}
    if width > 0 {
        shown.push('…');
    }
    shown
}

/// A time in milliseconds, in its largest unit.
pub(super) fn age(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Bytes per second; empty for zero, so that activity stands out.
pub(super) fn rate(bytes: u64) -> String {
    if bytes == 0 { "-".to_owned() } else { format!("{}/s", size(bytes)) }
}

/// A number of bytes, in a short form.
pub(super) fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec_short().to_string()
}

/// A round trip time, in milliseconds.
pub(super) fn trip(millis: Option<f64>) -> String {
    millis.map_or_else(|| "-".to_owned(), show::millis)
}

pub(super) fn put(text: impl Into<String>, style: Style, area: Rect, buffer: &mut Buffer) {
    Line::styled(text.into(), style).render(area, buffer);
}

/// Draws a figure at the right end of a line.
pub(super) fn figure(text: impl Into<String>, style: Style, area: Rect, buffer: &mut Buffer) {
    Line::styled(text.into(), style).right_aligned().render(area, buffer);
}

/// Draws the recent values of a figure, newest at the right.
pub(super) fn spark(series: &Series, theme: &Theme, style: Style, area: Rect, buffer: &mut Buffer) {
    let data: Vec<_> = series.newest(area.width.into()).collect();
    Sparkline::default()
        .direction(RenderDirection::RightToLeft)
        .bar_set(theme.bars.clone())
        .style(style)
        .data(data)
        .render(area, buffer);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_where_the_cell_ends() {
        for (text, width, shown) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("世界", 4, "世界"),
            ("世界", 3, "世…"),
            ("世界", 2, "…"),
            ("a", 0, ""),
            ("\x1b[2J", 20, "\\u{1b}[2J"),
        ] {
            assert_eq!(fit(text, width), shown, "{text} in {width}");
        }
    }

    #[test]
    fn figures_are_short() {
        assert_eq!([900, 61_000, 7_200_000, 200_000_000].map(age), ["0s", "1m", "2h", "2d"]);
        assert_eq!([0, 2048].map(rate), ["-", "2.0K/s"]);
        assert_eq!(trip(None), "-");
    }
}
