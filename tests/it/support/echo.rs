//! Echoes, and what they send back.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use super::wait::LONG;

/// Sends [`WORDS`], ends what is sent, and reads to the end.
pub(crate) fn echoed<S: Read + Write>(mut stream: S, end: impl Fn(&S)) -> Vec<u8> {
    stream.write_all(WORDS).expect("a connection");
    end(&stream);
    let mut back = Vec::new();
    stream.read_to_end(&mut back).expect("a clean end");
    back
}

/// A connection with a read timeout.
pub(crate) fn tcp(address: impl ToSocketAddrs) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(LONG)).expect("a socket");
    stream
}

pub(crate) fn echoed_over_tcp(address: impl ToSocketAddrs) -> Vec<u8> {
    echoed(tcp(address), |stream| stream.shutdown(Shutdown::Write).expect("a socket"))
}

pub(crate) fn echoed_over_unix(path: &Path) -> Vec<u8> {
    let stream = UnixStream::connect(path).expect("it listens");
    stream.set_read_timeout(Some(LONG)).expect("a socket");
    echoed(stream, |stream| stream.shutdown(Shutdown::Write).expect("a socket"))
}

/// Starts an echo on a unix socket.
pub(crate) fn unix_echo(path: &Path) {
    let listener = UnixListener::bind(path).expect("a free path");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let _ = io::copy(&mut &stream, &mut &stream);
                stream.shutdown(Shutdown::Write)
            });
        }
    });
}

pub(crate) const WORDS: &[u8] = b"there and back again";
