use std::os::unix::net::{UnixListener, UnixStream};

use super::*;

/// Launches a shell script in place of the program.
fn launch_script(script: &str) -> u8 {
    let words = ["-c", script].map(OsString::from);
    launch(Path::new("/bin/sh"), words).expect("a shell")
}

#[test]
fn a_failure_is_the_status_of_the_background_half() {
    assert_eq!(launch_script("exit 7"), 7);
    assert_eq!(launch_script("echo not yet; exit 1"), 1);
    assert_eq!(launch_script("kill -TERM $$"), 128 + 15);
    assert_eq!(launch_script("exit 0"), 0);
}

#[test]
fn the_foreground_half_exits_as_soon_as_the_other_is_ready() {
    let directory = tempfile::tempdir().expect("a directory");
    let fifo = directory.path().join("gate");
    // The script ends only after the gate is opened, which happens after `launch` has returned.
    let script = format!("mkfifo '{0}' && echo ready && read word <'{0}'", fifo.display());
    assert_eq!(launch_script(&script), 0);
    std::fs::write(&fifo, "open\n").expect("the script still waits at the gate");
}

#[test]
fn the_variable_names_the_parent() {
    assert_eq!(launch_script("[ \"$SOCKEYE_BACKGROUND_OF\" = \"$PPID\" ] || exit 9; exit 8"), 8);
}

#[test]
fn a_process_started_by_hand_is_not_the_background_half() {
    if std::env::var_os(VARIABLE).is_none() {
        assert!(Background::detect().expect("nothing to open").is_none());
    }
}

#[test]
fn a_missing_program_cannot_be_launched() {
    let error = launch(Path::new("/nonexistent/sockeye"), []).expect_err("no such program");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

/// Runs this test program as the background half, in [`half`], which reports its state through a
/// socket.
#[cfg(target_os = "linux")]
#[test]
fn the_background_half_leaves_the_terminal() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let socket = UnixListener::bind(&path).expect("a socket");
    let script = format!("{FACTS}='{}' exec \"$0\" \"$@\"", path.display());
    let program = std::env::current_exe().expect("this program");
    let name = format!("{}::half", module_path!().trim_start_matches("sockeye::"));
    let mut words = ["-c", &script].map(OsString::from).to_vec();
    words.push(program.into());
    words.extend(["--exact", &name, "--include-ignored"].map(OsString::from));

    assert_eq!(launch(Path::new("/bin/sh"), words).expect("a shell"), 0);
    let (mut facts, _) = socket.accept().expect("the half connects");
    let mut text = String::new();
    facts.read_to_string(&mut text).expect("facts");
    assert_eq!(text, "session true\n0 /dev/null\n1 /dev/null\n2 /dev/null\nchild false\n");
}

/// The background half of the test above; not a test itself.
#[test]
#[ignore = "the other half of a test, which starts it"]
fn half() {
    let Some(path) = std::env::var_os(FACTS) else { return };
    let background = Background::detect().expect("descriptors").expect("this is the half");
    background.ready(Stderr::Dropped).expect("the other half listens");
    let own = rustix::process::getpid();
    let session = rustix::process::getsid(None).expect("a session");
    let mut facts = UnixStream::connect(path).expect("the test listens");
    writeln!(facts, "session {}", session == own).expect("the test reads");
    for fd in 0..3 {
        let target = std::fs::read_link(format!("/proc/self/fd/{fd}")).expect("a descriptor");
        writeln!(facts, "{fd} {}", target.display()).expect("the test reads");
    }
    // A child of this half does not take itself for a half.
    let same = "[ \"$SOCKEYE_BACKGROUND_OF\" = \"$PPID\" ]";
    let child = Command::new("/bin/sh").args(["-c", same]).status().expect("a shell");
    writeln!(facts, "child {}", child.success()).expect("the test reads");
}

/// The variable with the path of the socket to which [`half`] reports.
const FACTS: &str = "SOCKEYE_TEST_FACTS";
