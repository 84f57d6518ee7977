//! Standard input and output over one channel (`-W`).

use bytes::Bytes;

use super::Error;
use crate::listen::connect::{Connect as _, Outbound};
use crate::registry::{Outcome, STDIO};
use crate::request::{Protocol, Request, Source};
use crate::stream::Stdio;
use crate::target::Target;

/// Connects standard input and output to `target` until both directions have ended. Without a
/// target it never completes.
pub(super) async fn connect(target: Option<Target>, connect: Outbound) -> Result<(), Error> {
    let Some(target) = target else { return std::future::pending().await };
    let request = Request {
        listener: STDIO.into(),
        protocol: Protocol::Forward,
        source: Source::Unix,
        user: None,
        target,
    };
    let target = request.target.to_string();
    let connected = match connect.dial(&request).await {
        Ok(connected) => connected,
        Err(cause) => return Err(Error::Stdio { target, cause }),
    };
    match connect.relayer.relay(Stdio::new(), Bytes::new(), connected.channel).await {
        // A reader that closes our output has read what it wanted.
        Outcome::Clean | Outcome::ClientGone => Ok(()),
        _ => Err(Error::StdioCut { target }),
    }
}
