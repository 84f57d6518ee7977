//! Benchmarks of single parts: greetings at the front door, a relay through an in-process SSH
//! server, placement, and the rules.

use std::fmt::Write as _;
use std::future::ready;
use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sockeye::cli::demo::server::DemoServer;
use sockeye::destination::{Destination, Host};
use sockeye::dial::{
    Connected, CurrentRoutes, DEADLINE, DialFailure, Dialer, Routes, Routing, Servers, Way,
};
use sockeye::listen::connect::Connect;
use sockeye::listen::stream::ClientStream;
use sockeye::listen::{Accepted, GreetingLimits, Handler, ProxyHandler};
use sockeye::openssh::{ClientConfig, Prompter, Setting, SshOptions};
use sockeye::pool::placement::{View, choose};
use sockeye::pool::{JumpHosts, Pool, Report};
use sockeye::registry::{Connections, Outcome, Registry};
use sockeye::relay::{BacklogLimits, Relayer};
use sockeye::request::{Protocol, Request, Source};
use sockeye::route::{Action, ConditionsBuilder, List, Query, Router, Rule};
use sockeye::ssh::{LineMemory, OpenKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, UnixStream};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// A dialer whose connections succeed at once and lead nowhere.
struct Nowhere;

impl Connect for Nowhere {
    type Channel = ();
    type Stream = DuplexStream;

    fn dial(&self, _: &Request) -> impl Future<Output = Result<Connected<()>, DialFailure>> + Send {
        ready(Ok(Connected { channel: (), way: Way::default() }))
    }

    fn relay(&self, _: ClientStream, _: Bytes, (): ()) -> impl Future<Output = ()> + Send {
        ready(())
    }

    fn stream(&self, (): ()) -> DuplexStream {
        duplex(1).0
    }

    fn replaced(&self) -> u64 {
        0
    }

    fn pac(&self, _: &Destination) -> Option<String> {
        None
    }
}

fn greetings(criterion: &mut Criterion) {
    let runtime = runtime();
    let door = Arc::new(ProxyHandler::new(Nowhere, None, GreetingLimits::default()));
    let connect = b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n";
    let kinds: [(&str, &[u8], usize); 4] = [
        ("socks4", b"\x04\x01\x01\xbb\x7f\0\0\x01me\0", 8),
        ("socks4a", b"\x04\x01\x01\xbb\0\0\0\x01me\0example.com\0", 8),
        ("socks5", b"\x05\x01\0\x05\x01\0\x03\x0bexample.com\x01\xbb", 12),
        ("connect", connect, 12),
    ];
    let mut group = criterion.benchmark_group("greeting");
    for (name, request, answer) in kinds {
        group.bench_function(name, |bencher| {
            bencher.iter(|| runtime.block_on(greet(&door, request, answer)));
        });
    }
}

/// One client, which sends everything at once and reads the first `answer` bytes.
async fn greet(door: &Arc<ProxyHandler<Nowhere>>, request: &[u8], answer: usize) {
    let (mut client, served) = UnixStream::pair().expect("a pair of sockets");
    let accepted =
        Accepted { stream: served.into(), source: Source::Unix, listener: "bench".into() };
    let client = async move {
        client.write_all(request).await.expect("an open socket");
        client.read_exact(&mut [0; 16][..answer]).await.expect("an answer");
    };
    tokio::join!(client, Arc::clone(door).serve(accepted, CancellationToken::new()));
}

fn relays(criterion: &mut Criterion) {
    let runtime = runtime();
    let server = runtime.block_on(DemoServer::start()).expect("the demo's SSH server");
    let pool = runtime.block_on(pool_to(&server));
    let name: Arc<str> = pool.server().into();
    let routes = CurrentRoutes::new(Routes {
        router: Router::via_one(Arc::clone(&name)),
        servers: Servers::from_iter([(name, pool.clone())]),
    });
    let dialer = Dialer::new(routes, DEADLINE);
    let relayer = Relayer::new(BacklogLimits::default());
    let mut group = criterion.benchmark_group("relay");
    group.sample_size(10).throughput(Throughput::Bytes(DOWNLOAD as u64));
    group.bench_function("download", |bencher| {
        bencher.iter(|| runtime.block_on(download(&dialer, &relayer)));
    });
    group.finish();
    runtime.block_on(pool.shutdown());
    runtime.block_on(server.shutdown()).expect("the demo's files");
}

async fn pool_to(server: &DemoServer) -> Pool {
    let name = format!("ssh://{}@{}", server.user(), server.address());
    let known_hosts = format!("UserKnownHostsFile={}", server.known_hosts().display());
    let options = SshOptions {
        config_file: Some("none".into()),
        options: vec![
            "IdentityAgent=none".into(),
            "IdentitiesOnly=yes".into(),
            known_hosts.into(),
            Setting::Identity(server.client_key()),
        ],
        ..SshOptions::default()
    };
    let name = name.parse().expect("an address");
    let (config, _) = ClientConfig::query(&name, &options).await.expect("good options");
    // There are no jump hosts here.
    let jumps = JumpHosts::new(
        Prompter::nobody(),
        Box::new(|_| Box::new(tokio::io::empty())),
        LineMemory::default(),
        Report::Info,
    );
    Pool::start(config, &jumps, Some("1".parse().expect("a size"))).await.expect("a session").0
}

