//! Requests to reload the configuration, and their outcomes.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tokio::sync::{Notify, watch};

/// The link between those who request reloads and the task that performs them. Clones share it.
#[derive(Clone, Debug)]
pub struct Reloads(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: PathBuf,
    asked: Arc<Notify>,
    /// The number of requests so far.
    requests: AtomicU64,
    /// The number of requests when the current reload began.
    heeded: AtomicU64,
    last: watch::Sender<Done>,
}

/// The last completed reload.
#[derive(Clone, Debug, Default)]
struct Done {
    /// The number of requests that it answers.
    heeded: u64,
    /// The number of reloads so far that are or were in force.
    in_force: u64,
    outcome: Option<ReloadOutcome>,
}

/// The outcome of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// It is in force; the differences, in words.
    InForce(String),
    /// The old one stays in force; the mistakes, one a line.
    Refused(Vec<String>),
}

impl Reloads {
    /// Creates the link for this file. `asked` is notified of each request.
    pub fn new(file: PathBuf, asked: Arc<Notify>) -> Self {
        let (requests, heeded, last) =
            (AtomicU64::new(0), AtomicU64::new(0), watch::Sender::default());
        Self(Arc::new(Inner { file, asked, requests, heeded, last }))
    }

    /// The configuration file.
    pub fn file(&self) -> &PathBuf {
        &self.0.file
    }

    /// Waits for a request.
    ///
    /// # Cancel safety
    ///
    /// No request is lost when the future is dropped.
    pub(super) async fn asked(&self) {
        self.0.asked.notified().await;
    }

    /// Marks the beginning of a reload, which answers all requests made so far.
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

    /// Calls `tell` with each outcome from now on, for ever; an outcome may be skipped if another follows.
    pub(crate) async fn each(&self, mut tell: impl FnMut(&ReloadOutcome)) {
        let mut last = self.0.last.subscribe();
        // An error is impossible while the sender is in `self`.
        while last.changed().await.is_ok() {
            last.borrow_and_update().outcome.iter().for_each(&mut tell);
        }
    }

    /// The number of successful reloads.
    pub fn in_force(&self) -> u64 {
        self.0.last.borrow().in_force
    }

    /// The mistakes in the file when it was last read; empty if that is in force.
    pub fn mistakes(&self) -> Vec<String> {
        match &self.0.last.borrow().outcome {
            Some(ReloadOutcome::Refused(mistakes)) => mistakes.clone(),
            Some(ReloadOutcome::InForce(_)) | None => Vec::new(),
        }
    }

    /// Requests a reload, and waits for it. One in progress does not count: it may have read the old files.
    pub async fn ask(&self) -> ReloadOutcome {
        let mut last = self.0.last.subscribe();
        let request = self.0.requests.fetch_add(1, SeqCst) + 1;
        self.0.asked.notify_one();
        // The sender is in `self`, so there is always an answer.
        match last.wait_for(|done| done.heeded >= request).await {
            Ok(done) => done.outcome.clone().unwrap_or(ReloadOutcome::Refused(Vec::new())),
            Err(_) => ReloadOutcome::Refused(Vec::new()),
        }
    }
}

impl fmt::Display for ReloadOutcome {
    /// Formats the outcome on one line; of several mistakes only the first is shown.
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
    async fn a_request_gets_the_outcome_of_its_own_reload() {
        let asked = Arc::new(Notify::new());
        let reloads = Reloads::new("file".into(), Arc::clone(&asked));
        reloads.begin();
        reloads.done(ReloadOutcome::Refused(vec!["line 1".into()]));
        assert_eq!((reloads.in_force(), reloads.mistakes()), (0, vec!["line 1".to_owned()]));
        let mut asking = pin!(reloads.ask());
        assert_eq!(asking.as_mut().now_or_never(), None);
        asked.notified().await;
        // This reload may have read the file before it was changed.
        reloads.done(ReloadOutcome::Refused(vec!["one that was under way".into()]));
        assert_eq!(asking.as_mut().now_or_never(), None, "that is no answer");
        reloads.begin();
        reloads.done(ReloadOutcome::InForce("+1 server".into()));
        assert_eq!(asking.now_or_never(), Some(ReloadOutcome::InForce("+1 server".into())));
        assert_eq!((reloads.in_force(), reloads.mistakes()), (1, Vec::new()));
    }
}
