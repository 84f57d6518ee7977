//! The effects of a reload, and what it leaves alone.

use std::fs;
use std::io::BufReader;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::support::give_up;
use crate::support::http::Response;
use crate::support::link::Link;
use crate::support::login::HOST;
use crate::support::program::Sockeye;
use crate::support::web::Web;

#[test]
#[ignore = "needs sshd"]
fn reloads_during_a_download_touch_nothing() {
    let sshd = Sshd::start();
    let spare = Sshd::start();
    let length: u64 = scaled(64 << 20, 1 << 30);
    let rounds = scaled(20, 100);
    let target = Target::source(length);
    let port = free_port();
    let second = free_port();
    let kept = format!(
        "[[listen]]\naddress = \"127.0.0.1:{port}\"\n{}[default]\nvia = \"kept\"\n",
        server("kept", &sshd)
    );
    let more = format!(
        "{kept}[[listen]]\naddress = \"127.0.0.1:{second}\"\n{}\
         [[rule]]\nlist = \"names.txt\"\naction = \"reject\"\n",
        server("spare", &spare)
    );
    let configuration = Configuration::with(&kept);
    configuration.write("names.txt", "a.test\n");
    let proxy = configuration.start();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    proxy.wait_for_log(&format!("listening on {address}"));

    let mut download = Protocol::Socks5.open(address, "127.0.0.1", target.port());
    download.write_all(&[0]).expect("the word to begin");
    let knocking = Knocking::at(address);
    let mut content = Vec::new();
    let piece = length / rounds;
    for round in 0..rounds {
        let text = if round % 2 == 0 { &more } else { &kept };
        let before = reloads(&proxy);
        match round % 4 {
            // In turn: the file alone, a list alone, and SIGHUP.
            0 | 1 => configuration.write("config.toml", text),
            _ => {
                configuration.write("names.txt", &format!("a{round}.test\n"));
                configuration.write("config.toml", text);
                process::signal(proxy.pid(), Signal::HUP);
            }
        }
        wait::until("the configuration is reloaded", || reloads(&proxy) > before);
        (&mut download).take(piece).read_to_end(&mut content).expect("a part");
    }
    download.read_to_end(&mut content).expect("the rest");
    assert_eq!(Sum::of(content.as_slice()).expect("memory"), Content::of(length).sum());
    let (knocks, failures) = knocking.stop();
    assert!(knocks > usize::try_from(rounds).expect("few"), "{knocks} connections were tried");
    assert_eq!(failures, 0, "of {knocks} connections");
    assert!(!proxy.log().contains("panicked"));
}

#[test]
fn a_listener_moves_to_other_interfaces_of_its_port() {
    let (target, port) = (Target::echo(), free_port());
    let at = |addresses: &[String]| {
        let listener =
            |address| format!("[[listen]]\naddress = \"{address}\"\nallow_remote = true\n");
        let listeners: String = addresses.iter().map(listener).collect();
        format!("{listeners}[default]\naction = \"direct\"\n")
    };
    let configuration = Configuration::with(&at(&[format!("127.0.0.1:{port}")]));
    let proxy = configuration.start();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    proxy.wait_for_log(&format!("listening on {address}"));
    let open = || Protocol::Socks5.open(address, "127.0.0.1", target.port());
    let echoes = |mut stream: &TcpStream| {
        stream.write_all(b"hello").expect("a stream");
        let mut echo = [0; 5];
        stream.read_exact(&mut echo).expect("the echo");
        assert_eq!(&echo, b"hello");
    };
    let first = open();
    for bind in ["0.0.0.0:", "", "*:", "127.0.0.1:"] {
        configuration.write("config.toml", &at(&[format!("{bind}{port}")]));
        configuration.reload();
        echoes(&open());
        echoes(&first);
    }
    // This one fails: the address belongs to another program, so the old listener is restored.
    let other = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let taken = other.local_addr().expect("bound").to_string();
    configuration.write("config.toml", &at(&[port.to_string(), taken.clone()]));
    proxy.wait_for_log(&format!("not reloaded: cannot listen on {taken}"));
    wait::until("the old address is listened on again", || TcpStream::connect(address).is_ok());
    echoes(&open());
    echoes(&first);
}

