//! `sockeye top`: a live view of a running program on the terminal.
//!
//! [`model`] is the state, with the effects of events and keys, and [`view`] draws it; both are pure.
//! [`feed`] follows the program, [`screen`] owns the terminal.

use std::io;
use std::time::Duration;

use crossterm::event::{Event, EventStream};
use futures_util::StreamExt as _;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::args::Named;
use super::{Done, FINE, Failure, client};
use crate::control::client::Client;
use crate::task;
use keys::Effect;
use model::{Interest, Model, News};
use screen::{Screen, Who};

mod facts;
mod feed;
mod keys;
mod model;
mod rows;
#[cfg(test)]
mod samples;
mod screen;
mod series;
#[cfg(test)]
mod tests;
mod view;

/// Shows the program until the user quits.
pub(super) async fn run(which: Named) -> Done {
    if let Some(why) = screen::obstacle() {
        return Err(Failure::Words(why.to_owned()));
    }
    let client = client(which)?;
    let (news, heard) = mpsc::channel(AHEAD);
    let (interest, wanted) = watch::channel(Interest::default());
    let _feed = task::spawn(feed::follow(client.clone(), wanted, news));
    let orders = JoinSet::new();
    let top = Top { model: Model::default(), client, interest, heard, orders };
    top.show().await.map_err(Failure::Terminal)?;
    Ok(FINE)
}

/// Everything that runs while the screen is shown.
struct Top {
    model: Model,
    client: Client,
    interest: watch::Sender<Interest>,
    heard: mpsc::Receiver<News>,
    /// Commands in progress; each ends with its outcome in words.
    orders: JoinSet<String>,
}

impl Top {
    async fn show(mut self) -> io::Result<()> {
        let mut screen = Screen::open()?;
        let shown = self.steer(&mut screen).await;
        drop(screen);
        // The last command may still complete, if the program answers.
        let _ = timeout(PATIENCE, self.orders.join_all()).await;
        shown
    }

    async fn steer(&mut self, screen: &mut Screen) -> io::Result<()> {
        let mut keys = EventStream::new();
        let mut stops = signal(SignalKind::from_raw(Signal::TSTP.as_raw()))?;
        let mut continues = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
        // The time of the next draw; `None` if nothing has changed.
        let mut next = Some(Instant::now());
        loop {
            tokio::select! {
                biased;
                _ = continues.recv() => screen.retake()?,
                _ = stops.recv() => screen.suspend(Who::Process)?,
                event = keys.next() => match event {
                    None => return Ok(()),
                    Some(Err(error)) => return Err(error),
                    Some(Ok(Event::Key(key))) => match self.model.key(key) {
                        Some(Effect::Quit) => return Ok(()),
                        Some(effect) => self.effect(effect, screen)?,
                        None => {}
                    }
                    Some(Ok(_)) => {}
                },
                () = until(next) => {
                    screen.draw(&self.model)?;
                    next = None;
                    continue;
                }
                Some(Ok(note)) = self.orders.join_next() => self.model.hear(News::Done(note)),
                Some(news) = self.heard.recv() => {
                    self.model.hear(news);
                    while let Ok(news) = self.heard.try_recv() {
                        self.model.hear(news);
                    }
                }
            }
            let wanted = self.model.interest();
            self.interest.send_if_modified(|now| {
                let is_other = *now != wanted;
                *now = wanted;
                is_other
            });
            // Draws soon, but not once for each event.
            next = next.or(Some(Instant::now() + PAUSE));
        }
    }

    fn effect(&mut self, effect: Effect, screen: &mut Screen) -> io::Result<()> {
        match effect {
            Effect::Suspend => screen.suspend(Who::Job)?,
            Effect::Redraw => screen.retake()?,
            Effect::Kill(ids) => {
                self.orders.spawn(feed::kill(self.client.clone(), ids));
            }
            Effect::Quit => {}
        }
        Ok(())
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// The longest queue of news; each entry may describe all connections.
const AHEAD: usize = 16;
/// The delay between a change and the next draw.
const PAUSE: Duration = Duration::from_millis(30);
/// The time limit for a command that was given before the user quit.
const PATIENCE: Duration = Duration::from_secs(1);
