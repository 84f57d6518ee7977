//! Random options mean the same to the installed `ssh` and to this program without one.

use super::*;

#[tokio::test]
#[ignore = "needs ssh"]
async fn random_options_mean_the_same_without_ssh() {
    let mut random = fastrand::Rng::with_seed(1);
    let server = name("Box.example");
    let mut understood = 0;
    for _ in 0..CASES {
        let options: Vec<Setting> = some(&mut random).into_iter().map(Setting::Option).collect();
        let without = SshOptions { options, ..SshOptions::default() };
        let with = SshOptions { config_file: Some("none".into()), ..without.clone() };
        let asked = ClientConfig::query(&server, &with).await.map(|(config, _)| meaning(&config));
        let own = ClientConfig::without_ssh(&server, &without).map(|(config, _)| meaning(&config));
        match (asked, own) {
            (Ok(asked), Ok(own)) => {
                assert_eq!(asked, own, "{:?}", without.options);
                understood += 1;
            }
            (Err(_), Err(_)) => {}
            (asked, own) => panic!("{:?}\n{asked:?}\n{own:?}", without.options),
        }
    }
    assert!(understood > CASES / 2, "{understood}");
}

/// One to three random options.
fn some(random: &mut fastrand::Rng) -> Vec<String> {
    let mut option = || {
        let (keyword, values) = random.choice(OPTIONS).expect("there are some");
        let keyword = match random.u8(..3) {
            0 => keyword.to_uppercase(),
            1 => keyword.to_lowercase(),
            _ => keyword.to_owned(),
        };
        let between = random.choice([" ", "=", " = ", "\t", "= "]).expect("there are some");
        format!("{keyword}{between}{}", random.choice(values).expect("there are some"))
    };
    let count = option().len() % 3 + 1;
    (0..count).map(|_| option()).collect()
}

/// What a configuration means, without what may differ: `ssh` has lists of algorithms, forms of its own for jump
/// hosts, and %C of its version.
fn meaning(config: &ClientConfig) -> String {
    let ClientConfig { name, host_name, port, user, reach, auth, host_keys, session, .. } = config;
    let ReachConfig { connect_timeout, way, origin, connection_attempts, .. } = reach;
    let way = match way {
        Way::Jump(jump) => format!("{:?} {:?}", jump.last().0, jump.last().1.jumps),
        way => format!("{way:?}"),
    };
    let auth = AuthConfig { pubkey_accepted_algorithms: Vec::new(), ..auth.clone() };
    let authorities = host_keys.ca_signature_algorithms.clone();
    let authorities = authorities.unwrap_or_else(|| SIGNATURES.map(str::to_owned).into());
    let host_keys =
        HostKeyConfig { ca_signature_algorithms: Some(authorities), ..host_keys.clone() };
    format!(
        "{name} {host_name} {port} {user} {connect_timeout:?} {way} {origin:?} {connection_attempts} {:?} {:?} \
         {auth:?} {host_keys:?} {session:?} {:?} {:?}",
        reach.tcp_keep_alive,
        reach.address_family,
        config.forwards,
        config.process.fork_after_authentication,
    )
}

const CASES: usize = 200;

/// Keywords, with values that `ssh` and this program read alike, or both refuse.
const OPTIONS: [(&str, &[&str]); 40] = [
    ("AddKeysToAgent", &["yes", "no", "ask", "confirm", "5m", "confirm 1h", "yes 1h"]),
    ("AddressFamily", &["any", "inet", "INET6", "ipx"]),
    ("BatchMode", &["yes # said twice", "no", "\"yes\"", "True"]),
    ("BindAddress", &["::1", "127.0.0.1"]),
    ("CASignatureAlgorithms", &["-ssh-ed25519", "^rsa-sha2-512", "ssh-ed25519,rsa-sha2-256"]),
    ("CertificateFile", FILES),
    ("ChallengeResponseAuthentication", &["no", "yes"]),
    ("ClearAllForwardings", &["no", "yes"]),
    ("Compression", &["no", "yes"]),
    ("ConnectTimeout", &["0", "1h30m", "2d", "1x", "1m30"]),
    ("ConnectionAttempts", &["1", "3", "010"]),
    ("DynamicForward", &["1080", "localhost:1080", "[::1]:http", "*:1080", "/tmp/%h-${TEAM}", "x"]),
    ("ExitOnForwardFailure", &["no", "yes"]),
    ("ForkAfterAuthentication", &["no", "yes"]),
    ("GatewayPorts", &["no", "yes"]),
    ("GlobalKnownHostsFile", &["/etc/x ~/y", "\"/a b\" '/c d'", "none", "/x # y"]),
    ("HashKnownHosts", &["no", "yes"]),
    ("HostKeyAlias", &["alias", "%h", "Alias.Example"]),
    ("HostName", &["h", "H.Example", "%h.lan", "%n", "100%%", "10.0.0.1", "::1", "'q'"]),
    ("IdentitiesOnly", &["no", "yes"]),
    ("IdentityAgent", &["none", "SSH_AUTH_SOCK", "$HOME", "$NOPE", "${HOME}/a", "'/a b'", "%d/%n"]),
    ("IdentityFile", FILES),
    ("KeepAlive", &["no", "yes"]),
    ("KnownHostsCommand", &["none", "None", "/x %h \"%n 'a\" # %H", r#"/x a\b \$x 'a\'b' "a\"b""#]),
    ("LocalCommand", &["none", "None", "echo %h \"%n\" %p %% # %r", "echo %T # it's"]),
    (
        "LocalForward",
        &["80 a:1", "::1:80 [::1]:http", "*:80\ta:1", "/tmp/%p db:1", "80 /s-%u", "80 a"],
    ),
    ("NumberOfPasswordPrompts", &["1", "5"]),
    ("PasswordAuthentication", &["no", "yes"]),
    ("PermitLocalCommand", &["no", "yes"]),
    ("PermitRemoteOpen", &["any", "none", "a:1", "a:* *:2 [::1]:3"]),
    ("Port", &["1", "ssh", "0", "65536", "2222 # x"]),
    ("PreferredAuthentications", &["password,publickey", "x", "gssapi-with-mic,publickey"]),
    ("ProxyCommand", &["none", "nc %h %p # %r", "nc '%n' \"%%\"", "\"/a b\" x"]),
    ("ProxyJump", &["none", "gw", "me@%h-gw:22", "ssh://a@gw:1,[::1]:2", "a,-x", "u@v@gw", "NONE"]),
    ("PubkeyAuthentication", &["no", "unbound", "yes"]),
    ("RekeyLimit", &["default none", "1G", "500M 1h", "default 1h", "5x", "0"]),
    ("RemoteForward", &["80 a:1", "80", "[::1]:80 /s", "/s b:2", "*:80 [::1]:1"]),
    ("ServerAliveInterval", &["0", "90", "2m"]),
    ("StrictHostKeyChecking", &["yes", "no", "accept-new", "off", "perhaps"]),
    ("UserKnownHostsFile", &["/x-%h-${TEAM} ~/y", "'/a b' \"/c\"", "none", "%d/%k /z # w"]),
];

const FILES: &[&str] = &[
    "~/a",
    "\"~/a b\"",
    "'%d/%h' # why",
    "/k-%r-%n-%p-%%-${HOME}",
    "/e\\ f",
    "none",
    "None",
    "/#x",
    "/l-%L-%l-%i-%u",
];
