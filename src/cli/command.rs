//! The command line, judged: every value has its type, and every problem is told at once.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use crate::forward::{LocalForward, LocalListen, RemoteForward};
use crate::listen::ListenAddress;
use crate::listen::address::Bind;
use crate::observe::logs::{Format, LogOptions, Verbosity};
use crate::relay::BacklogLimits;
use crate::ssh::{AddressFamily, PoolSize, ServerName, SshOptions, Switch};
use crate::target::Target;

use super::args::{Args, DemoArgs, LogArgs, LogFormat};
use super::check::CheckCommand;
use super::exit::Exit;
use super::explain::ExplainCommand;
use super::from_file::FileCommand;
use super::pac::PacCommand;
use super::problem::Problem;

/// What the user asked for.
#[derive(Clone, Debug)]
pub enum Command {
    /// `sockeye [options] host`: the proxy.
    Proxy(Box<ProxyCommand>),
    /// `sockeye [--config FILE]`: the proxy as a file says.
    File(FileCommand),
    /// `sockeye check`.
    Check(CheckCommand),
    /// `sockeye explain`.
    Explain(ExplainCommand),
    /// `sockeye pac`.
    Pac(PacCommand),
    /// `sockeye demo`.
    Demo(DemoCommand),
}

/// The proxy in front of one server.
#[derive(Clone, Debug)]
pub struct ProxyCommand {
    /// The server, as the user named it.
    pub server: ServerName,
    /// How to reach it, from the flags of ssh.
    pub ssh: SshOptions,
    /// Where to listen (`-D`), in order; the default where no forward is named.
    pub listeners: Vec<ListenAddress>,
    /// Listeners here with a fixed target there (`-L`), in order.
    pub local_forwards: Vec<LocalForward>,
    /// Listeners there (`-R`), in order.
    pub remote_forwards: Vec<RemoteForward>,
    /// What standard input and output are connected to (`-W`).
    pub stdio_forward: Option<Target>,
    /// What a local port without a bind address stands for: every interface with `-g`, or else what
    /// the server's configuration says.
    pub gateway_ports: GatewayPorts,
    /// The file with `user:password` that clients must know (`--proxy-auth`).
    pub proxy_auth: Option<PathBuf>,
    /// Whether other machines may use a proxy without a password (`--allow-remote`).
    pub strangers: Strangers,
    /// How many sessions (`--sessions`); by default as the server's login allows.
    pub sessions: Option<PoolSize>,
    /// Bounds on what waits for slow clients (`--backlog`).
    pub backlog: BacklogLimits,
    /// How much to log, and in which form.
    pub log: LogOptions,
    /// Where to run once the first session is up (`-f`).
    pub ground: Ground,
}

/// The proxy with everything it needs on this machine.
#[derive(Clone, Debug)]
pub struct DemoCommand {
    /// Where to listen (`-D`), on loopback. None means 127.0.0.1:1080, or a free port when that is
    /// taken.
    pub listeners: Vec<ListenAddress>,
    /// How long to serve.
    pub until: DemoUntil,
    /// How much to log, and in which form.
    pub log: LogOptions,
}

/// Where the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// On the terminal it was started from.
    Fore,
    /// Behind it, once the first session is up (ssh's `-f`).
    Back,
}

/// Who may use a local port without a bind address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayPorts {
    /// Every machine (`-g`).
    Yes,
    /// As the configuration of the server says.
    Configured,
}

/// Whether a proxy is there for other machines that know no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strangers {
    /// It is.
    Allowed,
    /// It is not.
    Refused,
}

/// When the demo ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DemoUntil {
    /// After the self-check (`--once`).
    Checked,
    /// When it is told to.
    Stopped,
}

