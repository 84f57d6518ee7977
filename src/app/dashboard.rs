//! The dashboard, which a reload may open, move and close.

use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::config::DashboardConfig;
use crate::control::Program;
use crate::dashboard::{DashboardError, DashboardServer};
use crate::dial::OwnAddresses;
use crate::task;

/// The dashboard that there is to be, and whoever serves it.
#[derive(Debug, Default)]
pub(super) struct Dashboard {
    config: Option<DashboardConfig>,
    serving: Option<AbortOnDropHandle<()>>,
}

impl Dashboard {
    /// Binds it and serves it, where there is to be one.
    ///
    /// # Errors
    ///
    /// It cannot be bound.
    pub(super) fn start(
        config: Option<DashboardConfig>,
        program: &Program,
        own: &OwnAddresses,
    ) -> Result<Self, DashboardError> {
        let mut dashboard = Self::default();
        if let Some(config) = &config {
            dashboard.serve(DashboardServer::bind(config, own)?, program);
        }
        dashboard.config = config;
        Ok(dashboard)
    }

    /// Changes over to another one, or none. One that is the same stays, with all who look at it.
    ///
    /// # Errors
    ///
    /// It cannot be bound, and nothing has changed.
    pub(super) async fn reload(
        &mut self,
        config: Option<DashboardConfig>,
        program: &Program,
        own: &OwnAddresses,
    ) -> Result<(), DashboardError> {
        if config == self.config {
            return Ok(());
        }
        let before = self.config.take();
        let address =
            |config: &Option<DashboardConfig>| config.as_ref().map(|config| config.address.clone());
        let bind = |config: &Option<DashboardConfig>| {
            config.as_ref().map(|config| DashboardServer::bind(config, own)).transpose()
        };
        let server = if address(&before) == address(&config) {
            // There cannot be two at one address.
            self.stop(program).await;
            bind(&config).inspect_err(|_| {
                if let Ok(Some(server)) = bind(&before) {
                    self.serve(server, program);
                }
            })
        } else {
            bind(&config)
        };
        let server = match server {
            Ok(server) => server,
            Err(error) => {
                self.config = before;
                return Err(error);
            }
        };
        self.stop(program).await;
        if let Some(server) = server {
            self.serve(server, program);
        }
        self.config = config;
        Ok(())
    }

    /// Closes it, and waits until its address is free.
    pub(super) async fn stop(&mut self, program: &Program) {
        let Some(serving) = self.serving.take() else { return };
        if let Some(front) = program.front() {
            info!("no longer a dashboard at {}", front.address);
        }
        program.set_front(None);
        serving.abort();
        // It was aborted.
        let _ = serving.await;
    }

    fn serve(&mut self, server: DashboardServer, program: &Program) {
        let front = server.front();
        match front.link() {
            Ok(link) => info!("dashboard at {link} (good once, for 10 minutes)"),
            Err(error) => warn!("dashboard at {}, and no link to it: {error}", front.address),
        }
        program.set_front(Some(front.clone()));
        self.serving = Some(task::spawn(server.run(program.clone())));
    }
}
