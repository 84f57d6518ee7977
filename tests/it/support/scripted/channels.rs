//! The scripts of channels: those that the server confirms, and those that it opens unasked.

use std::sync::{Arc, Mutex};

use russh::server::{ChannelOpenHandle, Handle, Msg};
use russh::{Channel, ChannelMsg, Disconnect};
use tokio::time::sleep;

use super::super::content::Content;
use super::{Script, Seen, note};

/// Performs the script on a confirmed channel.
pub(super) async fn perform(
    script: Script,
    mut channel: Channel<Msg>,
    reply: ChannelOpenHandle,
    handle: Handle,
) {
    if let Script::EchoAfter(pause) = script {
        sleep(pause).await;
    }
    reply.accept().await;
    let id = channel.id();
    match script {
        Script::Refuse(..) | Script::Ignore => unreachable!("answered by the handler"),
        Script::EchoAfter(_) => echo(channel).await,
        Script::Close => {
            let _ = handle.close(id).await;
        }
        Script::SendAndClose(length) => {
            send(&channel, length).await;
            let _ = handle.close(id).await;
        }
        Script::SendAndEof(length) => {
            send(&channel, length).await;
            let _ = channel.eof().await;
            until_closed(channel).await;
        }
        Script::SendTiny(length) => {
            first_word(&mut channel).await;
            for few in Content::of(length).bytes().chunks(16) {
                if channel.data_bytes(few.to_vec()).await.is_err() {
                    return;
                }
            }
            let _ = channel.eof().await;
            until_closed(channel).await;
        }
        Script::SendAndDisconnect(length, text) => {
            first_word(&mut channel).await;
            send(&channel, length).await;
            let (reason, text) = (Disconnect::ByApplication, text.to_owned());
            let _ = handle.disconnect(reason, text, String::from("en")).await;
            until_closed(channel).await;
        }
    }
}

async fn first_word(channel: &mut Channel<Msg>) {
    while !matches!(channel.wait().await, Some(ChannelMsg::Data { .. }) | None) {}
}

async fn send(channel: &Channel<Msg>, length: u64) {
    let _ = channel.data_bytes(Content::of(length).bytes()).await;
}

async fn echo(mut channel: Channel<Msg>) {
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                let _ = channel.data_bytes(data).await;
            }
            ChannelMsg::Eof => {
                let _ = channel.eof().await;
                let _ = channel.close().await;
                return;
            }
            _ => {}
        }
    }
}

async fn until_closed(mut channel: Channel<Msg>) {
    while channel.wait().await.is_some() {}
}

/// Opens a channel of each kind that a server may open, and records the client's reactions.
pub(super) async fn intrude(handle: Handle, seen: Arc<Mutex<Seen>>) {
    let tried = [
        ("session", handle.channel_open_session().await.is_ok()),
        ("x11", handle.channel_open_x11("127.0.0.1", 6000).await.is_ok()),
        ("agent", handle.channel_open_agent().await.is_ok()),
        ("direct-tcpip", handle.channel_open_direct_tcpip("127.0.0.1", 22, "::1", 1).await.is_ok()),
        (
            "forwarded-tcpip",
            handle.channel_open_forwarded_tcpip("127.0.0.1", 22, "::1", 1).await.is_ok(),
        ),
        (
            "forwarded-streamlocal",
            handle.channel_open_forwarded_streamlocal("/run/socket").await.is_ok(),
        ),
    ];
    note_all(&seen, &tried);
}

/// Opens a channel for the place at which it listens, and for three others.
pub(super) async fn forward(handle: Handle, seen: Arc<Mutex<Seen>>, address: String, port: u32) {
    let open = async |port| {
        handle.channel_open_forwarded_tcpip(address.clone(), port, "192.0.2.1", 1).await.is_ok()
    };
    let tried = [
        (HERE, open(port).await),
        (NEXT_PORT, open(port + 1).await),
        (NO_PORT, open(0).await),
        (
            "forwarded-streamlocal",
            handle.channel_open_forwarded_streamlocal("/run/socket").await.is_ok(),
        ),
    ];
    note_all(&seen, &tried);
}

/// The attempts of a forwarding server: the port at which it listens, the next one, and none.
pub(crate) const HERE: &str = "where it listens";
pub(crate) const NEXT_PORT: &str = "the next port";
pub(crate) const NO_PORT: &str = "port 0";

/// Opens channels until the session ends.
pub(super) async fn flood(handle: Handle, seen: Arc<Mutex<Seen>>) {
    loop {
        match handle.channel_open_session().await {
            Ok(_) => note(&seen, |seen| seen.accepted.push("session")),
            Err(russh::Error::ChannelOpenFailure(_)) => {
                note(&seen, |seen| seen.refused.push("session"));
            }
            Err(_) => return,
        }
    }
}

fn note_all(seen: &Mutex<Seen>, tried: &[(&'static str, bool)]) {
    note(seen, |seen| {
        for (kind, accepted) in tried {
            if *accepted { seen.accepted.push(kind) } else { seen.refused.push(kind) }
        }
    });
}
