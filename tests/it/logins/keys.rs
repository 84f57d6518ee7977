//! Keys and certificates, in files and in agents.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::*;
use crate::support::command;

#[test]
#[ignore = "needs sshd, unshare"]
fn keys_of_files() {
    let Some(server) = Accounts::start(&[]) else { return };
    let passphrase = "open-sesame-31";
    let locked = ["-t", "ed25519", "-a", "1", "-N", passphrase];
    let key = server.key("locked", &locked);
    let pem = server.key("pem", &["-t", "ecdsa", "-b", "521", "-m", "PEM", "-N", passphrase]);
    let bare = server.key("bare", &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", passphrase]);
    let rsa = server.key("rsa", &["-t", "rsa", "-b", "2048", "-N", ""]);
    let stranger = server.key("stranger", &[]);
    server.authorize(&[&key, &pem, &bare, &rsa]);
    fs::remove_file(bare.with_extension("pub")).expect("there");
    for key in [&key, &pem, &bare] {
        let config = server.client(&[&only(key)]);
        let what = key.display().to_string();
        agree(&what, &config, &["wrong", passphrase], In);
        let told = agree(&what, &config, &["a", "b", "c", passphrase], Refused);
        assert!(told.said.contains("passphrase was not given"), "{}", told.said);
        let told = agree(&what, &server.client(&[&only(key), "BatchMode yes"]), &[], Refused);
        assert!(told.said.contains("nobody can be asked"), "{}", told.said);
    }
    // The passphrase is not asked for if the server does not accept the key.
    server.authorize(&[&rsa]);
    let told = agree("unknown", &server.client(&[&only(&key)]), &[passphrase], Refused);
    assert_eq!(told.asked, [""; 0]);

    for (what, lines, expected, says) in [
        ("rsa", only(&rsa), In, "ssh-rsa"),
        ("a stranger", only(&stranger), Refused, "refused"),
        ("too short", only(&rsa) + "\n    RequiredRSASize 3072", Refused, "has 2048 bits"),
        ("one hash", only(&rsa) + "\n    PubkeyAcceptedAlgorithms rsa-sha2-256", In, "ssh-rsa"),
        (
            "another type",
            only(&rsa) + "\n    PubkeyAcceptedAlgorithms ssh-ed25519",
            Refused,
            "PubkeyAcceptedAlgorithms",
        ),
        ("no keys", only(&rsa) + "\n    PubkeyAuthentication no", Refused, "takes publickey"),
    ] {
        let told = agree(what, &server.client(&[&lines]), &[], expected);
        assert!(told.said.contains(says), "{what}: {}", told.said);
    }
}

/// Formats that OpenSSL and `ssh-keygen` used to write, and still write on request.
#[test]
#[ignore = "needs sshd, unshare, openssl"]
fn keys_of_files_with_old_ciphers() {
    let Some(server) = Accounts::start(&[]) else { return };
    let passphrase = "open-sesame-31";
    let plain = server.key("plain", &["-t", "ecdsa", "-m", "PKCS8", "-N", ""]);
    let openssh = ["-t", "ed25519", "-a", "1", "-Z", "3des-cbc", "-N", passphrase];
    let openssh = server.key("openssh", &openssh);
    server.authorize(&[&plain, &openssh]);
    let convert = |name: &str, cipher: &[&str]| {
        let key = server.path(name);
        let mut convert = command("openssl");
        convert.args(["pkcs8", "-topk8", "-passout", &format!("pass:{passphrase}")]).args(cipher);
        convert.arg("-in").arg(&plain).arg("-out").arg(&key);
        let output = convert.output().expect("openssl");
        assert!(output.status.success(), "{output:?}");
        key
    };
    let old = convert("old", &["-v2", "des3"]);
    for key in [openssh, old, convert("usual", &[]), convert("scrypt", &["-scrypt"])] {
        let what = key.display().to_string();
        agree(&what, &server.client(&[&only(&key)]), &["wrong", passphrase], In);
    }
    // This password is stretched with the PKCS#12 method, which is not available here; that is reported
    // before anybody is asked.
    let config = server.client(&[&only(&convert("v1", &["-v1", "PBE-SHA1-3DES"]))]);
    assert_eq!(ssh(&config, &[passphrase]).verdict, In);
    let told = sockeye(&config, &[passphrase]);
    assert_eq!((told.verdict, told.asked.len()), (Refused, 0), "{}", told.said);
    assert!(told.said.contains("its encryption is not available here"), "{}", told.said);
}

#[test]
#[ignore = "needs sshd, unshare"]
fn unusable_key_files() {
    let Some(server) = Accounts::start(&[]) else { return };
    let key = server.key("key", &[]);
    server.authorize(&[&key]);
    let config = server.client(&[&only(&key)]);
    agree("as it should be", &config, &[], In);
    let mode = |mode| fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(mode));
    mode(0o640).expect("a mode");
    let told = agree("others may read it", &config, &[], Refused);
    assert!(told.said.contains("0640 are too open"), "{}", told.said);
    mode(0o600).expect("a mode");
    fs::write(&key, "-----BEGIN OPENSSH PRIVATE KEY-----\nrubbish\n").expect("written");
    agree("rubbish", &config, &[], Refused);
    fs::remove_file(&key).expect("there");
    let told = agree("the public half alone", &config, &[], Refused);
    assert!(told.said.contains("its private key is in no"), "{}", told.said);
    fs::remove_file(key.with_extension("pub")).expect("there");
    let told = agree("nothing", &config, &[], Refused);
    assert!(told.said.contains("does not exist"), "{}", told.said);
}

