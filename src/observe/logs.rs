//! Logs, on standard error: lines for people, or one JSON object a line.

use std::io::{self, IsTerminal};

use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;

use super::json::{self, JsonFormat};
use super::sink::Sink;
use super::text::{self, EscapedFields, TextFormat};

/// How much to log, and in which form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// How much.
    pub verbosity: Verbosity,
    /// In which form.
    pub format: Format,
}

/// How much to log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// Errors only (`-q`).
    Quiet,
    /// What a user wants to know: listeners, sessions, warnings.
    #[default]
    Normal,
    /// What happens to each connection (`-v`).
    Debug,
    /// Everything (`-vv`).
    Trace,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: bare lines; with `-v`, time, level, spans and target in front.
    #[default]
    Text,
    /// One JSON object a line with time, level, module, message, fields and spans.
    Json,
}

/// Whether lines are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// No escape sequence is written.
    Plain,
    /// The level is coloured with ANSI escape sequences.
    Ansi,
}

/// The running log. What was logged is written out when it is dropped.
#[derive(Debug)]
pub struct Logs {
    sink: Sink,
}

impl Logs {
    /// Starts to log to standard error, for the whole program.
    ///
    /// A thread of its own writes, so that a standard error that takes nothing (a stopped
    /// terminal, a pipe that nobody reads) holds nobody up: lines beyond the thousand that wait are
    /// dropped, and the next line written says how many. A standard error that is gone ends nothing.
    ///
    /// # Errors
    ///
    /// The thread could not be started, or something else logs for the program already.
    pub fn start(options: LogOptions) -> io::Result<Self> {
        let lost = match options.format {
            Format::Text => text::lost_lines,
            Format::Json => json::lost_lines,
        };
        let sink = Sink::start(io::stderr(), lost)?;
        let dispatch = subscriber(options, Colour::of_stderr(), sink.clone());
        tracing::dispatcher::set_global_default(dispatch).map_err(io::Error::other)?;
        Ok(Self { sink })
    }

    /// Waits until what was logged before is written, for a second at most.
    pub fn flush(&self) {
        self.sink.flush();
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Colour {
    /// Colour on a terminal that can show it, unless `NO_COLOR` is set (no-color.org).
    fn of_stderr() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if io::stderr().is_terminal() && !dumb && !set("NO_COLOR") {
            Self::Ansi
        } else {
            Self::Plain
        }
    }
}

impl Verbosity {
    fn level(self) -> LevelFilter {
        match self {
            Self::Quiet => LevelFilter::ERROR,
            Self::Normal => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

/// A subscriber that writes what sockeye itself logs to `writer`, one `write` a line. What its
/// libraries log is never written, at any level: they log what a secret may be part of.
pub fn subscriber<W>(options: LogOptions, colour: Colour, writer: W) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), options.verbosity.level());
    // The layer would tell of a failed write by `eprintln!`, which panics when stderr is gone.
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).log_internal_errors(false);
    let registry = tracing_subscriber::registry();
    match options.format {
        Format::Text => {
            let format = TextFormat::new(options.verbosity, colour);
            let layer = layer.fmt_fields(EscapedFields).event_format(format);
            Dispatch::new(registry.with(layer.with_filter(ours)))
        }
        Format::Json => {
            let layer = layer.fmt_fields(JsonFields::new()).event_format(JsonFormat);
            Dispatch::new(registry.with(layer.with_filter(ours)))
        }
    }
}

#[cfg(test)]
mod tests;
