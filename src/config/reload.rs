//! Reads the configuration again when it has changed or a reload is requested.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::{error, info, warn};

use super::changes::changes;
use super::mistake::{errors, lines};
use super::reloads::{ReloadOutcome, Reloads};
use super::watch::Watch;
use super::{Config, Mistake, Mistakes, Severity};
use crate::printable::counted;

/// Follows a configuration file.
#[derive(Debug)]
pub struct Reloader {
    current: Arc<Config>,
    watch: Watch,
    reloads: Reloads,
}

/// A new configuration to run.
#[derive(Debug)]
pub struct Reloaded {
    /// The configuration, which has no errors.
    pub config: Arc<Config>,
    /// The differences from the previous one, in words.
    pub changes: String,
}

impl Reloader {
    /// Follows the file of `current`, and everything that it names. Reloads are requested through
    /// `reloads` (SIGHUP, the control socket), which also delivers their outcomes.
    pub fn start(current: Arc<Config>, reloads: Reloads) -> Self {
        let watch = Watch::start(&current.files);
        Self { current, watch, reloads }
    }

    /// Waits until the configuration has changed, or a reload is requested.
    ///
    /// # Cancel safety
    ///
    /// Neither is lost when the future is dropped.
    pub async fn due(&mut self) {
        tokio::select! {
            () = self.reloads.asked() => self.watch.mark(),
            () = self.watch.changed() => {}
        }
    }

    /// Reads the configuration again. Returns `None` if it cannot be used, which is logged and
    /// changes nothing.
    ///
    /// # Cancel safety
    ///
    /// The reload is lost when the future is dropped.
    pub async fn load(&mut self) -> Option<Reloaded> {
        let current = Arc::clone(&self.current);
        self.reloads.begin();
        // A blocking task, since lists may be large.
        let load = move || Config::load(&current.file, Some(&current), &mut ());
        match tokio::task::spawn_blocking(load).await {
            Ok(Ok((config, warnings))) => {
                self.watch.follow(&config.files);
                log(&warnings);
                let changes = changes(&self.current, &config);
                return Some(Reloaded { config: Arc::new(config), changes });
            }
            Ok(Err(mistakes)) => self.refuse_mistakes(&mistakes),
            Err(error) => self.fail(&error.to_string()),
        }
        None
    }

    /// Logs that this configuration is now in force; the next one is compared with it.
    pub fn accept(&mut self, reloaded: Reloaded) {
        let Reloaded { config, changes } = reloaded;
        let rules = counted(config.router.rules().len(), "rule");
        let summary = format!("{changes}, {rules}{}", config.and_entries());
        info!("configuration reloaded: {summary}");
        self.current = config;
        self.reloads.done(ReloadOutcome::InForce(summary));
    }

    /// Logs that the old one stays in force, for a reason other than a mistake in the file.
    fn fail(&self, why: &str) {
        error!("configuration not reloaded: {why}; the old one stays in force");
        self.reloads.done(ReloadOutcome::Refused(vec![why.to_owned()]));
    }

    /// Logs why this configuration cannot be put in force; the next one is compared with the old one.
    pub fn refuse(&mut self, reloaded: &Reloaded, why: &str) {
        self.fail(why);
        self.follow_both(&reloaded.config.files);
    }

    fn refuse_mistakes(&mut self, Mistakes { mistakes, files }: &Mistakes) {
        log(mistakes);
        let counted = counted(errors(mistakes).count(), "mistake");
        let is_error = |(severity, _): &(Severity, _)| *severity == Severity::Error;
        let errors = lines(mistakes).into_iter().filter(is_error).map(|(_, line)| line).collect();
        error!("configuration not reloaded: {counted}; the old one stays in force");
        self.reloads.done(ReloadOutcome::Refused(errors));
        self.follow_both(files);
    }

    /// Keeps the old one, and watches the files of both: any of them may be corrected next.
    fn follow_both(&mut self, files: &BTreeSet<PathBuf>) {
        let all: BTreeSet<PathBuf> = self.current.files.union(files).cloned().collect();
        self.watch.follow(&all);
    }
}

