//! Comparisons with the output of OpenSSH 9.2, and with the installed `ssh`.

use std::path::Path;

use proptest::prelude::*;

use super::local::Local;
use super::*;

mod alike;
mod installed;
mod without_ssh;

/// The output of `ssh -G -N -T` of OpenSSH 9.2 for a plain host, without the lists of algorithms.
const PLAIN: &str = "\
host foo
user root
hostname foo
port 22
addressfamily any
batchmode no
checkhostip no
hashknownhosts yes
identitiesonly no
kbdinteractiveauthentication yes
passwordauthentication yes
pubkeyauthentication true
stricthostkeychecking ask
tcpkeepalive yes
numberofpasswordprompts 3
serveralivecountmax 3
serveraliveinterval 0
identityfile ~/.ssh/id_rsa
identityfile ~/.ssh/id_ecdsa
identityfile ~/.ssh/id_ecdsa_sk
identityfile ~/.ssh/id_ed25519
identityfile ~/.ssh/id_ed25519_sk
identityfile ~/.ssh/id_xmss
identityfile ~/.ssh/id_dsa
canonicaldomains none
globalknownhostsfile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2
userknownhostsfile /home/me/.ssh/known_hosts /home/me/.ssh/known_hosts2
connecttimeout none
";

/// The same for a host with many settings of its own.
const RICH: &str = "\
host FOO.Example
user bob
hostname foo.example.real
port 2222
addressfamily inet6
batchmode yes
hashknownhosts no
identitiesonly yes
kbdinteractiveauthentication no
passwordauthentication no
pubkeyauthentication unbound
stricthostkeychecking accept-new
numberofpasswordprompts 1
serveralivecountmax 5
serveraliveinterval 120
hostkeyalias alias
identityagent /home/me/agent
preferredauthentications gssapi-with-mic,password,publickey
identityfile ~/.ssh/id_%r_%h
identityfile /tmp/with space/id
identityfile %d/x_%u_%L_%%_${TEAM}
identityfile %Z/no
identityfile none
certificatefile %d/my cert.pub
certificatefile /tmp/%Z-cert.pub
pubkeyacceptedalgorithms rsa-sha2-256,ssh-ed25519
requiredrsasize 3072
globalknownhostsfile /etc/x /etc/y z
userknownhostsfile /home/me/.ssh/kh /tmp/a b/kh ~/z
connecttimeout 7
";

fn local() -> Local {
    let variables = [("TEAM", "blue"), ("SSH_AUTH_SOCK", "/run/agent"), ("MINE", "/run/mine")];
    Local {
        home: Some("/home/me".into()),
        user: Some("me".into()),
        uid: 1000,
        host: "box.example".into(),
        variables: variables.map(|(k, v)| (k.into(), v.into())).into(),
    }
}

fn name(text: &str) -> ServerName {
    text.parse().expect(text)
}

fn parse(output: &str) -> Result<ClientConfig, ConfigError> {
    super::parse::parse(output, "", &name("FOO.Example"), &SshOptions::default(), &local())
}

fn defaults(server: &str, options: &SshOptions) -> Result<ClientConfig, ConfigError> {
    super::parse::defaults(&name(server), options, &local())
}

fn with_options(options: &[&str]) -> SshOptions {
    SshOptions { options: options.iter().map(|o| (*o).into()).collect(), ..SshOptions::default() }
}

fn paths(config: &ClientConfig) -> Vec<&str> {
    config.auth.identity_files.iter().map(|f| f.path.to_str().expect("UTF-8")).collect()
}

#[test]
fn a_plain_host() {
    let config = parse(PLAIN).expect("ssh printed it");
    assert_eq!((config.host_name.as_str(), config.port, config.user.as_str()), ("foo", 22, "root"));
    assert_eq!(
        paths(&config),
        [
            "/home/me/.ssh/id_rsa",
            "/home/me/.ssh/id_ecdsa",
            "/home/me/.ssh/id_ecdsa_sk",
            "/home/me/.ssh/id_ed25519",
            "/home/me/.ssh/id_ed25519_sk"
        ]
    );
    assert!(config.auth.identity_files.iter().all(|f| f.origin == IdentityOrigin::Default));
    assert_eq!(config.auth.identity_agent, Some("/run/agent".into()));
    assert_eq!(config.host_keys.strict_host_key_checking, StrictHostKeyChecking::Ask);
    assert_eq!(config.host_keys.hash_known_hosts, Switch::On);
    assert_eq!(config.reach.connect_timeout, None);
    assert_eq!(config.session.server_alive_interval, None);
    assert_eq!(config.session.server_alive_count_max, 3);
    assert_eq!(config.reach.address_family, AddressFamily::Any);
    assert_eq!(config.host_keys.user_known_hosts_files.len(), 2);
    assert_eq!(
        config.auth.preferred_authentications,
        [AuthMethod::PublicKey, AuthMethod::KeyboardInteractive, AuthMethod::Password]
    );
    assert!(config.auth.pubkey_authentication.is_on() && !config.auth.batch_mode.is_on());
    assert_eq!((config.auth.certificate_files.len(), config.required_rsa_size), (0, 1024));
    assert_eq!(config.auth.pubkey_accepted_algorithms.len(), 16);
}