#[test]
#[ignore = "needs sshd, unshare"]
fn certificates() {
    let Some(server) = Accounts::start(&[]) else { return };
    let ca = server.key("ca", &[]);
    let line =
        format!("cert-authority {}", fs::read_to_string(ca.with_extension("pub")).expect("a key"));
    fs::write(server.path("authorized_keys"), line).expect("authorized_keys");
    for (kind, arguments) in [
        ("ed25519", &["-t", "ed25519", "-N", ""][..]),
        ("rsa", &["-t", "rsa", "-b", "2048", "-N", ""]),
        ("ecdsa", &["-t", "ecdsa", "-b", "384", "-N", ""]),
    ] {
        let key = server.key(kind, arguments);
        let config = server.client(&[&only(&key)]);
        agree("no certificate", &config, &[], Refused);
        for (what, how, expected, says) in [
            ("valid", &["-n", USER][..], In, "certificate"),
            ("expired", &["-n", USER, "-V", "-2d:-1d"], Refused, "it expired on "),
            ("early", &["-n", USER, "-V", "+2d:+9d"], Refused, "it is valid from "),
            ("of another", &["-n", "bob"], Refused, "it names bob"),
            ("of a host", &["-h", "-n", USER], Refused, "refused"),
            ("wrong address", &["-n", USER, "-O", "source-address=192.0.2.1"], Refused, "refused"),
        ] {
            Accounts::certify(&ca, &key, how);
            let told = agree(what, &config, &[], expected);
            assert!(told.said.contains(says), "{kind}, {what}: {}", told.said);
        }
        // The certificate is in another place, and named.
        Accounts::certify(&ca, &key, &["-n", USER]);
        let beside = server.path(&format!("{kind}-cert.pub"));
        let named = server.path("named-cert.pub");
        fs::rename(&beside, &named).expect("renamed");
        let line = format!("CertificateFile {}", named.display());
        agree("named", &server.client(&[&only(&key), &line]), &[], In);

        // The private key is only in the agent.
        let agent = Agent::start();
        agent.add(&key, &[]);
        fs::remove_file(&key).expect("there");
        let config = server.client(&[&only(&key), &line, &agent.line()]);
        let told = agree("by the agent", &config, &[], In);
        assert!(told.said.contains("certificate"), "{}", told.said);
        fs::remove_file(&named).expect("there");
    }
}

#[test]
#[ignore = "needs sshd, unshare"]
fn keys_of_the_agent() {
    let Some(server) = Accounts::start(&[]) else { return };
    let (key, other) = (server.key("key", &[]), server.key("other", &[]));
    server.authorize(&[&key]);
    let agent = Agent::start();
    agent.add(&other, &[]);
    agent.add(&key, &[]);
    fs::remove_file(&key).expect("there");
    let line = agent.line();
    let told = agree("the agent's own", &server.client(&[&line]), &[], In);
    assert!(told.said.contains("from the agent"), "{}", told.said);
    let only_file = only(&other);
    let told = agree("not named", &server.client(&[&line, &only_file]), &[], Refused);
    assert!(told.said.contains("refused"), "{}", told.said);
    let public = only(&key.with_extension("pub"));
    agree("named by its public half", &server.client(&[&line, &public]), &[], In);
    agree("named, with the private half gone", &server.client(&[&line, &only(&key)]), &[], In);
    agree("no agent there", &server.client(&["IdentityAgent /nonexistent", &public]), &[], Refused);
}

