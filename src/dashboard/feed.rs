//! The streams of the Clash API: a sequence of JSON objects, over a WebSocket or as lines.

use std::convert::Infallible;
use std::fs;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Either;
use http_body_util::channel::Sender;
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Interval, timeout};
use tokio_util::sync::CancellationToken;

use super::clash::{self, Level};
use crate::control::Program;
use crate::control::reply::{Body, StreamBody, head};
use crate::registry::Event;
use crate::task;

#[derive(Debug)]
pub(super) struct Feed {
    program: Program,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Traffic(Interval),
    /// The first figure is 0 by convention, so that charts start there.
    Memory(Interval, Option<u64>),
    Connections(Interval),
    Logs(Receiver<Event>, Level),
}

impl Feed {
    /// The traffic of each second.
    pub(super) fn traffic(program: &Program) -> Self {
        Self::new(program, Kind::Traffic(task::every(SECOND)))
    }

    /// The memory of the process, each second.
    pub(super) fn memory(program: &Program) -> Self {
        Self::new(program, Kind::Memory(task::every(SECOND), Some(0)))
    }

    /// All connections, once per `period`.
    pub(super) fn connections(program: &Program, period: Duration) -> Self {
        Self::new(program, Kind::Connections(task::every(period.clamp(SHORTEST, LONGEST))))
    }

    pub(super) fn logs(program: &Program, level: Level) -> Self {
        Self::new(program, Kind::Logs(program.registry().events.listen(), level))
    }

    fn new(program: &Program, kind: Kind) -> Self {
        Self { program: program.clone(), kind }
    }

    /// The next object; `None` when the program ends.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Option<String> {
        match &mut self.kind {
            Kind::Traffic(tick) => {
                tick.tick().await;
                let traffic = self.program.registry().connections.traffic();
                Some(json!({ "up": traffic.up_rate, "down": traffic.down_rate }).to_string())
            }
            Kind::Memory(tick, first) => {
                tick.tick().await;
                let inuse = first.take().unwrap_or_else(resident);
                Some(json!({ "inuse": inuse, "oslimit": 0 }).to_string())
            }
            Kind::Connections(tick) => {
                // This precedes the tick, which would be lost if the future were dropped here.
                self.program.identify().await;
                tick.tick().await;
                Some(text(&clash::snapshot(&self.program)))
            }
            Kind::Logs(events, level) => loop {
                match events.recv().await {
                    Ok(event) => {
                        if let Some(line) = clash::log_line(&event, *level) {
                            return Some(text(&line));
                        }
                    }
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            },
        }
    }

    /// The stream as a response, one object a line.
    pub(super) fn lines(
        self,
        permit: OwnedSemaphorePermit,
        shutdown: CancellationToken,
    ) -> Response<Body> {
        let body = StreamBody::new(AHEAD, |sender| async move {
            let _permit = permit;
            tokio::select! {
                () = self.tell(sender) => {}
                () = shutdown.cancelled() => {}
            }
        });
        head(StatusCode::OK, "application/json", Either::Right(body))
    }

    async fn tell(mut self, mut sender: Sender<Bytes, Infallible>) {
        while let Some(text) = self.next().await {
            match timeout(PATIENCE, sender.send_data(format!("{text}\n").into())).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }
}

fn text<T: Serialize>(content: &T) -> String {
    // Serialization cannot fail: these are structures of strings and numbers.
    serde_json::to_string(content).unwrap_or_default()
}

/// The resident memory of this process, in bytes; 0 if the system does not tell.
pub(super) fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
}

const SECOND: Duration = Duration::from_secs(1);
/// The bounds on the interval that a client may choose.
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(60);
/// The most objects in the queue.
const AHEAD: usize = 4;
/// The time for which a client may block the stream.
const PATIENCE: Duration = Duration::from_secs(10);
