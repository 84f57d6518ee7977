//! The number of connections.

use std::collections::HashMap;

use strum::VariantArray as _;

use super::schema;
use crate::registry::{Outcome, Registry, State};

/// The number of connections in each state.
pub(super) fn counts(registry: &Registry) -> schema::ConnectionCounts {
    let living = registry.connections.living();
    let count = |state: State| living.iter().filter(|c| c.state() == state).count();
    let failures = || Outcome::VARIANTS.iter().filter(|outcome| outcome.is_failure());
    let tallies = registry.tallies.servers.all();
    let failed = tallies.iter().flat_map(|(_, tally)| failures().map(|one| tally.outcome(*one)));
    schema::ConnectionCounts {
        total: registry.connections.total(),
        waiting: count(State::Waiting),
        opening: count(State::Opening),
        relaying: count(State::Relaying) + count(State::HalfClosed),
        failed: failed.sum(),
    }
}

/// The programs with the most connections.
pub(super) fn programs(registry: &Registry) -> Vec<schema::ClientProgram> {
    let living = registry.connections.living();
    let mut counts = HashMap::<&str, usize>::new();
    for process in living.iter().filter_map(|connection| connection.process()) {
        *counts.entry(&process.name).or_default() += 1;
    }
    let program = |(name, connections): (&str, _)| schema::ClientProgram {
        name: name.to_owned(),
        connections,
    };
    let mut programs: Vec<_> = counts.into_iter().map(program).collect();
    programs.sort_by(|a, b| b.connections.cmp(&a.connections).then_with(|| a.name.cmp(&b.name)));
    programs.truncate(MOST_PROGRAMS);
    programs
}

/// The most programs that are listed.
const MOST_PROGRAMS: usize = 10;
