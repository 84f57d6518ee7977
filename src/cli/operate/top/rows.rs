//! Which connections are listed, and in which order.

use std::cmp::Ordering;

use super::facts::{Facts, Seen};

/// The column that connections are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// The direction of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Ascending,
    Descending,
}

/// The order of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) column: Column,
    pub(super) direction: Direction,
}

impl Column {
    pub(super) const ALL: [Self; 11] = [
        Self::Id,
        Self::State,
        Self::Age,
        Self::DownRate,
        Self::UpRate,
        Self::Down,
        Self::Up,
        Self::Target,
        Self::Via,
        Self::Source,
        Self::Rule,
    ];

    /// Its heading.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Id => "ID",
            Self::State => "STATE",
            Self::Age => "AGE",
            Self::DownRate => "DOWN/s",
            Self::UpRate => "UP/s",
            Self::Down => "DOWN",
            Self::Up => "UP",
            Self::Target => "TARGET",
            Self::Via => "OVER",
            Self::Source => "FROM",
            Self::Rule => "RULE",
        }
    }

    /// Its usual direction: the largest figure first, or the start of the alphabet.
    fn direction(self) -> Direction {
        match self {
            Self::DownRate | Self::UpRate | Self::Down | Self::Up | Self::Age => {
                Direction::Descending
            }
            Self::Id | Self::State | Self::Target | Self::Via | Self::Source | Self::Rule => {
                Direction::Ascending
            }
        }
    }
}

impl Default for Order {
    fn default() -> Self {
        Self::by(Column::default())
    }
}

impl Order {
    fn by(column: Column) -> Self {
        Self { column, direction: column.direction() }
    }

    /// By the next column.
    pub(super) fn next(self) -> Self {
        self.step(1)
    }

    /// By the column before.
    pub(super) fn previous(self) -> Self {
        self.step(Column::ALL.len() - 1)
    }

    fn step(self, by: usize) -> Self {
        let here = Column::ALL.iter().position(|column| *column == self.column).unwrap_or(0);
        Self::by(Column::ALL[(here + by) % Column::ALL.len()])
    }

    /// The other way round.
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
        // The newest first where nothing else decides: rows stay where they are.
        order.then(b.id.cmp(&a.id))
    }
}

/// The connections in which every word of `filter` is found somewhere, in this order.
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
