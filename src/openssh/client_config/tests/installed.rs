//! Comparisons with the installed `ssh`.

use super::*;
use crate::openssh::client_config::keywords::OBSOLETE;
use crate::openssh::client_config::settings::OLD_NAMES;

#[tokio::test]
#[ignore = "needs ssh"]
async fn the_ssh_of_this_machine() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("a config");
    let text = "Host alias\n HostName Real.Example\n User ali\n Port 2022\n\
                IdentityFile \"/tmp/a key\"\n UserKnownHostsFile \"/tmp/a b\" /tmp/c\n\
                HostKeyAlias %h\n ConnectTimeout 9\nHost jump\n ProxyJump other\n";
    std::fs::write(&file, text).expect("written");
    let key = dir.path().join("key");
    std::fs::write(&key, "").expect("written");
    let options = SshOptions {
        config_file: Some(file),
        address_family: Some(AddressFamily::Inet),
        options: vec![
            "StrictHostKeyChecking=accept-new".into(),
            "Port=1".into(),
            "IdentityFile=/tmp/first".into(),
            Setting::Identity("/tmp/does not exist".into()),
            Setting::Identity(key.clone()),
        ],
        ..SshOptions::default()
    };

    let (config, source) = ClientConfig::query(&name("alias:2"), &options).await.expect("ssh -G");
    assert_eq!(source, ConfigSource::Ssh);
    assert_eq!((config.host_name.as_str(), config.user.as_str()), ("real.example", "ali"));
    assert_eq!(config.port, 1, "-o counts before the name, as with ssh");
    let key = key.to_str().expect("UTF-8");
    assert_eq!(paths(&config), ["/tmp/first", "/tmp/does not exist", key, "/tmp/a key"]);
    assert_eq!(
        config.host_keys.user_known_hosts_files,
        [Path::new("/tmp/a b"), Path::new("/tmp/c")]
    );
    assert_eq!(config.host_keys.strict_host_key_checking, StrictHostKeyChecking::AcceptNew);
    assert_eq!(config.reach.connect_timeout, Some(Duration::from_secs(9)));
    assert_eq!(config.reach.address_family, AddressFamily::Inet);

    let (config, _) = ClientConfig::query(&name("jump"), &options).await.expect("ssh -G");
    let Way::Jump(jump) = config.reach.way else { panic!("no jump: {:?}", config.reach.way) };
    assert_eq!(jump.last().0.host, "other");
    let flags = SshOptions {
        jumps: Some("a,b".parse().expect("two")),
        ciphers: Some("aes256-ctr".into()),
        bind_address: Some("::1".into()),
        compression: Switch::On,
        ..with_options(&["ProxyCommand=x", "RekeyLimit=2G 1h", "TCPKeepAlive=no"])
    };
    let (config, _) = ClientConfig::query(&name("jump"), &flags).await.expect("ssh -G");
    let Way::Jump(jump) = &config.reach.way else { panic!("no jump: {:?}", config.reach.way) };
    assert_eq!((jump.last().0.host.as_str(), config.session.compression), ("b", Switch::On));
    assert_eq!(config.algorithms.ciphers, [russh::cipher::AES_256_CTR]);
    assert_eq!(config.algorithms.macs.len(), 6, "nobody configured any");
    assert_eq!(
        (config.reach.origin, config.reach.tcp_keep_alive),
        (Origin::Address("::1".into()), Switch::Off)
    );
    assert_eq!(config.session.rekey_limit.bytes, Some(2 << 30));
}

#[tokio::test]
#[ignore = "needs ssh"]
async fn an_option_that_ssh_does_not_know_is_named() {
    let bad = with_options(&["NoSuchOption=1"]);
    let told = ClientConfig::query(&name("alias"), &bad).await;
    match told {
        Err(ConfigError::Refused(said)) => {
            assert!(said.to_lowercase().contains("nosuchoption"), "{said}");
            assert!(!said.contains('\r') && !said.contains("\\r"), "{said}");
        }
        other => panic!("{other:?}"),
    }
}

/// With Debian's `ssh`, `BatchMode` sets an interval too.
#[tokio::test]
#[ignore = "needs ssh"]
async fn an_interval_that_nobody_configured_is_ignored() {
    for (options, interval) in [
        (&["BatchMode=yes"][..], None),
        (&["BatchMode=yes", "ServerAliveInterval=0"], None),
        (&["ServerAliveInterval=300", "BatchMode=yes"], Some(Duration::from_secs(300))),
        (&["BatchMode=yes", "ServerAliveInterval=60"], Some(Duration::from_secs(60))),
    ] {
        let asked = ClientConfig::query(&name("alias"), &with_options(options)).await;
        let (config, _) = asked.expect("ssh -G");
        assert_eq!(config.session.server_alive_interval, interval, "{options:?}");
        assert_eq!(config.auth.batch_mode, Switch::On);
    }
}

#[test]
#[ignore = "needs ssh"]
fn former_keywords_mean_the_same_to_the_ssh_of_this_machine() {
    let printed = |option: &str| {
        let mut ssh = std::process::Command::new("ssh");
        let output = ssh.args(["-G", "-F", "none", "-o", option, "host"]).output().expect("ssh");
        output.status.success().then_some(output.stdout)
    };
    let values = ["7", "yes", "ssh-rsa", "/x"];
    let plain = printed("Port=22").expect("a configuration");
    for (old, value) in OBSOLETE.into_iter().flat_map(|old| values.map(|value| (old, value))) {
        // A build of `ssh` may lack it.
        if let Some(printed) = printed(&format!("{old}={value}")) {
            assert!(printed == plain, "{old}={value} has an effect");
        }
    }
    for (old, present) in OLD_NAMES {
        for value in values {
            if let Some(old_printed) = printed(&format!("{old}={value}")) {
                let same = printed(&format!("{present}={value}")) == Some(old_printed);
                assert!(same, "{old}={value} is not {present}");
            }
        }
    }
}
