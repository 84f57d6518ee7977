//! Many short concurrent requests, and their outcomes.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::socks::{Answer, Protocol};

/// Clients that connect to an echo target, send a message, receive it and leave, repeatedly.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    pub(crate) proxy: SocketAddr,
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// The number of concurrent clients, each in a thread of its own.
    pub(crate) clients: u32,
    /// The total rate in requests per second, as long as none is slow.
    pub(crate) rate: u32,
}

/// A completed request.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) begun: Instant,
    /// The time when the proxy confirmed the tunnel; for a failure, the time when the request ended.
    pub(crate) answered: Instant,
    pub(crate) ended: Instant,
    pub(crate) outcome: Outcome,
}

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It succeeded.
    Served,
    /// The tunnel was established, and cut later.
    Cut,
    /// No tunnel was established.
    Failed(String),
}

/// All completed requests.
#[derive(Debug, Default)]
pub(crate) struct Tally(Vec<Made>);

impl Load<'_> {
    /// Makes requests while `work` runs, and waits for those in progress at its end.
    pub(crate) fn during<T>(&self, work: impl FnOnce() -> T) -> (T, Tally) {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let clients: Vec<_> = (0..self.clients)
                .map(|number| {
                    scope.spawn({
                        let stop = &stop;
                        move || self.client(number, stop)
                    })
                })
                .collect();
            // This applies even if `work` panics: the scope waits for the clients.
            let stopping = SetOnDrop(&stop);
            let done = work();
            drop(stopping);
            let made = clients.into_iter().flat_map(|client| client.join().expect("no panic"));
            (done, Tally(made.collect()))
        })
    }

    /// Makes requests for some time.
    pub(crate) fn lasting(&self, time: Duration) -> Tally {
        self.during(|| thread::sleep(time)).1
    }

    fn client(&self, number: u32, stop: &AtomicBool) -> Vec<Made> {
        let interval = Duration::from_secs(1) * self.clients / self.rate;
        let mut next = Instant::now() + interval * number / self.clients;
        let mut made = Vec::new();
        loop {
            thread::sleep(next.saturating_duration_since(Instant::now()));
            if stop.load(Ordering::SeqCst) {
                return made;
            }
            // A client that was delayed catches up, so that the rate is as requested.
            next += interval;
            next += next.elapsed().saturating_sub(CATCH_UP);
            made.push(self.request());
        }
    }

    fn request(&self) -> Made {
        let begun = Instant::now();
        let answer = Protocol::Socks5.ask(self.proxy, self.host, self.port);
        let answered = Instant::now();
        let outcome = match answer {
            Ok(Answer::Open(stream)) => match say_a_word(stream) {
                Ok(()) => Outcome::Served,
                Err(_) => Outcome::Cut,
            },
            Ok(Answer::Refused(answer)) => Outcome::Failed(format!("refused: {answer:?}")),
            Err(error) => Outcome::Failed(error.to_string()),
        };
        Made { begun, answered, ended: Instant::now(), outcome }
    }
}

impl Tally {
    /// All requests, in no particular order.
    pub(crate) fn made(&self) -> &[Made] {
        &self.0
    }

    /// Fails if a request got no tunnel.
    #[track_caller]
    pub(crate) fn assert_none_failed(&self) {
        let failed: Vec<_> =
            self.0.iter().filter(|made| matches!(made.outcome, Outcome::Failed(_))).collect();
        assert!(failed.is_empty(), "{} of {} failed: {failed:?}", failed.len(), self.0.len());
    }

    /// Fails if anything went wrong with a request.
    #[track_caller]
    pub(crate) fn assert_all_served(&self) {
        self.assert_none_failed();
        let cut = self.0.iter().filter(|made| made.outcome == Outcome::Cut).count();
        assert!(cut == 0 && !self.0.is_empty(), "{cut} of {} were cut", self.0.len());
    }

    /// The time within which a fraction of the requests completed, such as `0.99` or `0.5`.
    pub(crate) fn percentile(&self, part: f64) -> Duration {
        percentile(self.0.iter().map(|made| made.ended - made.begun).collect(), part)
    }
}

/// The smallest time that a fraction of the times do not exceed.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a place in a list that fits into memory"
)]
pub(crate) fn percentile(mut times: Vec<Duration>, part: f64) -> Duration {
    times.sort_unstable();
    let place = (times.len() as f64 * part).ceil() as usize;
    times.get(place.saturating_sub(1)).copied().unwrap_or_default()
}

/// Tells threads to stop, even if the test panics while they are waited for.
pub(crate) struct SetOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn say_a_word(mut stream: std::net::TcpStream) -> io::Result<()> {
    stream.write_all(WORD)?;
    let mut heard = [0; WORD.len()];
    stream.read_exact(&mut heard)?;
    stream.shutdown(Shutdown::Write)?;
    let more = stream.read(&mut [0])?;
    if &heard == WORD && more == 0 { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// The most that a client may fall behind before it drops requests.
const CATCH_UP: Duration = Duration::from_secs(2);

const WORD: &[u8; 64] = b"a request that fits into a packet, and an answer no longer than.";
