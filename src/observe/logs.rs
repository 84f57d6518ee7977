//! Logs, on standard error: lines for people, or one JSON object a line.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use strum::{EnumString, IntoStaticStr, VariantArray};
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, reload};

use super::json::{self, JsonFormat};
use super::sink::Sink;
use super::text::{self, EscapedFields, TextFormat};
use crate::file;

/// How much to log, and in what format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// How much to log; `None` if the user has not chosen.
    pub verbosity: Option<Verbosity>,
    /// The format of the lines.
    pub format: Format,
}

/// How much to log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Verbosity {
    /// Errors only (`-q`).
    Quiet,
    /// Listeners, sessions, warnings. The default.
    #[default]
    Normal,
    /// Each connection as well (`-v`).
    Debug,
    /// Everything (`-vv`).
    Trace,
}

/// The format of a log line, named as in `--log-format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Lines for people; a file adds the time, and `-v` adds time, level, spans and target.
    #[default]
    #[value(help = "Lines for people")]
    Text,
    /// One JSON object a line with time, level, module, message, fields and spans.
    #[value(help = "One JSON object a line")]
    Json,
}

/// The appearance of lines for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Without escape sequences.
    Plain,
    /// The level is coloured with ANSI escape sequences.
    Ansi,
    /// Plain, with the time first: unlike the journal, a file adds no time of its own.
    Dated,
}

/// The running log. Dropping it writes the pending lines.
#[derive(Debug)]
pub struct Logs {
    sink: Sink,
    volume: Volume,
}

/// A handle that changes how much is logged while the program runs.
#[derive(Clone, Debug)]
pub struct Volume {
    level: reload::Handle<Targets, Registry>,
    verbosity: Arc<AtomicU8>,
}

impl Logs {
    /// Starts to log to standard error, or to the end of a file, for the whole program.
    ///
    /// A separate thread writes, so that a blocked standard error (a stopped terminal, a pipe that nobody
    /// reads) blocks nothing else: once a thousand lines are waiting, further ones are dropped, and the
    /// next line written says how many. A closed standard error is ignored.
    pub fn start(options: LogOptions, file: Option<&Path>) -> io::Result<Self> {
        let lost = match options.format {
            Format::Text => text::lost_lines,
            Format::Json => json::lost_lines,
        };
        let (sink, look) = match file {
            Some(file) => (Sink::start(file::append(file)?, lost)?, Look::Dated),
            None => (Sink::start(io::stderr(), lost)?, Look::of_stderr()),
        };
        let writer = sink.clone();
        let (dispatch, volume) = subscriber(options, look, move || writer.clone());
        tracing::dispatcher::set_global_default(dispatch).map_err(io::Error::other)?;
        Ok(Self { sink, volume })
    }

    /// A handle that changes how much is logged.
    pub fn volume(&self) -> Volume {
        self.volume.clone()
    }

    /// Waits until pending lines are written, for at most one second.
    pub fn flush(&self) {
        self.sink.wait_until_written();
    }

    /// Does what [`Self::flush`] does, wherever it is called.
    pub fn flusher(&self) -> impl Fn() + Send + Sync + 'static {
        let sink = self.sink.clone();
        move || sink.wait_until_written()
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Look {
    /// Colour on a terminal that supports it, unless `NO_COLOR` is set (no-color.org).
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

impl Volume {
    /// How much is logged now.
    pub fn verbosity(&self) -> Verbosity {
        Verbosity::VARIANTS[usize::from(self.verbosity.load(Ordering::Relaxed))]
    }

    /// Changes how much is logged.
    pub fn set(&self, verbosity: Verbosity) {
        self.verbosity.store(verbosity as u8, Ordering::Relaxed);
        // This fails only if the log has been dropped.
        let _ = self.level.reload(verbosity.targets());
    }
}

impl Verbosity {
    /// Whether each line has its time and module.
    pub(super) fn is_detailed(self) -> bool {
        matches!(self, Self::Debug | Self::Trace)
    }

    fn targets(self) -> Targets {
        Targets::new().with_target(env!("CARGO_CRATE_NAME"), self.level())
    }

    fn level(self) -> LevelFilter {
        match self {
            Self::Quiet => LevelFilter::ERROR,
            Self::Normal => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

/// A subscriber that writes sockeye's own log to `writer`, one `write` per line. The log of its
/// libraries is never written, at any level, because it may contain secrets.
pub fn subscriber<W>(options: LogOptions, look: Look, writer: W) -> (Dispatch, Volume)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let verbosity = options.verbosity.unwrap_or_default();
    let (ours, level) = reload::Layer::new(verbosity.targets());
    let volume = Volume { level, verbosity: Arc::new(AtomicU8::new(verbosity as u8)) };
    // Otherwise the layer reports a failed write with `eprintln!`, which panics when stderr is gone.
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).log_internal_errors(false);
    let registry = tracing_subscriber::registry();
    let dispatch = match options.format {
        Format::Text => {
            let format = TextFormat::new(volume.clone(), look);
            let layer = layer.fmt_fields(EscapedFields).event_format(format);
            Dispatch::new(registry.with(layer.with_filter(ours)))
        }
        Format::Json => {
            let layer = layer.fmt_fields(JsonFields::new()).event_format(JsonFormat);
            Dispatch::new(registry.with(layer.with_filter(ours)))
        }
    };
    (dispatch, volume)
}

#[cfg(test)]
mod tests;
