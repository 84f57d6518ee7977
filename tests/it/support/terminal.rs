//! A real pseudo-terminal with a session of its own, and an emulator that reads the screen.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use vt100::{Color, Parser};

use super::{command, wait};

/// A terminal of 80 columns and 24 lines, and the program on it. Dropping it kills the program.
#[derive(Debug)]
pub(crate) struct Terminal {
    device: File,
    child: Child,
    shown: Arc<Mutex<Shown>>,
}

struct Shown(Parser);

impl std::fmt::Debug for Shown {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?}", self.0.screen().contents())
    }
}

impl Terminal {
    /// Starts a program on it.
    pub(crate) fn start(program: &Command) -> Self {
        let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .expect("a pseudo-terminal");
        grantpt(&device).expect("ours");
        unlockpt(&device).expect("ours");
        let size = Winsize { ws_row: LINES, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&device, size).expect("a size");
        let name = ptsname(&device, Vec::new()).expect("a name").into_string().expect("UTF-8");
        let flags = i32::try_from(OFlags::NOCTTY.bits()).expect("a flag");
        let end = File::options().read(true).write(true).custom_flags(flags).open(name);
        let end = end.expect("its other end");
        // A session of its own, with this as its controlling terminal.
        let mut session = command("setsid");
        session.arg("--ctty").arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            if let Some(value) = value {
                session.env(name, value);
            }
        }
        session.env("TERM", "xterm-256color");
        let again = || end.try_clone().expect("a descriptor");
        session.stdin(again()).stdout(again()).stderr(again());
        let child = session.spawn().expect("setsid, of util-linux");
        let [lines, columns] = [LINES, COLUMNS].map(|n| n.try_into().expect("not zero"));
        let shown = Arc::new(Mutex::new(Shown(Parser::new(lines, columns, 0))));
        let device = File::from(device);
        let (mut reading, into) = (device.try_clone().expect("a descriptor"), Arc::clone(&shown));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The read fails when no other descriptor is left.
            while let Ok(count @ 1..) = reading.read(&mut bytes) {
                into.lock().unwrap_or_else(PoisonError::into_inner).0.process(&bytes[..count]);
            }
        });
        Self { device, child, shown }
    }

    /// The process on it.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Types keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.device.write_all(keys.as_bytes()).expect("a terminal");
    }

    /// The text on the screen.
    pub(crate) fn contents(&self) -> String {
        self.shown().0.screen().contents()
    }

    /// Waits until it shows `text`.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) {
        self.wait_until(&format!("it shows {text:?}"), |shown| shown.contains(text));
    }

    /// Waits until the content of the screen satisfies `is_right`.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, is_right: impl Fn(&str) -> bool) {
        wait::until_ok(what, || {
            let shown = self.contents();
            if is_right(&shown) { Ok(()) } else { Err(format!("it shows\n{shown}")) }
        });
    }

    /// Whether a program uses the alternate screen.
    pub(crate) fn is_taken(&self) -> bool {
        self.shown().0.screen().alternate_screen()
    }

    /// Whether any cell has a colour.
    pub(crate) fn has_colours(&self) -> bool {
        let shown = self.shown();
        let cell = |line, column| shown.0.screen().cell(line, column);
        let cells = (0..LINES).flat_map(|line| (0..COLUMNS).filter_map(move |c| cell(line, c)));
        cells.into_iter().any(|c| c.fgcolor() != Color::Default || c.bgcolor() != Color::Default)
    }

    /// Waits until the program has ended.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let child = &mut self.child;
        wait::until_some("it ends", || child.try_wait().expect("a child")).code()
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- what the terminal showed:\n{}\n---", self.contents());
        }
    }
}

const LINES: u16 = 24;
const COLUMNS: u16 = 80;
