//! One remote forward: its request, and the service of its clients.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, debug, debug_span, info};

use super::{Error, OnForwardFailure, RemoteOptions};
use crate::forward::RemoteTo;
use crate::listen::connect::Outbound;
use crate::listen::{ForwardHandler, GreetingLimits, ProxyHandler, RemoteHandler};
use crate::printable::line;
use crate::registry::Forward;
use crate::remote_listener::RemoteListener;
use crate::ssh::Forwarded;

/// Requests a listener from the server at once. A refusal is an error only if `on_failure` says so.
pub(super) async fn request(
    listener: &mut RemoteListener,
    to: &RemoteTo,
    on_failure: OnForwardFailure,
) -> Result<(), Error> {
    let registered = listener.register().await;
    let place = listener.place();
    match (registered, on_failure) {
        (Ok(()), _) => info!("listening on {place} ({})", description(to)),
        (Err(cause), OnForwardFailure::Exit) => return Err(Error::RemoteListen { place, cause }),
        // The task that runs the listener requests it again, and logs the outcome.
        (Err(error), OnForwardFailure::GoOn) => debug!(%error, "not listening on {place}"),
    }
    Ok(())
}

/// The function that serves each client of a forward, in a task of `connections`. `entry` counts the clients; `stop`
/// ends those of a proxy without losing data, and leaves those of a target alone.
pub(super) fn serve(
    options: &RemoteOptions,
    entry: Arc<Forward>,
    connect: &Outbound,
    connections: TaskTracker,
    stop: CancellationToken,
) -> impl Fn(Forwarded) + use<> {
    let connect = Outbound { routing: options.routing(), ..connect.clone() };
    let handler = match &options.forward.to {
        RemoteTo::Fixed(target) => {
            RemoteHandler::Forward(Arc::new(ForwardHandler::new(connect, target.clone())))
        }
        RemoteTo::Proxy => RemoteHandler::Proxy {
            relayer: connect.relayer.clone(),
            handler: Arc::new(ProxyHandler::new(
                connect,
                options.credentials.clone(),
                GreetingLimits::default(),
            )),
        },
    };
    let name = options.name.clone();
    let name = name.unwrap_or_else(|| options.forward.listen.to_string().into());
    move |forwarded| {
        entry.accept();
        let span = debug_span!("remote client", listener = %name);
        let serving = handler.clone().serve(forwarded, Arc::clone(&name), stop.clone());
        connections.spawn(serving.instrument(span));
    }
}

/// A description of the target.
fn description(to: &RemoteTo) -> String {
    match to {
        RemoteTo::Fixed(target) => format!("to {}", line(&target.to_string())),
        RemoteTo::Proxy => "a proxy".to_owned(),
    }
}
