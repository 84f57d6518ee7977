//! `/metrics`, for Prometheus: the figures of the registry and the pools, copied on request.
//!
//! Every label value comes from a closed set: the names of the configuration, and the words of this program.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry as Exposition;
use strum::VariantArray as _;
use tokio::runtime::Handle;

use super::program::Program;
use crate::pool::{Availability, PoolView, SessionState};
use crate::printable::word;
use crate::registry::{
    AttemptEnd, BOUNDS, CARRIED_BY_NONE, CARRIED_DIRECT, ForwardKind, ForwardState, Histogram,
    Outcome, ServerTally, SessionEnd, State,
};
use crate::request::Protocol;

/// The content type of `OpenMetrics`.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Program {
    pub(super) fn metrics(&self) -> Result<String, fmt::Error> {
        let mut exposition = Exposition::with_prefix("sockeye");
        exposition.register_collector(Box::new(Figures(self.clone())));
        let mut out = String::new();
        text::encode(&mut out, &exposition)?;
        Ok(out)
    }
}

#[derive(Debug)]
struct Figures(Program);

struct Writer<'a>(DescriptorEncoder<'a>);

/// The labels of one metric.
type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

impl Writer<'_> {
    /// Writes a metric family, each metric with `write`.
    fn family<'a, const N: usize, T>(
        &mut self,
        (name, help): (&str, &str),
        kind: MetricType,
        figures: impl IntoIterator<Item = (Labels<'a, N>, T)>,
        write: impl Fn(MetricEncoder<'_>, T) -> fmt::Result,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        figures
            .into_iter()
            .try_for_each(|(labels, figure)| write(family.encode_family(&labels)?, figure))
    }

    fn gauges<'a, const N: usize>(
        &mut self,
        named: (&str, &str),
        figures: impl IntoIterator<Item = (Labels<'a, N>, f64)>,
    ) -> fmt::Result {
        self.family(named, MetricType::Gauge, figures, |mut out, value| out.encode_gauge(&value))
    }

    fn counters<'a, const N: usize>(
        &mut self,
        named: (&str, &str),
        figures: impl IntoIterator<Item = (Labels<'a, N>, f64)>,
    ) -> fmt::Result {
        self.family(named, MetricType::Counter, figures, |mut out, value| {
            out.encode_counter::<NoLabelSet, _, f64>(&value, None)
        })
    }

    fn histograms<'a>(
        &mut self,
        named: (&str, &str),
        figures: impl IntoIterator<Item = (Labels<'a, 1>, &'a Histogram)>,
    ) -> fmt::Result {
        self.family(named, MetricType::Histogram, figures, |mut out, histogram| {
            let classes = histogram.classes();
            let buckets: Vec<_> = BOUNDS.into_iter().chain([f64::MAX]).zip(classes).collect();
            let (sum, count) = (histogram.sum().as_secs_f64(), classes.iter().sum());
            out.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
        })
    }
}

impl Collector for Figures {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = Writer(encoder);
        self.program(&mut writer)?;
        self.requests(&mut writer)?;
        self.listeners(&mut writer)?;
        self.stages(&mut writer)?;
        self.sessions(&mut writer)?;
        self.forwards(&mut writer)?;
        self.waiting(&mut writer)
    }
}

impl Figures {
    /// The figures of each server, and of direct connections.
    fn servers(&self) -> BTreeMap<Arc<str>, Arc<ServerTally>> {
        let pools = self.0.pools().into_iter().map(|(name, _)| name);
        let none = [CARRIED_DIRECT, CARRIED_BY_NONE].map(Arc::from);
        with_zeros(self.0.registry().tallies.servers.all(), pools.chain(none))
    }

    fn program(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let version = env!("CARGO_PKG_VERSION");
        writer.gauges(("build", "The running version."), [([("version", version)], 1.0)])?;
        let ready = f64::from(self.0.status().state == "ready");
        writer
            .gauges(("ready", "Whether everything in the configuration is up."), [([], ready)])?;
        let started = self.0.started_at().as_secs_f64();
        let named = ("start_time_seconds", "Start time, since the epoch.");
        writer.gauges(named, [([], started)])?;
        let tasks = Handle::current().metrics().num_alive_tasks();
        writer.gauges(("tasks", "Live tasks."), [([], count(tasks))])?;
        let Some(reloads) = self.0.reloads() else { return Ok(()) };
        let good = f64::from(reloads.mistakes().is_empty());
        let named =
            ("config_last_reload_successful", "Whether the configuration is in force as it is.");
        writer.gauges(named, [([], good)])
    }

