//! Follows the events of the running program, and waits for it to return when it is gone.

use std::time::Duration;

use hyper::Method;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::model::{Interest, News};
use crate::control::client::{Client, ClientError, EventStream};
use crate::control::schema::{Closed, Connection, Event, Rules};

pub(super) type Sender = mpsc::Sender<News>;

/// The error if the receiver is gone.
struct Unheard;

/// Passes on the events of the program until the receiver is gone.
pub(super) async fn follow(client: Client, mut interest: watch::Receiver<Interest>, news: Sender) {
    loop {
        let why = match client.events("").await {
            Err(ClientError::Silent { .. }) => "the program does not answer".to_owned(),
            Err(ClientError::NotRunning { .. }) => "the program is not running".to_owned(),
            Err(error) => error.to_string(),
            Ok(events) => match listen(&client, events, &mut interest, &news).await {
                Ok(why) => why,
                Err(Unheard) => return,
            },
        };
        if news.send(News::Gone(why)).await.is_err() {
            return;
        }
        sleep(PAUSE).await;
    }
}

/// Passes on events; returns the reason for their end.
async fn listen(
    client: &Client,
    mut events: EventStream,
    interest: &mut watch::Receiver<Interest>,
    news: &Sender,
) -> Result<String, Unheard> {
    let mut silent = 0;
    loop {
        let heard = tokio::select! {
            heard = timeout(SECOND, events.next()) => heard,
            changed = interest.changed() => {
                changed.map_err(|_| Unheard)?;
                look(client, interest, news).await?;
                continue;
            }
        };
        match heard {
            Ok(Some(event)) => {
                silent = 0;
                let is_tick = matches!(event, Event::Tick { .. } | Event::Reset { .. });
                send(news, News::Event(Box::new(event))).await?;
                if is_tick {
                    look(client, interest, news).await?;
                }
            }
            Ok(None) => return Ok("the program has ended".to_owned()),
            // The program sends a tick every second.
            Err(_) => {
                silent += 1;
                if silent >= UNUSUAL {
                    send(news, News::Silent(silent)).await?;
                }
            }
        }
    }
}

/// Polls what no event carries. A missing answer shows in the events.
async fn look(
    client: &Client,
    interest: &mut watch::Receiver<Interest>,
    news: &Sender,
) -> Result<(), Unheard> {
    let Interest { rules, connection } = *interest.borrow_and_update();
    if rules && let Ok(Ok(Rules { rules })) = timeout(SECOND, client.get("/v1/rules")).await {
        send(news, News::Rules(rules)).await?;
    }
    if let Some(id) = connection {
        let path = format!("/v1/connections/{id}");
        if let Ok(Ok(found)) = timeout(SECOND, client.get::<Connection>(&path)).await {
            send(news, News::Connection(Box::new(found))).await?;
        }
    }
    Ok(())
}

/// Ends connections, and returns the outcome in words.
pub(super) async fn kill(client: Client, ids: Vec<u64>) -> String {
    let mut ended = 0;
    let mut refusal = None;
    for id in ids {
        let path = format!("/v1/connections/{id}");
        match client.ask::<Closed, _>(Method::DELETE, &path, &()).await {
            Ok(_) => ended += 1,
            Err(error) => refusal = Some(error.to_string()),
        }
    }
    match refusal {
        None => format!("ended: {ended}"),
        Some(why) => format!("ended: {ended}; not all: {why}"),
    }
}

async fn send(news: &Sender, what: News) -> Result<(), Unheard> {
    news.send(what).await.map_err(|_| Unheard)
}

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);
/// The interval of the program's ticks.
const SECOND: Duration = Duration::from_secs(1);
/// The seconds of silence after which it is reported.
const UNUSUAL: u64 = 3;
