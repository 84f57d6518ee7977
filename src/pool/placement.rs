//! Decides which session takes a new channel and whether the pool should grow: a pure function of the sessions'
//! states.
//!
//! The criteria (`Cost`) in order: whether a pending open may end the session, whether it makes progress, how
//! soon it would answer, and how many others the new channel would disturb. On a LAN, channels are packed onto
//! few sessions instead of being spread.

use std::time::Duration;

use crate::ssh::OpenKind;
use crate::ssh::session::delay::LAN;

/// The state of one session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Channels whose client does not keep up, which may block the session.
    pub slow_readers: usize,
    /// Whether a probe or an open has been unanswered for a while: the server may be blocked by a slow name
    /// look-up, or the network may be down.
    pub stuck: bool,
    /// How long an answer takes now, including the data queued before it.
    pub delay: Duration,
    /// The excess of that over the shortest round trip.
    pub excess: Duration,
    /// Channels that carry bulk transfers.
    pub bulk: usize,
    /// Channels that moved data recently.
    pub active: usize,
    /// Opens that the server has not answered.
    pub opening: usize,
    /// How many of these are to names whose look-up may take a while.
    pub unresolved: usize,
    /// All channels.
    pub channels: usize,
    /// Whether it carries no channel, and no remote listener can open one.
    pub free: bool,
    /// Whether an open that may end the session is unanswered.
    pub risky: bool,
}

/// The result for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The index of the session on which to open the channel; none if there is no session.
    pub session: Option<usize>,
    /// Whether another session would serve requests like this one better.
    pub growth: Growth,
}

/// Whether the pool should have another session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// Another session is wanted.
    Wanted,
    /// The current sessions suffice.
    Enough,
}

/// Chooses the session that answers soonest and is least disturbed; for an unresolved name, the one on which a
/// slow look-up does the least harm.
pub fn choose(sessions: &[View], kind: OpenKind) -> Choice {
    let nearest = sessions.iter().map(|view| view.delay).min().unwrap_or_default();
    let may_take = |(_, view): &(usize, &View)| kind != OpenKind::Isolated || view.free;
    let usable = sessions.iter().enumerate().filter(may_take);
    let best = usable.min_by_key(|(_, view)| Cost::of(view, nearest, kind));
    match best {
        Some((index, view)) => Choice { session: Some(index), growth: growth(view, kind) },
        None => Choice { session: None, growth: Growth::Wanted },
    }
}

/// Whether an open that waits on `slow` should be tried on `other` as well. If `slow` gets no answer, even a
/// session with a slow reader will do, however late it is: the reader makes room once it is not alone.
pub fn is_worth_a_second_try(slow: &View, other: &View) -> bool {
    let is_sooner = match other.slow_readers {
        0 => slow.delay > other.delay * 2 + LATE,
        _ => slow.stuck,
    };
    is_sooner && !other.stuck
}

/// The cost of a channel on a session: lower is better, compared field by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    /// Whether the session may end because of a pending open.
    risky: bool,
    progress: Progress,
    /// How much later it answers than the fastest session, in [`STEP`]s; less is noise.
    late: u128,
    /// Bulk transfers that would share the session.
    bulk: usize,
    /// Look-ups that may block the channel.
    unresolved: usize,
    /// Channels that the new one would disturb.
    active: usize,
    opening: usize,
    channels: usize,
}

/// Whether a session makes progress, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    Moving,
    /// It may be blocked, but not in a way that matters most for this kind of open.
    Doubtful,
    Blocked,
    Hopeless,
}

