//! What the protocols of a proxy share.

use std::sync::Arc;

use super::connect::{self, Connect, Outbound};
use super::proxy_auth::ProxyCredentials;
use super::tunnel::Tunnel;
use crate::destination::Destination;
use crate::dial::{Connected, DialFailure};
use crate::request::Request;

/// The way on from a proxy, and who may take it.
#[derive(Debug)]
pub(crate) struct ProxyContext<R = Outbound> {
    connect: R,
    credentials: Option<Arc<ProxyCredentials>>,
}

impl<R: Connect> ProxyContext<R> {
    /// With `credentials`, only those users are served.
    pub(crate) fn new(connect: R, credentials: Option<Arc<ProxyCredentials>>) -> Self {
        Self { connect, credentials }
    }

    pub(crate) fn credentials(&self) -> Option<&ProxyCredentials> {
        self.credentials.as_deref()
    }

    /// Dials, with one line in the log for what came of it.
    pub(crate) async fn dial(
        &self,
        request: &Request,
    ) -> Result<Connected<R::Channel>, DialFailure> {
        connect::dial(&self.connect, request).await
    }

    /// The channel as a byte stream. A cut reads as an error, never as the end.
    pub(crate) fn stream(&self, channel: R::Channel) -> R::Stream {
        self.connect.stream(channel)
    }

    /// The rules for a browser that reaches us as `proxy`.
    pub(crate) fn pac(&self, proxy: &Destination) -> Option<String> {
        self.connect.pac(proxy)
    }

    /// Carries bytes both ways until both sides are done.
    pub(crate) async fn relay(&self, tunnel: Tunnel<R::Channel>) {
        let Tunnel { client, early, channel } = tunnel;
        self.connect.relay(client, early, channel).await;
    }
}
