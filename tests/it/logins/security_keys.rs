//! Security keys that need a touch, through an agent.

use super::{In, Refused, agree, only};
use crate::support::accounts::Accounts;
use crate::support::security_key::{Holder, Kind, SecurityKey};

#[test]
#[ignore = "needs sshd, unshare"]
fn security_keys_of_the_agent() {
    let Some(server) = Accounts::start(&[]) else { return };
    let plain = server.key("plain", &[]);
    for kind in [Kind::Ed25519, Kind::Ecdsa] {
        let what = |case: &str| format!("{kind:?}, {case}");
        let token = SecurityKey::start(kind, Holder::Touches);
        let public = token.publish(&server.path("token"));
        server.authorize(&[&public]);
        let line = token.line();
        let told = agree(&what("in the agent"), &server.client(&[&line]), &[], In);
        for part in ["the security key may have to be touched", "from the agent, \"a token\""] {
            assert!(told.said.contains(part), "{part} is not in {}", told.said);
        }
        let named = server.client(&[&line, &only(&public)]);
        agree(&what("named by its public half"), &named, &[], In);
        assert_eq!(token.signatures(), 4, "one per login, of ssh and of the program");
        let others = server.client(&[&line, "PubkeyAcceptedAlgorithms ssh-ed25519"]);
        let told = agree(&what("not accepted here"), &others, &[], Refused);
        assert!(told.said.contains("PubkeyAcceptedAlgorithms does not have sk-"), "{}", told.said);
        assert_eq!(token.signatures(), 4);

        // The server requires the touch.
        let token = SecurityKey::start(kind, Holder::NeedNotTouch);
        let public = token.publish(&server.path("untouched"));
        server.authorize(&[&public]);
        let told = agree(&what("untouched"), &server.client(&[&token.line()]), &[], Refused);
        assert!(told.said.contains("\"a token\"): refused"), "{}", told.said);
        assert_eq!(token.signatures(), 2);

        let token = SecurityKey::start(kind, Holder::IsAway);
        let public = token.publish(&server.path("away"));
        server.authorize(&[&public, &plain]);
        let line = token.line();
        let told = agree(&what("refused by the agent"), &server.client(&[&line]), &[], Refused);
        let why = "\"a token\"): the agent refused to sign; was the security key there and touched";
        assert!(told.said.contains(why), "{}", told.said);
        let file = format!("IdentityFile {}", plain.display());
        agree(&what("and another key"), &server.client(&[&line, &file]), &[], In);
    }
}
