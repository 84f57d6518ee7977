//! Asks the user: on the terminal, through the program in `SSH_ASKPASS`, or not at all.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use zeroize::Zeroizing;

use crate::lock::lock;
use crate::printable::{Lines, printable};
use crate::task;

mod askpass;
mod terminal;
#[cfg(test)]
mod tests;

/// Asks the user for passwords and passphrases, and about host keys. Clones ask the same user, one
/// question at a time.
#[derive(Clone, Debug)]
pub struct Prompter {
    shared: Arc<Shared>,
    /// The questions about one server.
    questions: Arc<Questions>,
    /// Whether it asks nobody, whatever its clones do.
    is_silent: bool,
    settle: Option<Settle>,
}

/// Waits until what was logged before a question is on the terminal.
#[derive(Clone)]
struct Settle(Arc<dyn Fn() + Send + Sync>);

impl fmt::Debug for Settle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Settle")
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PromptError {
    /// There is no terminal and no `SSH_ASKPASS`, or nobody may be asked (`BatchMode`).
    #[error("nobody can be asked")]
    Nobody,
    /// The user gave no answer: EOF, Ctrl-C, or Cancel.
    #[error("the question was not answered")]
    Cancelled,
    #[error("asking failed: {0}")]
    Failed(io::Error),
}

impl From<io::Error> for PromptError {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

#[derive(Debug)]
struct Shared {
    way: Mutex<Way>,
    /// Held while a question is open.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone, Debug)]
enum Way {
    Person(Environment),
    Nobody,
    #[cfg(test)]
    Script(Arc<Mutex<Script>>),
}

/// The variables that decide how to ask (`ssh(1)`, ENVIRONMENT).
#[derive(Clone, Debug, Default)]
struct Environment {
    /// `SSH_ASKPASS`.
    program: Option<PathBuf>,
    /// `SSH_ASKPASS_REQUIRE`.
    require: Require,
    /// Whether `DISPLAY` or `WAYLAND_DISPLAY` is set.
    has_display: bool,
    /// Whether the program has left the terminal.
    in_background: bool,
}

/// `SSH_ASKPASS_REQUIRE`: when to use the program in place of the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Require {
    /// Unset: if there is no terminal but a display.
    #[default]
    Unset,
    Never,
    /// If there is a display.
    Prefer,
    Force,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Terminal {
    Missing,
    Present,
}

/// The means of asking a question.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Means {
    Terminal,
    Program(PathBuf),
    Nobody,
}

/// The kind of answer that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// Text typed without echo.
    Secret,
    Line,
    /// Yes or no.
    Confirm,
}

/// The answers for a test, and the questions so far.
#[cfg(test)]
#[derive(Debug, Default)]
struct Script {
    answers: std::collections::VecDeque<String>,
    asked: Vec<String>,
}

#[derive(Debug, Default)]
struct Questions {
    open: AtomicUsize,
    /// The number of questions so far.
    all: AtomicUsize,
}

/// Counts a question as open until it is dropped.
pub(crate) struct Waiting<'a>(&'a Questions);

