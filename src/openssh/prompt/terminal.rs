//! Asks on `/dev/tty`, so that it works with standard input redirected.

use std::fs::File;
use std::io::{self, Read, Write};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::{OwnedMutexGuard, oneshot};
use zeroize::Zeroizing;

use super::{MAX_ANSWER, PromptError, Question, Terminal};

pub(super) fn presence() -> Terminal {
    open().map_or(Terminal::Missing, |_| Terminal::Present)
}

/// Asks in a thread of its own, not in the runtime's pool: shutting the runtime down would wait
/// for the read there. The turn goes with the thread, so that two reads never compete for a line.
pub(super) async fn ask(
    question: Question,
    text: String,
    turn: OwnedMutexGuard<()>,
) -> Result<Zeroizing<String>, PromptError> {
    let _restore = SavedState::of(open()?)?;
    let (tell, answer) = oneshot::channel();
    std::thread::Builder::new().name("prompt".into()).spawn(move || {
        let answer = read_answer(question, &text);
        drop(turn);
        // Nobody waits for it any more when the question was cancelled.
        let _ = tell.send(answer);
    })?;
    answer.await.map_err(|_| PromptError::Cancelled)?
}

fn read_answer(question: Question, text: &str) -> Result<Zeroizing<String>, PromptError> {
    let answer = match question {
        Question::Secret => rpassword::prompt_password(text).map(Zeroizing::new),
        Question::Line | Question::Confirm => open().and_then(|tty| read_visible(tty, text)),
    };
    answer.map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted => {
            // Ctrl-C. SIGINT is on its way to the program and ends it, or drains it. Only where it
            // is ignored, this is an answer.
            std::thread::sleep(SIGNAL_FIRST);
            PromptError::Cancelled
        }
        io::ErrorKind::UnexpectedEof => PromptError::Cancelled,
        _ => PromptError::Failed(error),
    })
}

fn read_visible(mut tty: File, text: &str) -> io::Result<Zeroizing<String>> {
    tty.write_all(text.as_bytes())?;
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
    let mut byte = [0];
    loop {
        match tty.read(&mut byte)? {
            0 if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            0 => break,
            _ if byte[0] == b'\n' => break,
            _ if line.len() == MAX_ANSWER => return Err(io::ErrorKind::InvalidData.into()),
            _ => line.push(byte[0]),
        }
    }
    let text = std::str::from_utf8(&line).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(Zeroizing::new(text.trim_end_matches('\r').to_owned()))
}

fn open() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/tty")
}

/// How long a signal may take from the terminal to the program.
const SIGNAL_FIRST: std::time::Duration = std::time::Duration::from_millis(500);

/// Gives the terminal back as it was, also when the question is dropped while it is open.
struct SavedState {
    tty: File,
    state: Termios,
}

impl SavedState {
    fn of(tty: File) -> io::Result<Self> {
        let state = tcgetattr(&tty)?;
        Ok(Self { tty, state })
    }
}

impl Drop for SavedState {
    fn drop(&mut self) {
        // A terminal that is gone needs no state.
        let _ = tcsetattr(&self.tty, OptionalActions::Now, &self.state);
    }
}
