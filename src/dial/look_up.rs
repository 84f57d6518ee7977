//! Look-ups of names on this machine.

use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::debug;

use crate::task::blocking;

/// The addresses of a name according to this machine's resolver: empty if the name does not exist, and `None`
/// if the look-up failed or timed out.
pub(crate) async fn look_up(name: &str) -> Option<Vec<IpAddr>> {
    let asked = name.to_owned();
    let found = bounded(&LOOK_UPS, move || (asked, 0).to_socket_addrs());
    match timeout(LOOK_UP, found).await.ok()? {
        Ok(found) => {
            let mut addresses = Vec::new();
            for ip in found.map(|address| address.ip().to_canonical()) {
                if !addresses.contains(&ip) {
                    addresses.push(ip);
                }
            }
            Some(addresses)
        }
        Err(error) => {
            debug!(name, %error, "the name does not resolve here");
            is_absence(&error).then(Vec::new)
        }
    }
}

/// Whether a look-up failed because the name or its address does not exist. The standard library exposes only
/// the C library's text (glibc, musl, macOS).
fn is_absence(error: &io::Error) -> bool {
    let text = error.to_string();
    let words = ["not known", "does not resolve", "no usable address", "No address associated"];
    words.iter().any(|words| text.contains(words))
}

/// Runs a blocking call once a permit is free. The call keeps its permit to the end, even if the caller gives up.
async fn bounded<T: Send + 'static>(
    places: &'static Semaphore,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let place = places.acquire().await;
    blocking(move || {
        let _place = place;
        work()
    })
    .await
}

/// The deadline of a look-up on this machine, within that of the dial: the resolver tries its second name
/// server after 5 s, and its third after 10 s (`timeout` of resolv.conf(5)).
const LOOK_UP: Duration = Duration::from_secs(12);

/// The number of concurrent look-ups. Unresponsive name servers block each for tens of seconds: half of the
/// runtime's blocking threads are left for other work, such as the look-up of an SSH server.
static LOOK_UPS: Semaphore = Semaphore::const_new(256);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn a_missing_name_is_an_answer_and_a_failure_is_none() {
        let absence = |text: &str| {
            is_absence(&io::Error::other(format!("failed to lookup address information: {text}")))
        };
        for text in [
            "Name or service not known",
            "No address associated with hostname",
            "Name does not resolve",
            "Name has no usable address",
            "nodename nor servname provided, or not known",
        ] {
            assert!(absence(text), "{text}");
        }
        for text in [
            "Temporary failure in name resolution",
            "Non-recoverable failure in name resolution",
            "Try again",
            "Memory allocation failure",
        ] {
            assert!(!absence(text), "{text}");
        }
    }

    #[test]
    fn hanging_look_ups_leave_threads_for_others() {
        static TWO: Semaphore = Semaphore::const_new(2);
        let runtime = Builder::new_current_thread().max_blocking_threads(3).build().expect("one");
        let (end, hangs) = mpsc::channel::<()>();
        let hangs = std::sync::Arc::new(std::sync::Mutex::new(hangs));
        runtime.block_on(async {
            let mut look_ups = tokio::task::JoinSet::new();
            for _ in 0..5 {
                let hangs = std::sync::Arc::clone(&hangs);
                look_ups.spawn(bounded(&TWO, move || crate::lock::lock(&hangs).recv()));
            }
            while TWO.available_permits() > 0 {
                tokio::task::yield_now().await;
            }
            // The blocked calls keep their threads.
            look_ups.abort_all();
            assert_eq!(blocking(|| "done").await, "done");
            assert_eq!(TWO.available_permits(), 0);
            drop(end);
            assert_eq!(bounded(&TWO, || "done").await, "done");
        });
    }
}