impl Command {
    /// Reads the command line, without its first word (the program).
    ///
    /// # Errors
    ///
    /// What to say instead of running, and the exit status to say it with: the help, the versions,
    /// or all that is wrong.
    pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, Exit> {
        let words: Vec<_> = words.into_iter().collect();
        // Only the first word: a host may be called `demo` too, and is then `ssh://demo`.
        let rest = words.get(1..).unwrap_or_default();
        match words.first().and_then(|word| word.to_str()) {
            Some("check") => return Ok(Self::Check(CheckCommand::read(rest)?)),
            Some("explain") => return Ok(Self::Explain(ExplainCommand::read(rest)?)),
            Some("pac") => return Ok(Self::Pac(PacCommand::read(rest)?)),
            Some("demo") => {
                let args = DemoArgs::read(rest)?;
                return DemoCommand::judge(&args).map(Self::Demo).map_err(Exit::from);
            }
            _ => {}
        }
        let (args, refused) = Args::read(&words)?;
        let mut problems: Vec<_> = refused.iter().map(|flag| Problem::Refused(*flag)).collect();
        if !args.command.is_empty() {
            problems.push(Problem::RemoteCommand(args.command.join(" ")));
        }
        match args.server.clone() {
            Some(server) => {
                let proxy = ProxyCommand::judge(args, &server, problems)?;
                Ok(Self::Proxy(Box::new(proxy)))
            }
            None => Ok(Self::File(FileCommand::judge(&args, problems)?)),
        }
    }

    /// How much to log, and in which form.
    pub fn log(&self) -> LogOptions {
        match self {
            Self::Proxy(proxy) => proxy.log,
            Self::File(command) => command.log,
            Self::Demo(demo) => demo.log,
            // They answer on standard output.
            Self::Check(_) | Self::Explain(_) | Self::Pac(_) => LogOptions::default(),
        }
    }
}

impl ProxyCommand {
    fn judge(
        mut args: Args,
        server: &str,
        mut problems: Vec<Problem>,
    ) -> Result<Self, Vec<Problem>> {
        if args.config.is_some() {
            problems.push(Problem::HostAndFile);
        }
        let server = server
            .parse::<ServerName>()
            .map_err(|why| problems.push(Problem::server(server, &why)));

        let gateway_ports =
            if args.gateway_ports { GatewayPorts::Yes } else { GatewayPorts::Configured };
        let bare = match gateway_ports {
            GatewayPorts::Yes => Bind::All,
            GatewayPorts::Configured => Bind::Loopback,
        };
        let listens: Vec<LocalListen> = read_all(&args.listen, Problem::listener, &mut problems);
        let mut listeners: Vec<_> = listens.iter().map(|listen| listen.address(bare)).collect();
        if args.proxy_auth.is_none() && !args.allow_remote {
            let open = listeners.iter().filter(|listener| !listener.is_loopback());
            problems.extend(open.map(|listener| Problem::OpenToAll(listener.to_string())));
        }
        let local_forwards = read_all(&args.local_forward, Problem::local_forward, &mut problems);
        let remote_forwards =
            read_all(&args.remote_forward, Problem::remote_forward, &mut problems);
        let stdio_forward = read_stdio_forward(&args, &mut problems);
        if args.listen.is_empty() && !args.names_a_forward() {
            listeners = vec![default_listener()];
        }

        let ssh = read_ssh_options(&mut args, &mut problems);
        let backlog = read(args.backlog.as_deref(), Problem::backlog, &mut problems);
        let sessions = read(args.sessions.as_deref(), Problem::sessions, &mut problems);
        match server {
            Ok(server) if problems.is_empty() => Ok(Self {
                server,
                ssh,
                listeners,
                local_forwards,
                remote_forwards,
                stdio_forward,
                gateway_ports,
                proxy_auth: args.proxy_auth,
                strangers: if args.allow_remote { Strangers::Allowed } else { Strangers::Refused },
                sessions,
                backlog: backlog.unwrap_or_default(),
                log: args.log.judge(),
                ground: if args.background { Ground::Back } else { Ground::Fore },
            }),
            _ => Err(problems),
        }
    }
}

impl DemoCommand {
    fn judge(args: &DemoArgs) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let listeners: Vec<ListenAddress> =
            read_all(&args.listen, Problem::listener, &mut problems);
        let open = listeners.iter().filter(|listener| !listener.is_loopback());
        problems.extend(open.map(|listener| Problem::DemoOpenToAll(listener.to_string())));
        if !problems.is_empty() {
            return Err(problems);
        }
        let until = if args.once { DemoUntil::Checked } else { DemoUntil::Stopped };
        Ok(Self { listeners, until, log: args.log.judge() })
    }
}

impl LogArgs {
    pub(super) fn judge(&self) -> LogOptions {
        let verbosity = match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, 1) => Verbosity::Debug,
            (false, _) => Verbosity::Trace,
        };
        let format = match self.log_format {
            None | Some(LogFormat::Text) => Format::Text,
            Some(LogFormat::Json) => Format::Json,
        };
        LogOptions { verbosity, format }
    }
}

