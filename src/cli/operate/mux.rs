//! ssh's `-O`: `sockeye -O check|forward|cancel|exit|stop [-S path] [host]`.

use std::path::PathBuf;

use super::args::{SpecArgs, Which};
use super::{Done, FAILED, FINE, Failure, client, forward, say_json, show};
use crate::cli::configured::say;
use crate::control::location::name_of;
use crate::control::schema::{Connections, Status};
use crate::forward::{LocalForward, RemoteForward};
use crate::openssh::{ClientConfig, ConfigError, ServerName, SshOptions};

/// A command to a running program in ssh's syntax.
#[derive(Clone, Debug)]
pub struct MuxCommand {
    word: Word,
    /// The server, as the user typed it.
    server: Option<String>,
    ssh: SshOptions,
    socket: Option<PathBuf>,
    specs: SpecArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString)]
#[strum(serialize_all = "lowercase")]
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
    /// Reads the word after `-O`; `None` if it is unknown.
    pub(crate) fn read(
        word: &str,
        server: Option<String>,
        ssh: SshOptions,
        socket: Option<PathBuf>,
        [local, remote, dynamic]: [Vec<String>; 3],
    ) -> Option<Self> {
        let word = word.parse().ok()?;
        Some(Self { word, server, ssh, socket, specs: SpecArgs { local, remote, dynamic } })
    }

    pub(super) async fn run(mut self) -> Done {
        self.expand().await?;
        let Self { word, server, socket, specs, .. } = self;
        let which = Which { name: server.as_deref().map(name_of), socket };
        if word == Word::Forward {
            return forward::add(which, &specs, None, None).await;
        }
        let client = client(which.clone())?;
        match word {
            Word::Check => {
                let status: Status = client.get("/v1/status?probe=true").await?;
                say(&show::status(&status));
                Ok(if status.state == "ready" { FINE } else { FAILED })
            }
            Word::Conninfo => {
                let status: Status = client.get("/v1/status").await?;
                let sessions = status.servers.iter().flat_map(|server| &server.sessions);
                sessions.for_each(say_json);
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
                    return Err(Failure::Words("name the forwards with -L, -R or -D".to_owned()));
                }
                forward::cancel(&client, &specs).await
            }
            Word::Exit => super::stop(which, true).await,
            Word::Stop | Word::Forward => super::stop(which, false).await,
        }
    }

    /// Expands tokens and variables in paths, as ssh does before it connects to the running program. Their
    /// values depend on the server.
    async fn expand(&mut self) -> Result<(), ConfigError> {
        let Some(server) = self.server.as_deref().and_then(|s| s.parse::<ServerName>().ok()) else {
            return Ok(());
        };
        let SpecArgs { local, remote, .. } = &mut self.specs;
        let socket = self.socket.as_deref().map(|path| path.to_string_lossy());
        let mut texts = local.iter().chain(&*remote).map(String::as_str).chain(socket.as_deref());
        if !texts.any(|text| text.contains(['%', '$', '~'])) {
            return Ok(());
        }
        let (config, _) = ClientConfig::query(&server, &self.ssh).await?;
        // Parsing cannot fail: the command line has been checked.
        for spec in local {
            if let Ok(forward) = spec.parse::<LocalForward>() {
                *spec = config.expand_local(forward)?.to_string();
            }
        }
        for spec in remote {
            if let Ok(forward) = spec.parse::<RemoteForward>() {
                *spec = config.expand_remote(forward)?.to_string();
            }
        }
        if let Some(path) = self.socket.take() {
            self.socket = Some(config.control_path(path)?);
        }
        Ok(())
    }
}
