//! The configuration without an installed `ssh`.

use super::*;

#[test]
fn without_ssh_the_flags_and_the_defaults_apply() {
    let config = defaults("Host.Example", &SshOptions::default()).expect("plain");
    assert_eq!((config.host_name.as_str(), config.port), ("host.example", 22));
    assert_eq!(config.user, "me");
    assert_eq!(config.host_keys.user_known_hosts_files[0], Path::new("/home/me/.ssh/known_hosts"));
    assert_eq!(config.host_keys.global_known_hosts_files[0], Path::new("/etc/ssh/ssh_known_hosts"));
    assert_eq!(config.auth.identity_files.len(), 5);
    assert_eq!(config.auth.identity_files[0].origin, IdentityOrigin::Default);
    assert_eq!(config.host_keys.strict_host_key_checking, StrictHostKeyChecking::Ask);
    assert_eq!(config.host_keys.hash_known_hosts, Switch::Off);

    let options = SshOptions {
        address_family: Some(AddressFamily::Inet),
        ..with_options(&[
            "IdentityFile=k",
            "StrictHostKeyChecking no",
            "ConnectTimeout = 1m30",
            "AddressFamily=inet6",
            "UserKnownHostsFile=\"/tmp/a b-%r-${TEAM}\"",
            "IdentityAgent=%d/agent-%L",
            "HostName=%h.lan",
            "Port=2200",
            "Port=2201",
            "user=you",
        ])
    };
    let config = defaults("them@host:1", &options).expect("readable");
    assert_eq!(config.host_keys.strict_host_key_checking, StrictHostKeyChecking::AcceptNew);
    assert_eq!(config.reach.connect_timeout, Some(Duration::from_secs(90)));
    assert_eq!(config.reach.address_family, AddressFamily::Inet);
    assert_eq!(config.host_keys.user_known_hosts_files, [Path::new("/tmp/a b-you-blue")]);
    let agent = Some("/home/me/agent-box".into());
    assert_eq!(config.auth.identity_agent, agent);
    assert_eq!((config.host_name.as_str(), config.port), ("host.lan", 2200));
    assert_eq!(config.user, "you");
    assert_eq!(paths(&config), ["k"]);

    let config = defaults("them@host:1", &SshOptions::default()).expect("plain");
    assert_eq!((config.port, config.user.as_str()), (1, "them"));
}

#[test]
fn without_ssh_a_configuration_file_cannot_be_read() {
    let options = SshOptions { config_file: Some("x".into()), ..SshOptions::default() };
    assert!(matches!(defaults("host", &options), Err(ConfigError::NeedsSsh)));
    let nobody = Local { user: None, ..local() };
    let told = super::parse::defaults(&name("host"), &SshOptions::default(), &nobody);
    assert!(matches!(told, Err(ConfigError::NoUser)), "{told:?}");
}

#[test]
fn without_ssh_a_misspelt_option_is_an_error() {
    let wrong = |options: &[&str]| {
        defaults("host", &with_options(options)).map_err(|error| error.to_string()).err()
    };
    assert_eq!(
        wrong(&["ProxyJmup=bastion", "Port=1", "User", "Host=a\u{1b}b", "x\u{1b}=1"]).as_deref(),
        Some(
            "-o proxyjmup: ssh has no such option; -o User: the value is missing; \
             -o host: ssh has no such option; -o x\\u{1b}: ssh has no such option"
        )
    );
    assert_eq!(
        wrong(&["ProxyJump=", "User=\"\"", "Port = # later", "LocalCommand=\"\""]).as_deref(),
        Some(
            "-o ProxyJump=: the value is missing; -o User=\"\": the value is missing; \
             -o Port = # later: the value is missing"
        )
    );
    let ignored = ["IgnoreUnknown=Vendor*,other", "VendorThing=1", "OTHER=1"];
    assert_eq!(wrong(&ignored), None);
    assert!(wrong(&["VendorThing=1"]).is_some());
    assert_eq!(wrong(&["Protocol=2", "DSAAuthentication=no", "ForwardX11 yes"]), None);
}
