//! Which channels carry something, and which much, counted in beats.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::lock::lock;

/// The beats of a session, and how many channels were counted in this one and the one before.
///
/// The counts change under a lock, so they are exact; a channel takes it once in a beat.
#[derive(Debug)]
pub(super) struct Beats {
    /// The number of this beat, from 2: 0 is never, and not the beat before. Changes under the lock.
    number: AtomicU64,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    active: Count,
    bulk: Count,
}

#[derive(Debug, Default)]
struct Count {
    now: usize,
    before: usize,
}

/// What a channel is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// It carried something.
    Active,
    /// It carried much.
    Bulk,
}

/// The beats in which one channel was counted.
#[derive(Debug, Default)]
pub(super) struct Marks {
    active: Mark,
    bulk: Mark,
    /// It is counted no more.
    over: AtomicBool,
}

#[derive(Debug, Default)]
struct Mark {
    /// The last beat in which it was counted; 0 before the first.
    last: AtomicU64,
    /// Whether it was counted in the one before that, too.
    twice: AtomicBool,
}

impl Beats {
    /// Channels that carried something in this beat or the one before, whichever had more.
    pub(super) fn active(&self) -> usize {
        lock(&self.counts).active.most()
    }

    /// The same of those that carried much.
    pub(super) fn bulk(&self) -> usize {
        lock(&self.counts).bulk.most()
    }

    /// Begins the next beat.
    pub(super) fn turn(&self) {
        let mut counts = lock(&self.counts);
        self.number.fetch_add(1, Relaxed);
        counts.active.turn();
        counts.bulk.turn();
    }

    /// Counts a channel in this beat, once. Returns whether it was not counted as that before.
    pub(super) fn enter(&self, marks: &Marks, weight: Weight) -> bool {
        let mark = marks.of(weight);
        if mark.last.load(Relaxed) == self.number.load(Relaxed) {
            return false;
        }
        let mut counts = lock(&self.counts);
        let number = self.number.load(Relaxed);
        if marks.over.load(Relaxed) {
            return false;
        }
        let last = mark.last.swap(number, Relaxed);
        if last == number {
            return false;
        }
        mark.twice.store(last + 1 == number, Relaxed);
        counts.of(weight).now += 1;
        true
    }

    /// Takes back what a channel that is over has been counted for.
    pub(super) fn leave(&self, marks: &Marks) {
        let mut counts = lock(&self.counts);
        if marks.over.swap(true, Relaxed) {
            return;
        }
        let number = self.number.load(Relaxed);
        for weight in [Weight::Active, Weight::Bulk] {
            let (mark, count) = (marks.of(weight), counts.of(weight));
            let last = mark.last.load(Relaxed);
            if last == number {
                count.now -= 1;
                count.before -= usize::from(mark.twice.load(Relaxed));
            } else if last + 1 == number {
                count.before -= 1;
            }
        }
    }
}

impl Default for Beats {
    fn default() -> Self {
        Self { number: AtomicU64::new(2), counts: Mutex::default() }
    }
}

impl Counts {
    fn of(&mut self, weight: Weight) -> &mut Count {
        match weight {
            Weight::Active => &mut self.active,
            Weight::Bulk => &mut self.bulk,
        }
    }
}

impl Count {
    fn most(&self) -> usize {
        self.now.max(self.before)
    }

    fn turn(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }
}

impl Marks {
    fn of(&self, weight: Weight) -> &Mark {
        match weight {
            Weight::Active => &self.active,
            Weight::Bulk => &self.bulk,
        }
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
        Enter(usize, Weight),
        Leave(usize),
        Turn,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let weight = prop_oneof![Just(Weight::Active), Just(Weight::Bulk)];
        let step = prop_oneof![
            4 => (0..CHANNELS, weight).prop_map(|(channel, weight)| Step::Enter(channel, weight)),
            1 => (0..CHANNELS).prop_map(Step::Leave),
            2 => Just(Step::Turn),
        ];
        prop::collection::vec(step, 0..60)
    }

    /// How many of the channels that are not over were counted in a beat.
    fn counted(
        seen: &[[HashSet<u64>; 2]],
        over: &HashSet<usize>,
        weight: usize,
        beat: u64,
    ) -> usize {
        let living = seen.iter().enumerate().filter(|(channel, _)| !over.contains(channel));
        living.filter(|(_, beats)| beats[weight].contains(&beat)).count()
    }

    const CHANNELS: usize = 4;

    proptest! {
        #[test]
        fn as_a_list_of_all_beats_has_it(steps in steps()) {
            let beats = Beats::default();
            let marks: [Marks; CHANNELS] = Default::default();
            let mut seen: [[HashSet<u64>; 2]; CHANNELS] = Default::default();
            let (mut over, mut beat) = (HashSet::new(), 1);
            for step in steps {
                match step {
                    Step::Enter(channel, weight) => {
                        let of_beat = &mut seen[channel][usize::from(weight == Weight::Bulk)];
                        let is_new = !over.contains(&channel) && of_beat.insert(beat);
                        prop_assert_eq!(beats.enter(&marks[channel], weight), is_new);
                    }
                    Step::Leave(channel) => {
                        beats.leave(&marks[channel]);
                        over.insert(channel);
                    }
                    Step::Turn => {
                        beats.turn();
                        beat += 1;
                    }
                }
                let most = |weight| {
                    let count = |beat| counted(&seen, &over, weight, beat);
                    count(beat).max(count(beat - 1))
                };
                prop_assert_eq!((beats.active(), beats.bulk()), (most(0), most(1)));
            }
        }
    }

    #[test]
    fn nothing_is_left_of_channels_that_came_and_went_while_the_beat_turned() {
        let beats = Beats::default();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let marks = Marks::default();
                        for _ in 0..3 {
                            beats.enter(&marks, Weight::Active);
                            beats.enter(&marks, Weight::Bulk);
                        }
                        beats.leave(&marks);
                    }
                });
            }
            scope.spawn(|| (0..2000).for_each(|_| beats.turn()));
        });
        assert_eq!((beats.active(), beats.bulk()), (0, 0));
    }
}
