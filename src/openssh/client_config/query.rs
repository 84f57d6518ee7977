//! Runs `ssh -G`.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::OnceCell;

use super::{AddressFamily, ConfigError, Refusal, Setting, SshOptions};
use crate::openssh::server_name::ServerName;
use crate::printable::{Lines, printable};

/// The output of `ssh -G`, without the additions of Debian's version; `None` if there is no such program.
pub(super) async fn ask(
    program: &str,
    name: &ServerName,
    options: &SshOptions,
) -> Result<Option<String>, ConfigError> {
    let Some(output) = run_ssh(program, name, options).await? else { return Ok(None) };
    let says = |line| output.lines().any(|one| one == line);
    if !says("batchmode yes") || !says(BATCH_INTERVAL) {
        return Ok(Some(output));
    }
    // The value may be the user's own after all.
    let mut plain = options.clone();
    plain.options.insert(0, "BatchMode=no".into());
    let plain = run_ssh(program, name, &plain).await?.unwrap_or_default();
    if plain.lines().any(|line| line == BATCH_INTERVAL) {
        return Ok(Some(output));
    }
    Ok(Some(output.replace(&format!("\n{BATCH_INTERVAL}\n"), "\nserveraliveinterval 0\n")))
}

/// The output of `ssh -G`; `None` if there is no such program.
async fn run_ssh(
    program: &str,
    name: &ServerName,
    options: &SshOptions,
) -> Result<Option<String>, ConfigError> {
    let mut command = Command::new(program);
    command
        .args(arguments(name, options))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let output = match tokio::time::timeout(LIMIT, command.output()).await {
        Err(_) => return Err(ConfigError::TimedOut(LIMIT)),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Ok(Err(error)) => return Err(ConfigError::Run(error)),
        Ok(Ok(output)) => output,
    };
    let said = String::from_utf8_lossy(&output.stderr).replace("\r\n", "\n");
    let said = printable(said.trim_end(), MAX_MESSAGE, Lines::Many);
    if output.status.success() {
        if !said.is_empty() {
            tracing::debug!(said, "ssh -G");
        }
        return Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()));
    }
    if said.is_empty() {
        return Err(ConfigError::Refused(format!("'ssh -G' failed: {}", output.status)));
    }
    Err(ConfigError::Refused(said))
}

/// The output of `ssh -G` for an empty configuration: whatever differs from it was configured.
/// `ssh` is asked only once.
pub(super) async fn usual(program: &str) -> Result<&'static str, ConfigError> {
    static USUAL: OnceCell<String> = OnceCell::const_new();
    let ask = async || {
        let name = ServerName { user: None, host: "localhost".into(), port: None };
        let nothing = SshOptions { config_file: Some("none".into()), ..SshOptions::default() };
        Ok(run_ssh(program, &name, &nothing).await?.unwrap_or_default())
    };
    USUAL.get_or_try_init(ask).await.map(String::as_str)
}

/// Splits the error output of `ssh -G` into complaints such as `FILE line 3: Bad port 'x'.` or `FILE: line 2:
/// Bad configuration option: foo`. The line that only counts them is left out.
pub(super) fn refusals(said: &str) -> Vec<Refusal> {
    let refusals = said
        .lines()
        .map(|line| placed(line).unwrap_or_else(|| Refusal { at: None, what: line.to_owned() }));
    let refusals: Vec<_> = refusals.collect();
    let has_places = refusals.iter().any(|refusal| refusal.at.is_some());
    let is_count = |refusal: &Refusal| refusal.what.contains(": terminating, ");
    refusals.into_iter().filter(|refusal| !has_places || !is_count(refusal)).collect()
}

fn placed(line: &str) -> Option<Refusal> {
    let (file, rest) = line.split_once(" line ")?;
    let (number, what) = rest.split_once(": ")?;
    // An option of the command line has line number 0.
    let number = number.parse().ok().filter(|number| *number > 0)?;
    let file = PathBuf::from(file.strip_suffix(':').unwrap_or(file));
    Some(Refusal { at: Some((file, number)), what: what.to_owned() })
}