/// Reads the flags that say how to reach the server, as ssh has them.
fn read_ssh_options(args: &mut Args, problems: &mut Vec<Problem>) -> SshOptions {
    let port = args.port.first().and_then(|text| read_port(text, problems));
    let jumps = match args.jumps.as_slice() {
        [] => None,
        [list] => read(Some(list), Problem::jumps, problems),
        // As ssh: which of them comes first would be a guess.
        [_, ..] => {
            problems.push(Problem::SeveralJumps);
            None
        }
    };
    let address_family = match (args.inet, args.inet6) {
        (false, false) => None,
        (true, false) => Some(AddressFamily::Inet),
        (false, true) => Some(AddressFamily::Inet6),
        (true, true) => {
            problems.push(Problem::BothFamilies);
            None
        }
    };
    SshOptions {
        config_file: args.config_file.take(),
        options: std::mem::take(&mut args.option),
        port,
        // The first of them counts, as in ssh.
        user: std::mem::take(&mut args.login).into_iter().next(),
        identities: std::mem::take(&mut args.identity),
        address_family,
        jumps,
        bind_address: args.bind_address.pop(),
        bind_interface: args.bind_interface.pop(),
        compression: if args.compression { Switch::On } else { Switch::Off },
        ciphers: args.ciphers.pop(),
        macs: args.macs.pop(),
    }
}

/// Reads the value of an option, where there is one.
pub(super) fn read<T: FromStr>(
    text: Option<&str>,
    problem: impl FnOnce(&str, &T::Err) -> Problem,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let text = text?;
    text.parse().map_err(|why| problems.push(problem(text, &why))).ok()
}

/// Reads the values of an option that may be repeated.
pub(super) fn read_all<T: FromStr>(
    texts: &[String],
    problem: impl Fn(&str, &T::Err) -> Problem,
    problems: &mut Vec<Problem>,
) -> Vec<T> {
    texts.iter().filter_map(|text| read(Some(text), &problem, problems)).collect()
}

/// Reads the value of `-W`, which may stand once, and needs a standard input.
fn read_stdio_forward(args: &Args, problems: &mut Vec<Problem>) -> Option<Target> {
    if args.stdio_forward.len() > 1 {
        problems.push(Problem::TwoStdioForwards);
    }
    let target =
        read(args.stdio_forward.first().map(String::as_str), Problem::stdio_forward, problems)?;
    if args.background {
        problems.push(Problem::StdioInBackground);
    }
    Some(target)
}

/// Where to listen when nobody says.
pub(super) fn default_listener() -> ListenAddress {
    DEFAULT_LISTENER.parse().expect("the default is an address")
}

/// Reads the value of `-p`, 1 to 65535.
fn read_port(text: &str, problems: &mut Vec<Problem>) -> Option<u16> {
    let port = text.parse().ok().filter(|port| *port != 0);
    if port.is_none() {
        problems.push(Problem::Port(text.to_owned()));
    }
    port
}

/// The port of SOCKS (IANA), where other machines cannot reach it.
const DEFAULT_LISTENER: &str = "127.0.0.1:1080";

#[cfg(test)]
mod tests {
    use super::*;

    fn read_line(line: &str) -> Result<Command, Exit> {
        Command::read(line.split_whitespace().map(Into::into))
    }

