//! Which session takes a new channel, and whether the pool should grow: a pure function of what is
//! known of the sessions.

use crate::ssh::OpenKind;

/// What placement knows of one session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Channels whose client does not keep up: the session may stand still for them.
    pub slow_readers: usize,
    /// A probe or an open has not been answered for a while: the server may be busy with a slow
    /// name look-up, or the network gone.
    pub stuck: bool,
    /// Channels that move much.
    pub bulk: usize,
    /// Channels that moved anything lately.
    pub active: usize,
    /// Opens that the server has not answered.
    pub opening: usize,
    /// Those of them to names that may take it a while.
    pub scouts: usize,
    /// All channels.
    pub channels: usize,
    /// Whether it carries nothing, and nothing comes to it without our doing.
    pub free: bool,
    /// An open that may end the session is not answered yet.
    pub risky: bool,
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The session to open the channel on, by its place among the views; none when there is none.
    pub session: Option<usize>,
    /// Whether another session would serve requests like this one better.
    pub growth: Growth,
}

/// Whether the pool should have another session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// Another session is wanted.
    Wanted,
    /// What there is will do.
    Enough,
}

/// Chooses the session that is least likely to be disturbed, or, for a scout, the one with the least
/// to lose.
pub fn choose(sessions: &[View], kind: OpenKind) -> Choice {
    let may_take = |(_, view): &(usize, &View)| kind != OpenKind::Alone || view.free;
    let usable = sessions.iter().enumerate().filter(may_take);
    let best = usable.min_by_key(|(_, view)| cost(view, kind));
    match best {
        Some((index, view)) => Choice { session: Some(index), growth: growth(view, kind) },
        None => Choice { session: None, growth: Growth::Wanted },
    }
}

/// The lower the better; compared from left to right.
type Cost = (bool, bool, bool, usize, usize, usize, usize, usize);

fn cost(view: &View, kind: OpenKind) -> Cost {
    let View { slow_readers, stuck, bulk, active, opening, scouts, channels, free: _, risky } =
        *view;
    let slow = slow_readers > 0;
    match kind {
        // What begins together stays together, and away from what runs already: a burst of
        // downloads does not spread over the sessions of those who wait for a keystroke.
        OpenKind::Plain => (risky, slow, stuck, bulk, scouts, active, opening, channels),
        // An open that waits may be a scout's: better not to wait with it.
        OpenKind::Scout | OpenKind::Alone => {
            (risky, stuck, slow, bulk, active + opening, channels, 0, 0)
        }
    }
}

/// Whether the pool should have another session before anybody asks: where something runs on every
/// one, the next request would have to share.
pub fn reserve(sessions: &[View]) -> Growth {
    let quiet = |view: &View| {
        !view.risky && view.slow_readers == 0 && !view.stuck && view.bulk == 0 && view.active == 0
    };
    if sessions.iter().any(quiet) { Growth::Enough } else { Growth::Wanted }
}

fn growth(best: &View, kind: OpenKind) -> Growth {
    let crowded = match kind {
        OpenKind::Plain => CROWDED,
        OpenKind::Scout | OpenKind::Alone => CROWDED_FOR_SCOUT,
    };
    let disturbed =
        best.risky || best.slow_readers > 0 || best.stuck || best.bulk > 0 || best.scouts > 0;
    if disturbed || best.active + best.opening >= crowded { Growth::Wanted } else { Growth::Enough }
}

