//! Why a login failed.

use std::time::Duration;

/// An attempted method, or one that could not be attempted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The method, such as `publickey (ssh-ed25519 SHA256:… from the agent)`.
    pub what: String,
    /// The result.
    pub why: String,
}

/// Why a login failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum AuthError {
    #[error(
        "the server refuses the login of '{user}'; it takes {}{}",
        methods(offered),
        attempts(tried)
    )]
    Refused {
        user: String,
        /// The names of the methods that the server accepts.
        offered: Vec<String>,
        /// What was refused or accepted, and what could not be used.
        tried: Vec<Tried>,
    },
    /// A password, an answer or a passphrase is needed, and nobody can be asked.
    #[error(
        "the login of '{user}' needs a person, and nobody can be asked; the server takes {}{}",
        methods(offered),
        attempts(tried)
    )]
    PersonNeeded {
        user: String,
        /// The names of the methods that the server accepts.
        offered: Vec<String>,
        /// What was refused or accepted, and what could not be used.
        tried: Vec<Tried>,
    },
    #[error("the login was given up: {0}")]
    GivenUp(String),
    #[error(
        "during the login {}{}{}",
        said.as_deref().unwrap_or("the server closed the connection"),
        attempts(tried),
        not_tried(*untried)
    )]
    Disconnected {
        /// How the connection ended; printable.
        said: Option<String>,
        /// What had been tried by then.
        tried: Vec<Tried>,
        /// The number of keys that were not tried because the server stopped listening.
        untried: usize,
    },
    #[error("the server did not answer within {} s during the login", .0.as_secs())]
    TimedOut(Duration),
    /// The server neither accepted nor refused a password. It may have requested a password change (RFC 4252
    /// section 8), which russh ignores silently.
    #[error(
        "the server did not answer the password within {} s; one that wants it changed first looks \
         like that: log in with ssh once, and change it there",
        .0.as_secs()
    )]
    PasswordUnanswered(Duration),
    /// The server broke the protocol, or russh failed.
    #[error("the login failed: {0}")]
    Failed(String),
}

impl AuthError {
    /// Adds how the connection ended, which the login itself does not know.
    pub(crate) fn with_last_words(self, words: Option<String>) -> Self {
        match self {
            Self::Disconnected { tried, untried, .. } => {
                Self::Disconnected { said: words, tried, untried }
            }
            other => other,
        }
    }
}

fn methods(offered: &[String]) -> String {
    if offered.is_empty() { "nothing more".to_owned() } else { offered.join(", ") }
}

fn attempts(tried: &[Tried]) -> String {
    let each = tried.iter().map(|Tried { what, why }| format!("\n  {what}: {why}"));
    each.collect::<Vec<_>>().concat()
}

fn not_tried(keys: usize) -> String {
    if keys == 0 {
        return String::new();
    }
    let were = if keys == 1 { "key was" } else { "keys were" };
    format!(
        "\n  {keys} more {were} not tried: a server stops listening after a few; name the right one \
         with -i and -o IdentitiesOnly=yes"
    )
}