impl Cost {
    fn of(view: &View, nearest: Duration, kind: OpenKind) -> Self {
        let View { slow_readers, stuck, delay, bulk, active, opening, .. } = *view;
        let View { unresolved, channels, risky, .. } = *view;
        let late = delay.saturating_sub(nearest).as_micros() / STEP.as_micros();
        let (blocked, doubtful) = match kind {
            OpenKind::Plain => (slow_readers > 0, stuck),
            // The unanswered open may be a slow look-up, which would block this one, too.
            OpenKind::UnresolvedName | OpenKind::Isolated => (stuck, slow_readers > 0),
        };
        let progress = match (blocked, doubtful) {
            (false, false) => Progress::Moving,
            (false, true) => Progress::Doubtful,
            (true, false) => Progress::Blocked,
            (true, true) => Progress::Hopeless,
        };
        let cost = Self { risky, progress, late, bulk, unresolved, active, opening, channels };
        match kind {
            // On a LAN, channels do not queue behind each other's data, and each active session costs the
            // server more CPU time.
            OpenKind::Plain if nearest < LAN => Self {
                active: channels / PACKED_CHANNELS,
                opening: (active + opening) / PACKED,
                channels: 0,
                ..cost
            },
            // A burst of opens stays together on one session, away from active channels, so that a burst of
            // downloads does not spread over the sessions of interactive connections.
            OpenKind::Plain => cost,
            OpenKind::UnresolvedName | OpenKind::Isolated => {
                Self { unresolved: 0, active: active + opening, opening: 0, ..cost }
            }
        }
    }
}

/// Whether a new channel would neither disturb another nor wait for one.
pub(super) fn is_quiet(view: &View) -> bool {
    let View { slow_readers, stuck, excess, bulk, active, risky, .. } = *view;
    !risky && slow_readers == 0 && !stuck && excess < LATE && bulk == 0 && active == 0
}

fn growth(best: &View, kind: OpenKind) -> Growth {
    let crowded = match kind {
        OpenKind::Plain => CROWDED,
        OpenKind::UnresolvedName | OpenKind::Isolated => CROWDED_FOR_UNRESOLVED,
    };
    let disturbed =
        best.risky || best.slow_readers > 0 || best.stuck || best.bulk > 0 || best.unresolved > 0;
    let late = best.excess >= LATE;
    if disturbed || late || best.active + best.opening >= crowded {
        Growth::Wanted
    } else {
        Growth::Enough
    }
}