#[test]
#[ignore = "needs sshd"]
fn a_user_that_a_reload_removes_can_send_no_more_requests() {
    let (sshd, web, port) = (Sshd::start(), Web::start(), free_port());
    let text = format!(
        "[[listen]]\naddress = \"127.0.0.1:{port}\"\nauth = \"clients\"\n{}[default]\nvia = \"a\"\n",
        server("a", &sshd)
    );
    let configuration = Configuration::with(&text);
    let write_clients = |text: &str| {
        configuration.write("clients", text);
        fs::set_permissions(configuration.path("clients"), fs::Permissions::from_mode(0o600))
            .expect("the mode");
    };
    write_clients("ada:secret\nbob:other\n");
    let proxy = configuration.start();
    let mut client = BufReader::new(TcpStream::connect(proxy.address()).expect("the proxy"));
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic YWRhOnNlY3JldA==\r\n\r\n",
        web.url("/bytes/10")
    );
    client.get_mut().write_all(request.as_bytes()).expect("sent");
    assert_eq!(Response::read(&mut client).expect("a response").head.status(), 200);
    let answered = web.requests();
    write_clients("bob:other\n");
    configuration.reload();
    let _ = client.get_mut().write_all(request.as_bytes());
    let ended = Response::read(&mut client);
    assert!(!matches!(&ended, Ok(response) if response.head.status() < 400), "{ended:?}");
    assert_eq!(web.requests(), answered);
}

#[test]
#[ignore = "needs sshd"]
fn a_waiting_request_is_served_after_a_reload() {
    let (mut gone, new, target) = (Sshd::start(), Sshd::start(), Target::echo());
    let listener = "[[listen]]\naddress = \"127.0.0.1:0\"\n";
    let by = |sshd| format!("{listener}{}[default]\nvia = \"a\"\n", server("a", sshd));
    let changed = by(&new);
    let configuration = Configuration::with(&by(&gone));
    let proxy = configuration.start();
    proxy.wait_for_log("connected to ");
    let address = proxy.address();
    gone.stop();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| Protocol::Socks5.open(address, "127.0.0.1", target.port()));
        wait::until("the request waits for a session", || {
            configuration.ask("/v1/connections").contains("\"waiting\"")
        });
        configuration.write("config.toml", &changed);
        configuration.reload();
        let mut served = waiting.join().expect("it is served");
        served.write_all(b"hello").expect("a stream");
        let mut echo = [0; 5];
        served.read_exact(&mut echo).expect("an echo");
        assert_eq!(&echo, b"hello");
    });
}

/// How often the program has taken up a configuration again.
fn reloads(proxy: &Sockeye) -> usize {
    proxy.log().matches("configuration reloaded").count()
}

/// Connections to a listener, one after the other.
struct Knocking {
    stop: Arc<AtomicBool>,
    knocks: Arc<AtomicUsize>,
    thread: thread::JoinHandle<usize>,
}

impl Knocking {
    fn at(address: SocketAddr) -> Self {
        let (stop, knocks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&knocks));
        let thread = thread::spawn(move || {
            let mut failures = 0;
            while !stopped.load(Ordering::SeqCst) {
                failures += usize::from(TcpStream::connect(address).is_err());
                counted.fetch_add(1, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(2));
            }
            failures
        });
        Self { stop, knocks, thread }
    }

    /// Returns the number of connections, and how many failed.
    fn stop(self) -> (usize, usize) {
        self.stop.store(true, Ordering::SeqCst);
        let failures = self.thread.join().expect("the thread that knocks");
        (self.knocks.load(Ordering::SeqCst), failures)
    }
}

#[test]
#[ignore = "needs sshd"]
fn a_broken_file_keeps_the_old_rules() {
    let (sshd, target) = (Sshd::start(), Target::echo());
    let port = free_port();
    let good = |action: &str| {
        format!(
            "[[listen]]\naddress = \"127.0.0.1:{port}\"\n{}[[rule]]\nport = {}\n{action}\n\
             [default]\nvia = \"a\"\n",
            server("a", &sshd),
            target.port()
        )
    };
    let configuration = Configuration::with(&good("action = \"reject\""));
    let proxy = configuration.start();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    proxy.wait_for_log(&format!("listening on {address}"));
    let refused = || {
        let answer = Protocol::Socks5.ask(address, "127.0.0.1", target.port()).expect("an answer");
        matches!(answer, Answer::Refused(answer) if answer[1] == NOT_ALLOWED)
    };
    assert!(refused());
    configuration.write("config.toml", &good("acton = \"direct\""));
    proxy.wait_for_log("did you mean 'action'?");
    proxy.wait_for_log("configuration not reloaded");
    assert!(refused(), "the old rule is in force");
    configuration.write("config.toml", &good("via = \"a\""));
    wait::until("the mended file is in force", || !refused());
    configuration.reload();
    assert!(!refused());
}

