//! Mutated messages: none is forwarded that could be framed in two ways.
//!
//! `SOCKEYE_HTTP_CASES` sets the number of cases of each kind, for example a million.

use std::fmt::Write as _;

use fastrand::Rng;
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;

use super::table;
use crate::listen::http::wire::answer::AnswerHead;
use crate::listen::http::wire::answers::{self, Answers};
use crate::listen::http::wire::extensions::Extensions;
use crate::listen::http::wire::framing::Framing;
use crate::listen::http::wire::request::{Malformed, Parsed};
use crate::listen::http::wire::requests::{Requests, Step};
use reader::{assert_sound, chunked, framings, text};

mod reader;

/// Fragments for mutations that have confused parsers.
const FRAGMENTS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"\n\n",
    b" ",
    b"\t",
    b"\x0b",
    b"\x0c",
    b"\0",
    b"\xa0",
    b":",
    b",",
    b";",
    b"0",
    b"1",
    b"+1",
    b"-0",
    b"0x1",
    b"00",
    b"1, 1",
    b"99999999999999999999",
    b"5\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length : 5\r\n",
    b"Content-Length:\r\n 5\r\n",
    b"content_length: 5\r\n",
    b"\rContent-Length: 5",
    b"Content-Length",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n",
    b"Transfer-Encoding\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"chunked",
    b"xchunked",
    b"Connection: Content-Length\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"Host: h\r\n",
    b"Host: other\r\n",
    b"HTTP/1.0",
    b"HTTP/1.1",
    b"GET",
    b"HEAD",
    b"CONNECT",
    b"0\r\n\r\n",
    b"3\r\nabc\r\n",
    b"3;x=\r\n",
    b"3 \r\nabc\r\n0\r\nX: y\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"GET http://evil/ HTTP/1.1\r\nHost: evil\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
];

fn cases(ordinary: u64) -> u64 {
    let asked = std::env::var("SOCKEYE_HTTP_CASES").ok();
    asked.map_or(ordinary, |text| text.parse().expect("a number of cases"))
}

/// Concatenated messages, mutated in a few places.
fn mutated(rng: &mut Rng, corpus: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..rng.usize(1..=3) {
        bytes.extend_from_slice(rng.choice(corpus).expect("a corpus"));
    }
    for _ in 0..rng.usize(0..=4) {
        let at = rng.usize(..=bytes.len());
        let end = (at + rng.usize(1..8)).min(bytes.len());
        match rng.u8(..6) {
            0 => drop(bytes.drain(at..end)),
            1 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            2 if at < end => bytes[at] = rng.u8(..),
            3 if at < end => bytes[at] ^= 0x20,
            _ => {
                let fragment = rng.choice(FRAGMENTS).expect("fragments");
                // Between two lines it has the most effect.
                let lines =
                    bytes[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |lf| lf + 1);
                let at = if rng.bool() { at } else { lines };
                drop(bytes.splice(at..at, fragment.iter().copied()));
            }
        }
    }
    bytes
}

/// A message as passed to hyper: its head, and its content as received.
#[derive(Debug, Default, PartialEq, Eq)]
struct Handed {
    /// What preceded hyper's bytes: the heads of parsed requests, or why one was refused.
    heads: Vec<Result<(), Malformed>>,
    bytes: Vec<u8>,
    fault: Option<Malformed>,
}

/// Parses all of a client's bytes, in pieces of these lengths.
fn hand(input: &[u8], mut piece: impl FnMut() -> usize) -> Handed {
    let mut requests = Requests::new(b"");
    let mut handed = Handed::default();
    let mut rest = input;
    loop {
        match requests.step(piece()) {
            Ok(Step::Bytes(bytes)) => handed.bytes.extend_from_slice(&bytes),
            Ok(Step::Head(head)) => handed.heads.push(head.map(drop)),
            Ok(Step::Over) => return handed,
            Ok(Step::NeedsHead | Step::NeedsContent) if rest.is_empty() => match requests.end() {
                Ok(malformed) => handed.heads.extend(malformed.map(Err)),
                Err(fault) => {
                    handed.fault = Some(fault);
                    return handed;
                }
            },
            Ok(Step::NeedsHead) => {
                let (now, later) = rest.split_at(piece().min(rest.len()));
                requests.input.extend_from_slice(now);
                rest = later;
            }
            Ok(Step::NeedsContent) => {
                let (now, later) = rest.split_at(piece().min(rest.len()));
                match requests.admit(now) {
                    Ok(admitted) => {
                        handed.bytes.extend_from_slice(&now[..admitted]);
                        requests.input.extend_from_slice(&now[admitted..]);
                        rest = later;
                    }
                    // How much of the invalid content was forwarded depends on the pieces.
                    Err(fault) => {
                        handed.fault = Some(fault);
                        return handed;
                    }
                }
            }
            Err(fault) => {
                handed.fault = Some(fault);
                return handed;
            }
        }
    }
}

