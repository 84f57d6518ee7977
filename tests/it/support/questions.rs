//! An SSH server that asks several questions in two rounds, as with one-time passwords.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use russh::server::{Auth, Config, Handler, Response, Session, run_stream};
use russh::{Channel, ChannelId, MethodKind, server::Msg};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::login::{HOST, Login};

/// The server. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Questions {
    login: Login,
    port: u16,
    runtime: Option<Runtime>,
}

/// The expected answers: two in the first round, and one in the second.
pub(crate) const ANSWERS: [&str; 3] = ["otp-user-5518", "otp-pin-90210", "otp-code-774411"];

struct Asking {
    round: usize,
}

impl Questions {
    pub(crate) fn start() -> Self {
        let login = Login::new();
        let (runtime, port) = asking(&login, || Asking { round: 0 });
        Self { login, port, runtime: Some(runtime) }
    }

    /// An `ssh_config` for the server.
    pub(crate) fn ssh_config(&self) -> PathBuf {
        let known = self.login.know_host(self.port, &self.login.host_key());
        let config = format!(
            "Host {HOST}\n    HostName 127.0.0.1\n    Port {port}\n    User alice\n    \
             UserKnownHostsFile {known}\n    GlobalKnownHostsFile /dev/null\n    \
             IdentityAgent none\n    IdentityFile none\n",
            port = self.port,
            known = known.display(),
        );
        let path = self.login.path("ssh_config");
        std::fs::write(&path, config).expect("ssh_config");
        path
    }
}

impl Drop for Questions {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A server whose only authentication is keyboard-interactive, with a handler for each connection; and its port.
pub(crate) fn asking<H>(login: &Login, handler: impl Fn() -> H + Send + 'static) -> (Runtime, u16)
where
    H: Handler<Error = russh::Error> + Send + 'static,
{
    let key = russh::keys::load_secret_key(login.host_key(), None).expect("the host key");
    let config = Arc::new(Config {
        keys: vec![key],
        methods: (&[MethodKind::KeyboardInteractive][..]).into(),
        auth_rejection_time: Duration::ZERO,
        ..Config::default()
    });
    let runtime = Runtime::new().expect("a runtime");
    let bound = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let listener = bound.expect("a loopback port");
    let port = listener.local_addr().expect("an address").port();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (config, handler) = (Arc::clone(&config), handler());
            tokio::spawn(async move {
                if let Ok(session) = run_stream(config, stream, handler).await {
                    let _ = session.await;
                }
            });
        }
    });
    (runtime, port)
}

impl Handler for Asking {
    type Error = russh::Error;

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let said: Vec<String> = response.map_or_else(Vec::new, |answers| {
            answers.map(|answer| String::from_utf8_lossy(&answer).into_owned()).collect()
        });
        let ask = |prompts: &[(&'static str, bool)]| Auth::Partial {
            name: "".into(),
            instructions: "Two rounds".into(),
            prompts: prompts.iter().map(|(text, echo)| ((*text).into(), *echo)).collect(),
        };
        self.round += 1;
        Ok(match self.round {
            1 => ask(&[("Login: ", true), ("PIN: ", false)]),
            2 if said == ANSWERS[..2] => ask(&[("Code: ", false)]),
            3 if said == ANSWERS[2..] => Auth::Accept,
            _ => {
                self.round = 0;
                Auth::reject()
            }
        })
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: russh::server::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    /// Every command succeeds.
    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        session.exit_status_request(channel, 0)?;
        session.close(channel)
    }
}
