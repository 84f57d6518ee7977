//! The TCP connection under a session: what it acknowledges, how much it holds that is not sent, and how
//! much it takes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::ssh::session::outflow::{AHEAD, Outflow, in_time};
use crate::stream::options::{acknowledge_now, set_unacknowledged, set_unsent};

/// A TCP connection to an SSH server, tuned for many small packets.
pub(crate) struct SshSocket {
    socket: TcpStream,
    /// The last read filled its buffer: while there is more, the kernel acknowledges by itself.
    owes_acknowledgement: bool,
    gauge: Gauge,
}

/// How much the socket takes while it is full, and so how much it may hold that is not sent.
struct Gauge {
    outflow: Arc<Outflow>,
    /// When the socket was full for the first time in this span, and what it has taken since.
    since: Option<Instant>,
    taken: u64,
    /// In bytes (`TCP_NOTSENT_LOWAT`).
    unsent: u32,
}

impl SshSocket {
    /// Takes a connected socket, and ends it when its peer has acknowledged nothing for `unacknowledged`.
    /// `outflow` gets what the line is found to carry.
    pub(crate) fn new(
        socket: TcpStream,
        unacknowledged: Duration,
        outflow: &Arc<Outflow>,
    ) -> io::Result<Self> {
        set_unacknowledged(&socket, unacknowledged)?;
        let gauge = Gauge::new(&socket, outflow);
        Ok(Self { socket, owes_acknowledgement: false, gauge })
    }

    /// Has the kernel acknowledge at once what has been read.
    ///
    /// A forward-only sshd never sets `TCP_NODELAY`, so its second small packet waits for our
    /// acknowledgement, which Linux would delay by 40 ms. The kernel forgets the option by itself,
    /// hence after each burst.
    fn acknowledge(&mut self) {
        self.owes_acknowledgement = false;
        acknowledge_now(&self.socket);
    }
}

impl Gauge {
    fn new(socket: &TcpStream, outflow: &Arc<Outflow>) -> Self {
        let outflow = Arc::clone(outflow);
        let mut gauge = Self { outflow, since: None, taken: 0, unsent: FIRST_UNSENT };
        gauge.set_unsent(socket, FIRST_UNSENT);
        gauge
    }

    /// The socket has taken so many bytes.
    fn took(&mut self, bytes: usize) {
        self.taken += bytes as u64;
    }

    /// The socket takes no more for now.
    fn is_full(&mut self, socket: &TcpStream) {
        let now = Instant::now();
        let Some(since) = self.since else {
            (self.since, self.taken) = (Some(now), 0);
            return;
        };
        let span = now - since;
        if span < SPAN {
            return;
        }
        // Where it was idle meanwhile, nothing was learnt.
        if span < 4 * SPAN {
            let rate = u128::from(self.taken) * 1_000_000 / span.as_micros().max(1);
            let rate = u64::try_from(rate).unwrap_or(u64::MAX).max(1);
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
        let polled = Pin::new(&mut this.socket).poll_read(cx, buf)?;
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

/// What a socket may hold that is not sent before anything is known of its line, and then at the least
/// and at the most. In bytes.
const FIRST_UNSENT: u32 = 32 << 10;
const LEAST_UNSENT: u32 = 8 << 10;
const MOST_UNSENT: u32 = 4 << 20;
/// Over how long the rate of a socket is measured.
const SPAN: Duration = Duration::from_millis(100);
