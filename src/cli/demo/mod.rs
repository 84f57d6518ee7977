//! `sockeye demo`: the proxy, an SSH server and a web page, all on this machine.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use self::server::DemoServer;
use crate::app;
use crate::forward::ListenAddress;
use crate::forward::listen_address::Bind;
use crate::openssh::{AddressFamily, Prompter, Setting, SshOptions};
use crate::route::Router;

use super::command::{DemoCommand, DemoUntil};
use super::configured::say;
use super::values::default_listener;

mod check;
mod page;
pub mod server;

use check::{Front, Way};
use page::Page;

/// Runs the demo until it is checked (`--once`) or `stop` is cancelled. `ready` is called once it
/// serves. It writes to standard output.
pub async fn run(
    command: DemoCommand,
    ready: impl FnOnce(),
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let server = DemoServer::start().await.context("the demo's SSH server cannot start")?;
    let page = Page::start().await.context("the demo's web page cannot start")?;
    let listeners = listeners(command.listeners).context("no free port for the proxy")?;
    let front = Front::of(&listeners[0]);
    let options = options(&server, listeners).await?;

    let (up, is_up) = oneshot::channel();
    let (end_proxy, proxy_over) = (CancellationToken::new(), CancellationToken::new());
    let proxy = async {
        let up = || {
            // If the receiver is gone, the demo is ending.
            let _ = up.send(());
        };
        let stop = end_proxy.clone().cancelled_owned();
        // Boxed because it is large: it holds the state of every stage.
        let ended = Box::pin(app::run(
            options,
            Prompter::nobody(),
            up,
            async |_| std::future::pending().await,
            stop,
        ))
        .await;
        proxy_over.cancel();
        ended
    };
    let show = async {
        // A proxy that never comes up reports the reason itself.
        let shown = match is_up.await {
            Ok(()) => show(&server, &page, &front, command.until, ready, &stop).await,
            Err(_) => Ok(()),
        };
        end_proxy.cancel();
        shown
    };
    let (proxy, shown) = tokio::join!(proxy, proxy_over.run_until_cancelled(show));
    proxy.context("the proxy cannot run")?;
    shown.transpose()?;
    server.shutdown().await.context("the demo's files cannot be removed")
}

/// The options of the proxy in front of the demo's server.
async fn options(
    server: &DemoServer,
    listeners: Vec<ListenAddress>,
) -> anyhow::Result<app::Options> {
    let name = format!("ssh://{}@{}", server.user(), server.address());
    let host = name.parse().map_err(|error| anyhow!("{error}"))?;
    let name: Arc<str> = name.into();
    let ssh = ssh_options(server);
    let server = app::ServerOptions::query(Arc::clone(&name), &host, &ssh, None).await?;
    Ok(app::Options {
        listeners: listeners.into_iter().map(app::ListenerOptions::proxy).collect(),
        on_forward_failure: app::OnForwardFailure::Exit,
        ..app::Options::new(vec![server], Router::via_one(name))
    })
}

/// Prints the addresses, runs the self-check, and serves until stopped.
async fn show(
    server: &DemoServer,
    page: &Page,
    front: &Front,
    until: DemoUntil,
    ready: impl FnOnce(),
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let url = format!("http://{}/", page.address());
    say(&format!(
        "SSH server  {} (in this process; accepts one key, made for this run)\n\
         web page    {url}\n\
         proxy       {front}\n\n",
        server.address(),
    ));
    check(front, page.address().port()).await?;
    if until == DemoUntil::Checked {
        return Ok(());
    }
    say(&to_paste(front, &url));
    ready();
    stop.cancelled().await;
    Ok(())
}

/// Fetches the resources of the page over each protocol, and prints the times.
async fn check(front: &Front, port: u16) -> anyhow::Result<()> {
    let data = page::data();
    for (path, expected) in [("/", page::HTML.as_bytes()), ("/data", &data)] {
        for way in [Way::Socks5, Way::Connect] {
            let fetched = front
                .fetch(way, port, path, expected)
                .await
                .with_context(|| format!("{path} could not be fetched through {way}"))?;
            let took = fetched.took.as_secs_f64() * 1000.0;
            say(&format!("{way:<8} {path:<6} {:>8} bytes in {took:>6.1} ms\n", fetched.size));
        }
    }
    Ok(())
}

