use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::*;
use crate::dial::DialError;
use crate::listen::greeting::GreetingLimits;
use crate::listen::proxy_handler::ProxyHandler;
use crate::listen::testing::{HANG, TestConnect, read_to_end};
use crate::openssh::AddressFamily;

async fn bind(text: &str) -> io::Result<Vec<Listener>> {
    Listener::bind(&text.parse().expect(text), SocketOptions::default()).await
}

#[tokio::test]
async fn a_bare_port_is_loopback_in_both_families() {
    let listeners = bind("0").await.expect("loopback");
    let port = listeners[0].local_address().expect("tcp").port();
    assert_ne!(port, 0);
    assert_eq!(&**listeners[0].name(), format!("127.0.0.1:{port}"));
    if let Some(second) = listeners.get(1) {
        assert_eq!(&**second.name(), format!("[::1]:{port}"));
    }
    let error = bind(&port.to_string()).await.expect_err("taken");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn an_address_whose_port_is_taken_is_skipped() {
    let taken = bind("127.0.0.1:0").await.expect("a free port");
    let port = taken[0].local_address().expect("tcp").port();
    // Some machines have no IPv6.
    if bind("[::1]:0").await.is_ok() {
        let listeners = bind(&port.to_string()).await.expect("the other address");
        let names: Vec<_> = listeners.iter().map(|one| one.name().to_string()).collect();
        assert_eq!(names, [format!("[::1]:{port}")]);
    }
    assert!(bind(&format!("127.0.0.1:{port}")).await.is_err());
}

#[tokio::test]
async fn an_excluded_family_has_no_socket() {
    for (family, text, bound) in [
        (AddressFamily::Inet, "0", Some("127.0.0.1:")),
        (AddressFamily::Inet, "*:0", Some("0.0.0.0:")),
        (AddressFamily::Inet, "[::1]:0", None),
        (AddressFamily::Inet6, "127.0.0.1:0", None),
    ] {
        let options = SocketOptions { family, ..SocketOptions::default() };
        let listeners = Listener::bind(&text.parse().expect(text), options).await.ok();
        let names: Option<Vec<_>> =
            listeners.map(|all| all.iter().map(|one| one.name().to_string()).collect());
        let is_it = match (&names, bound) {
            (Some(names), Some(bound)) => names.len() == 1 && names[0].starts_with(bound),
            (None, None) => true,
            _ => false,
        };
        assert!(is_it, "{family} {text}: {names:?}");
    }
}

#[tokio::test]
async fn a_name_stands_for_all_of_its_addresses_once() {
    let address = ListenAddress::Tcp { bind: Bind::Name("localhost".into()), port: 0 };
    let bound = Listener::bind(&address, SocketOptions::default()).await.expect("loopback");
    let port = bound[0].local_address().expect("tcp").port();
    for (index, one) in bound.iter().enumerate() {
        let at = one.local_address().expect("tcp");
        assert!(at.ip().is_loopback() && at.port() == port, "{at}");
        assert!(bound[..index].iter().all(|other| other.name() != one.name()), "{at}");
    }
    let error = bind("no-such-host.invalid:0").await.expect_err("there is no such host");
    let all = [DialError::NameNotFound, DialError::LookUpFailed].map(|all| all.to_string());
    assert!(all.contains(&error.to_string()), "{error}");
}

#[tokio::test]
async fn a_missing_address_is_an_error_if_it_was_configured() {
    let error = bind("192.0.2.1:0").await.expect_err("not an address of this machine");
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
}

#[test]
fn a_shortage_pauses_and_a_lost_connection_does_not() {
    for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::BADF] {
        assert!(!is_of_one_connection(&errno.into()), "{errno:?}");
    }
    for errno in [Errno::CONNABORTED, Errno::PROTO, Errno::PERM] {
        assert!(is_of_one_connection(&errno.into()), "{errno:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_and_a_shortage_is_logged_once() {
    let mut shortage = Shortage::default();
    assert!(shortage.is_news());
    assert_eq!(shortage.pause(), FIRST_PAUSE);
    assert!(!shortage.is_news());
    assert_eq!(shortage.pause(), 2 * FIRST_PAUSE);
    for _ in 0..20 {
        shortage.pause();
    }
    assert_eq!(shortage.pause(), LONGEST_PAUSE);
    shortage.resolved();
    assert_eq!(shortage.pause(), FIRST_PAUSE);
    assert!(!shortage.is_news());
    tokio::time::advance(EPISODE + Duration::from_secs(1)).await;
    assert!(shortage.is_news());
}

#[tokio::test]
async fn clients_are_served_until_shutdown() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("proxy");
    let mut listeners = bind("127.0.0.1:0").await.expect("loopback");
    listeners.extend(bind(path.to_str().expect("ASCII")).await.expect("a free path"));
    let address = listeners[0].local_address().expect("tcp");

    let connect = TestConnect::failing(DialError::TimedOut);
    let handler = Arc::new(ProxyHandler::new(connect, None, GreetingLimits::default()));
    let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
    let run = |listener: Listener| {
        tokio::spawn(listener.run(handler.clone(), tracker.clone(), shutdown.clone()))
    };
    let running: Vec<_> = listeners.into_iter().map(run).collect();

    let mut tcp = TcpStream::connect(address).await.expect("open");
    ask(&mut tcp).await;
    let mut unix = UnixStream::connect(&path).await.expect("open");
    ask(&mut unix).await;
    drop((tcp, unix));
    shutdown.cancel();
    for task in running {
        task.await.expect("no panic");
    }
    tracker.close();
    tracker.wait().await;
    // A process that another test is about to start may have it open for a moment.
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(HANG, refused).await.expect("nobody listens");
    assert!(!path.exists());
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(client: &mut S) {
    client.write_all(b"\x04\x01\x00\x50\xc0\x00\x02\x07\0").await.expect("sent");
    assert_eq!(read_to_end(client).await, b"\0\x5b\0\0\0\0\0\0");
}