/// So many active channels are reason enough for another session.
const CROWDED: usize = 32;
/// A scout that turns out to be slow holds up so many.
const CROWDED_FOR_SCOUT: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quiet() -> View {
        View::default()
    }

    #[test]
    fn without_a_session_one_is_wanted() {
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
    fn idle_connections_weigh_less_than_one_that_is_active() {
        let idle = View { channels: 100, ..quiet() };
        let active = View { active: 1, channels: 1, ..quiet() };
        assert_eq!(choose(&[active, idle], OpenKind::Plain).session, Some(1));
    }

    #[test]
    fn the_pool_grows_only_when_the_best_is_disturbed_or_crowded() {
        let grows = |view: View, kind| choose(&[view], kind).growth == Growth::Wanted;
        assert!(!grows(quiet(), OpenKind::Plain));
        assert!(!grows(View { active: 10, ..quiet() }, OpenKind::Plain));
        assert!(grows(View { active: 10, ..quiet() }, OpenKind::Scout));
        assert!(grows(View { active: 32, ..quiet() }, OpenKind::Plain));
        assert!(grows(View { bulk: 1, ..quiet() }, OpenKind::Plain));
        assert!(grows(View { stuck: true, ..quiet() }, OpenKind::Plain));
        let beside_quiet = choose(&[View { bulk: 1, ..quiet() }, quiet()], OpenKind::Plain);
        assert_eq!(beside_quiet.growth, Growth::Enough);
    }

    #[test]
    fn a_name_that_is_looked_up_is_not_waited_for() {
        let scouted = View { opening: 1, scouts: 1, channels: 1, ..quiet() };
        let busy = View { active: 5, channels: 5, ..quiet() };
        assert_eq!(choose(&[scouted, busy], OpenKind::Plain).session, Some(1));
        assert_eq!(choose(&[scouted], OpenKind::Plain).growth, Growth::Wanted);
    }

    #[test]
    fn what_begins_together_stays_together_away_from_what_runs() {
        let runs = View { active: 1, channels: 1, ..quiet() };
        let burst = View { opening: 3, channels: 3, ..quiet() };
        assert_eq!(choose(&[runs, burst], OpenKind::Plain).session, Some(1));
        assert_eq!(choose(&[runs, burst], OpenKind::Scout).session, Some(0));
    }

    #[test]
    fn what_may_end_a_session_is_asked_for_where_nobody_else_is_and_others_stay_away() {
        let free = View { free: true, ..quiet() };
        let idle = View { channels: 1, ..quiet() };
        assert_eq!(choose(&[idle, free], OpenKind::Alone).session, Some(1));
        let none = choose(&[idle, idle], OpenKind::Alone);
        assert_eq!(none, Choice { session: None, growth: Growth::Wanted });
        let risky = View { risky: true, opening: 1, channels: 1, ..quiet() };
        let bulk = View { bulk: 3, active: 3, channels: 3, ..quiet() };
        assert_eq!(choose(&[risky, bulk], OpenKind::Plain).session, Some(1));
        assert_eq!(choose(&[risky], OpenKind::Plain).session, Some(0), "better than none");
        assert_eq!(choose(&[risky], OpenKind::Plain).growth, Growth::Wanted);
    }

    #[test]
    fn one_quiet_session_is_kept_in_reserve() {
        let runs = View { active: 1, channels: 1, ..quiet() };
        let idle = View { channels: 9, ..quiet() };
        assert_eq!(reserve(&[]), Growth::Wanted);
        assert_eq!(reserve(&[runs]), Growth::Wanted);
        assert_eq!(reserve(&[runs, idle]), Growth::Enough);
        assert_eq!(reserve(&[View { stuck: true, ..quiet() }]), Growth::Wanted);
    }

    fn any_view() -> impl Strategy<Value = View> {
        (0..3_usize, any::<bool>(), 0..3_usize, 0..40_usize, 0..10_usize, 0..100_usize).prop_map(
            |(slow_readers, stuck, bulk, active, opening, channels)| View {
                scouts: opening / 3,
                slow_readers,
                stuck,
                bulk,
                active,
                opening,
                channels,
                free: channels == 0,
                risky: false,
            },
        )
    }

    proptest! {
        #[test]
        fn no_session_is_better_than_the_chosen_one(
            views in prop::collection::vec(any_view(), 1..9), scout in any::<bool>(),
        ) {
            let kind = if scout { OpenKind::Scout } else { OpenKind::Plain };
            let chosen = choose(&views, kind).session.expect("there are sessions");
            for view in &views {
                prop_assert!(cost(&views[chosen], kind) <= cost(view, kind));
            }
        }
    }
}