/// The commands to paste into a shell.
fn to_paste(front: &Front, url: &str) -> String {
    let proxies = match front {
        Front::Tcp(address) => {
            vec![
                format!("socks5h://{address}"),
                format!("socks4a://{address}"),
                format!("http://{address}"),
            ]
        }
        // curl takes a socket path for SOCKS only.
        Front::Unix(path) => vec![format!("socks5h://localhost{}", path.display())],
    };
    let mut lines: Vec<_> =
        proxies.iter().map(|proxy| format!("  curl --proxy '{proxy}' {url}")).collect();
    lines.push(format!("  curl --proxy '{}' -o /dev/null {url}data", proxies[0]));
    if let Front::Tcp(address) = front {
        // The separate profile matters: a running browser would open the page without the proxy.
        lines.push(format!(
            "  chromium --user-data-dir=\"$(mktemp -d)\" --proxy-server=socks5://{address} \
             --proxy-bypass-list='<-loopback>' {url}"
        ));
    }
    format!("\nTo try it:\n{}\n\nCtrl-C ends it.\n", lines.join("\n"))
}

/// The SSH options for the demo's server: its key and host key, with nothing from the user's configuration.
fn ssh_options(server: &DemoServer) -> SshOptions {
    let known_hosts = format!("UserKnownHostsFile={}", server.known_hosts().display());
    SshOptions {
        config_file: Some("none".into()),
        options: vec![
            known_hosts.into(),
            "GlobalKnownHostsFile=/dev/null".into(),
            "StrictHostKeyChecking=yes".into(),
            "IdentitiesOnly=yes".into(),
            "IdentityAgent=none".into(),
            Setting::Identity(server.client_key()),
        ],
        ..SshOptions::default()
    }
}

/// The listen addresses: those given, or else the default port, or a free one if that is in use. Port 0
/// is replaced by a free port, because the demo must know its number.
fn listeners(asked: Vec<ListenAddress>) -> io::Result<Vec<ListenAddress>> {
    if asked.is_empty() {
        let default = default_listener(AddressFamily::Any);
        let taken = match Front::of(&default) {
            Front::Tcp(address) => TcpListener::bind(address.to_string()).is_err(),
            Front::Unix(_) => false,
        };
        return Ok(vec![if taken { free_port(Bind::Loopback)? } else { default }]);
    }
    asked
        .into_iter()
        .map(|listener| match listener {
            ListenAddress::Tcp { bind, port: 0 } => free_port(bind),
            listener => Ok(listener),
        })
        .collect()
}

fn free_port(bind: Bind) -> io::Result<ListenAddress> {
    let free = TcpListener::bind((bind.reached_at().to_string(), 0))?.local_addr()?;
    Ok(ListenAddress::Tcp { bind, port: free.port() })
}

impl std::fmt::Display for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::exposure::Reach;

    fn address(text: &str) -> ListenAddress {
        text.parse().expect(text)
    }

    #[test]
    fn the_requested_addresses_are_kept() {
        let asked = vec![address("127.0.0.1:1090"), address("/s")];
        assert_eq!(listeners(asked.clone()).expect("addresses"), asked);
    }

    #[test]
    fn port_0_is_replaced_by_a_free_port() {
        let chosen = listeners(vec![address("[::1]:0"), address("0")]);
        // A machine without IPv6 has no ::1.
        let Ok(chosen) = chosen else { return };
        for listener in &chosen {
            let Front::Tcp(address) = Front::of(listener) else { panic!("{listener}") };
            assert_ne!(address.port(), 0);
        }
        assert!(chosen[0].to_string().starts_with("[::1]:"), "{}", chosen[0]);
    }

    #[test]
    fn the_default_port_is_replaced_when_it_is_taken() {
        // This test holds the port, or else another program does.
        let _taken = TcpListener::bind("127.0.0.1:1080");
        let chosen = listeners(Vec::new()).expect("a port");
        assert_eq!(chosen.len(), 1);
        assert_ne!(chosen[0], default_listener(AddressFamily::Any));
        assert_eq!(Reach::of(&chosen[0]), Reach::Machine);
    }

    #[test]
    fn lines_to_paste_name_the_proxy_and_the_page() {
        let url = "http://127.0.0.1:9/";
        let text = to_paste(&Front::of(&address("127.0.0.1:1080")), url);
        assert!(text.contains("curl --proxy 'socks5h://127.0.0.1:1080' http://127.0.0.1:9/\n"));
        let text = to_paste(&Front::Unix("/s".into()), url);
        assert!(text.contains("curl --proxy 'socks5h://localhost/s' http://127.0.0.1:9/\n"));
    }
}
