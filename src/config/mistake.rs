//! Mistakes of a configuration: what is wrong, where, and how to correct it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::printable::{Lines, counted, line, printable};

/// A mistake, or a suspicion of one. Text from the file is escaped and truncated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file.
    pub file: Arc<Path>,
    /// The place in the file; `None` for the file as a whole.
    pub place: Option<Place>,
    /// Whether the file can still be used.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub what: String,
    /// How to correct it.
    pub hint: Option<String>,
}

/// A place in a text file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters; `None` for the line as a whole.
    pub column: Option<usize>,
}

/// The consequence of a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but probably does not do what was meant.
    Warning,
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} in the configuration", counted(errors(.mistakes).count(), "mistake"))]
pub struct Mistakes {
    /// All mistakes, including warnings; at least one error.
    pub mistakes: Vec<Mistake>,
    /// The files that were read, or should have been.
    pub files: BTreeSet<PathBuf>,
}

/// Collects the mistakes of one configuration while it is being read.
#[derive(Debug, Default)]
pub(super) struct Report {
    mistakes: RefCell<Vec<(Mistake, Cause)>>,
    errors: Cell<usize>,
    slips: RefCell<Vec<Slip>>,
    files: RefCell<BTreeSet<PathBuf>>,
}

/// A possible cause of a mistake: an unknown key that stands for a missing one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The mistake has no other cause.
    Itself,
    /// An unknown key of the table may stand for one of these.
    Missing(TableId, &'static [&'static str]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TableId {
    /// The file itself.
    Root,
    /// The table that begins at this byte offset.
    At(usize),
}

/// An unknown key that probably stands for a known one.
#[derive(Debug)]
struct Slip {
    table: TableId,
    meant: String,
}

impl Mistake {
    /// A mistake about a file as a whole.
    pub(super) fn of_file(file: PathBuf, severity: Severity, what: impl fmt::Display) -> Self {
        Self { file: file.into(), place: None, severity, what: shown(&what), hint: None }
    }

    /// The same mistake with a hint.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(super) fn at_line(self, line: usize) -> Self {
        Self { place: Some(Place { line, column: None }), ..self }
    }
}

impl Report {
    pub(super) fn add(&self, mistake: Mistake) {
        self.add_caused(mistake, Cause::Itself);
    }

    /// Adds a mistake that may follow from another.
    pub(super) fn add_caused(&self, mistake: Mistake, cause: Cause) {
        if mistake.severity == Severity::Error {
            self.errors.set(self.errors.get() + 1);
        }
        self.mistakes.borrow_mut().push((mistake, cause));
    }

    /// Records that an unknown key of a table, itself reported, probably stands for this one.
    pub(super) fn slip(&self, table: TableId, meant: &str) {
        self.slips.borrow_mut().push(Slip { table, meant: meant.to_owned() });
    }

    /// Records a file that the configuration depends on, readable or not.
    pub(super) fn note_file(&self, path: &Path) {
        self.files.borrow_mut().insert(path.to_owned());
    }

    /// The number of mistakes that make the configuration unusable.
    pub(super) fn errors(&self) -> usize {
        self.errors.get()
    }

    /// All mistakes: files in the order of their first mention, and within a file from top to bottom,
    /// followed by those of the file as a whole. Consequences of other mistakes are left out. The files
    /// are included.
    pub(super) fn into_parts(self) -> Mistakes {
        let slips = self.slips.into_inner();
        let is_consequence = |cause| match cause {
            Cause::Itself => false,
            Cause::Missing(table, keys) => {
                slips.iter().any(|slip| slip.table == table && keys.contains(&slip.meant.as_str()))
            }
        };
        let mistakes = self.mistakes.into_inner().into_iter();
        let mut mistakes: Vec<_> =
            mistakes.filter(|(_, cause)| !is_consequence(*cause)).map(|(it, _)| it).collect();
        let mut files: Vec<Arc<Path>> = Vec::new();
        for mistake in &mistakes {
            if !files.contains(&mistake.file) {
                files.push(Arc::clone(&mistake.file));
            }
        }
        mistakes.sort_by_key(|mistake| {
            let file = files.iter().position(|file| *file == mistake.file);
            (file, mistake.place.is_none(), mistake.place)
        });
        Mistakes { mistakes, files: self.files.into_inner() }
    }
}

