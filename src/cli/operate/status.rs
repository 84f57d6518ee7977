//! `sockeye status` and `sockeye wait`.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::args::{StatusArgs, WaitArgs, Which};
use super::instance::Instance;
use super::{Done, FAILED, FINE, Failure, NOT_RUNNING, client, json, show};
use crate::cli::configured::say;
use crate::control::client::{Client, ClientError};
use crate::control::schema::{Ping, PingRequest, Status};
use crate::task;

pub(super) async fn status(args: StatusArgs) -> Done {
    let which = Which { name: args.name.or(args.which.name), ..args.which };
    let instances = Instance::all(which)?;
    if instances.is_empty() {
        if !args.quiet && !args.json {
            say("no sockeye is running\n");
        }
        return Ok(NOT_RUNNING);
    }
    let only = instances.len() == 1;
    // Asked concurrently, so that an unresponsive program does not delay the others.
    let asked: Vec<_> = instances.into_iter().map(|i| task::spawn(ask(i))).collect();
    let mut worst = FINE;
    for asked in asked {
        let status = match asked.await {
            Ok(Ok(status)) => status,
            // The program has exited since it was found.
            Ok(Err(ClientError::NotRunning { .. })) if !only => continue,
            Ok(Err(error)) if only => return Err(error.into()),
            Ok(Err(error)) => {
                super::report(&error.into());
                worst = FAILED;
                continue;
            }
            // The task failed, because this program is ending.
            Err(_) => return Ok(FAILED),
        };
        if status.state != "ready" {
            worst = FAILED;
        }
        if args.quiet {
            continue;
        }
        say(&if args.json { json(&status) } else { show::status(&status) });
    }
    Ok(worst)
}

async fn ask(instance: Instance) -> Result<Status, ClientError> {
    Client::new(instance.socket).get("/v1/status?probe=true").await
}

pub(super) async fn wait(args: WaitArgs) -> Done {
    let patience = Duration::try_from_secs_f64(args.timeout).ok();
    let deadline = patience.and_then(|patience| Instant::now().checked_add(patience));
    let deadline = deadline
        .ok_or_else(|| Failure::Words(format!("--timeout {}: not a time", args.timeout)))?;
    loop {
        let limit = deadline.max(Instant::now() + ONE_LOOK);
        let why = match timeout_at(limit, is_up(&args)).await {
            Ok(Ok(None)) => return Ok(FINE),
            Ok(Ok(Some(why))) => why,
            Ok(Err(Failure::WhichOne(names))) => return Err(Failure::WhichOne(names)),
            Ok(Err(failure)) => failure.to_string(),
            Err(_) => "the program does not answer".to_owned(),
        };
        if Instant::now() >= deadline {
            return Err(Failure::NotInTime(why));
        }
        sleep(PAUSE.min(deadline.saturating_duration_since(Instant::now()))).await;
    }
}

/// The reason why the program does not forward, as a sentence; `None` if it does.
async fn is_up(args: &WaitArgs) -> Result<Option<String>, Failure> {
    let client = client(args.which.clone())?;
    let probing = args.probe.is_none();
    let status: Status = client.get(&format!("/v1/status?probe={probing}")).await?;
    if status.state == "starting" || status.state == "draining" {
        return Ok(Some(format!("it is {}", status.state)));
    }
    if let Some(destination) = &args.probe {
        let request = PingRequest {
            destination: Some(destination.clone()),
            server: args.server.clone(),
            http: false,
        };
        let ping: Ping = client.patient().ask(hyper::Method::POST, "/v1/ping", &request).await?;
        return Ok((!ping.opened).then_some(ping.verdict));
    }
    let wanted = |name: &str| args.server.as_deref().is_none_or(|server| server == name);
    if let Some(server) = &args.server
        && !status.servers.iter().any(|known| known.name == *server)
    {
        return Ok(Some(format!("there is no server {server}")));
    }
    for server in status.servers.iter().filter(|server| wanted(&server.name)) {
        if server.state != "ready" || server.path != "proved" {
            let reason = server.path_reason.clone().unwrap_or_else(|| server.reason.clone());
            return Ok(Some(format!("{} is {}: {reason}", server.name, server.state)));
        }
    }
    let missing = status.forwards.iter().find(|forward| forward.state != "listening");
    let missing = missing.filter(|_| args.server.is_none());
    Ok(missing.map(|forward| format!("{} is {}", forward.spec, forward.state)))
}

/// The time for one look, even if less is left: there may be only one.
const ONE_LOOK: Duration = Duration::from_secs(2);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[tokio::test]
    async fn an_invalid_timeout_is_rejected() {
        for text in ["-1", "NaN", "inf", "1e19", "1e300"] {
            let args = WaitArgs::try_parse_from(["wait", &format!("--timeout={text}")]);
            let told = wait(args.expect("a number")).await;
            assert!(matches!(told, Err(Failure::Words(_))), "{text}: {told:?}");
        }
    }
}
