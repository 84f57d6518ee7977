//! `sockeye forward`.

use hyper::Method;

use super::args::{ForwardAction, ForwardArgs, SpecArgs, Which};
use super::{Done, FAILED, FINE, Failure, client, say_json, show, unless_refused};
use crate::cli::configured::say;
use crate::control::client::Client;
use crate::control::schema::{Closed, Forward, ForwardRequest, Forwards};
use crate::forward::listen_address::Bind;
use crate::forward::{LocalForward, LocalListen, RemoteForward};

pub(super) async fn run(args: ForwardArgs) -> Done {
    match args.action {
        ForwardAction::Add { specs, server, name, which } => add(which, &specs, server, name).await,
        ForwardAction::List { json, which } => {
            let found: Forwards = client(which)?.get("/v1/forwards").await?;
            for forward in &found.forwards {
                if json {
                    say_json(forward);
                } else {
                    say(&format!("{}\n", show::forward_line(forward)));
                }
            }
            Ok(FINE)
        }
        ForwardAction::Remove { ids, specs, which } => remove(which, &ids, &specs).await,
    }
}

/// Adds forwards one by one, and shows where each listens.
pub(super) async fn add(
    which: Which,
    specs: &SpecArgs,
    server: Option<String>,
    name: Option<String>,
) -> Done {
    let wanted = all(specs);
    if wanted.is_empty() {
        return Err(Failure::Words("name the forwards with -L, -R or -D".to_owned()));
    }
    let client = client(which)?.patient();
    let mut status = FINE;
    for (kind, spec) in wanted {
        let request = ForwardRequest {
            kind: kind.to_owned(),
            spec: spec.to_owned(),
            server: server.clone(),
            name: name.clone(),
        };
        let added = client.ask::<Forward, _>(Method::POST, "/v1/forwards", &request).await;
        match unless_refused(added)? {
            Some(forward) => say(&format!("{}\n", show::forward_line(&forward))),
            None => status = FAILED,
        }
    }
    Ok(status)
}

async fn remove(which: Which, ids: &[u64], specs: &SpecArgs) -> Done {
    if ids.is_empty() && all(specs).is_empty() {
        return Err(Failure::Words("name the forwards by id, or with -L, -R or -D".to_owned()));
    }
    let client = client(which)?;
    let removed = remove_ids(&client, ids).await?;
    Ok(removed.max(cancel(&client, specs).await?))
}

/// Removes the forwards with these specifications.
pub(super) async fn cancel(client: &Client, specs: &SpecArgs) -> Done {
    let mut status = FINE;
    for (kind, spec) in all(specs) {
        let forwards = client.get::<Forwards>("/v1/forwards").await?.forwards;
        let meant = forwards.iter().find(|forward| forward.kind == kind && is_meant(forward, spec));
        if let Some(forward) = meant {
            status = status.max(remove_ids(client, &[forward.id]).await?);
        } else {
            super::report(&Failure::Words(format!("there is no forward {spec}")));
            status = FAILED;
        }
    }
    Ok(status)
}

async fn remove_ids(client: &Client, ids: &[u64]) -> Done {
    let client = client.clone().patient();
    let mut status = FINE;
    for id in ids {
        let path = format!("/v1/forwards/{id}");
        let removed = client.ask::<Closed, _>(Method::DELETE, &path, &()).await;
        if unless_refused(removed)?.is_none() {
            status = FAILED;
        }
    }
    Ok(status)
}

/// All of the specifications, each with its kind.
fn all(specs: &SpecArgs) -> Vec<(&'static str, &str)> {
    let SpecArgs { local, remote, dynamic } = specs;
    let local = local.iter().map(|spec| ("local", spec.as_str()));
    let remote = remote.iter().map(|spec| ("remote", spec.as_str()));
    let dynamic = dynamic.iter().map(|spec| ("dynamic", spec.as_str()));
    local.chain(remote).chain(dynamic).collect()
}

/// Whether `spec` denotes this forward, even if the forward was written differently.
fn is_meant(forward: &Forward, spec: &str) -> bool {
    let mut spellings = vec![spec.to_owned()];
    for bare in &[Bind::Loopback, Bind::All] {
        if let Ok(forward) = spec.parse::<LocalForward>() {
            spellings.push(format!("{}:{}", forward.listen.address(bare), forward.to));
        }
        if let Ok(listen) = spec.parse::<LocalListen>() {
            spellings.push(listen.address(bare).to_string());
        }
    }
    if let Ok(forward) = spec.parse::<RemoteForward>() {
        spellings.push(forward.to_string());
    }
    spellings.contains(&forward.spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_matches_every_spelling_of_it() {
        let forward = |spec: &str| Forward { spec: spec.to_owned(), ..Forward::default() };
        for (spec, written) in [
            ("localhost:8080:db:5432", "8080:db:5432"),
            ("localhost:8080:db:5432", "localhost:8080:db:5432"),
            ("*:8080:db:5432", "8080:db:5432"),
            ("localhost:1080", "1080"),
            ("8080:db:5432", "8080:DB:5432"),
        ] {
            assert!(is_meant(&forward(spec), written), "{spec} {written}");
        }
        assert!(!is_meant(&forward("localhost:8080:db:5432"), "8080:db:5433"));
        assert!(!is_meant(&forward("localhost:8080:db:5432"), "8080"));
    }
}
