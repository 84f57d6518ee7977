//! russh's configuration for a session.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, GexParams};
use russh::{Limits, Preferred, compression};

use super::Connector;
use crate::openssh::client_config::Switch;

/// The configuration of russh for a session whose channels have a `window_size` in bytes.
pub(super) fn russh_config(window_size: u32, preferred: Preferred) -> Arc<client::Config> {
    let (least, wanted, most) = GROUPS;
    Arc::new(client::Config {
        client_id: russh::SshId::Standard(Cow::Borrowed(concat!(
            "SSH-2.0-sockeye_",
            env!("CARGO_PKG_VERSION")
        ))),
        // A re-keying that we start can kill a busy session; those that the server starts are
        // safe. Sessions are retired instead.
        limits: Limits {
            rekey_write_limit: usize::MAX,
            rekey_read_limit: usize::MAX,
            rekey_time_limit: Duration::from_secs(365 * 24 * 3600),
        },
        window_size,
        maximum_packet_size: MAX_PACKET,
        channel_buffer_size: CHANNEL_QUEUE,
        preferred,
        gex: GexParams::new(least, wanted, most).unwrap_or_default(),
        // The pool's monitor pings, since it wants to know how long the answer takes.
        keepalive_interval: None,
        ..client::Config::default()
    })
}

impl Connector {
    /// What is offered in the key exchange.
    pub(super) async fn preferred(&self) -> Preferred {
        let algorithms = &self.config.algorithms;
        let mut offer = self.policy.offer().await;
        if let Some(types) = &algorithms.host_keys {
            offer = offer.limited_to(types);
        }
        Preferred {
            kex: Cow::Owned(algorithms.key_exchanges.clone()),
            key: Cow::Owned(offer.keys),
            host_key_certificates: Cow::Owned(offer.certificates),
            cipher: Cow::Owned(algorithms.ciphers.clone()),
            mac: Cow::Owned(algorithms.macs.clone()),
            compression: match self.config.session.compression {
                // The other form begins before the login, with whoever is there.
                Switch::On => Cow::Borrowed(&[compression::ZLIB_LEGACY, compression::NONE]),
                Switch::Off => Cow::Borrowed(&[compression::NONE]),
            },
        }
    }
}

/// The largest packet that russh can take, in bytes.
const MAX_PACKET: u32 = 65535;
/// How many messages a channel's queue holds before the session waits for its reader.
const CHANNEL_QUEUE: usize = 1024;
/// Sizes of a group that the server chooses, in bits: the smallest and largest that `ssh` takes, and one
/// that is as strong as the ciphers of 128 bits (RFC 3766) and does not hold up the runtime for long.
const GROUPS: (usize, usize, usize) = (2048, 3072, 8192);
