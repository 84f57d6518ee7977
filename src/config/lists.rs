//! The lists of a configuration. Each file is read once, however many rules name it, and on a reload only
//! if it has changed.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::route::{List, Mistakes as InvalidEntries, Progress};

use super::fields::Text;
use super::files::Stamp;
use super::mistake::{Mistake, Severity};
use super::source::Source;

/// Lists by file.
pub(super) type Loaded = HashMap<PathBuf, LoadedList>;

/// A list, its invalid lines, and the stamp of its file when it was read.
#[derive(Clone, Debug)]
pub(super) struct LoadedList {
    pub(super) list: Arc<List>,
    invalid: Arc<InvalidEntries>,
    stamp: Option<Stamp>,
}

/// How to treat lines of a list that are not entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum InvalidLines {
    /// Refuse the list, and thereby the configuration.
    #[default]
    Refuse,
    /// Report the lines, and leave them out.
    Skip,
}

pub(super) struct Lists<'a> {
    before: Option<&'a Loaded>,
    progress: &'a mut dyn Progress,
    /// None for a file that cannot be read, which is reported once.
    loaded: HashMap<PathBuf, Option<LoadedList>>,
    /// The files whose lines were reported, once for each treatment.
    reported: HashSet<(PathBuf, InvalidLines)>,
}

impl<'a> Lists<'a> {
    /// A reader that takes unchanged lists from `before`.
    pub(super) fn new(before: Option<&'a Loaded>, progress: &'a mut dyn Progress) -> Self {
        Self { before, progress, loaded: HashMap::new(), reported: HashSet::new() }
    }

    /// Loads the list of a file that the configuration names; `None` after reporting a failure.
    pub(super) fn load(
        &mut self,
        source: &Source<'_>,
        name: &Text<'_>,
        invalid: InvalidLines,
    ) -> Option<Arc<List>> {
        let path = source.follow(name.get_ref());
        if !self.loaded.contains_key(&path) {
            let loaded = self.unchanged(&path).or_else(|| self.read(source, name, &path));
            self.loaded.insert(path.clone(), loaded);
        }
        let loaded = self.loaded.get(&path)?.clone()?;
        if loaded.invalid.count == 0 {
            return Some(loaded.list);
        }
        // A file without a single valid entry is something else, such as a page that says "not found".
        let invalid = if loaded.list.is_empty() { InvalidLines::Refuse } else { invalid };
        if self.reported.insert((path.clone(), invalid)) {
            report_invalid(source, &path, &loaded, invalid);
        }
        (invalid == InvalidLines::Skip).then_some(loaded.list)
    }

    /// All lists that could be read.
    pub(super) fn into_loaded(self) -> Loaded {
        self.loaded.into_iter().filter_map(|(path, loaded)| Some((path, loaded?))).collect()
    }

    fn unchanged(&mut self, path: &Path) -> Option<LoadedList> {
        let before = self.before?.get(path)?;
        let same = before.stamp.is_some() && before.stamp == Stamp::of(path);
        if same {
            // The invalid lines were reported when the list was first read.
            self.reported.insert((path.to_owned(), InvalidLines::Skip));
        }
        same.then(|| before.clone())
    }

    fn read(&mut self, source: &Source<'_>, name: &Text<'_>, path: &Path) -> Option<LoadedList> {
        // Taken before the file is read, so that a concurrent write counts as a change.
        let stamp = Stamp::of(path);
        match List::load(path, name.get_ref(), self.progress) {
            Ok((list, invalid)) => {
                if list.is_empty() && invalid.count == 0 {
                    let what =
                        format!("list '{}' has no entries and matches nothing", name.get_ref());
                    source.warning(&name.span(), what, "");
                }
                Some(LoadedList { list: Arc::new(list), invalid: Arc::new(invalid), stamp })
            }
            Err(error) => {
                source.error(&name.span(), format!("list '{}': {error}", name.get_ref()), "");
                None
            }
        }
    }
}

/// Reports the first invalid lines, and how many there are.
fn report_invalid(source: &Source<'_>, path: &Path, loaded: &LoadedList, becomes: InvalidLines) {
    let LoadedList { list, invalid, .. } = loaded;
    let severity = match becomes {
        InvalidLines::Refuse => Severity::Error,
        InvalidLines::Skip => Severity::Warning,
    };
    let of_list = |what| Mistake::of_file(path.to_owned(), severity, what);
    for mistake in &invalid.first {
        let line = usize::try_from(mistake.line).unwrap_or(usize::MAX);
        let what = format!("'{}': {}", mistake.text, mistake.why);
        source.report().add(of_list(what).at_line(line));
    }
    let lines = match invalid.count {
        1 => "1 line is not an entry".to_owned(),
        count => format!("{count} lines are not entries"),
    };
    source.report().add(match becomes {
        InvalidLines::Refuse if list.is_empty() => of_list(lines).hint("the file has none"),
        InvalidLines::Refuse => {
            of_list(lines).hint("invalid_lines = \"skip\" in the rule leaves such lines out")
        }
        InvalidLines::Skip => of_list(format!("{lines} and left out")),
    });
}
