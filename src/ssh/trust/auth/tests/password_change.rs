//! A server that answers a password with a request to change it (RFC 4252 section 8).
//!
//! russh's server cannot send that. So its refusal is rewritten in transit, between two ends that negotiated no
//! encryption.

use std::borrow::Cow;

use russh::{Preferred, cipher, mac};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};

use super::server::{Trusting, serve};
use super::*;

/// Algorithms without encryption.
fn in_the_clear() -> Preferred {
    Preferred {
        cipher: Cow::Borrowed(&[cipher::NONE]),
        mac: Cow::Borrowed(&[mac::NONE]),
        ..Preferred::default()
    }
}

/// Forwards what the server sends, except its second refusal; the first one is that of `none`.
async fn turn_the_second_refusal(
    server: tokio::io::ReadHalf<DuplexStream>,
    client: impl tokio::io::AsyncWrite,
) {
    let mut server = BufReader::new(server);
    tokio::pin!(client);
    let mut byte = 0;
    while byte != b'\n' {
        let Ok(read) = server.read_u8().await else { return };
        byte = read;
        client.write_u8(byte).await.expect("it listens");
    }
    let mut refusals = 0;
    while let Ok(length) = server.read_u32().await {
        let mut packet = vec![0; length.try_into().expect("a packet")];
        if server.read_exact(&mut packet).await.is_err() {
            return;
        }
        refusals += usize::from(packet.get(1) == Some(&USERAUTH_FAILURE));
        if refusals == 2 {
            packet = change_request();
            refusals += 1;
        }
        let length = u32::try_from(packet.len()).expect("short").to_be_bytes();
        if client.write_all(&[&length, packet.as_slice()].concat()).await.is_err() {
            return;
        }
    }
}

/// The packet without its length field: padding, a prompt, no language.
fn change_request() -> Vec<u8> {
    let prompt = b"Your password has expired";
    let mut payload = vec![USERAUTH_PASSWD_CHANGEREQ];
    payload.extend(u32::try_from(prompt.len()).expect("short").to_be_bytes());
    payload.extend(prompt);
    payload.extend([0; 4]);
    // The length of a packet is a multiple of 8 (RFC 4253 section 6).
    let padding = 8 - (payload.len() + 5) % 8 + 8;
    let mut packet = vec![u8::try_from(padding).expect("short")];
    packet.extend(payload);
    packet.resize(packet.len() + padding, 0);
    packet
}

/// The paused clock advances whenever everything waits.
#[tokio::test(start_paused = true)]
async fn a_required_password_change_ends_the_login_with_a_clear_error() {
    let script = Script::new([Step::Password("new")]);
    let (to_server, server) = tokio::io::duplex(64 * 1024);
    let (client, to_client) = tokio::io::duplex(64 * 1024);
    serve(&script, server, in_the_clear());
    let (from_server, mut requests) = tokio::io::split(to_server);
    let (mut from_client, answers) = tokio::io::split(to_client);
    tokio::spawn(turn_the_second_refusal(from_server, answers));
    tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut requests).await });
    let config =
        russh::client::Config { preferred: in_the_clear(), ..russh::client::Config::default() };
    let session = russh::client::connect_stream(Arc::new(config), client, Trusting).await;
    let mut handle = session.expect("a handshake");
    let prompter = Prompter::scripted(&["expired", "new"]);
    let place = Place::new();
    let result = authenticate(&mut handle, &place.config, &Credentials::default(), &prompter).await;
    assert_eq!(result, Err(AuthError::PasswordUnanswered(ANSWER_LIMIT)));
    assert_eq!(prompter.asked().len(), 1, "no new attempt");
    assert_eq!(script.log(), ["none", "password"]);
    let text = result.expect_err("as above").to_string();
    assert!(text.contains("changed first") && text.contains("with ssh"), "{text}");
}

const USERAUTH_FAILURE: u8 = 51;
const USERAUTH_PASSWD_CHANGEREQ: u8 = 60;
