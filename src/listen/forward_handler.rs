//! A forward: every client is connected to the same target, whatever it sends.

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::brake::Failures;
use super::connect::{self, Connect, Outbound};
use super::handler::{Accepted, Handler};
use super::stream::ClientStream;
use crate::request::{Protocol, Request, Source};
use crate::ssh::Forwarded;
use crate::target::Target;

/// Serves the clients of a forward (`-L`, or `-R` with a target). One handler serves any number of listeners.
#[derive(Debug)]
pub struct ForwardHandler<R = Outbound> {
    connect: R,
    target: Target,
    failures: Failures,
}

impl<R: Connect> ForwardHandler<R> {
    /// A handler that connects to `target` over `connect`.
    pub fn new(connect: R, target: Target) -> Self {
        Self { connect, target, failures: Failures::default() }
    }

    /// The target of all clients.
    pub fn target(&self) -> &Target {
        &self.target
    }

    fn request(&self, source: Source, listener: Arc<str>) -> Request {
        let target = self.target.clone();
        Request { listener, protocol: Protocol::Forward, source, user: None, target }
    }
}

impl ForwardHandler {
    /// Serves a connection of a listener on the server. The target is dialled first: until the connection is
    /// accepted, no data arrives that would have to be queued, and on a failure the server closes its client's
    /// connection at once.
    pub(super) async fn serve_remote(
        &self,
        forwarded: Forwarded,
        source: Source,
        listener: Arc<str>,
    ) {
        let request = self.request(source, listener);
        match connect::dial(&self.connect, &request).await {
            Ok(connected) => {
                let channel = self.connect.relayer.pipe(forwarded.accept().await);
                let client = ClientStream::Channel(channel);
                self.connect.relay(client, Bytes::new(), connected.channel).await;
            }
            Err(failure) => {
                self.failures.note(&request, &failure);
                forwarded.refuse(failure.error.codes().ssh).await;
            }
        }
    }
}

impl<R: Connect> Handler for ForwardHandler<R> {
    async fn serve(self: Arc<Self>, accepted: Accepted, _: CancellationToken) {
        let Accepted { stream, source, listener } = accepted;
        let request = self.request(source, listener);
        let dial = connect::dial(&self.connect, &request);
        match connect::unless_gone(&stream, &self.target, dial).await {
            None => {}
            Some(Ok(connected)) => {
                self.connect.relay(stream, Bytes::new(), connected.channel).await;
            }
            Some(Err(failure)) => {
                self.failures.note(&request, &failure);
                stream.reset();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::destination::Destination;
    use crate::dial::DialError;
    use crate::listen::testing::{Outcome, TestConnect, read_to_end};

    async fn client(connect: TestConnect) -> (TcpStream, JoinHandle<()>) {
        let target = Destination::parse("db.example:5432", None).expect("good").into();
        let handler = Arc::new(ForwardHandler::new(connect, target));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let client = TcpStream::connect(address).await.expect("it listens");
        let (stream, source) = listener.accept().await.expect("a client");
        let source = Source::Tcp(source);
        let accepted = Accepted { stream: stream.into(), source, listener: "test:1".into() };
        (client, tokio::spawn(handler.serve(accepted, CancellationToken::new())))
    }

    #[tokio::test]
    async fn its_clients_are_connected_to_the_target_at_once() {
        let (connect, mut dialled) = TestConnect::new(Outcome::Connect);
        let (mut client, task) = client(connect).await;
        let dialled = dialled.recv().await.expect("a dial");
        assert_eq!(dialled.request.target.to_string(), "db.example:5432");
        assert_eq!(dialled.request.protocol, Protocol::Forward);
        let mut far = dialled.far();
        // Some servers speak first, such as those of databases.
        far.send("hello").await;
        client.read_exact(&mut [0; 5]).await.expect("it arrives");
        client.write_all(b"\x05\x01\x00").await.expect("no greeting, but data");
        client.shutdown().await.expect("open");
        assert_eq!(read_to_end(&mut far.stream).await, b"\x05\x01\x00");
        drop(far);
        assert!(read_to_end(&mut client).await.is_empty());
        task.await.expect("no panic");
    }

    #[tokio::test]
    async fn an_unreachable_target_is_a_reset() {
        let (mut client, task) = client(TestConnect::failing(DialError::ConnectionRefused)).await;
        let error = client.read_u8().await.expect_err("no end");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        task.await.expect("no panic");
    }
}
