//! A real `sshd` of the test's own.

use std::fs;
use std::io::PipeWriter;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;

use rustix::process::Signal;

use super::log::Log;
use super::login::Login;
use super::resolver::Resolver;
use super::wait;
use super::{command, free_port, process};

/// An `sshd` on a loopback port, in the foreground, for the user who runs the tests.
#[derive(Debug)]
pub(crate) struct Sshd {
    login: Login,
    port: u16,
    listener: Option<Child>,
    log: Arc<Log>,
    /// The end of the log that each start writes to. A pipe: a file would make the server wait for the disk.
    log_end: PipeWriter,
    /// The name server that it uses, if not that of the machine.
    resolver: Option<Resolver>,
    /// A library that is loaded before its own (`LD_PRELOAD`).
    library: Option<PathBuf>,
}

impl Sshd {
    /// Starts a server without additional configuration.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// Starts a server with additional lines of `sshd_config`, which come first and so take precedence.
    pub(crate) fn with(config: &[&str]) -> Self {
        Self::build(Login::new(), config, None, None)
    }

    /// Starts one that logs each destination that it is asked for.
    pub(crate) fn talkative() -> Self {
        Self::with(&["LogLevel DEBUG1"])
    }

    /// Starts with lines of `sshd_config` that name files beside the keys.
    pub(crate) fn prepared(prepare: impl FnOnce(&Login) -> Vec<String>) -> Self {
        let login = Login::new();
        let lines = prepare(&login);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        Self::build(login, &lines, None, None)
    }

    /// Starts a server that resolves names with `resolver`.
    pub(crate) fn asking(resolver: Resolver) -> Self {
        Self::build(Login::new(), &[], Some(resolver), None)
    }

    /// Starts a server that has this text for every system error, as a server does whose locale is
    /// not UTF-8. The text is the content of a C string literal.
    pub(crate) fn with_word_for_errors(word: &str) -> Self {
        let login = Login::new();
        let (source, library) = (login.path("words.c"), login.path("words.so"));
        let code = format!("char *strerror(int error) {{ (void)error; return \"{word}\"; }}\n");
        fs::write(&source, code).expect("written");
        let mut compiler = command("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
        assert!(compiler.status().expect("cc, which links this test, too").success());
        Self::build(login, &[], None, Some(library))
    }

    fn build(
        login: Login,
        config: &[&str],
        resolver: Option<Resolver>,
        library: Option<PathBuf>,
    ) -> Self {
        let config = config.join("\n");
        // For this keyword the last line takes precedence.
        let startups = if config.contains("MaxStartups") { "" } else { "MaxStartups 1000" };
        let config = format!(
            "{config}\nListenAddress 127.0.0.1\nHostKey {host_key}\nAuthorizedKeysFile {keys}\n\
             PidFile none\nStrictModes no\nUsePAM no\nUseDNS no\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n\
             AllowTcpForwarding yes\nLogLevel VERBOSE\n{startups}\n",
            host_key = login.host_key().display(),
            keys = login.path("authorized_keys").display(),
        );
        fs::write(login.path("sshd_config"), config).expect("sshd_config");
        if rustix::process::getuid().is_root() {
            // sshd's privilege separation needs this directory. Debian creates it when the service
            // starts, which may never happen on a test machine.
            fs::create_dir_all("/run/sshd").expect("/run/sshd");
        }
        let (log, log_end) = Log::pipe();
        let mut sshd = Self { login, port: 0, listener: None, log, log_end, resolver, library };
        for _ in 0..ATTEMPTS {
            sshd.port = free_port();
            if sshd.try_start_again() {
                return sshd;
            }
        }
        panic!("sshd does not start:\n{}", sshd.log());
    }

    /// The port that it listens on, even while stopped.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The keys, and their directory.
    pub(crate) fn login(&self) -> &Login {
        &self.login
    }

    /// An `ssh_config` for this server.
    pub(crate) fn ssh_config(&self) -> PathBuf {
        self.login.ssh_config(self.port, &[])
    }

    /// An `ssh_config` for this server, through the port of a link.
    pub(crate) fn ssh_config_through(&self, port: u16) -> PathBuf {
        self.login.ssh_config(port, &[])
    }

    /// The names that it has resolved with its [`Resolver`].
    pub(crate) fn looked_up(&self) -> Vec<String> {
        self.resolver.as_ref().map_or_else(Vec::new, Resolver::asked)
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        self.log.lines()
    }

    /// The destinations that it was asked for, as `HOST port PORT`, where it is [`Sshd::talkative`]. Each is
    /// there before its answer.
    pub(crate) fn targets(&self) -> Vec<String> {
        // As its `server_request_direct_tcpip` logs it.
        let target = |line: &str| Some(line.split_once(", target ")?.1.trim().to_owned());
        self.log().lines().filter_map(target).collect()
    }

    /// The processes that serve its connections.
    pub(crate) fn children(&self) -> Vec<u32> {
        self.listener.as_ref().map_or_else(Vec::new, |child| process::descendants(child.id()))
    }

    /// The open sockets of the processes that serve its connections.
    pub(crate) fn sockets(&self) -> usize {
        self.children().into_iter().map(process::sockets).sum()
    }

    /// Kills the process of every connection, as `kill -9` does, and keeps listening.
    pub(crate) fn kill_children(&self) {
        for child in self.children() {
            process::signal(child, Signal::KILL);
        }
    }

    /// Stops listening and ends every connection.
    pub(crate) fn stop(&mut self) {
        let children = self.children();
        if let Some(mut listener) = self.listener.take() {
            let _ = listener.kill();
            let _ = listener.wait();
        }
        for child in children {
            process::signal(child, Signal::KILL);
        }
    }

    /// Listens again, on the same port.
    pub(crate) fn start_again(&mut self) {
        wait::until("sshd listens again", || self.try_start_again());
    }

    /// Starts it; returns false if it exits instead of listening, as it does if the port is taken.
    fn try_start_again(&mut self) -> bool {
        let started = self.log().matches(LISTENS).count();
        let mut sshd = match &self.resolver {
            Some(resolver) => resolver.command(SSHD),
            None => command(SSHD),
        };
        if let Some(library) = &self.library {
            sshd.env("LD_PRELOAD", library);
        }
        let mut child = sshd
            .args(["-D", "-e", "-p", &self.port.to_string(), "-f"])
            .arg(self.login.path("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(self.log_end.try_clone().expect("a pipe"))
            .spawn()
            .expect("sshd");
        let listens = wait::until_some("sshd listens or ends", || {
            if self.log().matches(LISTENS).count() > started {
                return Some(true);
            }
            child.try_wait().expect("a child").is_some().then_some(false)
        });
        if listens {
            self.listener = Some(child);
        }
        listens
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

const ATTEMPTS: usize = 10;
const SSHD: &str = "/usr/sbin/sshd";
/// The line that `sshd` logs once it accepts connections.
const LISTENS: &str = "Server listening on ";