/// `ssh` shows as much of the comment as it can.
#[test]
#[ignore = "needs sshd, unshare"]
fn a_comment_that_is_not_utf_8_does_not_matter() {
    let Some(server) = Accounts::start(&[]) else { return };
    let (key, other) = (server.key("key", &[]), server.key("other", &[]));
    server.authorize(&[&key]);
    let agent = Agent::start();
    let comment = OsStr::from_bytes(b"caf\xe9");
    let mut keygen = command("ssh-keygen");
    keygen.arg("-qcC").arg(comment).args(["-P", "", "-f"]).arg(&other);
    assert!(keygen.output().expect("ssh-keygen").status.success());
    agent.add(&other, &[]);
    agent.add(&key, &[]);
    fs::remove_file(&key).expect("there");
    agree("Latin-1", &server.client(&[&agent.line()]), &[], In);
}

/// Such as an agent that asks its owner to unlock it first. `ssh` waits for it too.
#[test]
#[ignore = "needs sshd, unshare"]
fn a_slow_agent_is_waited_for_if_only_it_has_the_key() {
    let Some(server) = Accounts::start(&[]) else { return };
    let key = server.key("key", &[]);
    server.authorize(&[&key]);
    let agent = Agent::start();
    agent.add(&key, &[]);
    fs::remove_file(&key).expect("there");
    let socket = server.path("late");
    let late = UnixListener::bind(&socket).expect("a socket");
    let real = agent.socket();
    thread::spawn(move || {
        for client in late.incoming().flatten() {
            let real = real.clone();
            thread::spawn(move || {
                thread::sleep(Duration::from_secs(7));
                let agent = UnixStream::connect(real).expect("the agent");
                let mut up =
                    (client.try_clone().expect("a socket"), agent.try_clone().expect("one"));
                thread::spawn(move || std::io::copy(&mut up.0, &mut up.1));
                let mut down = (agent, client);
                std::io::copy(&mut down.0, &mut down.1)
            });
        }
    });
    let line = format!("IdentityAgent {}", socket.display());
    let told = agree("late", &server.client(&[&line]), &[], In);
    assert!(told.said.contains("waiting for the agent"), "{}", told.said);
}

/// `ssh` waits for such an agent for ever.
#[test]
#[ignore = "needs sshd, unshare"]
fn an_agent_that_hangs_is_skipped() {
    let Some(server) = Accounts::start(&[]) else { return };
    let key = server.key("key", &[]);
    server.authorize(&[&key]);
    let socket = server.path("deaf");
    let _deaf = UnixListener::bind(&socket).expect("a socket");
    let line = format!("IdentityAgent {}", socket.display());
    let told = sockeye(&server.client(&[&line, &only(&key)]), &[]);
    assert_eq!(told.verdict, In, "{}", told.said);
    assert!(told.said.contains("has not answered within 5 s"), "{}", told.said);
}

/// The agent uses such a key for one server only, and requires proof of which server it signs for.
#[test]
#[ignore = "needs sshd, unshare"]
fn a_key_that_is_restricted_to_a_server_is_used_there() {
    let Some(server) = Accounts::start(&[]) else { return };
    let (here, elsewhere) = (server.key("here", &[]), server.key("elsewhere", &[]));
    server.authorize(&[&here, &elsewhere]);
    let known = server.known_hosts();
    let other = server.path("known_elsewhere");
    let stranger = fs::read_to_string(server.key("stranger", &[]).with_extension("pub"));
    fs::write(&other, format!("elsewhere {}", stranger.expect("a key"))).expect("known_hosts");
    let this = format!("[127.0.0.1]:{}", server.port());
    for (key, host, file, expected) in
        [(&here, this.as_str(), &known, In), (&elsewhere, "elsewhere", &other, Refused)]
    {
        let agent = Agent::start();
        agent.add(key, &["-h", host, "-H", file.to_str().expect("UTF-8")]);
        agree(host, &server.client(&[&agent.line()]), &[], expected);
    }
}

