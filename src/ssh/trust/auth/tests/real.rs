//! Logins with this machine's `sshd` and `ssh-agent`.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;

use russh::client;

use super::*;

/// A real `sshd` on loopback that takes the keys of one file. Each connection has a process of its own, which
/// ends with it: nobody else gets the port before `sshd` has it.
struct Sshd {
    port: u16,
}

/// A real `ssh-agent`; stopped on drop.
struct RealAgent {
    child: Child,
    socket: PathBuf,
}

impl Sshd {
    fn start(place: &Place, authorized: &[&PublicKey], extra: &str) -> Self {
        let host_key = place.path("host_key");
        keygen(&["-t", "ed25519", "-f", host_key.to_str().expect("UTF-8")]);
        let text: String = authorized
            .iter()
            .map(|key| key.to_openssh().expect("a key").trim().to_owned() + "\n")
            .collect();
        std::fs::write(place.path("authorized"), text).expect("written");
        // Needed by sshd when run as root; in a container it may not exist yet.
        let _ = std::fs::create_dir_all("/run/sshd");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let dir = place.dir.path().display();
        let config = format!(
            "HostKey {dir}/host_key\nPidFile none\nUsePAM no\n\
             StrictModes no\nAuthorizedKeysFile {dir}/authorized\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\n{extra}\n"
        );
        std::fs::write(place.path("sshd_config"), config).expect("written");
        let config = place.path("sshd_config");
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let again = client.try_clone().expect("a descriptor");
                let mut sshd = Command::new("/usr/sbin/sshd");
                sshd.args(["-i", "-e", "-f"]).arg(&config).stderr(Stdio::null());
                sshd.stdin(OwnedFd::from(client)).stdout(OwnedFd::from(again));
                let mut child = sshd.spawn().expect("sshd is installed");
                drop(sshd);
                thread::spawn(move || child.wait());
            }
        });
        Self { port }
    }

    async fn login(
        &self,
        place: &Place,
        credentials: &Credentials,
        prompter: &Prompter,
    ) -> Result<Authenticated, AuthError> {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await;
        let config = std::sync::Arc::new(client::Config::default());
        let stream = stream.expect("it listens");
        let session = client::connect_stream(config, stream, server::Trusting).await;
        let mut handle = session.expect("a handshake");
        authenticate(&mut handle, &place.config, credentials, prompter).await
    }
}

impl RealAgent {
    fn start(place: &mut Place, keys: &[&str]) -> Self {
        let socket = place.path("agent.sock");
        let child = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh-agent is installed");
        let agent = Self { child, socket: socket.clone() };
        // Its socket is there a moment before it listens.
        while UnixStream::connect(&socket).is_err() {
            thread::sleep(std::time::Duration::from_millis(10));
        }
        for key in keys {
            let added = Command::new("ssh-add")
                .arg(place.path(key))
                .env("SSH_AUTH_SOCK", &agent.socket)
                .stderr(Stdio::null())
                .status();
            assert!(added.expect("ssh-add is installed").success(), "{key}");
        }
        place.config.auth.identity_agent = Some(socket);
        agent
    }
}

impl Drop for RealAgent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keygen(args: &[&str]) {
    let status = Command::new("ssh-keygen").args(["-q", "-N", ""]).args(args).status();
    assert!(status.expect("ssh-keygen is installed").success(), "{args:?}");
}

fn me(place: &mut Place) {
    place.config.user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned());
}

