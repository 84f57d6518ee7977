//! The TCP connection under a session: when it acknowledges, how much unsent data it holds, and how much it
//! receives ahead.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::ssh::session::inflow::Inflow;
use crate::ssh::session::outflow::{AHEAD, Outflow, in_time, per_second};
use crate::stream::options::{
    acknowledge_now, delivery, segment, set_ahead, set_unacknowledged, set_unsent,
};

/// A TCP connection to an SSH server, tuned for many small packets.
pub(crate) struct SshSocket {
    socket: TcpStream,
    /// Whether the last read filled its buffer: while there is more data, the kernel acknowledges by itself.
    owes_acknowledgement: bool,
    gauge: Gauge,
    inflow: Option<Arc<Inflow>>,
    /// How much the server may send ahead, in bytes; none leaves it to the kernel.
    ahead: Option<u32>,
    /// Bytes received since the kernel was last told the limit.
    received: u64,
    segments: Segments,
}

/// Tells whether the received data ends in a full segment.
struct Segments {
    /// The payload of a full segment, in bytes.
    size: usize,
    /// The bytes received since the last partial segment.
    full: usize,
}

/// Measures how much a full socket accepts, to limit the unsent data that it holds.
struct Gauge {
    outflow: Arc<Outflow>,
    /// When the socket was first full in the current span; `taken` is what it has accepted since, in bytes.
    since: Option<Instant>,
    taken: u64,
    /// The limit on unsent data in bytes (`TCP_NOTSENT_LOWAT`).
    unsent: u32,
}

impl SshSocket {
    /// Wraps a connected socket, which is closed if its peer acknowledges nothing for `unacknowledged`. `outflow`
    /// receives the measured rate of the line; `inflow` is the limit on how much the server may send ahead.
    pub(crate) fn new(
        socket: TcpStream,
        unacknowledged: Duration,
        outflow: &Arc<Outflow>,
        inflow: Option<Arc<Inflow>>,
    ) -> io::Result<Self> {
        set_unacknowledged(&socket, unacknowledged)?;
        let gauge = Gauge::new(&socket, outflow);
        let segments = Segments { size: segment(&socket), full: 0 };
        Ok(Self {
            socket,
            owes_acknowledgement: false,
            gauge,
            inflow,
            ahead: None,
            received: 0,
            segments,
        })
    }

    /// Applies the limit on what the server may send ahead. The kernel drops the limit whenever it grows the
    /// buffer by itself, so that it is set repeatedly.
    fn limit(&mut self) {
        let limit = self.inflow.as_ref().and_then(|inflow| inflow.limit());
        let is_due = limit.is_some_and(|limit| self.received / 4 >= u64::from(limit));
        if limit != self.ahead || is_due {
            (self.ahead, self.received) = (limit, 0);
            set_ahead(&self.socket, limit);
        }
    }

    /// Makes the kernel acknowledge received data at once.
    ///
    /// A forward-only sshd never sets `TCP_NODELAY`, so its second small packet waits for our
    /// acknowledgement, which Linux would delay by 40 ms. The kernel forgets the option by itself,
    /// hence after each burst. Full segments are left to the kernel, which acknowledges every other one: no packet waits
    /// for the last one, and more acknowledgements would take too much of a narrow uplink.
    fn acknowledge(&mut self) {
        self.owes_acknowledgement = false;
        if self.segments.end_in_partial_segment() {
            acknowledge_now(&self.socket);
        }
    }
}

impl Segments {
    /// Whether the received data ends in a partial segment, after which counting begins anew.
    fn end_in_partial_segment(&mut self) -> bool {
        let part = self.full % self.size;
        if part > 0 {
            self.full = 0;
        }
        part > 0
    }
}

impl Gauge {
    fn new(socket: &TcpStream, outflow: &Arc<Outflow>) -> Self {
        let outflow = Arc::clone(outflow);
        let mut gauge = Self { outflow, since: None, taken: 0, unsent: FIRST_UNSENT };
        gauge.set_unsent(socket, FIRST_UNSENT);
        gauge
    }

    /// Records that the socket accepted some bytes.
    fn took(&mut self, bytes: usize) {
        self.taken += bytes as u64;
    }