impl Prompter {
    /// Asks as `ssh` would: on `/dev/tty`, or through the program in `SSH_ASKPASS`, depending on
    /// `SSH_ASKPASS_REQUIRE`, `DISPLAY` and `WAYLAND_DISPLAY`.
    pub fn from_environment() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let display = set("DISPLAY").or_else(|| set("WAYLAND_DISPLAY"));
        let require = match set("SSH_ASKPASS_REQUIRE").as_ref().and_then(|v| v.to_str()) {
            Some("never") => Require::Never,
            Some("prefer") => Require::Prefer,
            Some("force") => Require::Force,
            _ => Require::Unset,
        };
        Self::with(Way::Person(Environment {
            program: set("SSH_ASKPASS").map(PathBuf::from),
            require,
            has_display: display.is_some(),
            in_background: false,
        }))
    }

    /// Waits before each question on the terminal for what was logged before, which `settle` does: else the
    /// line that says why it asks again may come behind the question.
    #[must_use]
    pub fn settling(self, settle: impl Fn() + Send + Sync + 'static) -> Self {
        Self { settle: Some(Settle(Arc::new(settle))), ..self }
    }

    /// Asks nobody: every question is [`PromptError::Nobody`].
    pub fn nobody() -> Self {
        Self::with(Way::Nobody)
    }

    /// A clone that asks nobody, but knows whether a question of the others is open.
    pub(crate) fn silent(&self) -> Self {
        Self { is_silent: true, ..self.clone() }
    }

    /// A clone that asks the same user, but does not count the questions of the others: a question about
    /// another server is no reason to extend a deadline of this one.
    pub(crate) fn apart(&self) -> Self {
        Self { questions: Arc::default(), ..self.clone() }
    }

    /// Whether no questions may be asked.
    pub(crate) fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// Stops asking on the terminal, because the program goes to the background. The program in
    /// `SSH_ASKPASS` may still ask. An open question stays open.
    pub fn detach(&self) {
        let mut way = lock(&self.shared.way);
        if let Way::Person(environment) = &mut *way {
            environment.in_background = true;
        }
    }

    /// Whether a question can be asked now.
    pub fn can_ask(&self) -> bool {
        match self.way() {
            Way::Nobody => false,
            Way::Person(environment) => environment.means(terminal::presence()) != Means::Nobody,
            #[cfg(test)]
            Way::Script(_) => true,
        }
    }

    /// Whether a question is open. Deadlines for the server must be suspended meanwhile: a person
    /// takes longer than a handshake.
    pub fn is_waiting(&self) -> bool {
        self.questions.open.load(Ordering::Relaxed) > 0
    }

    /// The number of questions so far.
    pub(crate) fn questions(&self) -> usize {
        self.questions.all.load(Ordering::Relaxed)
    }

    /// Counts as an open question until dropped: another program, such as an agent, may be asking
    /// the user on our behalf.
    pub(crate) fn asked_elsewhere(&self) -> Waiting<'_> {
        Waiting::count(&self.questions)
    }

    /// Asks for a password or a passphrase, typed without echo.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future restores the terminal's echo and kills an `SSH_ASKPASS` program. A
    /// thread that reads the terminal remains until a line is typed, which is lost; the next
    /// question waits for that. It does not keep the process alive.
    pub(crate) async fn secret(&self, text: &str) -> Result<Zeroizing<String>, PromptError> {
        self.ask(Question::Secret, text).await
    }

    /// Asks for something that may be visible, such as the answer to a server's question.
    pub(crate) async fn line(&self, text: &str) -> Result<Zeroizing<String>, PromptError> {
        self.ask(Question::Line, text).await
    }

    /// Asks for yes or no. `SSH_ASKPASS` is told by `SSH_ASKPASS_PROMPT=confirm`, and its OK without any text
    /// counts as "yes"; so this is not for questions on which security depends, as in `ssh`.
    pub(crate) async fn confirm(&self, text: &str) -> Result<Zeroizing<String>, PromptError> {
        self.ask(Question::Confirm, text).await
    }

    async fn ask(&self, question: Question, text: &str) -> Result<Zeroizing<String>, PromptError> {
        let _waiting = Waiting::count(&self.questions);
        let text = printable(text, MAX_QUESTION, Lines::Many);
        let turn = Arc::clone(&self.shared.turn).lock_owned().await;
        // Decided only now: `detach` may have been called while another question was open.
        match self.way() {
            Way::Nobody => Err(PromptError::Nobody),
            Way::Person(environment) => match environment.means(terminal::presence()) {
                Means::Terminal => {
                    if let Some(Settle(settle)) = self.settle.clone() {
                        task::blocking(move || settle()).await;
                    }
                    terminal::ask(question, text, turn).await
                }
                Means::Program(program) => askpass::ask(&program, question, &text).await,
                Means::Nobody => Err(PromptError::Nobody),
            },
            #[cfg(test)]
            Way::Script(script) => {
                let mut script = script.lock().expect("no panic in tests");
                script.asked.push(text);
                script.answers.pop_front().map(Zeroizing::new).ok_or(PromptError::Cancelled)
            }
        }
    }

    fn with(way: Way) -> Self {
        let shared = Arc::new(Shared { way: Mutex::new(way), turn: Arc::default() });
        Self { shared, questions: Arc::default(), is_silent: false, settle: None }
    }

    fn way(&self) -> Way {
        if self.is_silent {
            return Way::Nobody;
        }
        lock(&self.shared.way).clone()
    }

    /// Answers from a script, for tests; after that every question fails with [`PromptError::Cancelled`].
    #[cfg(test)]
    pub(crate) fn scripted(answers: &[&str]) -> Self {
        let answers = answers.iter().map(|a| (*a).to_owned()).collect();
        Self::with(Way::Script(Arc::new(Mutex::new(Script { answers, asked: Vec::new() }))))
    }

    /// The questions so far.
    #[cfg(test)]
    pub(crate) fn asked(&self) -> Vec<String> {
        match self.way() {
            Way::Script(script) => script.lock().expect("no panic in tests").asked.clone(),
            way => panic!("only a script knows: {way:?}"),
        }
    }
}

impl Environment {
    /// Chooses as `ssh` does (`ssh(1)`, `SSH_ASKPASS_REQUIRE`).
    fn means(&self, terminal: Terminal) -> Means {
        let program = self.program.clone().map(Means::Program);
        let with_display = program.clone().filter(|_| self.has_display);
        let usable = terminal == Terminal::Present && !self.in_background;
        let by_terminal = usable.then_some(Means::Terminal);
        let choice = match self.require {
            Require::Force => program.or(by_terminal),
            Require::Prefer => with_display.or(by_terminal),
            Require::Unset => by_terminal.or(with_display),
            Require::Never => by_terminal,
        };
        choice.unwrap_or(Means::Nobody)
    }
}

impl<'a> Waiting<'a> {
    fn count(questions: &'a Questions) -> Self {
        questions.open.fetch_add(1, Ordering::Relaxed);
        questions.all.fetch_add(1, Ordering::Relaxed);
        Self(questions)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The most characters of a question that are shown.
const MAX_QUESTION: usize = 4000;
/// The most bytes of an answer that are read.
const MAX_ANSWER: usize = 4096;
