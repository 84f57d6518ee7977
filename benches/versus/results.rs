//! The figures of all rounds, and their statistics.

use serde_json::{Value, json};

use crate::measure::{Better, Group, Measure, Row};
use crate::peer::{BASE, Peer};
use crate::rounds::Taken;
use crate::stats::{median, median_ratio, worst};

/// All figures of a run.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) peers: Vec<Peer>,
    pub(crate) lines: Vec<Line>,
    /// Failures and remarks, without duplicates.
    pub(crate) notes: Vec<String>,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) group: Group,
    pub(crate) measure: String,
    pub(crate) row: Row,
    /// The results of each peer.
    pub(crate) cells: Vec<Cell>,
}

/// The result of one peer in one row.
#[derive(Debug)]
pub(crate) struct Cell {
    /// The figure of each round; NaN if the turn failed, infinite for "never".
    pub(crate) rounds: Vec<f64>,
    pub(crate) median: f64,
    /// The largest of them, or the smallest if more is better.
    pub(crate) worst: f64,
    /// The median of the per-round ratios to [`BASE`]; NaN for that peer itself.
    pub(crate) ratio: f64,
}

impl Results {
    /// Arranges the figures by row and peer.
    pub(crate) fn collect(peers: Vec<Peer>, measures: Vec<Measure>, taken: Vec<Taken>) -> Self {
        let (rounds, notes) = sort(&peers, &measures, taken);
        let base = peers.iter().position(|peer| peer.name == BASE);
        let mut lines = Vec::new();
        for (measure, rounds) in measures.into_iter().zip(rounds) {
            for (at, row) in measure.rows.iter().enumerate() {
                let figures = |peer: usize| -> Vec<f64> {
                    rounds[peer].iter().map(|row: &Vec<f64>| row[at]).collect()
                };
                let base_figures = base.map(figures).unwrap_or_default();
                let cell = |peer| {
                    let rounds = figures(peer);
                    let ratio = if Some(peer) == base {
                        f64::NAN
                    } else {
                        median_ratio(&rounds, &base_figures)
                    };
                    let worst = worst(&rounds, row.better);
                    Cell { median: median(&rounds), worst, ratio, rounds }
                };
                let cells = (0..peers.len()).map(cell).collect();
                let (group, measure, row) = (measure.group, measure.name.clone(), row.clone());
                lines.push(Line { group, measure, row, cells });
            }
        }
        Self { peers, lines, notes }
    }

    /// The peers other than [`BASE`].
    pub(crate) fn others(&self) -> impl Iterator<Item = (usize, &Peer)> {
        self.peers.iter().enumerate().filter(|(_, peer)| peer.name != BASE)
    }

    /// All results for programs. "Never" and "not measured" are both null; the notes tell them
    /// apart.
    pub(crate) fn to_json(&self) -> Value {
        let peers = self.peers.iter().map(|peer| {
            json!({ "name": peer.name, "version": peer.version, "program": format!("{:?}", peer.program) })
        });
        let lines = self.lines.iter().map(|line| {
            let cells =
                self.peers.iter().zip(&line.cells).filter(|(_, cell)| !cell.rounds.is_empty());
            let cells: serde_json::Map<String, Value> = cells
                .map(|(peer, cell)| {
                    let Cell { rounds, median, worst, ratio } = cell;
                    let cell = json!({
                        "rounds": rounds, "median": median, "worst": worst, "ratio": ratio,
                    });
                    (peer.name.clone(), cell)
                })
                .collect();
            json!({
                "measure": line.measure,
                "what": line.row.what,
                "unit": line.row.unit,
                "better": if line.row.better == Better::Higher { "higher" } else { "lower" },
                "peers": cells,
            })
        });
        json!({
            "peers": peers.collect::<Vec<_>>(),
            "lines": lines.collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}

/// The figures by measure, peer, round and row; and the notes.
type Sorted = (Vec<Vec<Vec<Vec<f64>>>>, Vec<String>);

fn sort(peers: &[Peer], measures: &[Measure], taken: Vec<Taken>) -> Sorted {
    let mut rounds = vec![vec![Vec::new(); peers.len()]; measures.len()];
    let mut notes = Vec::new();
    for (measure, peer, outcome) in taken {
        let (values, note) = match outcome {
            Ok(figures) => (figures.values, figures.note),
            Err(error) => {
                (vec![f64::NAN; measures[measure].rows.len()], Some(format!("{error:#}")))
            }
        };
        rounds[measure][peer].push(values);
        let note =
            note.map(|note| format!("{}, {}: {note}", peers[peer].name, measures[measure].name));
        notes.extend(note.filter(|note| !notes.contains(note)));
    }
    (rounds, notes)
}
