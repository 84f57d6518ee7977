//! The rounds: each measure of each peer in turn, repeatedly.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep};

use crate::bed::{Bed, Way};
use crate::effort::Effort;
use crate::instance::Instance;
use crate::measure::{self, Figures, Measure, Turn};
use crate::peer::Peer;
use crate::results::Results;

/// A comparison in progress. All peers run at once, and are idle outside their turns.
#[derive(Debug)]
pub(crate) struct Rounds<'a> {
    bed: &'a Bed,
    peers: Vec<Peer>,
    measures: Vec<Measure>,
    effort: Effort,
    standing: HashMap<(usize, Way), Instance>,
}

impl<'a> Rounds<'a> {
    pub(crate) fn new(
        bed: &'a Bed,
        peers: Vec<Peer>,
        measures: Vec<Measure>,
        effort: Effort,
    ) -> Self {
        Self { bed, peers, measures, effort, standing: HashMap::new() }
    }

    /// Takes every measure of every peer `rounds` times, interleaved, so that a slow minute of the
    /// machine affects all peers alike.
    pub(crate) async fn run(mut self, rounds: u16) -> Results {
        let turns = self.measures.iter().map(|measure| self.of(measure).len()).sum::<usize>();
        let bar = progress(turns * usize::from(rounds));
        let mut taken = Vec::new();
        self.start_all(&bar, &mut taken).await;
        for round in 1..=rounds {
            for measure in 0..self.measures.len() {
                for peer in rotated(self.of(&self.measures[measure]), round) {
                    let (what, who) = (&self.measures[measure].name, &self.peers[peer].name);
                    bar.set_message(format!("{round}/{rounds} {who}: {what}"));
                    let outcome = self.turn(measure, peer).await;
                    taken.push((measure, peer, outcome));
                    bar.inc(1);
                }
            }
        }
        bar.finish_and_clear();
        self.standing.clear();
        Results::collect(self.peers, self.measures, taken)
    }

    /// The peers that take part in a measure.
    fn of(&self, measure: &Measure) -> Vec<usize> {
        (0..self.peers.len()).filter(|peer| measure.wants(&self.peers[*peer])).collect()
    }

    /// Starts every instance that will be needed; a failure is reported again at its turn.
    async fn start_all(&mut self, bar: &ProgressBar, taken: &mut Vec<Taken>) {
        for measure in 0..self.measures.len() {
            let Some(way) = self.measures[measure].availability() else { continue };
            for peer in self.of(&self.measures[measure]) {
                bar.set_message(format!("starting {}", self.peers[peer].name));
                if let Err(error) = self.introduce(peer, way).await {
                    taken.push((measure, peer, Err(error)));
                }
            }
        }
    }

    /// Starts the peer, and makes a download over its line: what a peer learns about a line once, it
    /// knows in every later run.
    async fn introduce(&mut self, peer: usize, way: Way) -> Result<()> {
        if self.standing.contains_key(&(peer, way)) {
            return Ok(());
        }
        self.stand(peer, way).await?;
        if let (Way::Over(_), Some(instance)) = (way, self.standing.get(&(peer, way))) {
            measure::meet(instance.road(), self.effort.on_a_line()).await?;
            self.quiet().await;
        }
        Ok(())
    }

    async fn turn(&mut self, measure: usize, peer: usize) -> Result<Figures> {
        self.quiet().await;
        let way = self.measures[measure].availability();
        if let Some(way) = way {
            self.stand(peer, way).await?;
        }
        let turn = Turn {
            bed: self.bed,
            peer: &self.peers[peer],
            effort: self.effort,
            standing: way.and_then(|way| self.standing.get(&(peer, way))),
        };
        let measure = &self.measures[measure];
        let outcome = measure.take(&turn).await.and_then(|figures| {
            ensure!(figures.values.len() >= measure.rows.len(), "it yields too few figures");
            Ok(figures)
        });
        if let (Err(_), Some(way)) = (&outcome, way) {
            // It may be in any state now, so the next turn gets a new one.
            self.standing.remove(&(peer, way));
        }
        outcome
    }

    /// Makes sure that the peer is running.
    async fn stand(&mut self, peer: usize, way: Way) -> Result<()> {
        if self.standing.get_mut(&(peer, way)).is_some_and(|instance| !instance.has_ended()) {
            return Ok(());
        }
        let started = Instance::start(&self.peers[peer], self.bed, way).await;
        let instance = started.context("no instance")?;
        self.standing.insert((peer, way), instance);
        Ok(())
    }

    /// Waits until the connections of the previous turn are gone, and their data has left the lines.
    async fn quiet(&self) {
        let limit = Instant::now() + Duration::from_secs(30);
        let mut quiet = 0;
        while quiet < 3 && Instant::now() < limit {
            let busy = self.bed.target().open() > 0 || !self.bed.lines_are_empty();
            quiet = if busy { 0 } else { quiet + 1 };
            sleep(Duration::from_millis(25)).await;
        }
    }
}

/// Rotates the order in each round: the peer after a slow one finds the machine rested.
fn rotated(mut peers: Vec<usize>, round: u16) -> Vec<usize> {
    if !peers.is_empty() {
        let by = usize::from(round) % peers.len();
        peers.rotate_left(by);
    }
    peers
}

/// The result of a turn, with the indexes of its measure and peer.
pub(crate) type Taken = (usize, usize, Result<Figures>);

/// A progress bar on standard error, if that is a terminal.
fn progress(turns: usize) -> ProgressBar {
    let bar = ProgressBar::new(turns as u64);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}, {eta} left: {wide_msg}")
        .expect("the template is well-formed");
    bar.set_style(style);
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
