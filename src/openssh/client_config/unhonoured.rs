//! What a configuration says and this program does not do, where that could matter.

use tracing::debug;

use super::settings::Settings;
use crate::openssh::server_name::ServerName;

/// Names each keyword that somebody has set and that is not honoured. What has no meaning for a
/// program that only forwards (terminals, X11, environments) is not worth a word.
pub(super) fn tell(settings: &Settings, name: &ServerName) {
    for (keyword, why) in unhonoured(settings) {
        debug!(host = name.host, "{keyword} is not honoured: {why}");
    }
    if settings.is_configured("rekeylimit") {
        debug!(
            host = name.host,
            "RekeyLimit is met by another session in place of one that has served so long, which is \
             1 GiB and 10 minutes at the least; what runs on that one goes on under its keys"
        );
    }
}

fn unhonoured(settings: &Settings) -> impl Iterator<Item = (&'static str, &'static str)> {
    let set = |keyword: &str| settings.is_configured(&keyword.to_ascii_lowercase());
    UNHONOURED.into_iter().filter(move |(keyword, _)| set(keyword))
}

/// Keywords of `ssh_config(5)`, and what is the case instead.
const UNHONOURED: [(&str, &str); 20] = [
    ("AddKeysToAgent", "keys stay in this process"),
    ("ChannelTimeout", "a connection lasts as long as its two ends want"),
    ("CheckHostIP", "a server is known by its name alone"),
    ("ControlMaster", "one process serves all clients, with sessions of its own"),
    ("ControlPath", "one process serves all clients, with sessions of its own"),
    ("ControlPersist", "sockeye runs until it is told to stop"),
    ("EnableSSHKeysign", "host-based authentication is not done"),
    ("ForwardAgent", "no shell is opened that could use an agent"),
    ("GSSAPIAuthentication", "GSSAPI is not spoken; log in with a key or a password"),
    ("GSSAPIKeyExchange", "GSSAPI is not spoken"),
    ("HostbasedAuthentication", "it is not done; log in with a key or a password"),
    ("IPQoS", "packets carry no mark"),
    ("KbdInteractiveDevices", "the server chooses"),
    ("LocalCommand", "no command is run"),
    ("NoHostAuthenticationForLocalhost", "host keys are verified, always"),
    ("PKCS11Provider", "add the token to an agent (ssh-add -s), which is asked for keys"),
    ("RemoteCommand", "no command is run"),
    ("SecurityKeyProvider", "security keys are used through an agent"),
    ("Tunnel", "no tunnel device is made"),
    ("VerifyHostKeyDNS", "host keys are looked up in files, not in the DNS"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_set_is_named_and_defaults_are_not() {
        let usual = "tunnel false\ncheckhostip no\nforwardagent no\ncompression no\nipqos a b\n";
        let told = |output: &str| -> Vec<_> {
            let settings = Settings::from_lines(output).against(usual);
            unhonoured(&settings).map(|(keyword, _)| keyword).collect()
        };
        assert_eq!(told(usual), Vec::<&str>::new());
        let set = "tunnel false\nforwardagent yes\ncompression yes\ncheckhostip no\nipqos a b\n\
                   localcommand touch x\n";
        assert_eq!(told(set), ["ForwardAgent", "LocalCommand"]);
    }
}