/// Logs mistakes.
fn log(mistakes: &[Mistake]) {
    for (severity, line) in lines(mistakes) {
        match severity {
            Severity::Error => error!("{line}"),
            Severity::Warning => warn!("{line}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::pin::pin;
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use tokio::sync::Notify;
    use tokio::time::timeout;

    use super::*;

    fn reloader(folder: &tempfile::TempDir, text: &str) -> (Reloader, Arc<Notify>) {
        let path = folder.path().join("config.toml");
        fs::write(&path, text).expect("a file");
        let (config, _) = Config::load(&path, None, &mut ()).expect("good");
        let asked = Arc::new(Notify::new());
        let reloads = Reloads::new(path, Arc::clone(&asked));
        (Reloader::start(Arc::new(config), reloads), asked)
    }

    async fn next(reloader: &mut Reloader) -> Reloaded {
        let next = async {
            loop {
                reloader.due().await;
                if let Some(reloaded) = reloader.load().await {
                    return reloaded;
                }
            }
        };
        timeout(Duration::from_secs(60), next).await.expect("reloaded")
    }

    #[tokio::test]
    async fn a_reload_follows_a_change_or_a_request() {
        let folder = tempfile::tempdir().expect("a directory");
        let (mut reloader, _) = reloader(&folder, "[server.a]\n");
        fs::write(folder.path().join("config.toml"), "[server.b]\n[server.c]\n").expect("a file");
        let next_one = next(&mut reloader).await;
        assert_eq!(next_one.changes, "+2 servers, -1 server");
        reloader.accept(next_one);
        let reloads = reloader.reloads.clone();
        let mut asking = pin!(reloads.ask());
        assert_eq!(asking.as_mut().now_or_never(), None);
        let next_one = next(&mut reloader).await;
        assert_eq!(next_one.config.servers.len(), 2);
        assert_eq!(next_one.changes, "the same listeners, servers and forwards");
        reloader.accept(next_one);
        let told = asking.now_or_never().expect("it is told");
        assert!(matches!(told, ReloadOutcome::InForce(_)), "{told}");
    }

    #[test]
    fn changes_of_rules_and_of_start_up_settings_are_reported() {
        let folder = tempfile::tempdir().expect("a directory");
        let load = |text: &str| {
            let path = folder.path().join("config.toml");
            fs::write(&path, text).expect("a file");
            Config::load(&path, None, &mut ()).expect("good").0
        };
        let rule = "[server.a]\n[[rule]]\ndomain = \"a.example\"\nvia = \"a\"\n";
        let same = "the same listeners, servers and forwards";
        for (text, told) in [
            (rule.replace("via", "# A comment.\nvia"), same),
            ("[server.a]\n[[rule]]\nvia = \"a\"\ndomain = \"a.example\"\n".to_owned(), same),
            (rule.replace("a.example", "b.example"), "rules changed"),
            ("[server.a]\n".to_owned(), "rules changed"),
            (format!("{rule}[default]\nvia = \"a\"\n"), "rules changed"),
            (
                format!("{rule}[backlog]\nmemory = \"1GiB\"\n"),
                "[backlog] takes effect at the next start",
            ),
        ] {
            assert_eq!(changes(&load(rule), &load(&text)), told, "{text}");
        }
    }

    #[test]
    fn a_list_whose_file_has_changed_is_reported() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("config.toml");
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("a file");
        };
        let rule = |name: &str| format!("[[rule]]\nlist = \"{name}\"\naction = \"reject\"\n");
        let names = ["a", "b", "c", "d"];
        write("config.toml", &names.map(rule).concat());
        for name in names {
            write(name, "a.example\n");
        }
        let (old, _) = Config::load(&path, None, &mut ()).expect("good");
        let told = || {
            let (new, _) = Config::load(&path, Some(&old), &mut ()).expect("good");
            changes(&old, &new).replace(&format!("{}/", folder.path().display()), "")
        };
        assert_eq!(told(), "the same listeners, servers and forwards");
        write("b", "a.example\nb.example\n");
        assert_eq!(told(), "list b reloaded (entries: 1 before, 2 now)");
        for name in names {
            write(name, "a.example\nb.example\nc.example\n");
        }
        assert_eq!(told(), "4 lists reloaded");
    }

    #[tokio::test]
    async fn a_list_that_a_reload_brings_is_followed() {
        let folder = tempfile::tempdir().expect("a directory");
        let (mut reloader, _) = reloader(&folder, "[server.a]\n");
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("a file");
        };
        write("names", "a.example\n");
        write("config.toml", "[[rule]]\nlist = \"names\"\naction = \"reject\"\n");
        let next_one = next(&mut reloader).await;
        assert_eq!(next_one.config.entries(), 1);
        reloader.accept(next_one);
        write("names", "a.example\nb.example\n");
        assert_eq!(next(&mut reloader).await.config.entries(), 2);
    }

    #[tokio::test]
    async fn a_file_with_a_mistake_changes_nothing_and_can_be_mended() {
        let folder = tempfile::tempdir().expect("a directory");
        let (mut reloader, asked) = reloader(&folder, "[server.a]\n");
        let broken = "[[rule]]\nlist = \"names\"\naction = \"reject\"\n";
        fs::write(folder.path().join("config.toml"), broken).expect("a file");
        asked.notify_one();
        reloader.due().await;
        assert!(reloader.load().await.is_none(), "it has a mistake");
        // The missing part is the list that it names.
        fs::write(folder.path().join("names"), "a.example\n").expect("a file");
        let next_one = next(&mut reloader).await;
        assert_eq!((next_one.config.router.rules().len(), next_one.config.entries()), (1, 1));
        assert_eq!(next_one.changes, "-1 server, rules changed");
    }
}