/// A key made by `ssh-keygen`, added to the configuration.
fn made_by_ssh(place: &mut Place, name: &str, args: &[&str]) -> PublicKey {
    let path = place.path(name);
    let mut all = vec!["-f", path.to_str().expect("UTF-8")];
    all.extend(args);
    keygen(&all);
    place.name(&path);
    let text = std::fs::read_to_string(place.path(&format!("{name}.pub"))).expect("written");
    PublicKey::from_openssh(&text).expect("a key")
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn keys_of_each_type_and_format() {
    for (name, args) in [
        ("ed25519", &["-t", "ed25519"][..]),
        ("ecdsa", &["-t", "ecdsa", "-b", "384"]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
        ("rsa in pem", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
        ("ecdsa in pkcs8", &["-t", "ecdsa", "-m", "PKCS8"]),
        ("rsa with a passphrase", &["-t", "rsa", "-b", "2048", "-N", "open sesame"]),
        ("rsa in pem with a passphrase", &["-t", "rsa", "-m", "PEM", "-N", "open sesame"]),
        ("rsa in pkcs8 with one", &["-t", "rsa", "-m", "PKCS8", "-N", "open sesame"]),
    ] {
        let mut place = Place::new();
        me(&mut place);
        let public = made_by_ssh(&mut place, name, args);
        let sshd = Sshd::start(&place, &[&public], "");
        let prompter = Prompter::scripted(&["open sesame"]);
        let credentials = Credentials::default();
        let done = sshd.login(&place, &credentials, &prompter).await.expect(name);
        assert_eq!(done.kind, LoginKind::Unattended);
        let asked = usize::from(args.contains(&"open sesame"));
        assert_eq!(prompter.asked().len(), asked, "{name}");
        sshd.login(&place, &credentials, &Prompter::nobody()).await.expect("kept");
    }
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn the_agent_and_identities_only() {
    let mut place = Place::new();
    me(&mut place);
    let in_agent = made_by_ssh(&mut place, "agent_key", &["-t", "ed25519"]);
    let rsa = made_by_ssh(&mut place, "agent_rsa", &["-t", "rsa", "-b", "2048"]);
    let sshd = Sshd::start(&place, &[&in_agent, &rsa], "");
    let _agent = RealAgent::start(&mut place, &["agent_key", "agent_rsa"]);
    place.config.auth.identity_files.clear();
    for name in ["agent_key", "agent_rsa"] {
        std::fs::remove_file(place.path(name)).expect("there");
    }
    let credentials = Credentials::default();
    let nobody = Prompter::nobody();
    let done = sshd.login(&place, &credentials, &nobody).await.expect("by the agent");
    assert!(done.method.contains("from the agent"), "{done:?}");

    place.config.auth.identities_only = Switch::On;
    let result = sshd.login(&place, &credentials, &nobody).await;
    assert!(matches!(result, Err(AuthError::Refused { .. })), "{result:?}");

    // The files contain only public keys; the agent signs, with SHA-2 for RSA.
    let path = place.path("agent_rsa");
    place.name(&path);
    let done = sshd.login(&place, &credentials, &nobody).await.expect("by the agent");
    assert!(done.method.contains("ssh-rsa") && done.method.contains("agent_rsa"), "{done:?}");
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn a_certificate_of_the_agent() {
    let mut place = Place::new();
    me(&mut place);
    made_by_ssh(&mut place, "key", &["-t", "ed25519"]);
    made_by_ssh(&mut place, "ca", &["-t", "ed25519"]);
    let (ca, user) = (place.path("ca"), place.config.user.clone());
    let status = Command::new("ssh-keygen")
        .args(["-q", "-I", "id", "-n", &user, "-s"])
        .args([&ca, &place.path("key.pub")])
        .status();
    assert!(status.expect("ssh-keygen").success());
    let extra = format!("TrustedUserCAKeys {}.pub", ca.display());
    let sshd = Sshd::start(&place, &[], &extra);
    let _agent = RealAgent::start(&mut place, &["key"]);
    let result = sshd.login(&place, &Credentials::default(), &Prompter::nobody()).await;
    assert!(result.expect("by the certificate").method.contains("certificate"));
}

/// sshd closes the connection at the sixth refusal, which must be avoided or reported.
#[tokio::test]
#[ignore = "needs sshd"]
async fn too_many_keys() {
    let mut place = Place::new();
    me(&mut place);
    for i in 0..7 {
        made_by_ssh(&mut place, &format!("k{i}"), &["-t", "ed25519"]);
    }
    let wanted = made_by_ssh(&mut place, "wanted", &["-t", "ed25519"]);
    let sshd = Sshd::start(&place, &[&wanted], "");
    let told = sshd.login(&place, &Credentials::default(), &Prompter::nobody()).await;
    let error = told.expect_err("the right key comes too late");
    let is_told = matches!(error, AuthError::Disconnected { .. } | AuthError::Refused { .. });
    assert!(is_told, "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");

    place.config.auth.identity_files.drain(..2);
    let result = sshd.login(&place, &Credentials::default(), &Prompter::nobody()).await;
    result.expect("the sixth key is the right one");
}
