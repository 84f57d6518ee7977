//! The measures, and how one figure of one peer is taken.

mod bulk;
mod database;
mod fresh;
mod line;
mod messages;
mod ping;
mod short;
mod unread;

use std::time::Duration;

use anyhow::{Context, Result};

use crate::bed::{Bed, Profile, Way};
use crate::client::ClosesFirst;
use crate::database::Database;
use crate::effort::Effort;
use crate::instance::Instance;
use crate::peer::{Peer, Scope};

pub(crate) use bulk::Direction;

use line::Beside;
pub(crate) use line::meet;

/// A load on a peer, which yields one figure for each of its rows.
#[derive(Debug)]
pub(crate) struct Measure {
    pub(crate) name: String,
    pub(crate) group: Group,
    pub(crate) rows: Vec<Row>,
    kind: Kind,
}

/// One row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// The name of the figure within its measure.
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
}

/// Whether more or less is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// Measures that are plotted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Short,
    Bulk,
    Far,
    Line,
    Ping,
    Unread,
    Cost,
}

impl Group {
    pub(crate) const ALL: [Self; 7] =
        [Self::Short, Self::Bulk, Self::Far, Self::Line, Self::Ping, Self::Unread, Self::Cost];

    /// A word for the file name of the plot, and a title.
    pub(crate) fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Short => ("short", "Short connections"),
            Self::Bulk => ("bulk", "Downloads and uploads"),
            Self::Far => ("far", "Over a link with a 100 ms round trip"),
            Self::Line => ("line", "Over the lines that people have"),
            Self::Ping => ("ping", "Small messages"),
            Self::Unread => ("unread", "Beside a download that nobody reads"),
            Self::Cost => ("cost", "Memory, start, recovery"),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Short { way: Way, at_once: usize, first: ClosesFirst },
    Bulk { way: Way, direction: Direction, connections: usize },
    Ping { downloads: usize },
    Messages { at_once: usize, in_flight: usize },
    Redis { in_flight: u32 },
    Postgres,
    Line { profile: Profile, beside: Beside },
    Unread,
    Idle,
    FirstByte,
    Cut,
}

/// Everything that a measure needs for one peer's turn.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) bed: &'a Bed,
    pub(crate) peer: &'a Peer,
    pub(crate) effort: Effort,
    /// The peer's running instance, if the measure uses one.
    pub(crate) standing: Option<&'a Instance>,
}

/// The result of one turn.
#[derive(Debug)]
pub(crate) struct Figures {
    /// One for each row of the measure; additional ones are not shown.
    pub(crate) values: Vec<f64>,
    /// A remark for the reader.
    pub(crate) note: Option<String>,
}

impl From<Vec<f64>> for Figures {
    fn from(values: Vec<f64>) -> Self {
        Self { values, note: None }
    }
}

impl Turn<'_> {
    fn instance(&self) -> Result<&Instance> {
        self.standing.context("there is no instance for this measure")
    }
}

impl Measure {
    /// The instance that must be running for it; `None` if it starts its own.
    pub(crate) fn availability(&self) -> Option<Way> {
        match self.kind {
            Kind::Short { way, .. } | Kind::Bulk { way, .. } => Some(way),
            Kind::Ping { .. } | Kind::Messages { .. } | Kind::Redis { .. } | Kind::Postgres => {
                Some(Way::Near)
            }
            Kind::Line { profile, .. } => Some(Way::Over(profile)),
            Kind::Unread | Kind::Idle | Kind::FirstByte | Kind::Cut => None,
        }
    }

    /// The database that must be running for it.
    pub(crate) fn database(&self) -> Option<Database> {
        match self.kind {
            Kind::Redis { .. } => Some(Database::Redis),
            Kind::Postgres => Some(Database::Postgres),
            _ => None,
        }
    }

    /// Whether this peer takes part.
    pub(crate) fn wants(&self, peer: &Peer) -> bool {
        let sessions_matter = match self.kind {
            Kind::Bulk { way: Way::Near, direction: Direction::Down, connections } => {
                connections > 1
            }
            Kind::Unread | Kind::Line { .. } => true,
            _ => false,
        };
        peer.scope == Scope::All || sessions_matter
    }

    /// Takes the figures, one for each row.
    pub(crate) async fn take(&self, turn: &Turn<'_>) -> Result<Figures> {
        tokio::time::timeout(TURN_LIMIT, self.take_unbounded(turn))
            .await
            .context("it did not end in time")?
    }

    async fn take_unbounded(&self, turn: &Turn<'_>) -> Result<Figures> {
        match self.kind {
            Kind::Short { way, at_once, first } => {
                let timing = turn.effort.timing(way);
                short::figures(turn.instance()?, at_once, first, timing).await
            }
            Kind::Bulk { way, direction, connections } => {
                let timing = match way {
                    Way::Near | Way::Over(Profile::Far) => turn.effort.timing(way),
                    Way::Over(_) => turn.effort.transfer_on_a_line(),
                };
                bulk::figures(turn, direction, connections, timing).await
            }
            Kind::Ping { downloads } => {
                let timing = turn.effort.timing(Way::Near);
                ping::figures(turn.instance()?.road(), downloads, timing).await
            }
            Kind::Messages { at_once, in_flight } => {
                messages::figures(
                    turn.instance()?,
                    at_once,
                    in_flight,
                    turn.effort.timing(Way::Near),
                )
                .await
            }
            Kind::Redis { in_flight } => {
                database::redis(turn.instance()?, in_flight, turn.effort).await
            }
            Kind::Postgres => database::postgres(turn.instance()?, turn.effort).await,
            Kind::Line { beside, .. } => {
                line::figures(turn.instance()?.road(), beside, turn.effort.on_a_line()).await
            }
            Kind::Unread => unread::figures(turn).await,
            Kind::Idle => fresh::memory_idle(turn).await,
            Kind::FirstByte => fresh::first_byte(turn).await,
            Kind::Cut => fresh::recovery(turn).await,
        }
    }
}