    fn requests(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let registry = self.0.registry();
        let living = registry.connections.living();
        let states = [State::Waiting, State::Opening, State::Relaying, State::HalfClosed];
        let counted = states.map(|state| {
            ([("state", word(state))], count(living.iter().filter(|c| c.state() == state).count()))
        });
        writer.gauges(("connections", "Open connections, by state."), counted)?;

        let servers = self.servers();
        let ended = servers.iter().flat_map(|(name, tally)| {
            Outcome::VARIANTS.iter().map(move |outcome| {
                let number = tally.outcome(*outcome);
                ([("server", &**name), ("outcome", word(outcome))], figure(number))
            })
        });
        writer.counters(("requests", "Finished requests, by outcome."), ended)?;

        let mut carried = registry.connections.carried();
        for name in servers.into_keys() {
            carried.entry(name).or_default();
        }
        let both = carried.iter().flat_map(|(name, traffic)| {
            [("up", traffic.up), ("down", traffic.down)].map(|(direction, bytes)| {
                ([("server", &**name), ("direction", direction)], figure(bytes))
            })
        });
        writer.counters(("relayed_bytes", "Bytes relayed, from clients and to them."), both)?;

        let rules = self.0.rules();
        let hits = rules.iter().map(|rule| ([("rule", &*rule.name)], figure(rule.hits)));
        writer.counters(("rule_hits", "Finished requests, by the rule that decided them."), hits)
    }

    fn listeners(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let forwards = self.0.registry().forwards.all();
        let there = forwards.iter().flat_map(|forward| forward.names_in_requests());
        let listeners = with_zeros(self.0.listener_tallies(), there);
        let kinds = listeners.iter().flat_map(|(name, tally)| {
            let (names, addresses) = tally.kinds();
            [("name", names), ("address", addresses)]
                .map(|(kind, number)| ([("listener", &**name), ("target", kind)], figure(number)))
        });
        let named = ("listener_requests", "Requests by listener, for names and for addresses.");
        writer.counters(named, kinds)?;
        let suspicious = listeners
            .iter()
            .map(|(name, tally)| ([("listener", &**name)], figure(tally.suspicious())));
        writer.counters(
            (
                "suspicious_requests",
                "Requests to a proxy for public addresses, by clients that ask for names as well.",
            ),
            suspicious,
        )?;
        let protocols = listeners.iter().flat_map(|(name, tally)| {
            let each = Protocol::VARIANTS.iter().zip(tally.protocols.iter().map(read));
            each.map(move |(protocol, number)| {
                ([("listener", &**name), ("protocol", word(protocol))], figure(number))
            })
        });
        writer.counters(("protocol_requests", "Requests by listener and protocol."), protocols)
    }

    fn stages(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let servers = self.servers();
        let of = |which: fn(&ServerTally) -> &Histogram| {
            servers.iter().map(move |(name, tally)| ([("server", &**name)], which(tally)))
        };
        let named = ("wait_seconds", "How long requests waited for a session.");
        writer.histograms(named, of(|tally| &tally.waited))?;
        let named = ("open_seconds", "How long the far side took to look up and connect.");
        writer.histograms(named, of(|tally| &tally.opened))?;
        let named =
            ("first_byte_seconds", "From the opened channel to the first byte of the target.");
        writer.histograms(named, of(|tally| &tally.first_byte))?;
        let named = ("duration_seconds", "How long connections lasted.");
        writer.histograms(named, of(|tally| &tally.duration))?;
        let named = ("login_seconds", "From the first packet to the login.");
        writer.histograms(named, of(|tally| &tally.login))?;
        let stalled = servers.iter().map(|(name, tally)| {
            let stalled = Duration::from_micros(read(&tally.stalled));
            ([("server", &**name)], stalled.as_secs_f64())
        });
        let named = ("window_stalled_seconds", "For how long data waited for the server's window.");
        writer.counters(named, stalled)
    }

