//! TCP connections to one of several addresses (Happy Eyeballs, RFC 8305).
//!
//! The crate for this on crates.io reports only the first error.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// The addresses that failed, each with its error, in the order of failure.
pub(crate) type Tried = Vec<(SocketAddr, io::Error)>;

/// Starts an attempt every 250 ms, or at once when one has failed; the first success wins, and the others are
/// dropped (RFC 8305 section 5). The socket has `TCP_NODELAY` and `SO_KEEPALIVE`.
///
/// # Errors
///
/// Each address with its error, in the order of failure.
///
/// # Cancel safety
///
/// Dropping the future closes every attempt.
pub(crate) async fn race(addresses: Vec<SocketAddr>) -> Result<TcpStream, Tried> {
    race_by(STAGGER, addresses, attempt).await
}

/// As [`race`], with the caller's own attempts, one every `stagger`.
pub(crate) async fn race_by<A, T>(
    stagger: Duration,
    addresses: Vec<SocketAddr>,
    attempt: impl Fn(SocketAddr) -> A,
) -> Result<T, Tried>
where
    A: Future<Output = io::Result<T>> + Send + 'static,
    T: Send + 'static,
{
    let mut waiting = addresses.into_iter();
    let mut running = JoinSet::new();
    let mut tried = Vec::new();
    let mut next_start = Instant::now();
    loop {
        tokio::select! {
            Some(ended) = running.join_next() => match ended {
                Ok((_, Ok(connected))) => return Ok(connected),
                Ok((address, Err(error))) => {
                    tried.push((address, error));
                    next_start = Instant::now();
                }
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            },
            () = sleep_until(next_start), if waiting.len() > 0 => {
                if let Some(address) = waiting.next() {
                    let attempt = attempt(address);
                    running.spawn(async move { (address, attempt.await) });
                }
                next_start = Instant::now() + stagger;
            },
            else => return Err(tried),
        }
    }
}

async fn attempt(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_keepalive(true)?;
    Ok(stream)
}

/// Alternates between the address families, beginning with that of the first address, which the system's
/// resolver prefers (RFC 8305 section 4). Duplicates are removed.
pub(crate) fn interleave(found: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for address in found {
        let same = first.first().is_none_or(|a: &SocketAddr| a.is_ipv4() == address.is_ipv4());
        let list = if same { &mut first } else { &mut second };
        if !list.contains(&address) {
            list.push(address);
        }
    }
    let mut second = second.into_iter();
    let mut out = Vec::new();
    for address in first {
        out.push(address);
        out.extend(second.next());
    }
    out.extend(second);
    out
}

/// The Connection Attempt Delay that RFC 8305 section 8 recommends.
pub(crate) const STAGGER: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::*;

    /// A loopback address on which nothing listens: bound and released.
    async fn refused() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        listener.local_addr().expect("a bound socket")
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|t| t.parse().expect(t)).collect()
    }

    #[test]
    fn families_alternate_and_duplicates_are_removed() {
        let found = addresses(&["[::1]:1", "[::2]:1", "[::1]:1", "[::3]:1", "1.1.1.1:1"]);
        let expected = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
        assert_eq!(interleave(found.into_iter()), expected);
        let found = addresses(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]);
        assert_eq!(interleave(found.clone().into_iter()), found);
        assert!(interleave(std::iter::empty()).is_empty());
    }

    /// With a stagger of an hour, only a failure of the first attempt can start the second one.
    #[tokio::test]
    async fn a_failure_starts_the_next_attempt_at_once() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let good = listener.local_addr().expect("a bound socket");
        let list = vec![refused().await, refused().await, good];
        let stream =
            race_by(Duration::from_secs(3600), list, attempt).await.expect("the last one listens");
        assert_eq!(stream.peer_addr().expect("connected"), good);
        assert!(stream.nodelay().expect("a socket option"));
        assert!(SockRef::from(&stream).keepalive().expect("a socket option"));
    }

    /// A listener with a full queue drops the SYN, so that the attempt hangs as with a dead host.
    #[tokio::test]
    async fn a_hanging_attempt_does_not_delay_the_next() {
        let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .expect("a socket");
        full.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port");
        full.listen(0).expect("a listener");
        let dead = full.local_addr().expect("bound").as_socket().expect("IPv4");
        let _fills_the_queue = TcpStream::connect(dead).await.expect("the queue takes one");

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let good = listener.local_addr().expect("a bound socket");
        let stream = race_by(Duration::from_millis(1), vec![dead, good], attempt)
            .await
            .expect("one listens");
        assert_eq!(stream.peer_addr().expect("connected"), good);
    }
}