/// Checks what hyper is given, as a strict RFC 9112 reader does.
fn assert_in_step(handed: &Handed) {
    let mut rest = &handed.bytes[..];
    for head in &handed.heads {
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let (head_bytes, after) = rest.split_at(end);
        if head.is_err() {
            assert_eq!(head_bytes, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
            assert!(after.is_empty(), "something follows a refusal");
            return;
        }
        let framing = framings(head_bytes)[0];
        assert_sound(head_bytes, framing);
        let content = match framing {
            Framing::Unsaid => Some(0),
            Framing::Length(length) => usize::try_from(length).ok().filter(|&l| l <= after.len()),
            Framing::Chunked => chunked(after, handed.fault.is_some()),
        };
        let Some(content) = content else {
            assert!(handed.fault.is_some(), "content without an end: {:?}", text(after));
            return;
        };
        rest = &after[content..];
    }
    assert!(rest.is_empty(), "hyper would take this for a request: {:?}", text(rest));
}

fn request_corpus() -> Vec<&'static [u8]> {
    table::requests::ROWS.iter().map(|(_, request, _)| *request).collect()
}

#[test]
fn mutated_requests_have_one_framing() {
    let corpus = request_corpus();
    let (mut taken, mut refused) = (0, 0);
    for seed in 0..cases(20_000) {
        let mut rng = Rng::with_seed(seed);
        let input = mutated(&mut rng, &corpus);
        let whole = hand(&input, || 1 << 20);
        let pieces = hand(&input, || rng.usize(1..20));
        assert_eq!(whole.heads, pieces.heads, "seed {seed}: {:?}", text(&input));
        assert_eq!(whole.fault, pieces.fault, "seed {seed}: {:?}", text(&input));
        assert!(
            whole.bytes == pieces.bytes || whole.fault.is_some(),
            "seed {seed}: {:?}",
            text(&input)
        );
        assert_in_step(&whole);
        taken += whole.heads.iter().filter(|head| head.is_ok()).count();
        refused += whole.heads.iter().filter(|head| head.is_err()).count();
    }
    assert!(taken > 1000 && refused > 1000, "{taken} taken, {refused} refused");
}

#[test]
fn mutated_responses_have_one_framing() {
    let corpus: Vec<_> = table::answers::ROWS.iter().map(|(_, _, answer, _)| *answer).collect();
    let (mut taken, mut refused) = (0, 0);
    for seed in 0..cases(20_000) {
        let mut rng = Rng::with_seed(seed);
        let input = mutated(&mut rng, &corpus);
        let mut answers = Answers::default();
        let method = if rng.bool() { Method::GET } else { Method::HEAD };
        answers.expect(method.clone());
        let mut rest = &input[..];
        loop {
            match answers.step(1 << 20) {
                Ok(answers::Step::Interim(head)) => assert_sound(&head, Framing::Unsaid),
                Ok(answers::Step::NeedsHead) if rest.is_empty() => break,
                Ok(answers::Step::NeedsHead) => {
                    let (now, later) = rest.split_at(rng.usize(1..20).min(rest.len()));
                    answers.input.extend_from_slice(now);
                    rest = later;
                }
                Ok(answers::Step::Bytes(head)) => {
                    assert_sound(&head, framings(&head)[0]);
                    // Parsing the rewritten head yields the same head.
                    let again = AnswerHead::new(&head, &method).expect("a good head");
                    assert_eq!(text(&again.written), text(&head), "seed {seed}");
                    taken += 1;
                    break;
                }
                Ok(answers::Step::Through) => panic!("seed {seed}: no head"),
                Err(_) => {
                    refused += 1;
                    break;
                }
            }
        }
    }
    assert!(taken > 1000 && refused > 1000, "{taken} taken, {refused} refused");
}

