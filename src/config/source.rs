//! The text of a file, and the mapping from byte offsets to places.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use super::fields::Text;
use super::mistake::{Cause, Mistake, Place, Report, Severity, shown};
use super::suggest;

/// The text of a configuration file, and the report of its mistakes.
#[derive(Debug)]
pub(super) struct Source<'a> {
    path: Arc<Path>,
    text: &'a str,
    /// The offset of each line's first byte.
    lines: Vec<usize>,
    report: &'a Report,
}

impl<'a> Source<'a> {
    pub(super) fn new(path: &Path, text: &'a str, report: &'a Report) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Self { path: path.into(), text, lines, report }
    }

    /// Resolves a path in the file: `~/` is the user's home, and a relative path is relative to the file.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        let home = || std::env::var_os("HOME").map(PathBuf::from);
        match path.strip_prefix("~/").zip(home()) {
            Some((below, home)) => home.join(below),
            None => self.path.parent().unwrap_or(Path::new("")).join(path),
        }
    }

    /// As [`Self::resolve`], for a file that the configuration depends on.
    pub(super) fn follow(&self, path: &str) -> PathBuf {
        let path = self.resolve(path);
        self.report.note_file(&path);
        path
    }

    /// The report, for mistakes in other files.
    pub(super) fn report(&self) -> &'a Report {
        self.report
    }

    /// The place where a span starts.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let at = span.start.min(self.text.len());
        let line = self.lines.partition_point(|start| *start <= at);
        let before = self.text.get(self.lines[line - 1]..at).unwrap_or_default();
        Place { line, column: Some(before.chars().count() + 1) }
    }

    /// Reports an error, with a hint (possibly empty) on how to fix it.
    pub(super) fn error(
        &self,
        span: &Range<usize>,
        what: impl fmt::Display,
        hint: impl AsRef<str>,
    ) {
        self.mistake(span, Severity::Error, &what, hint.as_ref(), Cause::Itself);
    }

    /// Reports an error, unless it follows from a mistake of `cause` that is also reported.
    pub(super) fn error_of(
        &self,
        cause: Cause,
        span: &Range<usize>,
        what: impl fmt::Display,
        hint: impl AsRef<str>,
    ) {
        self.mistake(span, Severity::Error, &what, hint.as_ref(), cause);
    }

    /// Parses the value of a key; `None` after reporting what is wrong with it.
    pub(super) fn parse<T: FromStr<Err: fmt::Display>>(
        &self,
        key: &str,
        text: &Text<'_>,
        hint: impl AsRef<str>,
    ) -> Option<T> {
        let wrong =
            |why| self.error(&text.span(), format!("{key} '{}': {why}", text.get_ref()), hint);
        text.get_ref().parse().map_err(wrong).ok()
    }

    /// The meaning of a value that must be one of these words; `None` after reporting that it is not.
    pub(super) fn choose<T: Clone>(
        &self,
        key: &str,
        text: &Text<'_>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let word = *text.get_ref();
        let chosen = choices.iter().find(|(name, _)| *name == word);
        if chosen.is_none() {
            let hint = suggest::hint(word, choices.iter().map(|(name, _)| *name), "it may be");
            self.error(&text.span(), format!("unknown {key} '{word}'"), hint);
        }
        chosen.map(|(_, meaning)| meaning.clone())
    }

    pub(super) fn warning(
        &self,
        span: &Range<usize>,
        what: impl fmt::Display,
        hint: impl AsRef<str>,
    ) {
        self.mistake(span, Severity::Warning, &what, hint.as_ref(), Cause::Itself);
    }

    fn mistake(
        &self,
        span: &Range<usize>,
        severity: Severity,
        what: &impl fmt::Display,
        hint: &str,
        cause: Cause,
    ) {
        let mistake = Mistake {
            file: Arc::clone(&self.path),
            place: Some(self.place(span)),
            severity,
            what: shown(what),
            hint: Some(hint).filter(|hint| !hint.is_empty()).map(|hint| shown(&hint)),
        };
        self.report.add_caused(mistake, cause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters() {
        let report = Report::default();
        let text = "a = 1\ngrüße = 2\n";
        let source = Source::new(Path::new("dir/file"), text, &report);
        let at = |needle: &str| {
            let start = text.find(needle).expect(needle);
            source.place(&(start..start + 1))
        };
        assert_eq!(at("a"), Place { line: 1, column: Some(1) });
        assert_eq!(at("= 2"), Place { line: 2, column: Some(7) });
        let end = source.place(&(text.len()..text.len()));
        assert_eq!(end, Place { line: 3, column: Some(1) });
        assert_eq!(source.place(&(1000..1001)).line, 3);
        assert_eq!(source.resolve("x"), Path::new("dir/x"));
        assert_eq!(source.resolve("/x"), Path::new("/x"));
    }
}