    /// Records that the socket accepts no more for now.
    fn is_full(&mut self, socket: &TcpStream) {
        let now = Instant::now();
        let Some(since) = self.since else {
            (self.since, self.taken) = (Some(now), 0);
            return;
        };
        let span = now - since;
        // A socket takes nothing for a moment while lost segments are retransmitted.
        if span < SPAN || self.taken == 0 && span < 4 * SPAN {
            return;
        }
        // If the socket was idle meanwhile, the span shows no rate.
        if span < 4 * SPAN {
            let rate = per_second(self.taken, span).max(1);
            self.outflow.measured(rate);
            let unsent = u32::try_from(in_time(rate, AHEAD)).unwrap_or(u32::MAX);
            let unsent = unsent.clamp(LEAST_UNSENT, MOST_UNSENT);
            if unsent > self.unsent * 5 / 4 || unsent < self.unsent * 4 / 5 {
                self.set_unsent(socket, unsent);
            }
        }
        (self.since, self.taken) = (Some(now), 0);
    }

    fn set_unsent(&mut self, socket: &TcpStream, unsent: u32) {
        self.unsent = unsent;
        set_unsent(socket, unsent);
    }
}

impl AsyncRead for SshSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.limit();
        let filled = buf.filled().len();
        let polled = Pin::new(&mut this.socket).poll_read(cx, buf)?;
        let read = buf.filled().len() - filled;
        this.received += read as u64;
        this.segments.full += read;
        if polled.is_ready() && buf.remaining() == 0 {
            this.owes_acknowledgement = true;
        } else if polled.is_ready() || this.owes_acknowledgement {
            this.acknowledge();
        }
        polled.map(Ok)
    }
}

