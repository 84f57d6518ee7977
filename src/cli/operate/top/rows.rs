//! Selects and sorts the connections in the list.

use std::cmp::Ordering;

use ratatui::layout::Constraint::{self, Fill, Length};
use strum::VariantArray;

use super::facts::{Facts, Seen};
use Content::{Figure, Text};
use Direction::{Ascending, Descending};

/// The column that connections are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, VariantArray)]
pub(super) enum Column {
    Id,
    State,
    Age,
    /// The rate to the client.
    #[default]
    DownRate,
    /// The rate from the client.
    UpRate,
    Down,
    Up,
    Target,
    Via,
    Source,
    Rule,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Ascending,
    Descending,
}

/// The content of a column: figures are right-aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Figure,
    Text,
}

/// The appearance of a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) title: &'static str,
    /// The default direction: the largest figure first, or alphabetically.
    direction: Direction,
    pub(super) content: Content,
    pub(super) width: Constraint,
    /// The narrowest screen that has room for the column.
    pub(super) from: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) column: Column,
    pub(super) direction: Direction,
}

impl Column {
    /// The appearance of the column.
    pub(super) fn look(self) -> Look {
        let (title, direction, content, width, from) = match self {
            Self::Id => ("ID", Ascending, Figure, Length(6), 0),
            Self::State => ("STATE", Ascending, Text, Length(11), 0),
            Self::Age => ("AGE", Descending, Figure, Length(5), 0),
            Self::DownRate => ("DOWN/s", Descending, Figure, Length(8), 0),
            Self::UpRate => ("UP/s", Descending, Figure, Length(8), 60),
            Self::Down => ("DOWN", Descending, Figure, Length(7), 100),
            Self::Up => ("UP", Descending, Figure, Length(7), 100),
            Self::Target => ("TARGET", Ascending, Text, Fill(2), 0),
            Self::Via => ("OVER", Ascending, Text, Length(13), 60),
            Self::Source => ("FROM", Ascending, Text, Fill(1), 120),
            Self::Rule => ("RULE", Ascending, Text, Length(13), 140),
        };
        Look { title, direction, content, width, from }
    }
}

impl Default for Order {
    fn default() -> Self {
        Self::by(Column::default())
    }
}

impl Order {
    fn by(column: Column) -> Self {
        Self { column, direction: column.look().direction }
    }

    pub(super) fn next(self) -> Self {
        self.step(1)
    }

    pub(super) fn previous(self) -> Self {
        self.step(Column::VARIANTS.len() - 1)
    }

    fn step(self, by: usize) -> Self {
        let here = Column::VARIANTS.iter().position(|column| *column == self.column).unwrap_or(0);
        Self::by(Column::VARIANTS[(here + by) % Column::VARIANTS.len()])
    }

    pub(super) fn reversed(self) -> Self {
        let direction = match self.direction {
            Direction::Ascending => Direction::Descending,
            Direction::Descending => Direction::Ascending,
        };
        Self { direction, ..self }
    }

    fn compare(self, facts: &Facts, one: &Seen, other: &Seen) -> Ordering {
        let (a, b) = (&one.connection, &other.connection);
        let order = match self.column {
            Column::Id => a.id.cmp(&b.id),
            Column::State => a.state.cmp(&b.state),
            Column::Age => facts.age(one).cmp(&facts.age(other)),
            Column::DownRate => a.traffic.down_rate.cmp(&b.traffic.down_rate),
            Column::UpRate => a.traffic.up_rate.cmp(&b.traffic.up_rate),
            Column::Down => a.traffic.down.cmp(&b.traffic.down),
            Column::Up => a.traffic.up.cmp(&b.traffic.up),
            Column::Target => a.target.cmp(&b.target),
            Column::Via => (&a.server, a.session).cmp(&(&b.server, b.session)),
            Column::Source => a.source.cmp(&b.source),
            Column::Rule => a.rule.cmp(&b.rule),
        };
        let order = match self.direction {
            Direction::Ascending => order,
            Direction::Descending => order.reverse(),
        };
        // Ties go to the newest, so that rows do not change places.
        order.then(b.id.cmp(&a.id))
    }
}

/// The connections in which every word of `filter` occurs, in this order.
pub(super) fn rows<'a>(facts: &'a Facts, filter: &str, order: Order) -> Vec<&'a Seen> {
    let filter = filter.to_lowercase();
    let words: Vec<_> = filter.split_whitespace().collect();
    let all = facts.connections.values();
    let mut found: Vec<_> = all.filter(|seen| words.iter().all(|word| has(seen, word))).collect();
    found.sort_by(|one, other| order.compare(facts, one, other));
    found
}

fn has(seen: &Seen, word: &str) -> bool {
    let connection = &seen.connection;
    let process = connection.process.as_ref().map(|process| process.name.as_str());
    let texts: [Option<&str>; 9] = [
        Some(connection.target.as_str()),
        Some(&connection.source),
        Some(&connection.state),
        Some(&connection.listener),
        Some(&connection.protocol),
        connection.server.as_deref(),
        connection.rule.as_deref(),
        connection.user.as_deref(),
        process,
    ];
    texts.into_iter().flatten().any(|text| text.to_lowercase().contains(word))
}
