//! Raw TCP targets on the far side.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::content::{Content, Sum};
use super::wait::LONG;

/// A server that gives each connection a thread of its own.
#[derive(Debug)]
pub(crate) struct Target {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
}

impl Target {
    /// Serves each connection with `serve`, whose errors are ignored.
    pub(crate) fn start(
        serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let address = listener.local_addr().expect("an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let stopping = Arc::new(AtomicBool::new(false));
        let target = Self { address, connections, stopping };
        let (connections, stopping) =
            (Arc::clone(&target.connections), Arc::clone(&target.stopping));
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopping.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                connections.fetch_add(1, Ordering::SeqCst);
                let serve = Arc::clone(&serve);
                thread::spawn(move || {
                    // A failed test must not leave threads that read for ever.
                    let _ = stream.set_read_timeout(Some(LONG));
                    let _ = stream.set_nodelay(true);
                    serve(stream)
                });
            }
        });
        target
    }

    /// Sends back what it receives.
    pub(crate) fn echo() -> Self {
        Self::start(|stream| {
            io::copy(&mut &stream, &mut &stream)?;
            stream.shutdown(Shutdown::Write)
        })
    }

    /// Waits for one byte, then sends `length` bytes of [`Content`] and an EOF.
    pub(crate) fn source(length: u64) -> Self {
        Self::start(move |mut stream| {
            stream.read_exact(&mut [0])?;
            io::copy(&mut Content::of(length), &mut stream)?;
            stream.shutdown(Shutdown::Write)?;
            drain(&stream)
        })
    }

    /// Sends zeros as fast as possible, without end.
    pub(crate) fn flood() -> Self {
        Self::start(|mut stream| {
            let zeros = vec![0; 256 * 1024];
            loop {
                stream.write_all(&zeros)?;
            }
        })
    }

    /// Reads until the client's EOF, and only then sends `length` bytes. The receiver yields the
    /// sums of what was read.
    pub(crate) fn answer_after_end(length: u64) -> (Self, Receiver<Sum>) {
        let (sums, received) = mpsc::channel();
        let target = Self::start(move |mut stream| {
            let sum = Sum::of(&stream)?;
            let _ = sums.send(sum);
            io::copy(&mut Content::of(length), &mut stream)?;
            stream.shutdown(Shutdown::Write)
        });
        (target, received)
    }

    /// Sends an EOF at once, and only then reads. The receiver yields the sums of what was read.
    pub(crate) fn read_after_end() -> (Self, Receiver<Sum>) {
        let (sums, received) = mpsc::channel();
        let target = Self::start(move |stream| {
            stream.shutdown(Shutdown::Write)?;
            let sum = Sum::of(&stream)?;
            let _ = sums.send(sum);
            Ok(())
        });
        (target, received)
    }

    /// Reads, and passes the sums to the receiver.
    pub(crate) fn sums() -> (Self, Receiver<Sum>) {
        let (sums, received) = mpsc::channel();
        let target = Self::start(move |stream| {
            let _ = sums.send(Sum::of(&stream)?);
            Ok(())
        });
        (target, received)
    }

    /// Reads nothing until it receives a word from the sender (or the sender is dropped), one per
    /// connection; then behaves like [`Target::sums`].
    pub(crate) fn reluctant() -> (Self, Sender<()>, Receiver<Sum>) {
        let (sums, received) = mpsc::channel();
        let (sender, word) = mpsc::channel();
        let word = Mutex::new(word);
        let target = Self::start(move |stream| {
            let _ = word.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let _ = sums.send(Sum::of(&stream)?);
            Ok(())
        });
        (target, sender, received)
    }

    /// Reads, and returns everything that each connection sent, complete or cut short.
    pub(crate) fn sink() -> (Self, Receiver<Vec<u8>>) {
        let (ends, received) = mpsc::channel();
        let target = Self::start(move |mut stream| {
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes);
            let _ = ends.send(bytes);
            Ok(())
        });
        (target, received)
    }

    /// Waits for one byte, sends as many bytes of [`Content`] as `at` returns, and resets the connection.
    pub(crate) fn reset(at: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self::start(move |mut stream| {
            stream.read_exact(&mut [0])?;
            io::copy(&mut Content::of(at()), &mut stream)?;
            reset(stream)
        })
    }

    /// The address that it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The number of accepted connections.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the accept loop, so that it sees the stop flag.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

/// A port on which connects are never answered: a listener that does not accept, with a full queue.
#[derive(Debug)]
pub(crate) struct Unanswering {
    port: u16,
    _sockets: Vec<Socket>,
}

impl Unanswering {
    /// Fills the queue. Linux drops every further SYN, and the client waits.
    pub(crate) fn start() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port");
        listener.listen(0).expect("listening");
        let address = listener.local_addr().expect("an address");
        let port = address.as_socket().expect("an IP address").port();
        let mut sockets = vec![listener];
        loop {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            if socket.connect_timeout(&address, Duration::from_millis(300)).is_err() {
                return Self { port, _sockets: sockets };
            }
            sockets.push(socket);
        }
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// Ends a connection with a reset.
pub(crate) fn reset(stream: TcpStream) -> io::Result<()> {
    // close() with a linger time of zero sends a RST.
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    drop(stream);
    Ok(())
}

fn drain(stream: &TcpStream) -> io::Result<()> {
    io::copy(&mut &*stream, &mut io::sink()).map(drop)
}