/// The fingerprints that the server saw, in order.
fn offered(server: &Accounts, config: &Path, run: fn(&Path, &[&str]) -> Told) -> Vec<String> {
    let before = server.log().len();
    run(config, &[]);
    server.wait_for_the_last();
    let key = |line: &str| {
        let seen = ["Failed publickey", "Accepted publickey"].iter().any(|s| line.contains(s));
        let fingerprint = line.split("SHA256:").nth(1)?.split(' ').next()?;
        seen.then(|| format!("{} {fingerprint}", line.contains("-CERT")))
    };
    server.log()[before..].lines().filter_map(key).collect()
}

#[test]
#[ignore = "needs sshd, unshare"]
fn keys_are_offered_in_the_order_of_ssh() {
    let Some(server) = Accounts::start(&["MaxAuthTries 20"]) else { return };
    let key = |name: &str| server.key(name, &[]);
    let (a, b, c, e) = (key("a"), key("b"), key("c"), key("e"));
    let (ca, nobody) = (key("ca"), key("nobody"));
    server.authorize(&[&nobody]);
    Accounts::certify(&ca, &b, &["-n", USER]);
    Accounts::certify(&ca, &e, &["-n", USER]);
    let agent = Agent::start();
    // Key e is offered twice because of its certificate; the total stays within the server's limit.
    for key in [&e, &c, &a] {
        agent.add(key, &[]);
    }
    let files = |keys: &[&Path]| {
        let lines: Vec<_> =
            keys.iter().map(|key| format!("IdentityFile {}", key.display())).collect();
        lines.join("\n    ")
    };
    let line = agent.line();
    let only = "IdentitiesOnly yes";
    let named = format!("CertificateFile {}", server.path("b-cert.pub").display());
    for lines in [
        &[line.as_str()][..],
        &[&files(&[&b, &a, &c]), &line],
        &[&files(&[&b, &a, &c]), only, &line],
        &[&files(&[&b, &e]), &line],
        &[&files(&[&b, &a]), &named, &line],
        &[&files(&[&b, &a, &e]), only],
    ] {
        let config = server.client(lines);
        let theirs = offered(&server, &config, ssh);
        let ours = offered(&server, &config, sockeye);
        assert!(theirs.len() > 2, "{lines:?}: {theirs:?}");
        assert_eq!(ours, theirs, "{lines:?}");
    }
}

/// `ssh` fails here: it offers the agent's keys first, and exceeds the server's limit. This program
/// connects a second time. Where the order of `ssh` works, this program uses the same one.
#[test]
#[ignore = "needs sshd, unshare"]
fn too_many_keys() {
    let Some(server) = Accounts::start(&[]) else { return };
    let agent = Agent::start();
    for i in 0..7 {
        agent.add(&server.key(&format!("k{i}"), &[]), &[]);
    }
    let key = server.key("key", &[]);
    server.authorize(&[&key]);
    let line = agent.line();
    let file = format!("IdentityFile {}", key.display());
    let config = server.client(&[&line, &file]);
    assert_eq!(ssh(&config, &[]).verdict, Refused);
    let told = sockeye(&config, &[]);
    assert_eq!(told.verdict, In, "{}", told.said);
    let second = Agent::start();
    let right = server.key("right", &[]);
    second.add(&server.key("wrong", &[]), &[]);
    second.add(&right, &[]);
    server.authorize(&[&right]);
    let files = (0..5).map(|i| format!("IdentityFile {}", server.path(&format!("k{i}")).display()));
    let files: Vec<_> = files.collect();
    agree("in the agent", &server.client(&[&second.line(), &files.join("\n    ")]), &[], In);
    server.authorize(&[&key]);

    let told = agree("seven strangers", &server.client(&[&line]), &[], Refused);
    for part in ["Too many authentication failures", "1 more key was not tried", "IdentitiesOnly"] {
        assert!(told.said.contains(part), "{part} is not in {}", told.said);
    }
    let refused = format!("{:?}): refused\n", "k4");
    let in_flight = format!("{:?}): the connection ended\n", "k5");
    assert!(told.said.contains(&refused) && told.said.contains(&in_flight), "{}", told.said);
}
