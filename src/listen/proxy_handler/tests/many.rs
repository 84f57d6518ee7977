//! Any number of greetings, requests and responses, without a network: each ends, and nothing panics.
//! `tests/million.sh` runs a million.

use std::cell::RefCell;

use proptest::prelude::*;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

use super::anything::{nearly, nearly_a_request};
use super::*;
use crate::listen::testing::TestConnect;
use crate::request::Source;

thread_local! {
    static RUNTIME: RefCell<Runtime> =
        RefCell::new(Builder::new_current_thread().enable_all().build().expect("a runtime"));
}

/// The answer to a client that sends only these bytes, if the far side sends `far`.
fn answered(bytes: &[u8], far: &[u8]) -> Vec<u8> {
    RUNTIME.with_borrow(|runtime| {
        runtime.block_on(async {
            let (connect, mut dialled) = TestConnect::new(Outcome::Connect);
            let handler = Arc::new(ProxyHandler::new(connect, None, GreetingLimits::default()));
            let (mut client, near) = UnixStream::pair().expect("a pair");
            let (source, listener) = (Source::Unix, "test:1".into());
            let accepted = Accepted { stream: near.into(), source, listener };
            let serving = tokio::spawn(handler.serve(accepted, CancellationToken::new()));
            let answering = async {
                while let Some(dialled) = dialled.recv().await {
                    let mut far_end = dialled.far();
                    // The proxy may have closed the connection.
                    let _ = far_end.stream.write_all(far).await;
                }
            };
            let asking = async {
                let _ = client.write_all(bytes).await;
                let _ = client.shutdown().await;
                let mut answer = Vec::new();
                // A reset is as good an end as any.
                let _ = client.read_to_end(&mut answer).await;
                answer
            };
            let all = async { tokio::join!(answering, asking, serving) };
            let ((), answer, served) = timeout(HANG, all).await.expect("it comes to an end");
            served.expect("no panic");
            answer
        })
    })
}

/// Responses that are valid except for a few bytes.
fn nearly_an_answer() -> impl Strategy<Value = Vec<u8>> {
    let answers: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
        b"HTTP/1.0 404 Not Found\r\nServer: x\r\n\r\nto the end",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nX: \xff\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nabc",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nConnection: close, X\r\nX: y\r\n\r\n",
    ];
    nearly(answers.to_vec())
}

proptest! {
    #[test]
    fn any_greeting_or_request_ends(bytes in nearly_a_request()) {
        answered(&bytes, b"HTTP/1.1 204 No Content\r\n\r\n");
    }

    #[test]
    fn any_answer_of_a_web_server_ends(far in nearly_an_answer()) {
        let asked = b"GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let answer = answered(asked, &far);
        // One response, whoever is to blame, or an incomplete one.
        prop_assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{:?}", answer);
    }
}
