//! The table, for the terminal and for the README.

use comfy_table::{CellAlignment, Table, presets};

use crate::measure::{Better, Group};
use crate::peer::BASE;
use crate::results::{Cell, Line, Results};

/// The table with borders.
pub(super) fn text(results: &Results) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    filled(table, results, |_| true).to_string()
}

/// The selected rows, as Markdown.
pub(super) fn markdown(results: &Results, wanted: impl Fn(&Line) -> bool) -> String {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    format!("{}\n", filled(table, results, wanted))
}

/// The selected rows; a peer that took part in none of them has no column.
fn filled(mut table: Table, results: &Results, wanted: impl Fn(&Line) -> bool) -> Table {
    let lines: Vec<&Line> = results.lines.iter().filter(|line| wanted(line)).collect();
    let took_part = |peer: &usize| lines.iter().any(|line| !line.cells[*peer].rounds.is_empty());
    let peers: Vec<usize> = (0..results.peers.len()).filter(took_part).collect();
    let name = |peer: &usize| &results.peers[*peer].name;
    let others: Vec<usize> = peers.iter().copied().filter(|peer| name(peer) != BASE).collect();
    let header =
        ["measure".to_owned()].into_iter().chain(peers.iter().map(|peer| name(peer).clone()));
    table.set_header(header.chain(others.iter().map(|peer| format!("{} ÷ {BASE}", name(peer)))));
    for line in lines {
        let figures = peers.iter().map(|peer| figure(line, &line.cells[*peer]));
        let ratios = others.iter().map(|peer| ratio(&line.cells[*peer]));
        table.add_row([label(line)].into_iter().chain(figures).chain(ratios));
    }
    table.column_iter_mut().skip(1).for_each(|column| {
        column.set_cell_alignment(CellAlignment::Right);
    });
    table
}

/// The name of the row, its unit, and whether more or less is better.
pub(super) fn label(line: &Line) -> String {
    let better = if line.row.better == Better::Higher { "↑" } else { "↓" };
    let unit = if line.row.unit.is_empty() { "" } else { " " };
    format!("{}: {}{unit}{} {better}", line.measure, line.row.what, line.row.unit)
}

/// The median for display; if people notice the worst case, with that in parentheses.
pub(super) fn figure(line: &Line, cell: &Cell) -> String {
    match line.group {
        _ if cell.rounds.is_empty() => String::new(),
        Group::Line => format!("{} ({})", value(cell.median), value(cell.worst)),
        _ => value(cell.median),
    }
}

fn value(value: f64) -> String {
    match value {
        value if value.is_nan() => "failed".to_owned(),
        value if value.is_infinite() => "never".to_owned(),
        value => three_digits(value),
    }
}

fn ratio(cell: &Cell) -> String {
    if cell.ratio.is_finite() { three_digits(cell.ratio) } else { String::new() }
}

/// About three significant digits, without needless decimals.
fn three_digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        large if large >= 99.95 => format!("{value:.0}"),
        middle if middle >= 9.995 => format!("{value:.1}"),
        small if small >= 0.0995 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