/// The resolution of delays: smaller differences are noise, or the queue of the path, which all sessions share.
const STEP: Duration = Duration::from_millis(60);
/// The excess delay from which a session counts as congested.
const LATE: Duration = Duration::from_millis(200);
/// Active channels on one session before the next session is used on a LAN. If they were spread over all
/// sessions, each connection would wake another process of the server.
const PACKED: usize = 24;
/// All channels on one session before the next is used on a LAN: the server polls all if one is active.
const PACKED_CHANNELS: usize = 64;
/// Active channels on the best session from which the pool grows.
const CROWDED: usize = 32;
/// As [`CROWDED`], but for unresolved names, whose look-up may block those channels.
const CROWDED_FOR_UNRESOLVED: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A quiet session to a server outside the LAN.
    fn quiet() -> View {
        View { delay: Duration::from_millis(20), ..View::default() }
    }

    fn late(millis: u64) -> View {
        let excess = Duration::from_millis(millis);
        View { delay: quiet().delay + excess, excess, ..quiet() }
    }

    #[test]
    fn a_pool_without_sessions_grows() {
        let choice = choose(&[], OpenKind::Plain);
        assert_eq!(choice, Choice { session: None, growth: Growth::Wanted });
    }

    #[test]
    fn a_slow_reader_a_stuck_session_and_bulk_are_avoided_in_that_order() {
        let slow = View { slow_readers: 1, ..quiet() };
        let stuck = View { stuck: true, ..quiet() };
        let bulk = View { bulk: 1, active: 1, channels: 1, ..quiet() };
        let busy = View { active: 5, channels: 5, ..quiet() };
        let take = |views: &[View]| choose(views, OpenKind::Plain).session;
        assert_eq!(take(&[slow, stuck, bulk, busy]), Some(3));
        assert_eq!(take(&[slow, stuck, bulk]), Some(2));
        assert_eq!(take(&[slow, stuck]), Some(1));
        assert_eq!(take(&[slow]), Some(0), "better than none");
    }

    #[test]
    fn idle_connections_weigh_less_than_an_active_one() {
        let idle = View { channels: 100, ..quiet() };
        let active = View { active: 1, channels: 1, ..quiet() };
        assert_eq!(choose(&[active, idle], OpenKind::Plain).session, Some(1));
    }

    #[test]
    fn the_soonest_answer_counts_more_than_the_disturbance() {
        let take = |views: &[View]| choose(views, OpenKind::Plain).session;
        let busy = View { active: 5, channels: 5, bulk: 1, ..quiet() };
        assert_eq!(take(&[late(300), busy]), Some(1));
        assert_eq!(take(&[late(40), busy]), Some(0), "within the noise");
        assert_eq!(take(&[View { stuck: true, ..quiet() }, late(3000)]), Some(1));
        let (first, other) = (late(3000), View { slow_readers: 1, ..quiet() });
        assert_eq!(take(&[first, other]), Some(0), "a blocked session may never resume");
    }

    #[test]
    fn on_a_lan_active_channels_are_packed() {
        let near = View { delay: Duration::from_micros(200), ..View::default() };
        let take = |views: &[View]| choose(views, OpenKind::Plain).session;
        let few = View { active: 10, opening: 5, channels: 20, ..near };
        assert_eq!(take(&[few, near]), Some(0));
        assert_eq!(take(&[View { active: 24, ..few }, near]), Some(1));
        assert_eq!(take(&[View { channels: 100, ..few }, near]), Some(1));
        assert_eq!(take(&[View { bulk: 1, ..few }, near]), Some(1));
    }

    #[test]
    fn a_waiting_open_is_tried_again_where_it_is_answered_much_sooner() {
        assert!(is_worth_a_second_try(&late(300), &quiet()));
        assert!(!is_worth_a_second_try(&late(100), &quiet()));
        assert!(!is_worth_a_second_try(&late(300), &late(100)));
        assert!(!is_worth_a_second_try(&late(300), &View { stuck: true, ..quiet() }));
        let reader = View { slow_readers: 1, ..quiet() };
        assert!(!is_worth_a_second_try(&late(300), &reader));
        assert!(is_worth_a_second_try(&View { stuck: true, ..late(300) }, &reader));
        let late_reader = View { slow_readers: 1, ..late(300) };
        assert!(is_worth_a_second_try(&View { stuck: true, ..late(300) }, &late_reader));
    }

    #[test]
    fn the_pool_grows_only_if_the_best_session_is_disturbed_or_crowded() {
        let grows = |view: View, kind| choose(&[view], kind).growth == Growth::Wanted;
        assert!(!grows(quiet(), OpenKind::Plain));
        assert!(!grows(View { active: 10, ..quiet() }, OpenKind::Plain));
        assert!(grows(View { active: 10, ..quiet() }, OpenKind::UnresolvedName));
        assert!(grows(View { active: 32, ..quiet() }, OpenKind::Plain));
        assert!(grows(View { active: 30, opening: 2, ..quiet() }, OpenKind::Plain));
        assert!(grows(View { bulk: 1, ..quiet() }, OpenKind::Plain));
        assert!(grows(View { slow_readers: 1, ..quiet() }, OpenKind::Plain));
        assert!(grows(View { stuck: true, ..quiet() }, OpenKind::Plain));
        assert!(grows(late(200), OpenKind::Plain));
        assert!(!grows(late(100), OpenKind::Plain), "the queue of the path");
        let beside_quiet = choose(&[View { bulk: 1, ..quiet() }, quiet()], OpenKind::Plain);
        assert_eq!(beside_quiet.growth, Growth::Enough);
    }

    #[test]
    fn opens_do_not_wait_behind_a_look_up() {
        let scouted = View { opening: 1, unresolved: 1, channels: 1, ..quiet() };
        let busy = View { active: 5, channels: 5, ..quiet() };
        assert_eq!(choose(&[scouted, busy], OpenKind::Plain).session, Some(1));
        assert_eq!(choose(&[scouted], OpenKind::Plain).growth, Growth::Wanted);
    }

    #[test]
    fn a_burst_of_opens_stays_together_away_from_active_channels() {
        let runs = View { active: 1, channels: 1, ..quiet() };
        let burst = View { opening: 3, channels: 3, ..quiet() };
        assert_eq!(choose(&[runs, burst], OpenKind::Plain).session, Some(1));
        assert_eq!(choose(&[runs, burst], OpenKind::UnresolvedName).session, Some(0));
    }

    #[test]
    fn an_unresolved_name_goes_beside_other_look_ups_rather_than_active_channels() {
        let looks_up = View { opening: 1, unresolved: 1, channels: 1, ..quiet() };
        let runs = View { active: 2, channels: 2, ..quiet() };
        assert_eq!(choose(&[runs, looks_up], OpenKind::UnresolvedName).session, Some(1));
    }

    #[test]
    fn a_risky_open_goes_to_an_empty_session_which_others_then_avoid() {
        let free = View { free: true, ..quiet() };
        let idle = View { channels: 1, ..quiet() };
        assert_eq!(choose(&[idle, free], OpenKind::Isolated).session, Some(1));
        let none = choose(&[idle, idle], OpenKind::Isolated);
        assert_eq!(none, Choice { session: None, growth: Growth::Wanted });
        let risky = View { risky: true, opening: 1, channels: 1, ..quiet() };
        let bulk = View { bulk: 3, active: 3, channels: 3, ..quiet() };
        assert_eq!(choose(&[risky, bulk], OpenKind::Plain).session, Some(1));
        assert_eq!(choose(&[risky], OpenKind::Plain).session, Some(0), "better than none");
        assert_eq!(choose(&[risky], OpenKind::Plain).growth, Growth::Wanted);
    }

    #[test]
    fn a_session_that_answers_and_has_no_active_channel_is_quiet() {
        assert!(is_quiet(&View { channels: 9, ..quiet() }));
        assert!(!is_quiet(&View { active: 1, channels: 1, ..quiet() }));
        assert!(!is_quiet(&View { bulk: 1, ..quiet() }));
        assert!(!is_quiet(&View { slow_readers: 1, ..quiet() }));
        assert!(!is_quiet(&View { stuck: true, ..quiet() }));
        assert!(!is_quiet(&late(300)));
    }

    fn any_view() -> impl Strategy<Value = View> {
        let progress = (0..3_usize, any::<bool>());
        let delay = (0..2000_u64, 0..2000_u64);
        let load = (0..3_usize, 0..40_usize, 0..10_usize, 0..100_usize);
        (progress, delay, load).prop_map(
            |((slow_readers, stuck), (best, excess), (bulk, active, opening, channels))| {
                let excess = Duration::from_millis(excess);
                View {
                    slow_readers,
                    stuck,
                    delay: Duration::from_millis(best) + excess,
                    excess,
                    bulk,
                    active,
                    opening,
                    unresolved: opening / 3,
                    channels,
                    free: channels == 0,
                    risky: false,
                }
            },
        )
    }

    fn any_kind() -> impl Strategy<Value = OpenKind> {
        prop_oneof![Just(OpenKind::Plain), Just(OpenKind::UnresolvedName)]
    }

    proptest! {
        #[test]
        fn no_session_is_better_than_the_chosen_one(
            views in prop::collection::vec(any_view(), 1..9), kind in any_kind(),
        ) {
            let chosen = choose(&views, kind).session.expect("there are sessions");
            let nearest = views.iter().map(|view| view.delay).min().expect("there are sessions");
            for view in &views {
                let (taken, other) =
                    (Cost::of(&views[chosen], nearest, kind), Cost::of(view, nearest, kind));
                prop_assert!(taken <= other);
            }
        }

        #[test]
        fn of_two_sessions_that_differ_only_in_delay_the_faster_is_chosen(
            view in any_view(), kind in any_kind(), more in 60..5000_u64,
        ) {
            let later = View { delay: view.delay + Duration::from_millis(more), ..view };
            prop_assert_eq!(choose(&[later, view], kind).session, Some(1));
            prop_assert_eq!(choose(&[view, later], kind).session, Some(0));
        }

        #[test]
        fn a_session_that_makes_progress_is_chosen_before_one_that_does_not(
            views in prop::collection::vec(any_view(), 1..9), kind in any_kind(),
        ) {
            let chosen = &views[choose(&views, kind).session.expect("there are sessions")];
            let moves = |view: &View| view.slow_readers == 0 && !view.stuck;
            prop_assert!(moves(chosen) || !views.iter().any(moves));
        }

        #[test]
        fn the_pool_grows_if_the_best_session_is_late(
            views in prop::collection::vec(any_view(), 1..9), kind in any_kind(),
        ) {
            let choice = choose(&views, kind);
            let chosen = &views[choice.session.expect("there are sessions")];
            prop_assert!(chosen.excess < LATE || choice.growth == Growth::Wanted);
        }
    }
}