/// hyper finds the same requests with the same content.
#[tokio::test]
async fn hyper_reads_mutated_requests_alike() {
    let corpus = request_corpus();
    for seed in 0..cases(2_000).min(20_000) {
        let input = mutated(&mut Rng::with_seed(seed), &corpus);
        let handed = hand(&input, || 1 << 20);
        let (expected, seen) = (expected(&handed), hypers(&handed.bytes).await);
        assert_eq!(seen, expected, "seed {seed}: {:?}", text(&input));
    }
}

/// hyper finds the same content without chunk extensions.
#[tokio::test]
async fn hyper_reads_mutated_chunks_alike_without_extensions() {
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let corpus: [&[u8]; 3] = [
        b"5;a=\"b\"\r\nhello\r\n0\r\n\r\n",
        b"3 ; x;y\r\n;;;\r\n0;x\r\nA: b;c\r\n\r\n",
        b"A;5\r\n1;2\r\n3;4\r\n\r\n00\r\n\r\n",
    ];
    let mut read = 0;
    for seed in 0..cases(2_000).min(20_000) {
        let mut content = mutated(&mut Rng::with_seed(seed), &corpus);
        let whole = hypers(&[head, &content[..]].concat()).await;
        let length = Extensions::default().take_out(&mut content);
        let seen = hypers(&[head, &content[..length]].concat()).await;
        assert_eq!(seen, whole, "seed {seed}: {:?}", text(&content[..length]));
        read += usize::from(!whole.is_empty());
    }
    assert!(read > 100, "{read} read");
}

/// Method and content of each complete request, up to one that ends hyper's reading.
fn expected(handed: &Handed) -> String {
    let mut requests = String::new();
    let mut rest = &handed.bytes[..];
    while let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") {
        let (head, after) = rest.split_at(end + 4);
        let framing = framings(head)[0];
        let whole = match framing {
            Framing::Unsaid => Some(0),
            Framing::Length(length) => usize::try_from(length).ok().filter(|&l| l <= after.len()),
            Framing::Chunked => chunked(after, handed.fault.is_some()),
        };
        let Some(length) = whole else { break };
        let content = match framing {
            Framing::Chunked => decoded(&after[..length]),
            Framing::Unsaid | Framing::Length(_) => after[..length].to_vec(),
        };
        let method = head.split(|&byte| byte == b' ').next().unwrap_or_default();
        writeln!(requests, "{} {:?}", text(method), text(&content)).expect("memory");
        rest = &after[length..];
        let head = text(head).to_ascii_lowercase();
        let closes = head.lines().any(|l| l.starts_with("connection:") && l.contains("close"));
        if method == b"CONNECT" || head.contains(" http/1.0\r\n") || closes {
            break;
        }
    }
    requests
}

/// The content of valid chunks.
fn decoded(mut chunks: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    while let Ok(httparse::Status::Complete((length, size))) = httparse::parse_chunk_size(chunks) {
        let size = usize::try_from(size).expect("what is there");
        if size == 0 {
            break;
        }
        content.extend_from_slice(&chunks[length..length + size]);
        chunks = &chunks[length + size + 2..];
    }
    content
}

/// The complete requests that hyper's server finds in these bytes.
async fn hypers(bytes: &[u8]) -> String {
    let seen = std::sync::Mutex::new(String::new());
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let seen = &seen;
        async move {
            let method = request.method().clone();
            let content = request.into_body().collect().await?.to_bytes();
            let mut seen = seen.lock().expect("one task");
            writeln!(seen, "{method} {:?}", text(&content)).expect("memory");
            Ok::<_, hyper::Error>(hyper::Response::new(String::new()))
        }
    });
    let (mut client, server) = tokio::io::duplex(1 << 20);
    client.write_all(bytes).await.expect("room");
    client.shutdown().await.expect("open");
    // How the connection ends does not matter.
    let _ = super::super::server().serve_connection(TokioIo::new(server), service).await;
    seen.into_inner().expect("one task")
}

/// The heads of the table are parsed as expected, whatever follows them.
#[test]
fn a_head_ends_at_its_empty_line() {
    for request in request_corpus() {
        let Ok(parsed) = Parsed::new(request) else { continue };
        let more = [request, b"\r\nContent-Length: 5\r\n\r\n"].concat();
        assert_eq!(Parsed::new(&more).expect("the same").framing, parsed.framing);
    }
}
