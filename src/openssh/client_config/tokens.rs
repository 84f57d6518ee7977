//! The expansion of tokens and environment variables in values of `ssh_config(5)`.

use std::borrow::Cow;
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use sha1::{Digest as _, Sha1};

use super::local::Local;
use super::{ClientConfig, ConfigError, Way};
use crate::forward::InvalidForward;
use crate::printable::{Lines, printable};

/// The values of the tokens for one server (`ssh_config(5)`, TOKENS).
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokens<'a> {
    /// `%d`, `%i`, `%L`, `%l`, `%u`, and the environment.
    pub(super) local: &'a Local,
    /// `%n`: the host as the user typed it.
    pub(super) name: &'a str,
    /// `%h`.
    pub(super) host_name: &'a str,
    /// `%p`.
    pub(super) port: u16,
    /// `%r`.
    pub(super) user: &'a str,
    /// `%k`; by default the name.
    pub(super) host_key_alias: Option<&'a str>,
    /// `%j`: the last jump host, or an empty string.
    pub(super) jump: &'a str,
    /// `%C`, if `ssh -G` has printed it: its input differs between versions.
    pub(super) hash: Option<&'a str>,
}

impl<'a> Tokens<'a> {
    /// The tokens that depend only on this machine.
    pub(super) fn of(local: &'a Local) -> Self {
        let (name, host_name, user, jump) = ("", "", "", "");
        Self { local, name, host_name, port: 0, user, host_key_alias: None, jump, hash: None }
    }

    /// Expands tokens and variables. The `%` of tokens in `later`, whose values are not known yet,
    /// becomes a NUL. `None` if a token is unknown.
    pub(super) fn text(&self, text: &str, later: &str) -> Option<String> {
        let token = |token: Option<char>| match token? {
            token if later.contains(token) => Some(format!("\0{token}").into()),
            token => self.value(token),
        };
        let replaced = |text| replaced(text, |found| token(found).ok_or(())).ok();
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, tail) = after.split_once('}')?;
            out.push_str(&replaced(before)?);
            out.push_str(self.local.variables.get(name)?);
            rest = tail;
        }
        out.push_str(&replaced(rest)?);
        Some(out)
    }

    /// Expands a path in the same way, and its `~`.
    pub(super) fn path(&self, path: &str) -> Option<PathBuf> {
        self.text(path, "").map(|path| self.local.expand_tilde(&path))
    }

    /// Expands the tokens of `LocalCommand`; a shell does the rest.
    pub(super) fn command(&self, command: &str) -> Option<String> {
        let token = |token: Option<char>| match token? {
            // No tunnel device is made.
            'T' => Some("NONE".into()),
            token => self.value(token),
        };
        replaced(command, |found| token(found).ok_or(())).ok()
    }

    fn value(&self, token: char) -> Option<Cow<'a, str>> {
        let Tokens { local, name, host_name, user, jump, .. } = *self;
        Some(match token {
            '%' => "%".into(),
            'd' => local.home.as_ref()?.to_str()?.into(),
            'h' => host_name.into(),
            'i' => local.uid.to_string().into(),
            'k' => self.host_key_alias.unwrap_or(name).into(),
            'L' => local.host.split('.').next().unwrap_or_default().into(),
            'l' => local.host.as_str().into(),
            'n' => name.into(),
            'p' => self.port.to_string().into(),
            'r' => user.into(),
            'u' => local.user.as_deref()?.into(),
            'C' => self.hash.map_or_else(|| self.own_hash().into(), Cow::from),
            'j' => jump.into(),
            _ => return None,
        })
    }

    /// `%C` as the newest `ssh` computes it, from `%l%h%p%r%j`.
    fn own_hash(&self) -> String {
        let Tokens { local, host_name, port, user, jump, .. } = *self;
        let all = format!("{}{host_name}{port}{user}{jump}", local.host);
        HEXLOWER.encode(&Sha1::digest(all))
    }
}

impl ClientConfig {
    /// The values of the tokens for this server.
    pub(super) fn tokens<'a>(&'a self, local: &'a Local) -> Tokens<'a> {
        Tokens {
            local,
            name: &self.name,
            host_name: &self.host_name,
            port: self.port,
            user: &self.user,
            host_key_alias: self.host_keys.host_key_alias.as_deref(),
            jump: self.reach.way.last_jump(),
            hash: self.hash.as_deref(),
        }
    }

    /// The path of a control socket (`-S`), as `ssh` expands it.
    ///
    /// # Errors
    ///
    /// A token or variable is unknown.
    pub fn control_path(&self, path: PathBuf) -> Result<PathBuf, ConfigError> {
        let Some(text) = path.to_str() else { return Ok(path) };
        let expanded = self.tokens(&Local::from_environment()).path(text);
        expanded.ok_or_else(|| ConfigError::Flag {
            flag: "-S",
            value: printable(text, 200, Lines::One),
            why: InvalidForward::Token.to_string(),
        })
    }
}

impl Way {
    /// The last jump host, or an empty string.
    pub(super) fn last_jump(&self) -> &str {
        match self {
            Self::Jump(jump) => &jump.last().0.host,
            Self::Direct | Self::Command(_) => "",
        }
    }
}

/// Replaces each `%` and the character after it by its `value`; the character is `None` at the end of the text.
pub(super) fn replaced<'v, E>(
    text: &str,
    mut value: impl FnMut(Option<char>) -> Result<Cow<'v, str>, E>,
) -> Result<String, E> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let mut chars = after.chars();
        out.push_str(&value(chars.next())?);
        rest = chars.as_str();
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_variables() {
        let variables = [("A".into(), "%h".into())].into();
        let local = Local { host: "box.example".into(), uid: 7, variables, ..Local::default() };
        let (name, host_name) = ("alias", "h");
        let tokens = Tokens { name, host_name, port: 22, user: "u", ..Tokens::of(&local) };
        for (text, expected) in [
            ("%n-%h:%p %r %i %L %l %k %%%j", Some("alias-h:22 u 7 box box.example alias %")),
            // The value of a variable is not expanded again.
            ("${A}/%h $A", Some("%h/h $A")),
            ("%C", Some("8ae6a38cde385f3e3a601effcc33089e774503a2")),
            ("%f%%", Some("\0f%")),
            ("%u", None),
            ("%d", None),
            ("%Z", None),
            ("100%", None),
            ("%${A}", None),
            ("${B}", None),
            ("${A", None),
        ] {
            assert_eq!(tokens.text(text, "f").as_deref(), expected, "{text}");
        }
        assert_eq!(tokens.command("${A%h} %T").as_deref(), Some("${Ah} NONE"));
    }
}
