use clap::error::ErrorKind;

use super::*;

fn words(line: &str) -> Vec<std::ffi::OsString> {
    line.split_whitespace().map(Into::into).collect()
}

fn read(line: &str) -> (Args, Foreign) {
    Args::read(&words(line)).unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[test]
fn flags_cluster_as_in_ssh() {
    let (args, refused) = read("-fND 1080 host");
    assert!(args.background);
    assert_eq!((args.listen, args.server.as_deref()), (vec!["1080".into()], Some("host")));
    assert_eq!(refused, Foreign { refused: vec![], idle: vec!['N'] });

    let (args, _) = read("-qTnaxND1080 -p22 -oUser=x -o Port=7 -o ProxyCommand=a=b -i k -ik2 host");
    assert!(args.log.quiet && !args.background);
    assert_eq!(args.listen, ["1080"]);
    assert_eq!(args.port, ["22"]);
    assert_eq!(args.option, ["User=x", "Port=7", "ProxyCommand=a=b"]);
    assert_eq!(args.identity, [PathBuf::from("k"), PathBuf::from("k2")]);
}

#[test]
fn options_may_follow_the_host() {
    let (args, _) = read("host -p 22 -vv -D [::1]:1 -D /s -F none");
    assert_eq!((args.server.as_deref(), args.log.verbose), (Some("host"), 2));
    assert_eq!(args.listen, ["[::1]:1", "/s"]);
    assert_eq!(args.config_file, Some("none".into()));
    assert_eq!(args.command, Vec::<String>::new());
}

#[test]
fn forwards_are_taken_as_they_are_written() {
    let (args, _) = read("-gL 80:a:81 -L81:/r -R 0 -NR :82:a:83 -W [::1]:84 host");
    assert!(args.gateway_ports);
    assert_eq!(args.local_forward, ["80:a:81", "81:/r"]);
    assert_eq!(args.remote_forward, ["0", ":82:a:83"]);
    assert_eq!(args.stdio_forward, ["[::1]:84"]);
}

#[test]
fn a_flag_may_be_repeated() {
    let (args, _) = read("-f -f -N -N -4 -4 -F a -F b -p 1 -p 2 host");
    assert!(args.background && args.inet);
    assert_eq!(args.config_file, Some("b".into()));
    assert_eq!(args.port, ["1", "2"]);
}

#[test]
fn the_last_of_quiet_and_verbose_wins() {
    let (args, _) = read("-q -vv host");
    assert_eq!((args.log.verbose, args.log.quiet), (2, false));
    let (args, _) = read("-vv -q host");
    assert_eq!((args.log.verbose, args.log.quiet), (0, true));
    let (args, _) = read("-vvv -v host");
    assert_eq!(args.log.verbose, 4);
}

#[test]
fn everything_after_the_host_is_a_command() {
    let (args, _) = read("host ls -la");
    assert_eq!(args.command, ["ls", "-la"]);
    let (args, _) = read("host -N uptime");
    assert_eq!(args.command, ["uptime"]);
}

#[test]
fn flags_of_ssh_are_seen_in_a_cluster_and_with_values() {
    let of = |line| read(line).1;
    let foreign = of("-fMX -tt -Q a host -I lib -e -");
    assert_eq!(foreign.refused, ['I', 'M', 'Q', 't', 'X']);
    assert_eq!(foreign.idle, ['e']);
    // These are flags that people have in aliases: without a session they change nothing in ssh either.
    let foreign = of("-C2qTnN -AXYtkKax -D 1080 host");
    assert_eq!(foreign.refused, Vec::<char>::new());
    assert_eq!(foreign.idle.len(), 12, "{foreign:?}");
    let foreign = of("-A -t host");
    assert_eq!((foreign.refused.as_slice(), foreign.idle.as_slice()), (&['A', 't'][..], &[][..]));
}

#[test]
fn unknown_flags_are_errors() {
    let kind = |line| Args::read(&words(line)).expect_err(line).kind();
    assert_eq!(kind("-Z host"), ErrorKind::UnknownArgument);
    assert_eq!(kind("--nonsense host"), ErrorKind::UnknownArgument);
    assert_eq!(kind("-h"), ErrorKind::DisplayHelp);
    assert_eq!(kind("--help"), ErrorKind::DisplayHelp);
    assert_eq!(kind("-V"), ErrorKind::DisplayVersion);
    assert_eq!(kind("--version"), ErrorKind::DisplayVersion);
    assert_eq!(kind("--log-format xml host"), ErrorKind::InvalidValue);
}

#[test]
fn an_error_comes_without_bad_advice() {
    let told = |line| Args::read(&words(line)).expect_err(line).to_string();
    assert!(told("-Z host").starts_with("error: unexpected argument '-Z'"), "{}", told("-Z host"));
    assert!(!told("-Z host").contains("-- -Z"), "{}", told("-Z host"));
    assert!(told("--sesions 2 host").contains("--sessions"), "{}", told("--sesions 2 host"));
}

#[test]
fn the_help_is_one_screen_and_grouped() {
    let help = Args::read(&words("-h")).expect_err("help").to_string();
    assert!(help.lines().count() <= 54, "{help}");
    assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    for heading in
        ["Usage: sockeye [options]", "COMMAND", "check, demo", PROXY, FORWARDS, SSH, OTHER]
    {
        assert!(help.contains(heading), "{heading} is not in\n{help}");
    }
    assert!(!help.contains("no-command") && !help.contains("-X"), "{help}");
}

#[test]
fn the_tables_fit_the_command() {
    Args::full_command().debug_assert();
    DemoArgs::command().debug_assert();
}
