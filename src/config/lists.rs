//! The lists of a configuration: each file is read once, however many rules name it, and on a
//! reload only where it has changed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::route::{List, ListError, Progress};

use super::fields::Text;
use super::files::Stamp;
use super::mistake::{Mistake, Severity};
use super::source::Source;

/// Lists by their files.
pub(super) type Loaded = HashMap<PathBuf, LoadedList>;

/// A list, and what its file was like when it was read.
#[derive(Clone, Debug)]
pub(super) struct LoadedList {
    pub(super) list: Arc<List>,
    stamp: Option<Stamp>,
}

/// Reads lists.
pub(super) struct Lists<'a> {
    before: Option<&'a Loaded>,
    progress: &'a mut dyn Progress,
    /// None for a file that has mistakes: they are told once.
    loaded: HashMap<PathBuf, Option<LoadedList>>,
}

impl<'a> Lists<'a> {
    /// Lists that have not changed since `before` are taken from there.
    pub(super) fn new(before: Option<&'a Loaded>, progress: &'a mut dyn Progress) -> Self {
        Self { before, progress, loaded: HashMap::new() }
    }

    /// The list of a file that the configuration names; `None` after reporting why there is none.
    pub(super) fn load(&mut self, source: &Source<'_>, name: &Text<'_>) -> Option<Arc<List>> {
        let path = source.resolve(name.get_ref());
        source.report().note_file(&path);
        if let Some(known) = self.loaded.get(&path) {
            return known.as_ref().map(|known| Arc::clone(&known.list));
        }
        let loaded = self.unchanged(&path).or_else(|| self.read(source, name, &path));
        let list = loaded.as_ref().map(|loaded| Arc::clone(&loaded.list));
        self.loaded.insert(path, loaded);
        list
    }

    /// All that could be read.
    pub(super) fn into_loaded(self) -> Loaded {
        self.loaded.into_iter().filter_map(|(path, loaded)| Some((path, loaded?))).collect()
    }

    fn unchanged(&self, path: &Path) -> Option<LoadedList> {
        let before = self.before?.get(path)?;
        (before.stamp.is_some() && before.stamp == Stamp::of(path)).then(|| before.clone())
    }

    fn read(&mut self, source: &Source<'_>, name: &Text<'_>, path: &Path) -> Option<LoadedList> {
        // Before it is read: what is written meanwhile makes it another file.
        let stamp = Stamp::of(path);
        match List::load(path, name.get_ref(), self.progress) {
            Ok(list) => Some(LoadedList { list: Arc::new(list), stamp }),
            Err(ListError::Mistakes(mistakes)) => {
                let of_list = |what| Mistake::of_file(path.to_owned(), Severity::Error, what);
                for mistake in &mistakes.first {
                    let line = usize::try_from(mistake.line).unwrap_or(usize::MAX);
                    let what = format!("'{}': {}", mistake.text, mistake.why);
                    source.report().add(of_list(what).at_line(line));
                }
                let told = mistakes.first.len() as u64;
                if mistakes.count > told {
                    let what = format!("{} more lines are no entries", mistakes.count - told);
                    source.report().add(of_list(what));
                }
                None
            }
            Err(error) => {
                let told = format!("{:#}", anyhow::Error::new(error));
                source.error(&name.span(), format!("list '{}': {told}", name.get_ref()), ());
                None
            }
        }
    }
}