/// The arguments. `ssh` takes the first value of each keyword, whatever its form.
fn arguments(name: &ServerName, options: &SshOptions) -> Vec<OsString> {
    let text = |text: &Option<String>| text.as_ref().map(OsString::from);
    let port = |port: u16| port.to_string().into();
    // -N and -T tell `Match sessiontype` that there is no command and no terminal. The input of %C depends
    // on the version of ssh, so it is obtained through ControlPath, which has no other use here.
    let mut out: Vec<OsString> = ["-G", "-N", "-T", "-o", "ControlPath=%C"].map(Into::into).into();
    let mut push = |flag: &str, value: Option<OsString>| {
        out.extend(value.into_iter().flat_map(|value| [flag.into(), value]));
    };
    push("-W", options.stdio.is_on().then(|| "localhost:1".into()));
    push("-F", options.config_file.clone().map(Into::into));
    // Before the options: `ssh` rejects -J after an option that sets ProxyJump or ProxyCommand.
    push("-J", options.jumps.as_ref().map(|jumps| jumps.to_string().into()));
    push("-b", text(&options.bind_address));
    push("-B", text(&options.bind_interface));
    push("-c", text(&options.ciphers));
    push("-m", text(&options.macs));
    for setting in options.with_name() {
        match setting {
            Setting::Option(option) => push("-o", Some(option.into())),
            Setting::User(user) => push("-l", Some(user.into())),
            Setting::Port(number) => push("-p", Some(port(*number))),
            Setting::Identity(file) => push("-i", Some(file.into())),
            // As an option, because older versions have no -P, but reject the unknown keyword with a message.
            Setting::Tag(tag) => push("-o", Some(format!("Tag={tag}").into())),
            Setting::Name => {
                push("-l", text(&name.user));
                push("-p", name.port.map(port));
            }
        }
    }
    if options.compression.is_on() {
        out.push("-C".into());
    }
    match options.address_family {
        Some(AddressFamily::Inet) => out.push("-4".into()),
        Some(AddressFamily::Inet6) => out.push("-6".into()),
        Some(AddressFamily::Any) | None => {}
    }
    out.extend(["--".into(), name.host.clone().into()]);
    out
}

/// The interval that Debian's `ssh` derives from `BatchMode yes` if none is set. Here it would override a
/// better default, so that dead sessions would last for a quarter of an hour.
const BATCH_INTERVAL: &str = "serveraliveinterval 300";
/// The time limit: `ssh -G` takes milliseconds, but a `Match exec` or a canonical name may take a while.
const LIMIT: Duration = Duration::from_secs(20);
/// The most characters of an error from `ssh` that are shown.
const MAX_MESSAGE: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openssh::client_config::Switch;

    fn texts(name: &str, options: &SshOptions) -> Vec<String> {
        let name = name.parse().expect(name);
        let texts = arguments(&name, options).into_iter();
        texts.map(|a| a.into_string().expect("UTF-8")).collect()
    }

    #[test]
    fn the_host_follows_the_flags_and_a_double_dash() {
        assert_eq!(
            texts("host", &SshOptions::default()),
            ["-G", "-N", "-T", "-o", "ControlPath=%C", "--", "host"]
        );
        let options = SshOptions {
            config_file: Some("my config".into()),
            options: vec![
                "Port=1".into(),
                Setting::User("-oProxyCommand=x".into()),
                Setting::Name,
                Setting::Port(2),
                Setting::Identity("-i".into()),
                "User=; rm -rf /".into(),
            ],
            address_family: Some(AddressFamily::Inet6),
            jumps: Some("u@a:1,ssh://[::1]:2".parse().expect("two hops")),
            bind_address: Some("-x".into()),
            compression: Switch::On,
            macs: Some("m".into()),
            ..SshOptions::default()
        };
        let expected = "-G|-N|-T|-o|ControlPath=%C|-F|my config|\
                        -J|u@a:1,ssh://[::1]:2|-b|-x|-m|m|-o|Port=1|-l|-oProxyCommand=x|\
                        -l|me|-p|3|-p|2|-i|-i|-o|User=; rm -rf /|-C|-6|--|host";
        assert_eq!(texts("me@host:3", &options).join("|"), expected);
    }

    #[test]
    fn a_complaint_has_the_place_that_ssh_names() {
        let said = "/c: line 2: Bad configuration option: foo\n/my c line 3: Bad port 'x'.\n\
                    /c: terminating, 2 bad configuration options";
        let place = |refusal: &Refusal| {
            let (file, line) = refusal.at.clone().expect("a place");
            format!("{}|{line}|{}", file.display(), refusal.what)
        };
        let told: Vec<_> = refusals(said).iter().map(place).collect();
        assert_eq!(told, ["/c|2|Bad configuration option: foo", "/my c|3|Bad port 'x'."]);
        for said in ["command-line line 0: Bad port 'x'.", "no line at all", "/c: terminating, 1"] {
            let told = [Refusal { at: None, what: said.to_owned() }];
            assert_eq!(refusals(said), told);
        }
    }

    #[tokio::test]
    async fn a_missing_program_is_not_an_error() {
        let name = "host".parse().expect("a name");
        let told = run_ssh("no-such-program-here", &name, &SshOptions::default()).await;
        assert!(matches!(told, Ok(None)), "{told:?}");
    }

    #[tokio::test]
    async fn a_silent_failure_has_a_message_all_the_same() {
        let name = "host".parse().expect("a name");
        let told = run_ssh("false", &name, &SshOptions::default()).await;
        assert!(matches!(&told, Err(ConfigError::Refused(e)) if e.contains("ssh -G")), "{told:?}");
    }
}
