use std::process::Stdio;

use russh::client::{self, AuthResult, Handle};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key};
use russh::{ChannelMsg, ChannelOpenFailure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::*;

/// A client that knows the host key.
struct Client(String);

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        Ok(key.to_openssh().is_ok_and(|key| key == self.0))
    }
}

async fn connect(server: &DemoServer) -> Handle<Client> {
    let config = Arc::new(client::Config::default());
    let known = std::fs::read_to_string(server.known_hosts()).expect("a file");
    let address = format!("[127.0.0.1]:{} ", server.address().port());
    let key = known.strip_prefix(&address).expect("a record of this server").trim_end();
    let client = Client(key.to_owned());
    client::connect(config, server.address(), client).await.expect("the host key is the right one")
}

async fn log_in(handle: &mut Handle<Client>, user: &str, key: PrivateKey) -> AuthResult {
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
    handle.authenticate_publickey(user, key).await.expect("an answer")
}

fn client_key(server: &DemoServer) -> PrivateKey {
    load_secret_key(server.client_key(), None).expect("a private key")
}

async fn session(server: &DemoServer) -> Handle<Client> {
    let mut handle = connect(server).await;
    assert!(log_in(&mut handle, server.user(), client_key(server)).await.success());
    handle
}

async fn open_failure(handle: &Handle<Client>, host: &str, port: u32) -> ChannelOpenFailure {
    match handle.channel_open_direct_tcpip(host, port, "127.0.0.1", 1).await {
        Err(russh::Error::ChannelOpenFailure(failure)) => failure,
        other => panic!("{host}:{port}: {other:?}"),
    }
}

/// A port of 127.0.0.1 on which nothing listens.
async fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Reads everything that one client sends until EOF, and then sends it back.
async fn echo_after_eof() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a client");
        let mut heard = Vec::new();
        socket.read_to_end(&mut heard).await.expect("the client's words");
        socket.write_all(&heard).await.expect("the client listens");
    });
    address
}

#[tokio::test]
async fn half_close_works_both_ways_and_close_follows_eof() {
    let server = DemoServer::start().await.expect("a server");
    let handle = session(&server).await;
    let target = echo_after_eof().await;
    let port = target.port().into();
    let mut channel =
        handle.channel_open_direct_tcpip("localhost", port, "127.0.0.1", 1).await.expect("opened");
    let words = vec![b'x'; 300_000];
    channel.data_bytes(words.clone()).await.expect("sent");
    channel.eof().await.expect("sent");
    let (mut heard, mut ends) = (Vec::new(), Vec::new());
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                assert!(ends.is_empty(), "data after the end");
                heard.extend_from_slice(&data);
            }
            ChannelMsg::Eof => ends.push("eof"),
            ChannelMsg::Close => ends.push("close"),
            _ => (),
        }
    }
    assert_eq!(heard.len(), words.len());
    assert_eq!(ends, ["eof", "close"]);
    server.shutdown().await.expect("files removed");
}

#[tokio::test]
async fn forbidden_channels_are_refused() {
    let server = DemoServer::start().await.expect("a server");
    let handle = session(&server).await;
    for host in ["10.0.0.1", "example.com", "0.0.0.0"] {
        let failure = open_failure(&handle, host, 80).await;
        assert_eq!(failure, ChannelOpenFailure::AdministrativelyProhibited, "{host}");
    }
    let closed = closed_port().await.into();
    assert_eq!(open_failure(&handle, "127.0.0.1", closed).await, ChannelOpenFailure::ConnectFailed);
    assert!(handle.channel_open_session().await.is_err());
    assert!(handle.channel_open_direct_streamlocal("/dev/null").await.is_err());
}

#[tokio::test]
async fn only_the_one_key_and_user_can_log_in() {
    let server = DemoServer::start().await.expect("a server");
    let mut handle = connect(&server).await;
    assert!(!handle.authenticate_none(server.user()).await.expect("an answer").success());
    let password = handle.authenticate_password(server.user(), "secret").await;
    assert!(!password.expect("an answer").success());
    let other = new_key().expect("a key");
    assert!(!log_in(&mut handle, server.user(), other).await.success());
    assert!(!log_in(&mut handle, "root", client_key(&server)).await.success());
    // The handle still works: only the attempts were refused.
    assert!(log_in(&mut handle, server.user(), client_key(&server)).await.success());
}

#[tokio::test]
async fn the_files_are_private_and_shutdown_removes_them_and_ends_the_sessions() {
    let server = DemoServer::start().await.expect("a server");
    let handle = session(&server).await;
    let key = server.client_key();
    let mode = |path: &Path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(&key), 0o600);
    let directory = key.parent().expect("a directory").to_owned();
    assert_eq!(mode(&directory), 0o700);
    server.shutdown().await.expect("files removed");
    assert!(!directory.exists());
    // The session's task has ended, which is an error in any case.
    assert!(handle.channel_open_session().await.is_err());
}

/// Runs `ssh -W` to a port through the server, and returns what it wrote to standard output and standard error.
async fn ssh_w(server: &DemoServer, target: &str, input: &[u8]) -> (Vec<u8>, String) {
    let mut ssh = Command::new("ssh")
        .args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"])
        .args(["-o", "IdentityAgent=none", "-o", "StrictHostKeyChecking=yes"])
        .args(["-o", "GlobalKnownHostsFile=/dev/null", "-o"])
        .arg(format!("UserKnownHostsFile={}", server.known_hosts().display()))
        .arg("-i")
        .arg(server.client_key())
        .args(["-p", &server.address().port().to_string(), "-W", target])
        .arg(format!("{}@127.0.0.1", server.user()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ssh runs");
    // Dropped after the last byte, which ends ssh's input.
    let mut stdin = ssh.stdin.take().expect("a pipe");
    // An ssh that is refused reads nothing.
    let _ = stdin.write_all(input).await;
    drop(stdin);
    let output = ssh.wait_with_output().await.expect("ssh ends");
    (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
#[ignore = "needs ssh"]
async fn ssh_can_use_it() {
    let server = DemoServer::start().await.expect("a server");
    let target = echo_after_eof().await;
    let words = vec![b'y'; 100_000];
    let (heard, errors) = ssh_w(&server, &target.to_string(), &words).await;
    assert_eq!(heard, words, "{errors}");
}

#[tokio::test]
#[ignore = "needs ssh"]
async fn ssh_is_told_the_reason() {
    let server = DemoServer::start().await.expect("a server");
    let closed = format!("127.0.0.1:{}", closed_port().await);
    let (_, errors) = ssh_w(&server, &closed, b"").await;
    assert!(errors.contains("Connection refused"), "{errors}");
    let (_, errors) = ssh_w(&server, "10.0.0.1:80", b"").await;
    assert!(errors.contains("administratively prohibited"), "{errors}");
}
