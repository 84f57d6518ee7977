//! Operations on a program disturb none of its transfers.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use super::desk::{Desk, connect, echoes, until_ended};
use crate::support::configured::{Configuration, server};
use crate::support::content::{Content, Sum};
use crate::support::socks::Protocol;
use crate::support::sshd::Sshd;
use crate::support::target::Target;
use crate::support::{free_port, scaled, wait};

/// A stream of [`Content`] that lasts as long as other operations go on.
struct Paced {
    content: Content,
    left: u64,
    busy: Arc<AtomicBool>,
}

/// Counts the bytes that arrive.
struct Counted<R> {
    stream: R,
    arrived: Arc<AtomicU64>,
}

/// A transfer in progress, and the sum of what arrives.
struct Transfer {
    arrived: Arc<AtomicU64>,
    sum: JoinHandle<Sum>,
}

impl Read for Paced {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut most = buffer.len();
        if self.busy.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(20));
            // The last part is sent slowly, until the other operations are done.
            most = if self.left > LAST { scaled(32 << 10, 512 << 10) } else { 1 << 10 };
        }
        let most = most.min(buffer.len());
        let count = self.content.read(&mut buffer[..most])?;
        self.left -= count as u64;
        Ok(count)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.arrived.fetch_add(count as u64, Ordering::SeqCst);
        Ok(count)
    }
}

impl Transfer {
    /// A transfer from a target to a client.
    fn down(proxy: SocketAddr, length: u64, busy: &Arc<AtomicBool>) -> (Self, Target) {
        let busy = Arc::clone(busy);
        let source = Target::start(move |mut stream| {
            let content = Content::of(length);
            copy(Paced { content, left: length, busy: Arc::clone(&busy) }, &mut stream)?;
            stream.shutdown(Shutdown::Write)
        });
        let stream = Protocol::Socks5.open(proxy, "127.0.0.1", source.port());
        let arrived = Arc::<AtomicU64>::default();
        let counted = Counted { stream, arrived: Arc::clone(&arrived) };
        let sum = thread::spawn(move || Sum::of(counted).expect("whole"));
        (Self { arrived, sum }, source)
    }

    /// A transfer from a client to a target.
    fn up(proxy: SocketAddr, length: u64, busy: &Arc<AtomicBool>) -> (Self, Target) {
        let arrived = Arc::<AtomicU64>::default();
        let (sums, received) = std::sync::mpsc::channel();
        let counter = Arc::clone(&arrived);
        let sink = Target::start(move |stream| {
            let sum = Sum::of(Counted { stream, arrived: Arc::clone(&counter) })?;
            let _ = sums.send(sum);
            Ok(())
        });
        let mut stream = Protocol::Socks5.open(proxy, "127.0.0.1", sink.port());
        let busy = Arc::clone(busy);
        thread::spawn(move || {
            copy(Paced { content: Content::of(length), left: length, busy }, &mut stream)
                .and_then(|()| stream.shutdown(Shutdown::Write))
                .expect("all of it is taken");
        });
        let sum = thread::spawn(move || received.recv().expect("a sum"));
        (Self { arrived, sum }, sink)
    }

    /// Waits until more data arrives, which shows that the transfer is alive.
    fn goes_on(&self, beside: &str) {
        let before = self.arrived.load(Ordering::SeqCst);
        wait::until(&format!("the transfer goes on during {beside}"), || {
            self.arrived.load(Ordering::SeqCst) > before
        });
    }
}

/// Copies piece by piece, passing on each as it arrives.
fn copy(mut from: impl Read, mut to: impl io::Write) -> io::Result<()> {
    let mut piece = vec![0; 512 << 10];
    loop {
        match from.read(&mut piece)? {
            0 => return Ok(()),
            count => to.write_all(&piece[..count])?,
        }
    }
}

/// The id of the connection to a target.
fn id_of(desk: &Desk, port: u16) -> u64 {
    let connections = desk.say("connections --json");
    let all = connections.out.lines().map(|l| serde_json::from_str::<Value>(l).expect("JSON"));
    let target = format!("127.0.0.1:{port}");
    let mut found = all.filter(|c| c["target"] == target && c["protocol"] == "socks5");
    found.next().expect("it lives")["id"].as_u64().expect("a number")
}

/// The address of a forward, from the output of the command.
fn place_in(said: &str) -> String {
    let rest = said.split(" at ").nth(1).expect("an address");
    rest.split(',').next().expect("an address").to_owned()
}

const LAST: u64 = 4 << 20;

