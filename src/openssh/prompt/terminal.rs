//! Asks on `/dev/tty`, so that it works with standard input redirected.

use std::fs::File;
use std::io::{self, Read, Write};

use rustix::process::Signal;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedMutexGuard, oneshot};
use zeroize::Zeroizing;

use super::{MAX_ANSWER, PromptError, Question, Terminal};

pub(super) fn presence() -> Terminal {
    open().map_or(Terminal::Missing, |_| Terminal::Present)
}

/// Asks in a thread outside the runtime's pool, because the runtime's shutdown would wait for a
/// read in the pool. The thread owns the turn, so that two reads never compete for a line.
pub(super) async fn ask(
    question: Question,
    text: String,
    turn: OwnedMutexGuard<()>,
) -> Result<Zeroizing<String>, PromptError> {
    let mut asked = Asked::on(open()?, question, text)?;
    let mut continues = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
    let tty = asked.tty.try_clone()?;
    asked.show()?;
    let (tell, mut answer) = oneshot::channel();
    std::thread::Builder::new().name("prompt".into()).spawn(move || {
        let answer = read_line(tty);
        drop(turn);
        // The receiver is gone if the question was cancelled.
        let _ = tell.send(answer);
    })?;
    loop {
        tokio::select! {
            answer = &mut answer => return answer.map_err(|_| PromptError::Cancelled)?,
            Some(()) = continues.recv() => asked.show()?,
        }
    }
}

fn read_line(mut tty: File) -> Result<Zeroizing<String>, PromptError> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
    let mut byte = [0];
    loop {
        match tty.read(&mut byte)? {
            0 if line.is_empty() => return Err(PromptError::Cancelled),
            0 => break,
            _ if byte[0] == b'\n' => break,
            _ if line.len() == MAX_ANSWER => {
                return Err(io::Error::from(io::ErrorKind::InvalidData).into());
            }
            _ => line.push(byte[0]),
        }
    }
    let text =
        std::str::from_utf8(&line).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(Zeroizing::new(text.trim_end_matches('\r').to_owned()))
}

fn open() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/tty")
}

/// A question on the terminal, which is given back as it was, also when the question is dropped while
/// it is open.
struct Asked {
    tty: File,
    before: Termios,
    question: Question,
    text: String,
}

impl Asked {
    fn on(tty: File, question: Question, text: String) -> io::Result<Self> {
        let before = tcgetattr(&tty)?;
        Ok(Self { tty, before, question, text })
    }

    /// Shows the question, also again where the program was suspended: a shell has used the terminal
    /// meanwhile. The keys for signals stay those for signals: they are for the script, too, that runs
    /// the program.
    fn show(&mut self) -> io::Result<()> {
        if self.question == Question::Secret {
            let mut silent = tcgetattr(&self.tty)?;
            silent.local_modes -= LocalModes::ECHO;
            tcsetattr(&self.tty, OptionalActions::Now, &silent)?;
        }
        self.tty.write_all(self.text.as_bytes())
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // A terminal that is gone needs no state.
        let _ = tcsetattr(&self.tty, OptionalActions::Now, &self.before);
        if self.question == Question::Secret {
            // The end of the line was not shown.
            let _ = self.tty.write_all(b"\n");
        }
    }
}
