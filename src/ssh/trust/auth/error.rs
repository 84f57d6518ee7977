//! Why a login failed.

use std::fmt;
use std::time::Duration;

/// Something that was tried, or could not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// What, as `publickey (ssh-ed25519 SHA256:… from the agent)`.
    pub what: String,
    /// What came of it.
    pub why: String,
}

/// Why nobody is logged in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum AuthError {
    #[error(
        "the server refuses the login of '{user}'; it takes {}{}",
        Methods(offered),
        Attempts(tried)
    )]
    Refused {
        user: String,
        /// The methods that the server takes, by their names.
        offered: Vec<String>,
        /// What it refused or accepted, and what could not be used.
        tried: Vec<Tried>,
    },
    /// A password, an answer or a passphrase is needed, and nobody can be asked.
    #[error(
        "the login of '{user}' needs a person, and nobody can be asked; the server takes {}{}",
        Methods(offered),
        Attempts(tried)
    )]
    PersonNeeded {
        user: String,
        /// The methods that the server takes, by their names.
        offered: Vec<String>,
        /// What it refused or accepted, and what could not be used.
        tried: Vec<Tried>,
    },
    #[error("the login was given up: {0}")]
    GivenUp(String),
    #[error(
        "during the login {}{}{}",
        said.as_deref().unwrap_or("the server closed the connection"),
        Attempts(tried), Untried(*untried)
    )]
    Disconnected {
        /// How the connection ended, in printable words.
        said: Option<String>,
        /// What was tried until then.
        tried: Vec<Tried>,
        /// How many keys are left that the server did not listen to any more.
        untried: usize,
    },
    #[error("the server did not answer within {} s during the login", .0.as_secs())]
    TimedOut(Duration),
    /// The server did not say yes or no to a password. It may have asked for a new one (RFC 4252
    /// section 8), which the library passes over in silence.
    #[error(
        "the server did not answer the password within {} s; one that wants it changed first looks \
         like that: log in with ssh once, and change it there",
        .0.as_secs()
    )]
    PasswordUnanswered(Duration),
    /// The server broke the protocol, or the library failed.
    #[error("the login failed: {0}")]
    Failed(String),
}

impl AuthError {
    /// Adds how the connection ended, which the login itself does not hear of.
    pub(crate) fn with_last_words(self, words: Option<String>) -> Self {
        match self {
            Self::Disconnected { tried, untried, .. } => {
                Self::Disconnected { said: words, tried, untried }
            }
            other => other,
        }
    }
}

struct Methods<'a>(&'a [String]);

impl fmt::Display for Methods<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            f.write_str("nothing more")
        } else {
            f.write_str(&self.0.join(", "))
        }
    }
}

struct Attempts<'a>(&'a [Tried]);

impl fmt::Display for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Tried { what, why } in self.0 {
            write!(f, "\n  {what}: {why}")?;
        }
        Ok(())
    }
}

struct Untried(usize);

impl fmt::Display for Untried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return Ok(());
        }
        let keys = if self.0 == 1 { "key was" } else { "keys were" };
        write!(f, "\n  {} more {keys} not tried: a server stops listening after a few; ", self.0)?;
        f.write_str("name the right one with -i and -o IdentitiesOnly=yes")
    }
}