#[test]
fn a_listener_that_cannot_be_bound_is_logged_once_and_the_old_configuration_stays() {
    let [port, other] = [free_port(), free_port()];
    let listen = |port| format!("[[listen]]\naddress = \"127.0.0.1:{port}\"\n");
    let configuration = Configuration::with(&listen(port));
    let proxy = configuration.start();
    proxy.wait_for_log("listening on ");
    let taken = TcpListener::bind(("127.0.0.1", other)).expect("a free port");
    configuration.write("config.toml", &[listen(port), listen(other)].concat());
    proxy.wait_for_log("configuration not reloaded: cannot listen on ");
    give_up(taken);
    configuration.reload();
    let log = proxy.log();
    // Otherwise this log line would report no change.
    let told: Vec<_> = log.lines().filter(|line| line.contains("reloaded: ")).collect();
    assert_eq!(told.len(), 2, "{log}");
    assert!(told[1].contains("configuration reloaded: +1 listener"), "{log}");
    TcpStream::connect(("127.0.0.1", other)).expect("it listens");
}

#[test]
fn a_forward_that_failed_at_start_does_not_block_reloads() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = taken.local_addr().expect("an address");
    let text = format!("[[forward]]\nlocal = \"{at}\"\nto = \"a.example:1\"\n");
    let configuration = Configuration::with(&text);
    let proxy = configuration.start();
    proxy.wait_for_log("cannot listen on ");
    configuration.write("config.toml", &format!("{text}[[rule]]\nport = 1\naction = \"reject\"\n"));
    configuration.reload();
    configuration.write("config.toml", &text.replace("a.example", "b.example"));
    configuration.reload();
    give_up(taken);
    configuration.reload();
    TcpStream::connect(at).expect("it listens");
}

#[test]
#[ignore = "needs sshd"]
fn a_reload_is_heard_under_nohup() {
    let sshd = Sshd::start();
    let port = free_port();
    let text = format!("[[listen]]\naddress = \"127.0.0.1:{port}\"\n{}", server("a", &sshd));
    let configuration = Configuration::with(&text);
    let proxy = configuration.start_under_nohup();
    proxy.wait_for_log("listening on ");
    // Nothing has changed, so that only the signal can bring it about; and once more behind it.
    for _ in 0..2 {
        let before = reloads(&proxy);
        process::signal(proxy.pid(), Signal::HUP);
        wait::until("the configuration is read again", || reloads(&proxy) > before);
    }
}

/// A reload that asks a server to listen waits up to 10 s for the answer.
#[test]
#[ignore = "needs sshd"]
fn a_stop_does_not_wait_for_the_reload_before_it() {
    let sshd = Sshd::start();
    let by_signal: fn(&Configuration, &Sockeye) =
        |_, proxy| process::signal(proxy.pid(), Signal::TERM);
    let by_command: fn(&Configuration, &Sockeye) = |configuration, _| {
        let mut stop = program();
        stop.arg("stop").arg("--control").arg(configuration.path("control.sock"));
        assert!(stop.output().expect("the program under test").status.success());
    };
    for stop in [by_signal, by_command] {
        let (link, port) = (Link::to(sshd.port()), free_port());
        let text = format!(
            "[[listen]]\naddress = \"127.0.0.1:{}\"\n\
             [server.far]\nhost = \"{HOST}\"\nssh_config = \"{}\"\n",
            free_port(),
            sshd.ssh_config_through(link.port()).display()
        );
        let more = format!(
            "{text}[[listen]]\naddress = \"127.0.0.1:{port}\"\n\
             [[forward]]\nremote = \"0\"\non = \"far\"\n"
        );
        let configuration = Configuration::with(&text);
        let mut proxy = configuration.start();
        proxy.wait_for_log("connected to ");
        link.hold();
        configuration.write("config.toml", &more);
        proxy.wait_for_log(&format!("listening on 127.0.0.1:{port}"));
        stop(&configuration, &proxy);
        assert!(proxy.wait().success(), "{}", proxy.log());
        assert!(!proxy.log().contains("not listening on"), "{}", proxy.log());
    }
}
