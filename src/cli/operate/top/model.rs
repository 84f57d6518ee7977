//! The state of `sockeye top`. Events and keys change it; nothing is read or drawn here.

use super::facts::{Facts, Seen};
use super::rows::{self, Order};
use super::series::History;
use crate::control::schema::{Connection, Event, Rule};

/// The state of `sockeye top`.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    facts: Facts,
    /// The state that is shown while the view is paused.
    frozen: Option<Box<Facts>>,
    pub(super) link: Link,
    pub(super) pane: Pane,
    pub(super) order: Order,
    pub(super) filter: String,
    pub(super) mode: Mode,
    pub(super) selected: Option<u64>,
    /// The first visible line of lists without a selection.
    pub(super) offset: usize,
    /// The connection that is shown in full, if any.
    pub(super) details: Option<Details>,
    /// The outcome of the last command.
    pub(super) note: Option<String>,
}

/// The connection to the program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Link {
    /// There has been no event yet.
    #[default]
    Joining,
    Up,
    /// There has been no event for this many seconds.
    Silent(u64),
    /// The program is gone, or never was there; another attempt follows soon.
    Gone(String),
}

/// A list, by its title.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "lowercase")]
pub(super) enum Pane {
    #[default]
    Connections,
    Servers,
    Rules,
    #[strum(serialize = "listeners")]
    Forwards,
    #[strum(serialize = "events")]
    Happenings,
}

/// How keys are interpreted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Ordinary,
    /// They edit the filter.
    Filter,
    /// Any of them closes the help.
    Help,
    /// They answer the question whether to end these connections.
    Kill(Vec<u64>),
}

/// A connection that is shown in full.
#[derive(Clone, Debug)]
pub(super) struct Details {
    pub(super) connection: Connection,
    pub(super) history: History,
}

#[derive(Clone, Debug)]
pub(super) enum News {
    Event(Box<Event>),
    Rules(Vec<Rule>),
    /// The connection that is shown in full, in its current state.
    Connection(Box<Connection>),
    /// There has been no event for this many seconds.
    Silent(u64),
    Gone(String),
    /// The outcome of a command.
    Done(String),
}

/// What is polled besides the events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Interest {
    pub(super) rules: bool,
    pub(super) connection: Option<u64>,
}

impl Model {
    /// The state to show: the current one, or the frozen one while paused.
    pub(super) fn facts(&self) -> &Facts {
        self.frozen.as_deref().unwrap_or(&self.facts)
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Pauses or resumes.
    pub(super) fn freeze_or_go_on(&mut self) {
        self.frozen = match self.frozen {
            None => Some(Box::new(self.facts.clone())),
            Some(_) => None,
        };
    }

    /// The connections in the list.
    pub(super) fn rows(&self) -> Vec<&Seen> {
        rows::rows(self.facts(), &self.filter, self.order)
    }

    /// The selected connection; by default the first one listed.
    pub(super) fn selected<'a>(&self, rows: &[&'a Seen]) -> Option<(usize, &'a Seen)> {
        let marked = rows.iter().position(|seen| Some(seen.connection.id) == self.selected);
        let index = marked.unwrap_or(0);
        Some((index, rows.get(index).copied()?))
    }

    /// What to poll.
    pub(super) fn interest(&self) -> Interest {
        let living = |details: &&Details| details.connection.outcome.is_none();
        Interest {
            rules: self.pane == Pane::Rules,
            connection: self.details.as_ref().filter(living).map(|d| d.connection.id),
        }
    }

    pub(super) fn hear(&mut self, news: News) {
        match news {
            News::Event(event) => self.event(*event),
            News::Rules(rules) => self.facts.rules = rules,
            News::Connection(connection) => {
                let open = self.details.as_mut().filter(|d| d.connection.id == connection.id);
                if let Some(details) = open {
                    let traffic = &connection.traffic;
                    details.history.push(traffic.down_rate, traffic.up_rate, None);
                    details.connection = *connection;
                }
            }
            News::Silent(seconds) => self.link = Link::Silent(seconds),
            News::Gone(why) => self.link = Link::Gone(why),
            News::Done(note) => self.note = Some(note),
        }
    }

    fn event(&mut self, event: Event) {
        self.link = Link::Up;
        if let Event::Reset { status, .. } = &event
            && status.instance.run != self.facts.status.instance.run
        {
            // The program was restarted, and its ids are new.
            self.details = None;
            self.frozen = None;
            self.selected = None;
            if matches!(self.mode, Mode::Kill(_)) {
                self.mode = Mode::Ordinary;
            }
        }
        if let Some(ended) = self.facts.hear(event)
            && let Some(details) = &mut self.details
            && details.connection.id == ended.id
        {
            details.connection = *ended;
        }
    }
}
