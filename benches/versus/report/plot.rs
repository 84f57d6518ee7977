//! The plots: bars for each group of measures, and one that compares all with `ssh -D`.

use std::fs;
use std::path::Path;

use anyhow::Result;
use plotters::prelude::{
    BLACK, DrawingBackend, IntoDrawingArea, IntoFont, RGBColor, Rectangle, SVGBackend, Text,
    TextStyle, WHITE,
};
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::table::{figure, label};
use crate::measure::{Better, Group};
use crate::peer::BASE;
use crate::results::{Line, Results};

/// Draws every picture into `dir`.
pub(super) fn all(results: &Results, dir: &Path) -> Result<()> {
    for group in Group::ALL {
        let (file, title) = group.names();
        let of_group = results.lines.iter().filter(|line| line.group == group);
        let blocks: Vec<Block> = of_group.map(|line| block_of_medians(results, line)).collect();
        draw(&dir.join(file).with_extension("svg"), title, &blocks)?;
    }
    let blocks: Vec<Block> =
        results.lines.iter().filter_map(|line| block_of_ratios(results, line)).collect();
    let title = format!("How many times as good as {BASE} (logarithmic)");
    draw(&dir.join("ratios.svg"), &title, &blocks)
}

/// The bars of one row of the table, under a heading.
struct Block {
    heading: String,
    bars: Vec<Bar>,
}

struct Bar {
    name: String,
    colour: RGBColor,
    /// The text after the bar.
    figure: String,
    /// The start and the end, as fractions (0 to 1) of the width.
    from: f64,
    to: f64,
}

/// The bars of the medians. Each row has its own scale, from 0 to the largest median.
fn block_of_medians(results: &Results, line: &Line) -> Block {
    let finite = line.cells.iter().map(|cell| cell.median).filter(|median| median.is_finite());
    let largest = finite.fold(0.0, f64::max);
    let present = results.peers.iter().zip(&line.cells).zip(COLOURS.iter().cycle());
    let bars =
        present.filter(|((_, cell), _)| !cell.rounds.is_empty()).map(|((peer, cell), colour)| {
            Bar {
                name: peer.name.clone(),
                colour: *colour,
                figure: figure(line, cell),
                from: 0.0,
                to: if cell.median.is_finite() && largest > 0.0 {
                    cell.median / largest
                } else {
                    0.0
                },
            }
        });
    Block { heading: label(line), bars: bars.collect() }
}

/// The bars of the ratios: from the middle to the right if a peer is better than the base, to the left if it is worse.
fn block_of_ratios(results: &Results, line: &Line) -> Option<Block> {
    let bars: Vec<Bar> = results
        .others()
        .filter_map(|(peer, of)| {
            let ratio = line.cells[peer].ratio;
            let times = if line.row.better == Better::Higher { ratio } else { ratio.recip() };
            let length = times.log10() / DECADES;
            (times.is_finite() && times > 0.0).then(|| Bar {
                name: of.name.clone(),
                colour: COLOURS[peer % COLOURS.len()],
                figure: format!("× {times:.2}"),
                from: 0.5,
                to: (0.5 + length / 2.0).clamp(0.0, 1.0),
            })
        })
        .collect();
    (!bars.is_empty()).then(|| Block { heading: label(line), bars })
}

/// Draws one plot: a title, then the blocks one below the other. Draws nothing if there are no blocks.
fn draw(path: &Path, title: &str, blocks: &[Block]) -> Result<()> {
    if blocks.is_empty() {
        // A file from an earlier run does not belong to this one.
        let _ = fs::remove_file(path);
        return Ok(());
    }
    let lines: usize = blocks.iter().map(|block| block.bars.len() + 1).sum();
    let height = u32::try_from(lines)? * 18 + u32::try_from(blocks.len())? * 8 + 50;
    let area = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    let bold = style(22).pos(Pos::new(HPos::Left, VPos::Center));
    area.draw(&Text::new(title.to_owned(), (14, 22), bold))?;
    let mut y = 52;
    for block in blocks {
        let heading = style(17).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(block.heading.clone(), (14, y), heading))?;
        y += 18;
        for bar in &block.bars {
            draw_bar(&area, bar, y)?;
            y += 18;
        }
        y += 8;
    }
    area.present()?;
    Ok(())
}

fn draw_bar<B>(
    area: &plotters::drawing::DrawingArea<B, plotters::coord::Shift>,
    bar: &Bar,
    y: i32,
) -> Result<()>
where
    B: DrawingBackend,
    B::ErrorType: 'static,
{
    let name = style(15).pos(Pos::new(HPos::Right, VPos::Center));
    area.draw(&Text::new(bar.name.clone(), (LEFT - 8, y), name))?;
    let (from, to) = (x_of(bar.from.min(bar.to)), x_of(bar.from.max(bar.to)));
    area.draw(&Rectangle::new([(from, y - 6), (to.max(from + 1), y + 6)], bar.colour.filled()))?;
    let figure = style(15).pos(Pos::new(HPos::Left, VPos::Center));
    area.draw(&Text::new(bar.figure.clone(), (to + 6, y), figure))?;
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "a part of the picture's width")]
fn x_of(part: f64) -> i32 {
    LEFT + (f64::from(LENGTH) * part).round() as i32
}

fn style(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&BLACK)
}

/// The width of a plot in pixels, the start of its bars, and the longest bar.
const WIDTH: u32 = 820;
const LEFT: i32 = 170;
const LENGTH: i32 = 560;
/// The powers of ten in each direction of the ratio plot.
const DECADES: f64 = 2.0;
/// One colour for each peer, distinguishable for everyone.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(120, 120, 120),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
];
