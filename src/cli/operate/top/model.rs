//! What `sockeye top` shows, and what becomes of it: what the program says goes in, as do keys; nothing is
//! read and nothing drawn here.

use super::facts::{Facts, Seen};
use super::rows::{self, Order};
use super::series::History;
use crate::control::schema::{Connection, Event, Rule};

/// All that `sockeye top` knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    facts: Facts,
    /// What is shown while it stands still.
    frozen: Option<Box<Facts>>,
    pub(super) link: Link,
    pub(super) pane: Pane,
    pub(super) order: Order,
    pub(super) filter: String,
    pub(super) mode: Mode,
    /// The connection that is marked.
    pub(super) selected: Option<u64>,
    /// How many lines of the other lists are above the window.
    pub(super) offset: usize,
    /// The connection that is shown in full.
    pub(super) details: Option<Details>,
    /// What came of the last thing that was done.
    pub(super) note: Option<String>,
}

/// Whether the program answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Link {
    /// It has not been heard yet.
    #[default]
    Joining,
    /// It does.
    Up,
    /// It has said nothing for so many seconds.
    Silent(u64),
    /// It is gone, or was never there; another attempt is made soon.
    Gone(String),
}

/// A list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pane {
    #[default]
    Connections,
    Servers,
    Rules,
    Forwards,
    Happenings,
}

/// What keys mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Ordinary,
    /// They are the filter.
    Filter,
    /// Any of them closes the help.
    Help,
    /// They say whether these connections are to be ended.
    Kill(Vec<u64>),
}

/// A connection that is shown in full.
#[derive(Clone, Debug)]
pub(super) struct Details {
    pub(super) connection: Connection,
    pub(super) history: History,
}

/// What comes in from the program.
#[derive(Clone, Debug)]
pub(super) enum News {
    /// Something has happened.
    Event(Box<Event>),
    /// The rules, as they are now.
    Rules(Vec<Rule>),
    /// The connection that is shown in full, as it is now.
    Connection(Box<Connection>),
    /// It has said nothing for so many seconds.
    Silent(u64),
    /// It is gone.
    Gone(String),
    /// What came of an order.
    Done(String),
}

/// What is asked for beside what the program says by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Interest {
    /// The rules.
    pub(super) rules: bool,
    /// All of this connection.
    pub(super) connection: Option<u64>,
}

impl Pane {
    pub(super) const ALL: [Self; 5] =
        [Self::Connections, Self::Servers, Self::Rules, Self::Forwards, Self::Happenings];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Servers => "servers",
            Self::Rules => "rules",
            Self::Forwards => "listeners",
            Self::Happenings => "events",
        }
    }
}

impl Model {
    /// What is to be shown.
    pub(super) fn facts(&self) -> &Facts {
        self.frozen.as_deref().unwrap_or(&self.facts)
    }

    /// Whether it stands still.
    pub(super) fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Stands still, or goes on.
    pub(super) fn freeze_or_go_on(&mut self) {
        self.frozen = match self.frozen {
            None => Some(Box::new(self.facts.clone())),
            Some(_) => None,
        };
    }

    /// The connections that are listed.
    pub(super) fn rows(&self) -> Vec<&Seen> {
        rows::rows(self.facts(), &self.filter, self.order)
    }

    /// The marked one among those that are listed: the first, where none is marked.
    pub(super) fn selected<'a>(&self, rows: &[&'a Seen]) -> Option<(usize, &'a Seen)> {
        let marked = rows.iter().position(|seen| Some(seen.connection.id) == self.selected);
        let index = marked.unwrap_or(0);
        Some((index, rows.get(index).copied()?))
    }

    /// What is asked for beside what comes by itself.
    pub(super) fn interest(&self) -> Interest {
        let living = |details: &&Details| details.connection.outcome.is_none();
        Interest {
            rules: self.pane == Pane::Rules,
            connection: self.details.as_ref().filter(living).map(|d| d.connection.id),
        }
    }

    /// Takes what comes in.
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
            // The numbers of another run mean something else.
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
