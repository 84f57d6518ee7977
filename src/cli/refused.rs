//! Flags of ssh(1) that are refused by name, each with what to use instead.

use std::fmt;

/// A flag of ssh that is not taken here.
#[derive(Clone, Copy, Debug)]
pub(super) struct RefusedFlag {
    /// The letter.
    pub(super) flag: char,
    /// A name for it that no other flag has.
    pub(super) id: &'static str,
    form: Form,
    standing: Availability,
    instead: &'static str,
}

/// Whether ssh's flag takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Switch,
    Value,
}

/// Why it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Availability {
    /// It has no meaning in a program that only forwards.
    NoMeaning,
    /// It would have one, and is not there.
    NotYet,
}

impl RefusedFlag {
    /// The entry of a flag.
    pub(super) fn find(flag: char) -> Option<&'static Self> {
        REFUSED.iter().find(|refused| refused.flag == flag)
    }

    pub(super) fn takes_value(&self) -> bool {
        self.form == Form::Value
    }
}

impl fmt::Display for RefusedFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let standing = match self.standing {
            Availability::NoMeaning => "has no meaning here",
            Availability::NotYet => "is not supported yet",
        };
        write!(f, "-{} {standing}: {}", self.flag, self.instead)
    }
}

/// Makes an entry of the table.
const fn flag(
    flag: char,
    id: &'static str,
    form: Form,
    standing: Availability,
    instead: &'static str,
) -> RefusedFlag {
    RefusedFlag { flag, id, form, standing, instead }
}

use Availability::{NoMeaning, NotYet};
use Form::{Switch, Value};

/// Every flag of ssh 9.9 that is neither taken nor ignored.
pub(super) const REFUSED: &[RefusedFlag] = &[
    flag(
        'A',
        "agent",
        Switch,
        NoMeaning,
        "no shell is opened that could use an agent; use ssh -A for one",
    ),
    flag('E', "log-file", Value, NotYet, "logs go to standard error; write 2>>FILE"),
    flag('e', "escape-character", Value, NoMeaning, "no terminal is opened; leave it out"),
    flag('G', "print-config", Switch, NoMeaning, "run ssh -G to see the configuration of a host"),
    flag(
        'I',
        "pkcs11",
        Value,
        NotYet,
        "add the token to an agent (ssh-add -s), which is asked for keys",
    ),
    flag('K', "gssapi", Switch, NoMeaning, "GSSAPI is not spoken; log in with a key or a password"),
    flag('k', "no-gssapi", Switch, NoMeaning, "GSSAPI is not spoken; leave it out"),
    flag(
        'M',
        "control-master",
        Switch,
        NoMeaning,
        "start sockeye once, and let every client use its port",
    ),
    flag(
        'O',
        "control-command",
        Value,
        NoMeaning,
        "there is no control master; end sockeye with SIGTERM",
    ),
    flag('P', "tag", Value, NotYet, "name what the tag selects with -o or -F"),
    flag(
        'Q',
        "query",
        Value,
        NoMeaning,
        "run ssh -Q for what ssh supports; sockeye --version names the versions here",
    ),
    flag(
        'S',
        "control-path",
        Value,
        NoMeaning,
        "there is no control master; start sockeye once, and let every client use its port",
    ),
    flag('s', "subsystem", Switch, NoMeaning, "use ssh -s, or sftp"),
    flag('t', "terminal", Switch, NoMeaning, "no terminal is opened; use ssh for a shell"),
    flag('w', "tun", Value, NoMeaning, "no tunnel device is made; use ssh -w"),
    flag(
        'X',
        "x11",
        Switch,
        NoMeaning,
        "no program runs on the server that could open a window; use ssh -X",
    ),
    flag(
        'Y',
        "x11-trusted",
        Switch,
        NoMeaning,
        "no program runs on the server that could open a window; use ssh -Y",
    ),
    flag('y', "syslog", Switch, NoMeaning, "logs go to standard error; pipe them to logger(1)"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_says_its_name_and_what_to_use_instead() {
        for refused in REFUSED {
            let text = refused.to_string();
            assert!(text.starts_with(&format!("-{} ", refused.flag)), "{text}");
            assert!(!refused.instead.is_empty(), "{text}");
        }
        let text = RefusedFlag::find('E').expect("-E is refused").to_string();
        assert!(text.contains("not supported yet") && text.contains("2>>FILE"), "{text}");
        assert!(RefusedFlag::find('D').is_none());
    }
}
