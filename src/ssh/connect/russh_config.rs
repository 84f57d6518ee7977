//! russh's configuration for a session.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, GexParams};
use russh::{Limits, Preferred, compression};

use super::Connector;
use crate::openssh::client_config::Switch;

/// The russh configuration for a session whose channels have a `window_size` in bytes.
pub(super) fn russh_config(window_size: u32, preferred: Preferred) -> Arc<client::Config> {
    let (least, wanted, most) = GROUPS;
    Arc::new(client::Config {
        client_id: russh::SshId::Standard(Cow::Borrowed(concat!(
            "SSH-2.0-sockeye_",
            env!("CARGO_PKG_VERSION")
        ))),
        // A rekey started by this side can kill a busy session; those started by the server are safe. Sessions
        // are replaced instead.
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
        // The pool's monitor sends the pings, since it measures the round trip.
        keepalive_interval: None,
        ..client::Config::default()
    })
}

impl Connector {
    /// The algorithms offered in the key exchange.
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
                // The other form starts compressing before the peer is authenticated.
                Switch::On => Cow::Borrowed(&[compression::ZLIB_LEGACY, compression::NONE]),
                Switch::Off => Cow::Borrowed(&[compression::NONE]),
            },
        }
    }
}

/// The largest packet that russh accepts, in bytes.
const MAX_PACKET: u32 = 65535;
/// The messages in a channel's queue before the session waits for its reader.
const CHANNEL_QUEUE: usize = 1024;
/// Sizes of groups chosen by the server, in bits: the limits are those of `ssh`, and the preferred size matches
/// 128-bit ciphers (RFC 3766) without blocking the runtime for long.
const GROUPS: (usize, usize, usize) = (2048, 3072, 8192);
