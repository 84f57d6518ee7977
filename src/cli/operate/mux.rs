//! ssh's own `-O`: `sockeye -O check|forward|cancel|exit|stop [-S path] [host]`.

use std::path::PathBuf;

use super::args::SpecArgs;
use super::instance::{Instance, Which};
use super::{Done, FAILED, FINE, Failure, forward, show};
use crate::cli::configured::say;
use crate::control::client::Client;
use crate::control::location::name_of;
use crate::control::schema::{Connections, Status};

/// A command of ssh to a running program.
#[derive(Clone, Debug)]
pub struct MuxCommand {
    word: Word,
    which: Which,
    specs: SpecArgs,
}

/// What ssh's `-O` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Check,
    Forward,
    Cancel,
    Exit,
    Stop,
    Conninfo,
    Channels,
}

impl MuxCommand {
    /// Reads the word after `-O`; none where it is no such word.
    pub(crate) fn read(
        word: &str,
        server: Option<&str>,
        socket: Option<PathBuf>,
        [local, remote, dynamic]: [Vec<String>; 3],
    ) -> Option<Self> {
        let word = match word {
            "check" => Word::Check,
            "forward" => Word::Forward,
            "cancel" => Word::Cancel,
            "exit" => Word::Exit,
            "stop" => Word::Stop,
            "conninfo" => Word::Conninfo,
            "channels" => Word::Channels,
            _ => return None,
        };
        let which = Which { name: server.map(name_of), socket };
        Some(Self { word, which, specs: SpecArgs { local, remote, dynamic } })
    }

    pub(super) async fn run(self) -> Done {
        let Self { word, which, specs } = self;
        if word == Word::Forward {
            return forward::add(which, &specs, None, None).await;
        }
        let instance = Instance::one(which.clone())?;
        let client = Client::new(&instance.socket);
        match word {
            Word::Check => {
                let status: Status = client.get("/v1/status?probe=true").await?;
                say(&show::status(&status));
                Ok(if status.state == "ready" { FINE } else { FAILED })
            }
            Word::Conninfo => {
                let status: Status = client.get("/v1/status").await?;
                let sessions = status.servers.iter().flat_map(|server| &server.sessions);
                sessions.for_each(|session| {
                    say(&format!("{}\n", serde_json::to_string(session).unwrap_or_default()));
                });
                Ok(FINE)
            }
            Word::Channels => {
                let found: Connections = client.get("/v1/connections").await?;
                for connection in &found.connections {
                    say(&format!("{}\n", show::connection_line(connection)));
                }
                Ok(FINE)
            }
            Word::Cancel => {
                let SpecArgs { local, remote, dynamic } = &specs;
                if local.is_empty() && remote.is_empty() && dynamic.is_empty() {
                    return Err(Failure::Words("say which ones: -L, -R or -D".to_owned()));
                }
                forward::cancel(&client, &specs).await
            }
            Word::Exit => super::stop(which, true).await,
            Word::Stop | Word::Forward => super::stop(which, false).await,
        }
    }
}
