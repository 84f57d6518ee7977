//! `sockeye dashboard`.

use hyper::Method;

use super::args::DashboardArgs;
use super::{Done, FINE, Failure, client};
use crate::cli::configured::say;
use crate::control::schema::DashboardLink;

/// Prints a link to the dashboard, or opens it.
pub(super) async fn run(args: DashboardArgs) -> Done {
    let answer: DashboardLink = client(args.which)?.ask(Method::POST, "/v1/dashboard", &()).await?;
    if args.open {
        // Other users can see a process's arguments, but the dashboard refuses them the link.
        open::that_detached(&answer.link).map_err(Failure::Browser)?;
    } else {
        say(&format!("{}\n", if args.token { &answer.token } else { &answer.link }));
    }
    Ok(FINE)
}