    fn proxy(line: &str) -> ProxyCommand {
        match read_line(line) {
            Ok(Command::Proxy(proxy)) => *proxy,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn problems(line: &str) -> Vec<Problem> {
        match read_line(line) {
            Err(Exit::Wrong(problems)) => problems,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_line_of_ssh() {
        let proxy = proxy("-fND 1090 -p 2222 -l me -i k -F none -oA=b -4 you@host");
        assert_eq!(proxy.server.to_string(), "you@host");
        assert_eq!(
            proxy.ssh,
            SshOptions {
                config_file: Some("none".into()),
                options: vec!["A=b".into()],
                port: Some(2222),
                user: Some("me".into()),
                identities: vec!["k".into()],
                address_family: Some(AddressFamily::Inet),
                ..SshOptions::default()
            }
        );
        assert_eq!(proxy.listeners, ["localhost:1090".parse().expect("an address")]);
        assert_eq!(proxy.ground, Ground::Back);
    }

    #[test]
    fn defaults() {
        let proxy = proxy("host");
        assert_eq!(proxy.ssh, SshOptions::default());
        assert_eq!(proxy.listeners, [default_listener()]);
        assert!(proxy.listeners[0].is_loopback());
        assert_eq!((proxy.ground, proxy.proxy_auth), (Ground::Fore, None));
        let plain = LogOptions { verbosity: Verbosity::Normal, format: Format::Text };
        assert_eq!(proxy.log, plain);
    }

    #[test]
    fn the_first_port_and_user_count() {
        let proxy = proxy("-p 1 -p 2 -l a -l b host");
        assert_eq!((proxy.ssh.port, proxy.ssh.user), (Some(1), Some("a".into())));
    }

    #[test]
    fn bounds() {
        let bounds = proxy("--sessions 2..3 --backlog 1MiB,2MiB,0 host");
        assert_eq!(bounds.sessions, PoolSize::new(2, 3).ok());
        let expected = BacklogLimits { connection: 1 << 20, memory: 2 << 20, spill: 0 };
        assert_eq!(bounds.backlog, expected);
        assert_eq!(proxy("host").backlog, BacklogLimits::default());
        let wrong = problems("--sessions 0 --backlog 1 host");
        assert!(matches!(wrong.as_slice(), [Problem::Backlog { .. }, Problem::Sessions { .. }]));
    }

    #[test]
    fn levels() {
        let verbosity = |line| proxy(line).log.verbosity;
        assert_eq!(verbosity("-q host"), Verbosity::Quiet);
        assert_eq!(verbosity("-v host"), Verbosity::Debug);
        assert_eq!(verbosity("-vv host"), Verbosity::Trace);
        assert_eq!(verbosity("-vvvv host"), Verbosity::Trace);
        assert_eq!(proxy("--log-format json host").log.format, Format::Json);
    }

    #[test]
    fn a_listener_off_loopback_needs_a_password_or_a_word() {
        assert_eq!(problems("-D *:1 host"), [Problem::OpenToAll("*:1".into())]);
        assert_eq!(problems("-D [::]:1 host"), [Problem::OpenToAll("[::]:1".into())]);
        assert_eq!(proxy("-D *:1 --allow-remote host").listeners.len(), 1);
        assert_eq!(proxy("-D *:1 --proxy-auth f host").proxy_auth, Some("f".into()));
        assert_eq!(proxy("-D 127.0.0.2:1 -D [::1]:1 -D /s host").listeners.len(), 3);
    }

    #[test]
    fn forwards_stand_alone_or_beside_a_proxy() {
        let forwards = proxy("-L 80:a:81 -L /l:/r -R 0 -R *:82:b:83 host");
        assert_eq!(forwards.listeners, [], "with a forward and no -D there is no proxy");
        let texts: Vec<_> = forwards.local_forwards.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["80:a:81", "/l:/r"]);
        let texts: Vec<_> = forwards.remote_forwards.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["0", "*:82:b:83"]);
        assert_eq!(proxy("-L 80:a:81 -D 1 host").listeners.len(), 1);
        let stdio = proxy("-W a:80 host");
        assert_eq!(stdio.stdio_forward, "a:80".parse().ok());
        assert_eq!(stdio.listeners, []);
    }

    #[test]
    fn a_forward_that_is_none_says_why() {
        let told = |line| problems(line).iter().map(ToString::to_string).collect::<Vec<_>>();
        let forms = told("-L 80 -R a -W a -L 80:a:0 host");
        assert_eq!(forms.len(), 4, "{forms:?}");
        for (text, start) in
            forms.iter().zip(["-L '80': ", "-L '80:a:0': ", "-R 'a': ", "-W 'a': "])
        {
            assert!(text.starts_with(start), "{text}");
        }
        assert_eq!(problems("-W a:80 -W b:80 host"), [Problem::TwoStdioForwards]);
        assert_eq!(problems("-fW a:80 host"), [Problem::StdioInBackground]);
    }

    #[test]
    fn gateway_ports_open_what_has_no_bind_address() {
        let open = proxy("-g -L 80:a:81 host");
        assert_eq!(open.gateway_ports, GatewayPorts::Yes);
        assert_eq!(proxy("-L 80:a:81 host").gateway_ports, GatewayPorts::Configured);
        assert_eq!(problems("-g -D 1 host"), [Problem::OpenToAll("*:1".into())]);
        assert_eq!(proxy("-g -D localhost:1 host").listeners.len(), 1);
        assert_eq!(proxy("-g host").listeners, [default_listener()]);
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let problems = problems("-X -M -D x -D *:1 -p 0 -4 -6 @ ls -la");
        let tells = |test: fn(&Problem) -> bool| problems.iter().filter(|p| test(p)).count();
        assert_eq!(problems.len(), 8, "{problems:?}");
        assert_eq!(tells(|p| matches!(p, Problem::Refused('X' | 'M'))), 2);
        assert_eq!(tells(|p| matches!(p, Problem::Listener { .. })), 1);
        assert_eq!(tells(|p| matches!(p, Problem::OpenToAll(_))), 1);
        assert_eq!(tells(|p| matches!(p, Problem::Port(_))), 1);
        assert_eq!(tells(|p| matches!(p, Problem::BothFamilies)), 1);
        assert_eq!(tells(|p| matches!(p, Problem::Server { .. })), 1);
        assert_eq!(tells(|p| matches!(p, Problem::RemoteCommand(c) if c == "ls -la")), 1);
    }

    #[test]
    fn the_demo() {
        let demo = |line| match read_line(line) {
            Ok(Command::Demo(demo)) => demo,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(demo("demo").until, DemoUntil::Stopped);
        assert_eq!(demo("demo").listeners, []);
        let once = demo("demo --once -D 1090 -v");
        assert_eq!(once.until, DemoUntil::Checked);
        assert_eq!(once.log.verbosity, Verbosity::Debug);
        assert_eq!(problems("demo -D *:1"), [Problem::DemoOpenToAll("*:1".into())]);
        assert!(matches!(read_line("demo host"), Err(Exit::Unreadable(_))));
        assert_eq!(proxy("ssh://demo").server.to_string(), "demo");
        assert_eq!(proxy("-v demo").server.to_string(), "demo");
    }

    #[test]
    fn commands_that_read_the_file() {
        let file = |line| match read_line(line) {
            Ok(Command::Check(check)) => check.file.0,
            Ok(Command::Explain(explain)) => explain.file.0,
            Ok(Command::Pac(pac)) => pac.file.0,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(file("check"), None);
        for line in ["check --config f", "explain --config f a.example", "pac --config f"] {
            assert_eq!(file(line), Some("f".into()), "{line}");
        }
        for line in ["check host", "explain", "explain --from x a", "explain a:0", "pac -D 1"] {
            assert!(matches!(read_line(line), Err(Exit::Unreadable(_))), "{line}");
        }
        for word in ["check", "explain", "pac"] {
            assert_eq!(proxy(&format!("ssh://{word}")).server.to_string(), word);
            let help = read_line(&format!("{word} --help")).expect_err("help");
            assert_eq!(help.status(), 0);
        }
    }

    #[test]
    fn a_file_and_what_goes_with_it() {
        let file = |line| match read_line(line) {
            Ok(Command::File(file)) => file,
            other => panic!("{line}: {other:?}"),
        };
        let command = file("--config c -fvD 1090 --backlog 1MiB,2MiB,0");
        assert_eq!(command.file, PathBuf::from("c"));
        assert_eq!(command.listeners, ["localhost:1090".parse().expect("an address")]);
        assert_eq!((command.ground, command.log.verbosity), (Ground::Back, Verbosity::Debug));
        assert_eq!(command.backlog.map(|backlog| backlog.spill), Some(0));
        assert_eq!(file("--config c").listeners, []);
        assert_eq!(problems("--config c host"), [Problem::HostAndFile]);
        assert_eq!(problems("--config c -D *:1"), [Problem::OpenToAll("*:1".into())]);
        let flags = "-p 1 -l u -i k -F f -o A=b -4 -6 --sessions 1 -L 1:a:1 -R 1 -W a:1 -J a -b h -B i -C -c x -m y";
        let wrong = problems(&format!("--config c {flags}"));
        let belongs = |problem: &&Problem| matches!(problem, Problem::BelongsToFile { .. });
        assert_eq!(wrong.iter().filter(belongs).count(), 17, "{wrong:?}");
    }

    #[test]
    fn exit_statuses() {
        let status = |line| read_line(line).expect_err(line).status();
        assert_eq!(status("--help"), 0);
        assert_eq!(status("-V"), 0);
        assert_eq!(status("-Z"), 2);
        assert_eq!(status("-X host"), 2);
        assert_eq!(status("demo -Z"), 2);
    }
}
