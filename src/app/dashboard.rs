//! The dashboard, which a reload may open, move or close.

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::config::DashboardConfig;
use crate::control::Program;
use crate::dashboard::{DashboardError, DashboardServer};
use crate::dial::OwnAddresses;
use crate::task;

/// The configured dashboard, and the task that serves it.
#[derive(Debug, Default)]
pub(super) struct Dashboard {
    config: Option<DashboardConfig>,
    serving: Option<AbortOnDropHandle<()>>,
    /// Cancelled to stop listening.
    closed: CancellationToken,
    /// Cancelled to end its connections, too.
    ended: CancellationToken,
}

impl Dashboard {
    /// Binds and serves the dashboard, if one is configured.
    pub(super) async fn start(
        config: Option<DashboardConfig>,
        program: &Program,
        own: &OwnAddresses,
    ) -> Result<Self, DashboardError> {
        let mut dashboard = Self::default();
        if let Some(config) = &config {
            dashboard.serve(DashboardServer::bind(config, own).await?, program);
        }
        dashboard.config = config;
        Ok(dashboard)
    }

    /// Switches to another dashboard, or to none. An unchanged one stays, with its open connections. If
    /// the new one cannot be bound, the old one goes on; if the old one cannot be bound again either,
    /// there is none until the next reload tries again.
    pub(super) async fn reload(
        &mut self,
        config: Option<DashboardConfig>,
        program: &Program,
        own: &OwnAddresses,
    ) -> Result<(), DashboardError> {
        if config == self.config {
            return Ok(());
        }
        let address = |config: &Option<DashboardConfig>| config.as_ref().map(|c| c.address.clone());
        let bind = async |config: &Option<DashboardConfig>| match config {
            Some(config) => DashboardServer::bind(config, own).await.map(Some),
            None => Ok(None),
        };
        let has_same_address = address(&self.config) == address(&config);
        if has_same_address {
            // The old one may have the same address.
            self.stop(program).await;
        }
        let server = match bind(&config).await {
            Ok(server) => server,
            Err(error) if has_same_address => {
                match bind(&self.config).await {
                    Ok(server) => server.into_iter().for_each(|server| self.serve(server, program)),
                    Err(again) => {
                        warn!("no dashboard any more: {again}");
                        self.config = None;
                    }
                }
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        self.stop(program).await;
        if let Some(server) = server {
            self.serve(server, program);
        }
        self.config = config;
        Ok(())
    }

    /// Withdraws the links to it, and frees its address for the program that comes next. Connected clients are
    /// still served.
    pub(super) fn stop_listening(&self, program: &Program) {
        if let Some(front) = program.front() {
            info!("no longer a dashboard at {}", front.address);
        }
        program.set_front(None);
        self.closed.cancel();
    }

    /// Closes the dashboard, and waits until its address is free and its last answers are sent.
    pub(super) async fn stop(&mut self, program: &Program) {
        let Some(serving) = self.serving.take() else { return };
        self.stop_listening(program);
        self.ended.cancel();
        // It may have panicked.
        let _ = serving.await;
    }

    fn serve(&mut self, server: DashboardServer, program: &Program) {
        let front = &server.front;
        match front.link() {
            Ok(link) => info!("dashboard at {link} (good once, for 10 minutes)"),
            Err(error) => warn!("dashboard at {}, and no link to it: {error}", front.address),
        }
        program.set_front(Some(front.clone()));
        (self.closed, self.ended) = (CancellationToken::new(), CancellationToken::new());
        let (program, closed, ended) = (program.clone(), self.closed.clone(), self.ended.clone());
        self.serving = Some(task::spawn(server.run(program, closed, ended)));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::control::testing::program;
    use crate::observe::testing::TestLog;

    #[tokio::test]
    async fn a_dashboard_that_could_not_be_restored_returns_with_the_next_reload() {
        let log = TestLog::start();
        let (program, connect) = program();
        let own = connect.dialer.own().clone();
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| {
            let address = "127.0.0.1:0".parse().expect("an address");
            let files = Some(folder.path().join(name));
            Some(DashboardConfig { address, files, token: None })
        };
        fs::create_dir(folder.path().join("ui")).expect("made");
        let mut dashboard = Dashboard::start(at("ui"), &program, &own).await.expect("a free port");
        dashboard.reload(at("none"), &program, &own).await.expect_err("there is no folder");
        assert!(program.front().is_some(), "the old one stays");
        fs::remove_dir(folder.path().join("ui")).expect("it is there");
        dashboard.reload(at("none"), &program, &own).await.expect_err("there is no folder");
        assert!(program.front().is_none(), "its folder is gone as well");
        assert!(log.text().contains("warning: no dashboard any more: "), "{}", log.text());
        fs::create_dir(folder.path().join("ui")).expect("made");
        dashboard.reload(at("ui"), &program, &own).await.expect("as it was");
        assert!(program.front().is_some());
    }
}
