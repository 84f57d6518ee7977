//! TCP servers that do not speak SSH, or stop speaking it.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use super::target::Target;

/// The kind of misbehaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rude {
    /// Sends endless lines before its version (RFC 4253 section 4.2 allows some).
    EndlessBanner,
    /// Sends nothing at all.
    Silent,
    /// Sends its version, and nothing more.
    SilentAfterVersion,
    /// Sends its version and its algorithms, and nothing more.
    SilentAfterOffer,
    /// Closes the connection at once.
    HangsUp,
}

impl Rude {
    /// All kinds.
    pub(crate) const ALL: [Self; 5] = [
        Self::EndlessBanner,
        Self::Silent,
        Self::SilentAfterVersion,
        Self::SilentAfterOffer,
        Self::HangsUp,
    ];

    /// Starts such a server.
    pub(crate) fn start(self) -> Target {
        Target::start(move |stream| self.serve(stream))
    }

    fn serve(self, mut stream: TcpStream) -> io::Result<()> {
        match self {
            Self::EndlessBanner => loop {
                stream.write_all(&b"this is not the version\r\n".repeat(100))?;
                std::thread::sleep(std::time::Duration::from_millis(20));
            },
            Self::Silent => {}
            Self::SilentAfterVersion => stream.write_all(VERSION)?,
            Self::SilentAfterOffer => {
                stream.write_all(VERSION)?;
                stream.write_all(&offer())?;
            }
            Self::HangsUp => return Ok(()),
        }
        // Reads until the client leaves, so that the client's data does not fill the sockets.
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer)? > 0 {}
        Ok(())
    }
}

/// A server that sends these words to every client, and then reads until the client leaves.
pub(crate) fn says(words: Vec<u8>) -> Target {
    Target::start(move |mut stream| {
        stream.write_all(&words)?;
        while stream.read(&mut [0; 4096])? > 0 {}
        Ok(())
    })
}

/// A version and a disconnect message (RFC 4253 section 11.1), before the key exchange.
pub(crate) fn disconnect(text: &[u8]) -> Vec<u8> {
    let mut payload = vec![1];
    payload.extend(length(11));
    for text in [text, b"en"] {
        payload.extend(length(text.len()));
        payload.extend(text);
    }
    [VERSION, &packet(&payload)].concat()
}

/// A packet with a KEXINIT (RFC 4253 section 7.1) that every client can agree to.
fn offer() -> Vec<u8> {
    let mut payload = vec![20];
    payload.extend([7; 16]);
    let cipher = "aes128-ctr";
    let mac = "hmac-sha2-256";
    let lists =
        ["curve25519-sha256", "ssh-ed25519", cipher, cipher, mac, mac, "none", "none", "", ""];
    for list in lists {
        payload.extend(length(list.len()));
        payload.extend(list.bytes());
    }
    payload.extend([0; 5]);
    packet(&payload)
}

/// A packet before the key exchange (RFC 4253 section 6).
fn packet(payload: &[u8]) -> Vec<u8> {
    // The length is a multiple of eight, with at least four bytes of padding.
    let padding = 4 + (8 - (4 + 1 + payload.len() + 4) % 8) % 8;
    let mut packet = Vec::new();
    packet.extend(length(1 + payload.len() + padding));
    packet.push(u8::try_from(padding).expect("at most 11"));
    packet.extend(payload);
    packet.extend(vec![0; padding]);
    packet
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("a short packet").to_be_bytes()
}

const VERSION: &[u8] = b"SSH-2.0-Rude\r\n";
