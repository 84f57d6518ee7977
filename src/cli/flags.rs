//! Every flag of ssh(1), and its effect here. The code, the tests and the guide
//! (`src/guide/ssh-config.md`) share this table.

use std::fmt;

/// A flag of ssh, from any version between 9.2 and 10.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag {
    /// The letter or digit.
    pub(super) letter: char,
    /// Its id in `clap`, which is unique; empty for a flag that the command line defines itself.
    pub(super) id: &'static str,
    form: Form,
    pub(super) effect: Effect,
}

/// Whether a flag takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Switch,
    Value,
}

/// The effect of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It has the same meaning as in ssh.
    Honoured,
    /// It is accepted and cannot change a session that only forwards, for this reason.
    Idle(&'static str),
    /// It is accepted with `-N`, where it changes nothing in ssh either. Without `-N` it asks for
    /// something that does not exist here, and is refused; the text says what to use instead.
    IdleWithN(&'static str),
    /// It is refused; the text says what to use instead.
    Refused(&'static str),
}

impl Flag {
    pub(super) fn find(letter: char) -> Option<&'static Self> {
        FLAGS.iter().find(|flag| flag.letter == letter)
    }

    pub(super) fn takes_value(&self) -> bool {
        self.form == Form::Value
    }

    /// The notice about a flag that is accepted and has no effect.
    pub(super) fn idle(&self) -> Option<String> {
        match self.effect {
            Effect::Idle(why) => Some(format!("-{} has no effect: {why}", self.letter)),
            Effect::IdleWithN(_) => Some(format!("-{} has no effect with -N", self.letter)),
            Effect::Honoured | Effect::Refused(_) => None,
        }
    }
}

impl fmt::Display for Flag {
    /// Explains why it is refused.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = self.letter;
        match self.effect {
            Effect::Honoured => write!(f, "-{letter}"),
            Effect::Idle(instead) | Effect::Refused(instead) => {
                write!(f, "-{letter} has no meaning here: {instead}")
            }
            Effect::IdleWithN(instead) => {
                write!(f, "-{letter} has no meaning here without -N: {instead}")
            }
        }
    }
}

use Effect::{Honoured, Idle, IdleWithN, Refused};
use Form::{Switch, Value};

/// Makes an entry of the table.
const fn flag(letter: char, id: &'static str, form: Form, effect: Effect) -> Flag {
    Flag { letter, id, form, effect }
}

/// Makes the entry of a flag that the command line defines itself.
const fn own(letter: char) -> Flag {
    Flag { letter, id: "", form: Form::Switch, effect: Honoured }
}

/// The flags, in alphabetical order.
pub(super) const FLAGS: &[Flag] = &[
    flag(
        '1',
        "protocol-1",
        Switch,
        Refused("version 1 of the protocol is not supported; leave it out"),
    ),
    flag('2', "protocol-2", Switch, Idle("no other version of the protocol is supported")),
    own('4'),
    own('6'),
    flag(
        'A',
        "agent",
        Switch,
        IdleWithN("no shell is opened that could use an agent; use ssh -A for one"),
    ),
    flag('a', "no-agent-forwarding", Switch, Idle("no agent is forwarded")),
    own('B'),
    own('b'),
    own('C'),
    own('c'),
    own('D'),
    own('E'),
    flag('e', "escape-character", Value, Idle("no terminal is opened")),
    own('F'),
    own('f'),
    flag(
        'G',
        "print-config",
        Switch,
        Refused("run sockeye check HOST for what would be used, or ssh -G for what ssh would use"),
    ),
    own('g'),
    flag(
        'I',
        "pkcs11",
        Value,
        Refused("add the token to an agent (ssh-add -s LIBRARY), which is asked for keys"),
    ),
    own('i'),
    own('J'),
    flag('K', "gssapi", Switch, IdleWithN("GSSAPI is not supported; use a key or a password")),
    flag('k', "no-gssapi", Switch, Idle("GSSAPI is not supported")),
    own('L'),
    own('l'),
    flag(
        'M',
        "control-master",
        Switch,
        Refused(
            "start sockeye once, and let every client use its port; leave out autossh's -M, too, with \
             its port",
        ),
    ),
    own('m'),
    flag('N', "no-command", Switch, Idle("no command is run in any case")),
    flag('n', "no-input", Switch, Idle("standard input is read for -W only")),
    own('O'),
    own('o'),
    own('P'),
    own('p'),
    flag(
        'Q',
        "query",
        Value,
        Refused("run ssh -Q for what ssh supports; sockeye --version names the versions here"),
    ),
    own('q'),
    own('R'),
    own('S'),
    flag('s', "subsystem", Switch, Refused("use ssh -s, or sftp")),
    flag('T', "no-terminal", Switch, Idle("no terminal is opened in any case")),
    flag('t', "terminal", Switch, IdleWithN("no terminal is opened; use ssh for a shell")),
    own('V'),
    own('v'),
    own('W'),
    flag('w', "tun", Value, Refused("no tunnel device is made; use ssh -w")),
    flag('X', "x11", Switch, IdleWithN(NO_WINDOW)),
    flag('x', "no-x11", Switch, Idle("X11 is not forwarded in any case")),
    flag('Y', "x11-trusted", Switch, IdleWithN(NO_WINDOW)),
    flag('y', "syslog", Switch, Refused("logs go to standard error; pipe them to logger(1)")),
];

const NO_WINDOW: &str = "no program runs on the server that could open a window; use ssh -X or -Y";

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn each_refused_flag_says_its_name_and_what_to_use_instead() {
        for flag in FLAGS {
            let (Refused(instead) | IdleWithN(instead) | Idle(instead)) = flag.effect else {
                continue;
            };
            let text = flag.to_string();
            assert!(text.starts_with(&format!("-{} ", flag.letter)), "{text}");
            assert!(!instead.is_empty() && text.ends_with(instead), "{text}");
            assert!(!flag.id.is_empty(), "{text}");
        }
        assert!(Flag::find('!').is_none());
    }

    /// Fails if a newer `ssh` adds a flag, whose effect has yet to be decided.
    #[test]
    #[ignore = "needs ssh"]
    fn every_flag_of_the_ssh_that_is_installed_is_here() {
        let output = std::process::Command::new("ssh").output().expect("ssh");
        let usage = String::from_utf8_lossy(&output.stderr).into_owned();
        let switches = usage.split_once("[-").and_then(|(_, rest)| rest.split_once(']'));
        let switches = switches.expect("the switches in one word").0;
        let values = usage.split("[-").skip(2).filter_map(|rest| rest.chars().next());
        let all: Vec<char> = switches.chars().chain(values).collect();
        assert!(all.len() > 40, "{usage}");
        for letter in all {
            assert!(Flag::find(letter).is_some(), "-{letter} is not in the table");
        }
    }

    /// The guide shows the same table.
    #[test]
    fn the_guide_says_the_same() {
        let mut rows = String::new();
        for Flag { letter, effect, .. } in FLAGS {
            let (what, note) = match effect {
                Honoured => ("as in ssh", ""),
                Idle(why) => ("accepted, no effect", *why),
                IdleWithN(instead) => ("accepted with `-N`, otherwise refused", *instead),
                Refused(instead) => ("refused", *instead),
            };
            writeln!(rows, "| `-{letter}` | {what} | {note} |").expect("memory");
        }
        let page = include_str!("../guide/ssh-config.md");
        assert!(page.contains(&rows), "src/guide/ssh-config.md should have these rows:\n{rows}");
    }
}
