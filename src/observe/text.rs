//! Log lines for people.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::logs::{Look, Volume};
use crate::printable::{self, Escaper, Lines};

/// Writes an event as one line of at most [`MAX_LINE`] bytes, with no terminal control sequences other than
/// its own colours. If the message has several lines (a changed host key), all but the first are indented.
#[derive(Debug)]
pub(super) struct TextFormat {
    volume: Volume,
    look: Look,
}

/// Writes fields as `key=value`, escaped, and quoted if the value could be read as two fields.
#[derive(Debug)]
pub(super) struct EscapedFields;

impl TextFormat {
    /// With `-v`, each line starts with time (UTC), level, target and spans; otherwise with the time if it is
    /// dated, and `warning: ` or `error: `, or nothing for other levels.
    pub(super) fn new(volume: Volume, look: Look) -> Self {
        Self { volume, look }
    }

    /// Writes `text` in the colour of the level.
    fn paint(&self, line: &mut Bounded, level: Level, text: &str) -> fmt::Result {
        let code = match (self.look, level) {
            (Look::Plain | Look::Dated, _) => return line.write_str(text),
            (Look::Ansi, Level::ERROR) => "31;1",
            (Look::Ansi, Level::WARN) => "33",
            (Look::Ansi, Level::INFO) => "32",
            (Look::Ansi, _) => "2",
        };
        write!(line, "\x1b[{code}m{text}\x1b[0m")
    }

    fn head<S, N>(
        &self,
        line: &mut Bounded,
        ctx: &FmtContext<'_, S, N>,
        event: &Event<'_>,
    ) -> fmt::Result
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        N: for<'a> FormatFields<'a> + 'static,
    {
        let meta = event.metadata();
        let level = *meta.level();
        let is_detailed = self.volume.verbosity().is_detailed();
        if is_detailed || self.look == Look::Dated {
            SystemTime.format_time(&mut Writer::new(line))?;
            line.write_char(' ')?;
        }
        match (is_detailed, level) {
            (false, Level::ERROR) => self.paint(line, level, "error:")?,
            (false, Level::WARN) => self.paint(line, level, "warning:")?,
            (false, _) => return Ok(()),
            (true, _) => {
                self.paint(line, level, &format!("{level:>5}"))?;
                write!(line, " {}", meta.target())?;
                for span in ctx.event_scope().into_iter().flat_map(Scope::from_root) {
                    write!(line, " {}", span.name())?;
                    let extensions = span.extensions();
                    if let Some(fields) = extensions.get::<FormattedFields<N>>()
                        && !fields.is_empty()
                    {
                        write!(line, "{{{fields}}}")?;
                    }
                }
                line.write_char(':')?;
            }
        }
        line.write_char(' ')
    }
}

impl<S, N> FormatEvent<S, N> for TextFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Bounded::new(MAX_LINE);
        self.head(&mut line, ctx, event)?;
        event.record(&mut FieldWriter::new(&mut line));
        writeln!(writer, "{}", line.text)
    }
}

impl FormatFields<'_> for EscapedFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'_>, fields: R) -> fmt::Result {
        let mut text = Bounded::new(MAX_SPAN);
        fields.record(&mut FieldWriter::new(&mut text));
        writer.write_str(&text.text)
    }
}

/// The line that reports lost lines.
pub(super) fn lost_lines(count: u64) -> String {
    format!("warning: {count} log lines were dropped: they could not be written\n")
}

/// A text that stops growing at its limit, where it is marked with `…`.
#[derive(Debug)]
struct Bounded {
    text: String,
    room: usize,
}

impl Bounded {
    fn new(limit: usize) -> Self {
        Self { text: String::new(), room: limit }
    }
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() <= self.room {
            self.room -= text.len();
            self.text.push_str(text);
        } else if self.room > 0 {
            let end = (0..=self.room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            self.text.push_str(&text[..end]);
            self.text.push('…');
            self.room = 0;
        }
        // Text beyond the limit is dropped without an error, so that formatting goes on.
        Ok(())
    }
}

/// Writes the message and the fields of an event or a span.
struct FieldWriter<'a> {
    out: &'a mut Bounded,
    first: bool,
}

impl<'a> FieldWriter<'a> {
    fn new(out: &'a mut Bounded) -> Self {
        Self { out, first: true }
    }

    /// Writes one field. Writing to memory cannot fail; a value whose formatting fails is cut short.
    fn field(&mut self, field: &Field, value: &dyn fmt::Display) {
        if !std::mem::take(&mut self.first) {
            let _ = self.out.write_char(' ');
        }
        if field.name() == "message" {
            let mut text = Bounded::new(MAX_LINE);
            let _ = write!(Escaper::new(&mut text, Lines::Many), "{value}");
            // Indented, so that text from outside cannot pose as a line of the log.
            let _ = self.out.write_str(&text.text.replace('\n', "\n  "));
            return;
        }
        // The value is limited separately first, so that its closing quote comes before the line is cut.
        let mut text = Bounded::new(MAX_VALUE);
        let _ = write!(Escaper::new(&mut text, Lines::One), "{value}");
        let _ = write!(self.out, "{}={}", field.name(), printable::value(&text.text));
    }
}

impl Visit for FieldWriter<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.field(field, &format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, &value);
    }
}

/// The most bytes of an event, without its newline and the truncation mark.
pub(super) const MAX_LINE: usize = 2048;
/// The most bytes of the fields of one span.
const MAX_SPAN: usize = 256;
/// The most bytes of one field's value.
const MAX_VALUE: usize = 1024;
