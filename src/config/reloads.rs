//! Requests to reload the configuration, and their outcomes.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tokio::sync::{Notify, watch};

/// The link between those who request a reload and the one who does it. A clone is another handle.
#[derive(Clone, Debug)]
pub struct Reloads(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    asked: Arc<Notify>,
    /// How many have asked.
    requests: AtomicU64,
    /// How many of them had asked when the reload began that is under way.
    heeded: AtomicU64,
    last: watch::Sender<Done>,
}

/// The last reload that is done.
#[derive(Clone, Debug, Default)]
struct Done {
    /// How many requests it was for.
    heeded: u64,
    /// How many there were that are in force.
    in_force: u64,
    outcome: Option<ReloadOutcome>,
}

/// The outcome of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// It is in force; what is different, in words.
    InForce(String),
    /// The old one stays in force; what is wrong, a line each.
    Refused(Vec<String>),
}

impl Reloads {
    /// For this file. `asked` is notified of a request.
    pub fn new(file: PathBuf, asked: Arc<Notify>) -> Self {
        let (requests, heeded, last) =
            (AtomicU64::new(0), AtomicU64::new(0), watch::Sender::default());
        Self(Arc::new(Inner { file, asked, requests, heeded, last }))
    }

    /// The file that is read.
    pub fn file(&self) -> &PathBuf {
        &self.0.file
    }

    /// Waits for a request.
    ///
    /// # Cancel safety
    ///
    /// No request is lost when this is dropped.
    pub(super) async fn asked(&self) {
        self.0.asked.notified().await;
    }

    /// A reload begins: it reads the files as they were for all who have asked so far.
    pub(super) fn begin(&self) {
        self.0.heeded.store(self.0.requests.load(SeqCst), SeqCst);
    }

    /// Publishes the outcome of the reload that began last.
    pub(super) fn done(&self, outcome: ReloadOutcome) {
        self.0.last.send_modify(|last| {
            last.heeded = self.0.heeded.load(SeqCst);
            last.in_force += u64::from(matches!(outcome, ReloadOutcome::InForce(_)));
            last.outcome = Some(outcome);
        });
    }

    /// Tells each outcome from now on, for ever; one that comes before the last was told is skipped.
    pub(crate) async fn each(&self, mut tell: impl FnMut(&ReloadOutcome)) {
        let mut last = self.0.last.subscribe();
        // The sender is here as well.
        while last.changed().await.is_ok() {
            last.borrow_and_update().outcome.iter().for_each(&mut tell);
        }
    }

    /// How many are in force, one after the other.
    pub fn in_force(&self) -> u64 {
        self.0.last.borrow().in_force
    }

    /// What is wrong with the file as it was last read; nothing where it is in force.
    pub fn mistakes(&self) -> Vec<String> {
        match &self.0.last.borrow().outcome {
            Some(ReloadOutcome::Refused(mistakes)) => mistakes.clone(),
            Some(ReloadOutcome::InForce(_)) | None => Vec::new(),
        }
    }

    /// Asks for one, and waits until it is done. One that is under way may have read what has changed since.
    pub async fn ask(&self) -> ReloadOutcome {
        let mut last = self.0.last.subscribe();
        let request = self.0.requests.fetch_add(1, SeqCst) + 1;
        self.0.asked.notify_one();
        // The sender is here as well, so there is always an answer.
        match last.wait_for(|done| done.heeded >= request).await {
            Ok(done) => done.outcome.clone().unwrap_or(ReloadOutcome::Refused(Vec::new())),
            Err(_) => ReloadOutcome::Refused(Vec::new()),
        }
    }
}

impl fmt::Display for ReloadOutcome {
    /// In one line; the others of several mistakes are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InForce(summary) => write!(f, "reloaded: {summary}"),
            Self::Refused(mistakes) => {
                f.write_str("not reloaded, the old one stays in force: ")?;
                f.write_str(mistakes.first().map_or("unknown", String::as_str))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn whoever_asks_hears_what_came_of_it() {
        let asked = Arc::new(Notify::new());
        let reloads = Reloads::new("file".into(), Arc::clone(&asked));
        reloads.begin();
        reloads.done(ReloadOutcome::Refused(vec!["line 1".into()]));
        assert_eq!((reloads.in_force(), reloads.mistakes()), (0, vec!["line 1".to_owned()]));
        let mut asking = pin!(reloads.ask());
        assert_eq!(asking.as_mut().now_or_never(), None);
        asked.notified().await;
        // It may have read the file before it was changed.
        reloads.done(ReloadOutcome::Refused(vec!["one that was under way".into()]));
        assert_eq!(asking.as_mut().now_or_never(), None, "that is no answer");
        reloads.begin();
        reloads.done(ReloadOutcome::InForce("+1 server".into()));
        assert_eq!(asking.now_or_never(), Some(ReloadOutcome::InForce("+1 server".into())));
        assert_eq!((reloads.in_force(), reloads.mistakes()), (1, Vec::new()));
    }
}