#[test]
fn a_host_with_many_settings() {
    let config = parse(RICH).expect("ssh printed it");
    assert_eq!(config.name, "FOO.Example");
    assert_eq!(config.host_name, "foo.example.real");
    assert_eq!((config.port, config.user.as_str()), (2222, "bob"));
    assert_eq!(
        paths(&config),
        ["/home/me/.ssh/id_bob_foo.example.real", "/tmp/with space/id", "/home/me/x_me_box_%_blue"]
    );
    assert!(config.auth.identity_files.iter().all(|f| f.origin == IdentityOrigin::Named));
    assert_eq!(config.auth.certificate_files, [Path::new("/home/me/my cert.pub")]);
    assert_eq!(config.auth.pubkey_accepted_algorithms, ["rsa-sha2-256", "ssh-ed25519"]);
    assert_eq!(config.required_rsa_size, 3072);
    assert_eq!(config.auth.identities_only, Switch::On);
    assert_eq!(config.auth.identity_agent, Some("/home/me/agent".into()));
    let known: Vec<_> =
        config.host_keys.user_known_hosts_files.iter().map(|p| p.to_str()).collect();
    assert_eq!(known, [Some("/home/me/.ssh/kh"), Some("/tmp/a b/kh"), Some("/home/me/z")]);
    assert_eq!(
        config.host_keys.global_known_hosts_files,
        [Path::new("/etc/x"), Path::new("/etc/y z")]
    );
    assert_eq!(config.host_keys.host_key_alias.as_deref(), Some("alias"));
    assert_eq!(config.host_keys.strict_host_key_checking, StrictHostKeyChecking::AcceptNew);
    assert_eq!(config.host_keys.hash_known_hosts, Switch::Off);
    assert_eq!(config.reach.connect_timeout, Some(Duration::from_secs(7)));
    assert_eq!(config.session.server_alive_interval, Some(Duration::from_secs(120)));
    assert_eq!(config.session.server_alive_count_max, 5);
    assert_eq!(config.reach.address_family, AddressFamily::Inet6);
    assert!(config.auth.batch_mode.is_on() && config.auth.pubkey_authentication.is_on());
    assert!(!config.auth.password_authentication.is_on());
    assert!(!config.auth.kbd_interactive_authentication.is_on());
    assert_eq!(
        config.auth.preferred_authentications,
        [AuthMethod::Password, AuthMethod::PublicKey]
    );
    assert_eq!(config.auth.number_of_password_prompts, 1);
}

#[test]
fn the_agent_of_each_spelling() {
    let agent = |value: &str| {
        parse(&format!("{PLAIN}identityagent {value}\n")).expect("readable").auth.identity_agent
    };
    let socket = |path: &str| Some(path.into());
    assert_eq!(agent("none"), None);
    assert_eq!(agent("SSH_AUTH_SOCK"), socket("/run/agent"));
    assert_eq!(agent("$MINE"), socket("/run/mine"));
    assert_eq!(agent("$NOT_SET"), None);
    assert_eq!(agent("~/agent"), socket("/home/me/agent"));
}

#[test]
fn settings_without_which_the_connection_would_differ_are_refused() {
    let (line, word) = ("refuseconnection not here", "RefuseConnection");
    match parse(&format!("{PLAIN}{line}\n")) {
        Err(ConfigError::Unsupported { keyword, .. }) => assert_eq!(keyword, word),
        other => panic!("{line}: {other:?}"),
    }
    let (keyword, value) = line.split_once(' ').expect("two words");
    let told = defaults("foo", &with_options(&[&format!("{keyword}={value}")]));
    assert!(matches!(told, Err(ConfigError::Unsupported { .. })), "{line}: {told:?}");
    assert!(parse(&format!("{PLAIN}proxyjump none\n")).is_ok());
    assert!(parse(&format!("{PLAIN}proxycommand none\nproxyusefdpass yes\n")).is_ok());
    let told = parse(&format!("{PLAIN}proxycommand x\nproxyusefdpass yes\n"));
    assert!(matches!(told, Err(ConfigError::DescriptorPassing)), "{told:?}");
}