/// One download through the server to an in-process socket.
async fn download(dialer: &Dialer, relayer: &Relayer) {
    let target = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let destination = Destination::try_from(target.local_addr().expect("bound"));
    let request = Request {
        listener: "bench".into(),
        protocol: Protocol::Socks5,
        source: Source::Unix,
        user: None,
        target: destination.expect("a port").into(),
    };
    let (mut client, served) = UnixStream::pair().expect("a pair of sockets");
    let send = async {
        let (mut target, _) = target.accept().await.expect("the server's connection");
        target.write_all(&vec![0; DOWNLOAD]).await.expect("an open connection");
    };
    let receive = async move {
        let mut buffer = vec![0; 256 * 1024];
        let mut received = 0;
        while let 1.. = { client.read(&mut buffer).await.expect("a clean end") } {
            received += 1;
        }
        black_box(received)
    };
    let tracked = Connections::default().begin(&request);
    let carry = async {
        let connected = dialer.dial(&Routing::Rules, &tracked).await.expect("a channel");
        relayer.relay(ClientStream::from(served), Bytes::new(), connected.channel).await
    };
    tokio::join!(send, receive, carry);
}

fn placement(criterion: &mut Criterion) {
    let views: Vec<View> = (0..8)
        .map(|n| View { active: 7 - n, channels: 20, bulk: n % 2, ..View::default() })
        .collect();
    criterion.bench_function("placement of 8", |bencher| {
        bencher.iter_batched(
            || views.clone(),
            |views| choose(black_box(&views), OpenKind::Plain),
            BatchSize::SmallInput,
        );
    });
}

fn rules(criterion: &mut Criterion) {
    for entries in [10, 10_000, 1_000_000] {
        let list = list_of(entries);
        eprintln!("a list of {}: {} bytes", list.len(), list.heap_bytes());
        let mut builder = ConditionsBuilder::default();
        builder.list(Arc::new(list));
        let conditions = builder.build().expect("conditions");
        let rule = Rule { name: "list".into(), conditions, action: Action::Reject };
        let router = Router::new(vec![rule], Action::Direct { addresses: None });
        let mut group = criterion.benchmark_group(format!("rules, a list of {entries}"));
        for (what, host) in [
            ("a name that is there", name_of(entries / 2)),
            ("a name below one that is there", format!("a.b.{}", name_of(0))),
            ("a name that is not there", "www.example.com".to_owned()),
            ("an address that is there", "10.0.0.7".to_owned()),
            ("an IPv6 address that is not there", "2001:db8::1".to_owned()),
        ] {
            let host: Host = host.parse().expect("a host");
            let query = Query {
                host: Some(&host),
                port: Some(443),
                listener: "bench",
                source: None,
                user: None,
            };
            group.bench_function(what, |bencher| {
                bencher.iter(|| router.decide(black_box(&query), None));
            });
        }
    }
}

/// All records of one short connection, from its request to its end, while others are open.
fn registry(criterion: &mut Criterion) {
    let registry = Registry::default();
    let request = Request {
        listener: "127.0.0.1:1080".into(),
        protocol: Protocol::Socks5,
        source: Source::Tcp(([127, 0, 0, 1], 50_000).into()),
        user: None,
        target: Destination::parse("host.example:443", None).expect("a destination").into(),
    };
    let (rule, server) = ("rule".into(), "server".into());
    let others: Vec<_> = (0..1000).map(|_| registry.connections.begin(&request)).collect();
    criterion.bench_function("registry, a short connection", |bencher| {
        bencher.iter(|| {
            let tracked = registry.connections.begin(black_box(&request));
            tracked.decided(Some(&rule));
            tracked.asked(Some(&server), 1);
            tracked.carried_by(1);
            tracked.opened();
            tracked.sent(100);
            tracked.received(100);
            tracked.half_closed();
            tracked.end(Outcome::Clean);
        });
    });
    drop(others);
}

/// A list of this many names, every tenth of them a suffix, plus one prefix for every ten names.
fn list_of(entries: usize) -> List {
    let mut text = String::new();
    for n in 0..entries {
        if n % 10 == 0 {
            let (mixed, length) = (mix(n), 24 + n / 10 % 9);
            let [_, _, _, _, a, b, c, d] = mixed.to_be_bytes();
            let (a, b) = if n == 0 { (10, 0) } else { (a, b) };
            writeln!(text, "{a}.{b}.{c}.{d}/{}", if n == 0 { 8 } else { length })
                .expect("memory takes everything");
            text.push_str("*.");
        }
        writeln!(text, "{}", name_of(n)).expect("memory takes everything");
    }
    List::read(text.as_bytes(), "bench", &mut ()).expect("entries").0
}

/// Names that have little in common.
fn name_of(n: usize) -> String {
    let letters = mix(n).to_be_bytes().map(|byte| char::from(b'a' + byte % 26));
    let top = ["com", "net", "org", "co.uk"][n % 4];
    format!("{}{n}.{top}", String::from_iter(letters))
}

/// Spreads numbers over all bits (the finalizer of `SplitMix64`).
fn mix(n: usize) -> u64 {
    let n = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

/// The bytes transferred in one round of the relay.
const DOWNLOAD: usize = 32 << 20;

criterion_group!(benches, greetings, relays, placement, rules, registry);
criterion_main!(benches);