    fn sessions(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let pools = self.0.pools();
        let each = |of: fn(&PoolView) -> f64| {
            pools.iter().map(move |(name, pool)| ([("server", &**name)], of(pool)))
        };
        let up = |pool: &PoolView| f64::from(pool.availability == Availability::Ready);
        writer.gauges(("server_up", "Whether there is a session."), each(up))?;
        let named = ("waiting_requests", "Requests that wait for a session.");
        writer.gauges(named, each(|pool| count(pool.waiting)))?;
        let named = ("channels", "Channels that are open or being opened.");
        writer.gauges(named, each(|pool| count(pool.sessions.iter().map(|s| s.channels).sum())))?;
        let named = ("slow_clients", "Channels whose client does not keep up.");
        writer.gauges(
            named,
            each(|pool| count(pool.sessions.iter().map(|s| s.slow_readers).sum())),
        )?;
        let states = pools.iter().flat_map(|(name, pool)| {
            SessionState::VARIANTS.iter().map(move |state| {
                let there = pool.sessions.iter().filter(|session| session.state == *state).count();
                ([("server", &**name), ("state", word(state))], count(there))
            })
        });
        writer.gauges(("sessions", "Sessions by their state."), states)?;
        let trips = pools.iter().filter_map(|(name, pool)| {
            let trips = pool.sessions.iter().filter_map(|session| session.round_trip);
            let worst = trips.map(|(now, _)| now).max()?;
            Some(([("server", &**name)], worst.as_secs_f64()))
        });
        let named = ("round_trip_seconds", "The longest of the sessions' last round trips.");
        writer.gauges(named, trips)?;

        let servers = self.servers();
        let attempts = servers.iter().flat_map(|(name, tally)| {
            AttemptEnd::VARIANTS.iter().map(move |end| {
                (
                    [("server", &**name), ("result", word(end))],
                    figure(read(&tally.attempts[*end as usize])),
                )
            })
        });
        writer.counters(("session_starts", "Attempts to connect, by result."), attempts)?;
        let ends = servers.iter().flat_map(|(name, tally)| {
            SessionEnd::VARIANTS.iter().map(move |end| {
                (
                    [("server", &**name), ("reason", word(end))],
                    figure(read(&tally.ended[*end as usize])),
                )
            })
        });
        writer.counters(("session_ends", "Ended sessions, by cause."), ends)
    }

    fn forwards(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let forwards = self.0.registry().forwards.all();
        let forwards: Vec<_> = forwards.iter().map(|forward| (forward, forward.about())).collect();
        // Several may have the same labels: two that share a name, or one that was added again at another port.
        let mut up = BTreeMap::new();
        for (forward, about) in &forwards {
            let is_up = matches!(forward.state(), ForwardState::Listening(_));
            let name = about.name.as_ref().unwrap_or(&about.spec);
            let server = about.server.as_deref().unwrap_or_default();
            let labels = [("kind", word(about.kind)), ("name", &**name), ("server", server)];
            *up.entry(labels).or_insert(true) &= is_up;
        }
        let up = up.into_iter().map(|(labels, is_up)| (labels, f64::from(is_up)));
        let named = ("listener_up", "Whether all listeners of this name accept clients.");
        writer.gauges(named, up)?;
        let kinds = [ForwardKind::Dynamic, ForwardKind::Local, ForwardKind::Remote];
        let accepted = kinds.map(|kind| {
            let of_kind = forwards.iter().filter(|(_, about)| about.kind == kind);
            ([("kind", word(kind))], figure(of_kind.map(|(forward, _)| forward.accepted()).sum()))
        });
        writer.gauges(("accepted_clients", "Clients accepted by the current listeners."), accepted)
    }

    fn waiting(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let (mut memory, mut disk) = (0, 0);
        for connection in self.0.registry().connections.living() {
            let waiting = connection.waiting();
            (memory, disk) = (memory + waiting.memory, disk + waiting.disk);
        }
        let places = [("memory", memory), ("file", disk)];
        let places = places.map(|(place, bytes)| ([("place", place)], figure(bytes)));
        writer.gauges(("backlog_bytes", "Data buffered for clients that do not keep up."), places)
    }
}

/// Adds zeros for what has not been counted: a series that appears later hides its first increment.
fn with_zeros<T: Default>(
    counted: impl IntoIterator<Item = (Arc<str>, Arc<T>)>,
    names: impl IntoIterator<Item = Arc<str>>,
) -> BTreeMap<Arc<str>, Arc<T>> {
    let mut all: BTreeMap<_, _> = counted.into_iter().collect();
    for name in names {
        all.entry(name).or_default();
    }
    all
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Relaxed)
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
fn figure(number: u64) -> f64 {
    number as f64
}

fn count(number: usize) -> f64 {
    figure(number as u64)
}