#[test]
fn the_host_key_settings() {
    let of = |lines: &str| parse(&format!("{PLAIN}{lines}")).expect("readable");
    let config = of("updatehostkeys ask\nrevokedhostkeys ~/revoked\nrequiredrsasize 3072\n\
                     casignaturealgorithms ssh-ed25519,rsa-sha2-512\n");
    assert_eq!(config.host_keys.update_host_keys, UpdateHostKeys::Ask);
    assert_eq!(config.host_keys.revoked_host_keys, [Path::new("/home/me/revoked")]);
    assert_eq!(config.required_rsa_size, 3072);
    let names: Vec<String> = ["ssh-ed25519", "rsa-sha2-512"].map(Into::into).into();
    assert_eq!(config.host_keys.ca_signature_algorithms, Some(names));
    assert_eq!(of("updatehostkeys true\n").host_keys.update_host_keys, UpdateHostKeys::Yes);
    assert_eq!(of("updatehostkeys false\n").host_keys.update_host_keys, UpdateHostKeys::No);
    assert!(of("revokedhostkeys none\n").host_keys.revoked_host_keys.is_empty());

    let config = defaults("foo", &SshOptions::default()).expect("plain");
    assert_eq!(config.host_keys.update_host_keys, UpdateHostKeys::Yes);
    assert_eq!((config.required_rsa_size, config.host_keys.ca_signature_algorithms), (1024, None));
    let config = defaults("foo", &with_options(&["UserKnownHostsFile=/tmp/x"])).expect("plain");
    assert_eq!(config.host_keys.update_host_keys, UpdateHostKeys::No);
}

#[test]
fn invalid_values_are_errors() {
    for (old, new) in [
        ("port 22", "port 0"),
        ("port 22", "port 70000"),
        ("hostname foo", "x y"),
        ("user root", "x y"),
        ("stricthostkeychecking ask", "stricthostkeychecking perhaps"),
        ("addressfamily any", "addressfamily ipx"),
        ("connecttimeout none", "connecttimeout soon"),
        ("serveralivecountmax 3", "serveralivecountmax x"),
        ("connecttimeout none", "updatehostkeys perhaps"),
        ("connecttimeout none", "requiredrsasize large"),
    ] {
        let told = parse(&PLAIN.replace(&format!("\n{old}\n"), &format!("\n{new}\n")));
        assert!(matches!(told, Err(ConfigError::Invalid { .. })), "{new}: {told:?}");
    }
}

#[test]
fn keys_of_the_command_line_come_first_and_stay_when_missing() {
    let options = SshOptions {
        options: vec![
            "IdentityFile=/tmp/first".into(),
            Setting::Identity("~/missing".into()),
            "IdentityFile=none".into(),
            "identityfile /tmp/third".into(),
            Setting::Identity("/tmp/with space/id".into()),
        ],
        ..SshOptions::default()
    };
    let config = super::parse::parse(RICH, "", &name("foo"), &options, &local()).expect("readable");
    assert_eq!(
        paths(&config),
        [
            "/tmp/first",
            "/home/me/missing",
            "/tmp/third",
            "/tmp/with space/id",
            "/home/me/.ssh/id_bob_foo.example.real",
            "/home/me/x_me_box_%_blue"
        ]
    );
}

#[test]
fn one_default_name_in_a_configuration_is_a_named_file() {
    let output: String = PLAIN
        .lines()
        .filter(|l| !l.starts_with("identityfile"))
        .fold(String::new(), |s, l| s + l + "\n");
    let config = parse(&(output + "identityfile ~/.ssh/id_rsa\n")).expect("readable");
    assert_eq!(config.auth.identity_files.len(), 1);
    assert_eq!(config.auth.identity_files[0].origin, IdentityOrigin::Named);
}

/// A line similar to the output of `ssh -G`: a known keyword with a possibly invalid value, or
/// anything.
fn nearly_a_line() -> impl Strategy<Value = String> {
    let known = |text: &'static str| -> Vec<String> {
        text.lines().filter_map(|line| line.split_once(' ')).map(|(word, _)| word.into()).collect()
    };
    let keywords: Vec<_> = [known(PLAIN), known(RICH)].concat();
    let values: Vec<String> = [PLAIN, RICH]
        .iter()
        .flat_map(|text| text.lines().filter_map(|line| line.split_once(' ')))
        .map(|(_, value)| value.to_owned())
        .collect();
    let value = prop_oneof![
        3 => prop::sample::select(values),
        2 => "[a-z0-9@:,/%.+*^~ \\[\\]-]{0,30}",
        1 => "\\PC{0,40}",
    ];
    prop_oneof![
        9 => (prop::sample::select(keywords), value).prop_map(|(word, value)| format!("{word} {value}")),
        1 => "\\PC{0,60}",
    ]
}

proptest! {
    #[test]
    fn any_lines_are_a_configuration_or_are_refused_by_their_keyword(
        lines in prop::collection::vec(nearly_a_line(), 0..6),
    ) {
        // The first value applies.
        let output = format!("{}\n{PLAIN}", lines.join("\n"));
        if let Err(error) = parse(&output) {
            let told = error.to_string();
            prop_assert!(!told.is_empty() && !told.contains('\r'), "{:?}", told);
        }
    }
}