/// Every measure, in the order of the table.
pub(crate) fn all() -> Vec<Measure> {
    use Direction::{Down, Up};
    use Group::{Bulk, Cost, Far, Line, Ping, Short, Unread};
    let new = |name: &str, group, kind, rows: &[Row]| {
        let (name, rows) = (name.to_owned(), rows.to_vec());
        Measure { name, group, rows, kind }
    };
    let first = ClosesFirst::Target;
    let short = |way, at_once| Kind::Short { way, at_once, first };
    let cut_short = Kind::Short { way: Way::Near, at_once: 16, first: ClosesFirst::Client };
    let bulk = |way, direction, connections| Kind::Bulk { way, direction, connections };
    let messages = |in_flight| Kind::Messages { at_once: 50, in_flight };
    let (near, far) = (Way::Near, Way::Over(Profile::Far));
    let mut all = vec![
        new("short connections, 1 at a time", Short, short(near, 1), &SHORT),
        new("short connections, 16 at a time", Short, short(near, 16), &SHORT),
        new("short connections, 64 at a time", Short, short(near, 64), &SHORT),
        new("short connections, 16 at a time, client closes first", Short, cut_short, &SHORT),
        new("one download", Bulk, bulk(near, Down, 1), &[SPEED, CPU]),
        new("eight downloads", Bulk, bulk(near, Down, 8), &[SPEED]),
        new("one upload", Bulk, bulk(near, Up, 1), &[SPEED, CPU]),
        new("eight uploads", Bulk, bulk(near, Up, 8), &[SPEED]),
        new("100 ms: one download", Far, bulk(far, Down, 1), &[SPEED]),
        new("100 ms: eight downloads", Far, bulk(far, Down, 8), &[SPEED]),
        new("100 ms: one upload", Far, bulk(far, Up, 1), &[SPEED]),
        new("100 ms: short connections, 16 at a time", Far, short(far, 16), &SHORT),
        new("ping alone", Ping, Kind::Ping { downloads: 0 }, &PING),
        new("ping under four downloads", Ping, Kind::Ping { downloads: 4 }, &PING),
        new("messages, 50 connections", Ping, messages(1), &MESSAGES),
        new("messages, 50 connections, 16 in flight", Ping, messages(16), &MESSAGES),
        new("redis-benchmark, 50 connections", Ping, Kind::Redis { in_flight: 1 }, &MESSAGES),
        new(
            "redis-benchmark, 50 connections, 16 in flight",
            Ping,
            Kind::Redis { in_flight: 16 },
            &MESSAGES,
        ),
        new("pgbench, 20 connections", Ping, Kind::Postgres, &[TRANSACTIONS]),
        new("one download that nobody reads", Unread, Kind::Unread, &UNREAD),
        new("1 000 idle connections", Cost, Kind::Idle, &[lower("memory each", "kB")]),
        new("start to the first byte", Cost, Kind::FirstByte, &[lower("time", "ms")]),
        new("cut to the next served request", Cost, Kind::Cut, &[lower("time", "ms")]),
    ];
    for profile in Profile::ALL {
        let line = profile.name();
        for beside in Beside::ALL {
            let name = format!("{line}: {}", beside.name());
            let rows = if beside == Beside::Aborted { &LINE[..1] } else { &LINE };
            all.push(new(&name, Line, Kind::Line { profile, beside }, rows));
        }
        if profile != Profile::Far {
            let way = Way::Over(profile);
            all.push(new(&format!("{line}: one download"), Line, bulk(way, Down, 1), &[SPEED]));
            all.push(new(&format!("{line}: one upload"), Line, bulk(way, Up, 1), &[SPEED]));
        }
    }
    all
}

const fn lower(what: &'static str, unit: &'static str) -> Row {
    Row { what, unit, better: Better::Lower }
}

const RATE: Row = Row { what: "rate", unit: "1/s", better: Better::Higher };
const SHORT: [Row; 4] = [RATE, lower("p50", "ms"), lower("p99", "ms"), lower("CPU each", "µs")];
const MESSAGES: [Row; 2] = [RATE, lower("CPU each", "µs")];
const TRANSACTIONS: Row = Row { what: "transactions", unit: "1/s", better: Better::Higher };
const SPEED: Row = Row { what: "speed", unit: "MB/s", better: Better::Higher };
const CPU: Row = lower("CPU a GB", "s");
const PING: [Row; 2] = [lower("p50", "ms"), lower("p99", "ms")];
const LINE: [Row; 2] = [lower("a page", "ms"), lower("ping, p99", "ms")];
const UNREAD: [Row; 3] = [
    lower("p99 of others, before", "ms"),
    lower("p99 of others, beside it", "ms"),
    lower("requests of others that failed", ""),
];

/// The time limit of a turn.
const TURN_LIMIT: Duration = Duration::from_secs(120);
