//! One client of a proxy, from its first byte to the relay.

use std::sync::Arc;

use tokio::io::BufReader;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::connect::{Connect, Outbound};
use super::context::ProxyContext;
use super::detect::{Detected, detect};
use super::greeting::{GreetingLimits, Greetings};
use super::handler::{Accepted, Handler};
use super::http::{self, Visitor};
use super::linger::linger;
use super::proxy_auth::ProxyCredentials;
use super::socks::{self, SocksError, SocksRequest};
use super::stream::ClientStream;
use super::tunnel::Tunnel;
use crate::request::Source;

/// Serves clients of all protocols on one socket. One handler serves any number of listeners.
#[derive(Debug)]
pub struct ProxyHandler<R = Outbound> {
    context: Arc<ProxyContext<R>>,
    greetings: Greetings,
}

/// The result of a client's first bytes.
enum FirstBytes {
    /// A SOCKS request, complete.
    Socks(SocksRequest),
    /// The start of an HTTP request, which is still in the buffer.
    Http,
    /// A refusal, which was written.
    Refused,
    /// Nothing to answer.
    Over,
}

impl<R: Connect> ProxyHandler<R> {
    /// A proxy that connects over `connect`. With `credentials`, only those users are served.
    pub fn new(
        connect: R,
        credentials: Option<Arc<ProxyCredentials>>,
        limits: GreetingLimits,
    ) -> Self {
        let context = Arc::new(ProxyContext::new(connect, credentials));
        Self { context, greetings: Greetings::new(limits) }
    }

    /// The supported protocols, as displayed at start. SOCKS4 cannot carry a password.
    pub fn protocols(&self) -> &'static str {
        if self.context.asks_for_a_password() {
            "socks5 http"
        } else {
            "socks4 socks4a socks5 http"
        }
    }

    /// Reads the request, or detects the first byte of an HTTP request. A refusal has been written when this
    /// returns.
    async fn read_first_bytes(
        &self,
        client: &mut BufReader<ClientStream>,
        source: Source,
    ) -> FirstBytes {
        let version = match detect(client).await {
            Ok(Detected::Socks4) => socks::Version::Four,
            Ok(Detected::Socks5) => socks::Version::Five,
            Ok(Detected::Http) => return FirstBytes::Http,
            Ok(Detected::Unknown(byte)) => {
                debug!(byte, "no protocol begins with this byte");
                return FirstBytes::Over;
            }
            Ok(Detected::Nothing) | Err(_) => return FirstBytes::Over,
        };
        match version.read_request(client, self.context.checker(source).as_ref()).await {
            Ok(request) => FirstBytes::Socks(request),
            Err(error) => {
                debug!(%version, %error, "no request");
                match error {
                    SocksError::Gone(_) => FirstBytes::Over,
                    _ => FirstBytes::Refused,
                }
            }
        }
    }
}

impl<R: Connect> Handler for ProxyHandler<R> {
    /// After `shutdown`, a connection in greeting is closed, an HTTP connection finishes its current request,
    /// and a relay continues.
    async fn serve(self: Arc<Self>, accepted: Accepted, shutdown: CancellationToken) {
        let Accepted { stream, source, listener } = accepted;
        let mut client = BufReader::with_capacity(GREETING_BUFFER, stream);
        let (slot, mut expiry) = self.greetings.enter();
        let first = tokio::select! {
            biased;
            first = self.read_first_bytes(&mut client, source) => first,
            reason = expiry.wait() => {
                debug!(%reason, "greeting ended");
                return;
            }
            () = shutdown.cancelled() => return,
        };
        let tunnel = match first {
            FirstBytes::Socks(request) => {
                drop(slot);
                request.serve(&self.context, client, listener, source).await
            }
            FirstBytes::Http => {
                let visitor = Visitor { client, listener, source, slot, expiry };
                // Boxed, so that the state of HTTP does not enlarge every relay.
                Box::pin(http::serve(self.context.clone(), visitor, shutdown)).await
            }
            FirstBytes::Refused => {
                drop(slot);
                linger(client).await;
                None
            }
            FirstBytes::Over => None,
        };
        if let Some(Tunnel { client, early, channel }) = tunnel {
            self.context.connect.relay(client, early, channel).await;
        }
    }

    /// Evicts the oldest connection in greeting.
    fn make_room(&self) {
        self.greetings.evict_oldest();
    }
}

/// Enough for any SOCKS greeting, with some early data of an optimistic client.
const GREETING_BUFFER: usize = 1024;

#[cfg(test)]
mod tests;