impl AsyncWrite for SshSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.gauge.outflow.wants_delivery() {
            this.gauge.outflow.delivered(delivery(&this.socket));
        }
        let polled = Pin::new(&mut this.socket).poll_write(cx, buf);
        match &polled {
            Poll::Ready(Ok(written)) => this.gauge.took(*written),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => this.gauge.is_full(&this.socket),
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

/// The limit on unsent data before the line is measured, in bytes.
const FIRST_UNSENT: u32 = 32 << 10;
/// The minimum of that limit once the line is measured, in bytes.
const LEAST_UNSENT: u32 = 8 << 10;
/// The maximum of that limit in bytes.
const MOST_UNSENT: u32 = 4 << 20;
/// The span over which the rate of a socket is measured.
const SPAN: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::process::Command;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test]
    async fn the_server_sends_no_further_ahead_than_the_limit() {
        let (mut near, mut far, inflow) = pair().await;
        carry(&mut near, &mut far).await;
        assert!(window(&far) > 2 * u64::from(LIMIT), "the kernel's choice is larger");
        inflow.set_limit(Some(LIMIT));
        carry(&mut near, &mut far).await;
        assert!(window(&far) <= u64::from(LIMIT), "{}", window(&far));
        inflow.set_limit(None);
        carry(&mut near, &mut far).await;
        assert!(window(&far) > 2 * u64::from(LIMIT), "the limit is lifted");
    }

    #[tokio::test]
    async fn the_limit_holds_when_the_kernel_grows_its_buffer() {
        let (mut near, mut far, inflow) = pair().await;
        inflow.set_limit(Some(8 * LIMIT));
        carry(&mut near, &mut far).await;
        assert!(window(&far) <= 8 * u64::from(LIMIT), "{}", window(&far));
    }

    #[tokio::test]
    async fn the_kernel_tells_how_what_is_sent_arrives() {
        let (mut near, mut far, _) = pair().await;
        assert!(near.gauge.outflow.wants_delivery());
        near.write_all(&[0; 1000]).await.expect("it is taken");
        assert!(!near.gauge.outflow.wants_delivery(), "it was asked");
        let mut sent = 1000;
        let piece = vec![0; 64 << 10];
        while let Ok(taken) = timeout(MOMENT, near.write(&piece)).await {
            sent += taken.expect("it is taken");
        }
        let full = delivery(&near.socket).expect("Linux counts");
        assert!(full.unsent > 0 && full.outstanding >= full.unsent, "{full:?}");
        assert!(full.outstanding < sent as u64, "some is in the buffer of the peer: {full:?}");
        far.read_exact(&mut vec![0; sent]).await.expect("it is sent");
        while delivery(&near.socket).is_some_and(|delivery| delivery.outstanding > 0) {
            sleep(MOMENT).await;
        }
        let all = delivery(&near.socket).expect("Linux counts");
        assert_eq!(all.unsent, 0);
        assert!(!all.least.is_zero() && all.least <= all.round_trip, "{all:?}");
    }

    #[tokio::test]
    async fn a_socket_that_takes_nothing_for_a_moment_shows_nothing_of_the_line() {
        let (mut near, _far, _) = pair().await;
        let outflow = Arc::clone(&near.gauge.outflow);
        near.gauge.is_full(&near.socket);
        sleep(SPAN + SPAN / 2).await;
        near.gauge.is_full(&near.socket);
        assert_eq!(outflow.rate(), None);
        near.gauge.took(100_000);
        sleep(SPAN / 2).await;
        near.gauge.is_full(&near.socket);
        assert!(outflow.rate().is_none_or(|rate| rate > 100_000), "{:?}", outflow.rate());
    }

    #[test]
    fn what_ends_in_a_full_segment_is_left_to_the_kernel_to_acknowledge() {
        let mut segments = Segments { size: 1448, full: 0 };
        for (read, ends_in_part) in
            [(1448, false), (2 * 1448, false), (100, true), (1448, false), (1448 + 52, true)]
        {
            segments.full += read;
            assert_eq!(segments.end_in_partial_segment(), ends_in_part, "{read}");
        }
    }

    #[tokio::test]
    async fn small_messages_are_acknowledged_before_the_next_request() {
        const REQUESTS: u64 = 40;
        let (mut near, mut far, _) = pair().await;
        // At the beginning, the kernel acknowledges everything at once by itself.
        carry(&mut near, &mut far).await;
        let before = figure(&near.socket, "segs_out:");
        for _ in 0..REQUESTS {
            near.write_all(b"request").await.expect("it is taken");
            far.read_exact(&mut [0; 7]).await.expect("it is sent");
            far.write_all(b"answer").await.expect("it is taken");
            near.read_exact(&mut [0; 6]).await.expect("it is sent");
            // russh reads until there is no more data.
            assert!(timeout(Duration::ZERO, near.read(&mut [0])).await.is_err());
        }
        // Otherwise the next request carries the acknowledgement.
        let sent = figure(&near.socket, "segs_out:") - before;
        assert!(sent >= REQUESTS * 7 / 4, "{sent} segments");
    }

    async fn pair() -> (SshSocket, TcpStream, Arc<Inflow>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let near = TcpStream::connect(address).await.expect("a connection");
        let (far, _) = listener.accept().await.expect("a connection");
        far.set_nodelay(true).expect("a socket");
        let inflow = Arc::default();
        let followed = Some(Arc::clone(&inflow));
        let near = SshSocket::new(near, Duration::from_secs(10), &Arc::default(), followed);
        (near.expect("a socket"), far, inflow)
    }

    /// Carries enough for the kernel to grow its buffer.
    async fn carry(near: &mut SshSocket, far: &mut TcpStream) {
        const BYTES: usize = 64 << 20;
        let send = async {
            let piece = vec![0; 64 << 10];
            for _ in 0..BYTES / piece.len() {
                far.write_all(&piece).await.expect("it is read");
            }
        };
        let receive = async {
            let (mut left, mut buffer) = (BYTES, vec![0; 64 << 10]);
            while left > 0 {
                left -= near.read(&mut buffer).await.expect("it is sent");
            }
        };
        tokio::join!(send, receive);
    }

    /// How many bytes the kernel lets a socket send ahead.
    fn window(socket: &TcpStream) -> u64 {
        figure(socket, "snd_wnd:")
    }

    /// What `ss` tells of a socket under a name.
    fn figure(socket: &TcpStream, name: &str) -> u64 {
        let (ours, peer) = (socket.local_addr(), socket.peer_addr());
        let (ours, peer) = (ours.expect("an address"), peer.expect("an address"));
        let ours = ours.to_string();
        let ss =
            Command::new("ss").args(["-tinHO", "src", &ours, "dst", &peer.to_string()]).output();
        let text = String::from_utf8(ss.expect("ss").stdout).expect("text");
        let figure = text.split_whitespace().find_map(|word| word.strip_prefix(name));
        figure.and_then(|figure| figure.parse().ok()).unwrap_or_else(|| panic!("{text}"))
    }

    const MOMENT: Duration = Duration::from_millis(50);
    /// In bytes.
    const LIMIT: u32 = 96 << 10;
}
