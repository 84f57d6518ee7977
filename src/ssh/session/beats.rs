//! Counts the channels that carried data, in beats.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::lock::lock;

/// The beats of a session, with the numbers of channels counted in the current beat and in the previous one.
///
/// The counts change under a lock, so that they are exact; a channel takes it once per beat.
#[derive(Debug)]
pub(super) struct Beats {
    /// The number of the current beat, at least 2, so that 0 is never current or previous. Changes under the lock.
    number: AtomicU64,
    count: Mutex<Count>,
}

#[derive(Debug, Default)]
struct Count {
    now: usize,
    before: usize,
}

/// The beats in which a channel was counted.
#[derive(Debug, Default)]
pub(super) struct Mark {
    /// The last beat in which it was counted; 0 before the first.
    last: AtomicU64,
    /// Whether it was also counted in the beat before `last`.
    twice: AtomicBool,
    /// Whether the channel is finished, and no longer counted.
    over: AtomicBool,
}

impl Beats {
    /// The larger of the counts of this beat and the previous one.
    pub(super) fn most(&self) -> usize {
        let count = lock(&self.count);
        count.now.max(count.before)
    }

    pub(super) fn end_beat(&self) {
        let mut count = lock(&self.count);
        self.number.fetch_add(1, Relaxed);
        count.before = std::mem::take(&mut count.now);
    }

    /// Counts a channel in this beat, once. Returns whether it had not been counted yet.
    pub(super) fn enter(&self, mark: &Mark) -> bool {
        if mark.last.load(Relaxed) == self.number.load(Relaxed) {
            return false;
        }
        let mut count = lock(&self.count);
        let number = self.number.load(Relaxed);
        if mark.over.load(Relaxed) {
            return false;
        }
        let last = mark.last.swap(number, Relaxed);
        if last == number {
            return false;
        }
        mark.twice.store(last + 1 == number, Relaxed);
        count.now += 1;
        true
    }

    /// Removes a finished channel from the counts.
    pub(super) fn leave(&self, mark: &Mark) {
        let mut count = lock(&self.count);
        if mark.over.swap(true, Relaxed) {
            return;
        }
        let (number, last) = (self.number.load(Relaxed), mark.last.load(Relaxed));
        if last == number {
            count.now -= 1;
            count.before -= usize::from(mark.twice.load(Relaxed));
        } else if last + 1 == number {
            count.before -= 1;
        }
    }
}

impl Default for Beats {
    fn default() -> Self {
        Self { number: AtomicU64::new(2), count: Mutex::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Enter(usize),
        Leave(usize),
        EndBeat,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..CHANNELS).prop_map(Step::Enter),
            1 => (0..CHANNELS).prop_map(Step::Leave),
            2 => Just(Step::EndBeat),
        ];
        prop::collection::vec(step, 0..60)
    }

    const CHANNELS: usize = 4;

    proptest! {
        #[test]
        fn the_counts_match_a_list_of_all_beats(steps in steps()) {
            let beats = Beats::default();
            let marks: [Mark; CHANNELS] = Default::default();
            let mut seen: [HashSet<u64>; CHANNELS] = Default::default();
            let (mut over, mut beat) = (HashSet::new(), 1);
            for step in steps {
                match step {
                    Step::Enter(channel) => {
                        let is_new = !over.contains(&channel) && seen[channel].insert(beat);
                        prop_assert_eq!(beats.enter(&marks[channel]), is_new);
                    }
                    Step::Leave(channel) => {
                        beats.leave(&marks[channel]);
                        over.insert(channel);
                    }
                    Step::EndBeat => {
                        beats.end_beat();
                        beat += 1;
                    }
                }
                // The counts of the channels that are not finished.
                let counted = |beat| {
                    let is_in = |channel: &usize| seen[*channel].contains(&beat);
                    (0..CHANNELS).filter(|c| !over.contains(c)).filter(is_in).count()
                };
                prop_assert_eq!(beats.most(), counted(beat).max(counted(beat - 1)));
            }
        }
    }

    #[test]
    fn channels_that_finish_while_a_beat_ends_are_not_counted() {
        let beats = Beats::default();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let mark = Mark::default();
                        for _ in 0..3 {
                            beats.enter(&mark);
                        }
                        beats.leave(&mark);
                    }
                });
            }
            scope.spawn(|| (0..2000).for_each(|_| beats.end_beat()));
        });
        assert_eq!(beats.most(), 0);
    }
}