#[test]
#[ignore = "needs sshd"]
fn forwards_kills_and_reloads_disturb_no_transfer() {
    let (sshd, echo) = (Sshd::start(), Target::echo());
    let length = scaled(64 << 20, 1_000_000_000);
    let port = free_port();
    let listen = |name: &str| {
        format!(
            "[default]\nvia = \"box\"\n[[listen]]\nname = \"{name}\"\naddress = \"127.0.0.1:{port}\"\n"
        )
    };
    let server = server("box", &sshd);
    let configuration = Configuration::with(&format!("{}{server}", listen("clients")));
    let desk = Desk::new();
    let proxy = desk.start_by(&configuration);
    let address: SocketAddr = format!("127.0.0.1:{port}").parse().expect("an address");
    let busy = Arc::new(AtomicBool::new(true));
    let (down, _source) = Transfer::down(address, length, &busy);
    let (up, _sink) = Transfer::up(address, length, &busy);
    let go_on = |beside: &str| [&down, &up].map(|transfer| transfer.goes_on(beside));
    go_on("nothing");

    let mut victim = Protocol::Socks5.open(address, "127.0.0.1", echo.port());
    assert!(echoes(&mut victim));
    let to_echo = format!("127.0.0.1:{}", echo.port());
    let added = desk.say(&format!("forward add -L 127.0.0.1:0:{to_echo}")).expect(0);
    let here = place_in(&added.out);
    let mut through = connect(&here);
    assert!(echoes(&mut through));
    let there = desk.say(&format!("forward add --name back -R 0:{to_echo}")).expect(0);
    let far = format!("127.0.0.1:{}", place_in(&there.out));
    assert!(echoes(&mut connect(&far)));
    let proxied = desk.say("forward add -D 127.0.0.1:0").expect(0);
    let second: SocketAddr = place_in(&proxied.out).parse().expect("an address");
    assert!(echoes(&mut Protocol::Socks5.open(second, "127.0.0.1", echo.port())));
    go_on("forwards that are added");

    kills(
        &desk,
        &mut victim,
        || Protocol::Socks5.open(address, "127.0.0.1", echo.port()),
        echo.port(),
    );
    go_on("kills");

    reloads(&desk, &configuration, &listen, &server);
    go_on("reloads");
    assert!(echoes(&mut through), "a reload changes nothing for what runs");
    assert!(echoes(&mut connect(&here)), "a forward of the run time outlives a reload");
    let list = desk.say("forward list").expect(0);
    assert!(list.out.contains("(back)"), "{}", list.out);

    remove(&desk, address, [here.parse().expect("an address"), second], &to_echo);
    assert!(echoes(&mut through), "open connections go on");
    go_on("forwards that are taken back");

    finish([down, up], length, &busy);

    sshd.kill_children();
    wait::until("the server listens again after a reconnect", || listens_back(&desk));
    drop(proxy);
}

/// Ends one connection to a port, and only that one.
fn kills(desk: &Desk, victim: &mut TcpStream, open: impl Fn() -> TcpStream, port: u16) {
    desk.say(&format!("kill {}", id_of(desk, port))).expect(0);
    until_ended(victim);
    desk.say("kill 999999").expect(1);
    let mut another = open();
    let ended = desk.say("kill --min-bytes 0 --rule nonesuch").expect(0);
    assert!(ended.out.contains("ended: 0"), "{}", ended.out);
    assert!(echoes(&mut another), "it was not meant");
}

/// Removes a local forward and a proxy, but not the listener of the configuration.
fn remove(desk: &Desk, configured: SocketAddr, [local, dynamic]: [SocketAddr; 2], to: &str) {
    let denial = desk.say(&format!("forward remove -D {configured}")).expect(1);
    assert!(denial.err.contains("configuration file"), "{}", denial.err);
    desk.say(&format!("-O cancel -L {local}:{to}")).expect(0);
    desk.say(&format!("forward remove -D {dynamic}")).expect(0);
    for gone in [local, dynamic] {
        assert!(TcpStream::connect(gone).is_err(), "{gone}");
    }
}

/// Lets the transfers finish, which were still in progress, and checks that each is complete.
fn finish(transfers: [Transfer; 2], length: u64, busy: &AtomicBool) {
    for transfer in &transfers {
        let arrived = transfer.arrived.load(Ordering::SeqCst);
        assert!((1..length).contains(&arrived), "the transfer had finished: {arrived}");
    }
    busy.store(false, Ordering::SeqCst);
    let whole = Content::of(length).sum();
    for transfer in transfers {
        assert_eq!(transfer.sum.join().expect("no panic"), whole);
    }
}

/// Whether the server listens for the forward named `back`.
fn listens_back(desk: &Desk) -> bool {
    let forwards = desk.say("forward list --json");
    let mut places =
        forwards.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    places.any(|place| place["name"] == "back" && place["state"] == "listening")
}

/// Makes one reload that is refused, one with another rule, and one that renames the listener.
fn reloads(desk: &Desk, file: &Configuration, listen: &dyn Fn(&str) -> String, server: &str) {
    let clients = listen("clients");
    file.write("config.toml", &format!("{clients}{server}[server.broken]\nnonsense = 1\n"));
    let refused = desk.say("reload").expect(1);
    assert!(refused.err.contains("nonsense"), "{}", refused.err);
    assert_eq!(desk.status()["configuration"]["mistakes"].as_array().expect("a list").len(), 1);
    let rule = "[[rule]]\nname = \"ads\"\ndomain = [\"ads.example\"]\naction = \"reject\"\n";
    file.write("config.toml", &format!("{clients}{server}{rule}"));
    wait::until("it is in force", || desk.say("reload").status == 0);
    file.write("config.toml", &format!("{}{server}{rule}", listen("people")));
    wait::until("the listener has its other name", || {
        desk.say("reload");
        let status = desk.status();
        let names =
            status["forwards"].as_array().expect("a list").iter().map(|p| p["name"].clone());
        names.into_iter().any(|name| name == "people")
    });
    let told = desk.say("status").expect(0);
    assert!(told.out.contains("(people)") && !told.out.contains("(clients)"), "{}", told.out);
}