impl fmt::Display for Mistake {
    /// Formats `FILE:LINE:COLUMN: what is wrong; what to do about it`, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.file.to_string_lossy(), MAX_PATH, Lines::One))?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}")?;
            if let Some(column) = column {
                write!(f, ":{column}")?;
            }
        }
        write!(f, ": {}", self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// Escapes for a terminal a text that may contain text from a file.
pub(super) fn shown(text: &impl fmt::Display) -> String {
    line(&text.to_string())
}

/// The lines for the mistakes. If there are very many, the first errors (or warnings, if there are no errors) and
/// the number of remaining mistakes.
pub(crate) fn lines(mistakes: &[Mistake]) -> Vec<(Severity, String)> {
    let line = |mistake: &Mistake| (mistake.severity, mistake.to_string());
    let worst = mistakes.iter().map(|mistake| mistake.severity).min();
    let Some(worst) = worst.filter(|_| mistakes.len() > MOST_LISTED) else {
        return mistakes.iter().map(line).collect();
    };
    let first = mistakes.iter().filter(|mistake| mistake.severity == worst).take(MOST_LISTED);
    let mut told: Vec<_> = first.map(line).collect();
    let more = counted(mistakes.len() - told.len(), "more mistake");
    told.push((worst, format!("and {more}")));
    told
}

/// The mistakes that make a configuration unusable.
pub(super) fn errors(mistakes: &[Mistake]) -> impl Iterator<Item = &Mistake> {
    mistakes.iter().filter(|mistake| mistake.severity == Severity::Error)
}

/// The most mistakes that are listed.
const MOST_LISTED: usize = 100;
/// The most characters of a path that are shown.
const MAX_PATH: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_one_line() {
        let mistake = Mistake::of_file("a\n/b".into(), Severity::Error, "x\x1b[2J").hint("do y");
        assert_eq!(mistake.to_string(), "a\\n/b: x\\u{1b}[2J; do y");
        assert_eq!(mistake.at_line(7).to_string(), "a\\n/b:7: x\\u{1b}[2J; do y");
    }

    #[test]
    fn of_very_many_mistakes_the_first_errors_and_the_count_are_listed() {
        let mistake = |severity| Mistake::of_file("f".into(), severity, "x");
        let (warning, error) = (mistake(Severity::Warning), mistake(Severity::Error));
        let few = [vec![warning.clone(); MOST_LISTED - 1], vec![error.clone()]].concat();
        assert_eq!(lines(&few).len(), MOST_LISTED);
        let many = [vec![warning.clone(); MOST_LISTED], vec![error; 2]].concat();
        let expected = ["f: x", "f: x", "and 100 more mistakes"];
        assert_eq!(lines(&many), expected.map(|line| (Severity::Error, line.to_owned())));
        let warnings = lines(&vec![warning; MOST_LISTED + 1]);
        assert_eq!(warnings.len(), MOST_LISTED + 1);
        let more = (Severity::Warning, "and 1 more mistake".to_owned());
        assert_eq!(warnings.last(), Some(&more));
    }

    #[test]
    fn a_report_is_sorted_by_file_and_line() {
        let report = Report::default();
        for (file, line) in [("b", 9), ("a", 1), ("b", 2), ("a", 5)] {
            report.add(Mistake::of_file(file.into(), Severity::Error, "x").at_line(line));
        }
        assert_eq!(report.errors(), 4);
        let told = report.into_parts().mistakes;
        let told: Vec<_> = told.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["b:2: x", "b:9: x", "a:1: x", "a:5: x"]);
    }
}
