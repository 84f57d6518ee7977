//! Reading whole files with a bound and without blocking, appending to logs, and the directories for a user's
//! files.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

/// What may be read besides regular files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Besides {
    /// Nothing: the file is read repeatedly, or is large.
    Nothing,
    /// A pipe with a writer, such as a shell's `<(…)`.
    Pipes,
    /// `/dev/null` and the like, if that is the way to say "none".
    Devices,
}

/// Opens a file for reading, without blocking: a pipe without a writer is at EOF.
///
/// # Errors
///
/// It cannot be opened, or its kind may not be read.
pub(crate) fn open(path: &Path, besides: Besides) -> io::Result<File> {
    let nonblocking = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(nonblocking.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    let good = kind.is_file()
        || match besides {
            Besides::Nothing => false,
            Besides::Pipes => kind.is_fifo(),
            Besides::Devices => kind.is_char_device(),
        };
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !good {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    // The writer of a pipe may take a moment.
    wait_for(&file)?;
    Ok(file)
}

/// Reads a whole file of at most `most` bytes.
///
/// # Errors
///
/// As [`open()`], or the file cannot be read, or is longer.
pub(crate) fn read(path: &Path, most: u64, besides: Besides) -> io::Result<Vec<u8>> {
    read_open(&mut open(path, besides)?, most)
}

/// As [`read()`], for an open file.
pub(crate) fn read_open(file: &mut File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(too_large(most));
    }
    Ok(bytes)
}

/// The error for a file longer than `most` bytes.
pub(crate) fn too_large(most: u64) -> io::Error {
    let text = format!("it is longer than {} MiB", most >> 20);
    io::Error::new(io::ErrorKind::FileTooLarge, text)
}

/// Opens a log for appending, without blocking. A new file is readable only by its owner (mode 0600), as in ssh.
///
/// # Errors
///
/// It cannot be opened, or is a pipe without a reader.
pub(crate) fn append(path: &Path) -> io::Result<File> {
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
    let opened =
        OpenOptions::new().create(true).append(true).mode(0o600).custom_flags(flags).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        Some(code) if code == Errno::NXIO.raw_os_error() => {
            io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads this pipe")
        }
        _ => error,
    })?;
    wait_for(&file)?;
    Ok(file)
}

/// Writes a file whole or not at all: one that is there is replaced once all is written, and one that is new is
/// there then. A link stays one.
///
/// # Errors
///
/// It cannot be written.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    // As other files that are made: the umask takes from it.
    let mode = std::fs::Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new().permissions(mode).tempfile_in(parent)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

/// Has reads and writes wait from now on.
fn wait_for(file: &File) -> io::Result<()> {
    fcntl_setfl(file, fcntl_getfl(file)? - OFlags::NONBLOCK)?;
    Ok(())
}

/// Whether a program is on the PATH, or exists at this absolute path.
pub(crate) fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The directory `sockeye` in a [base directory](xdg_base).
pub(crate) fn xdg_directory(variable: &str, default: &str) -> Option<PathBuf> {
    Some(xdg_base(variable, default)?.join("sockeye"))
}

/// A directory of the XDG Base Directory Specification: the value of `variable`, or if that is not an absolute
/// path, `default` in the home directory; none without a home.
pub(crate) fn xdg_base(variable: &str, default: &str) -> Option<PathBuf> {
    base(std::env::var_os(variable), std::env::home_dir().map(OsString::from), default)
}

fn base(named: Option<OsString>, home: Option<OsString>, default: &str) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let in_home = || Some(home.and_then(absolute)?.join(default));
    named.and_then(absolute).or_else(in_home)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;
    use std::thread;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn pipe(path: &Path) {
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    }

    fn kind(result: io::Result<Vec<u8>>) -> io::ErrorKind {
        result.expect_err("it cannot be read").kind()
    }

    #[test]
    fn only_files_of_bounded_size_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "four").expect("written");
        pipe(&path("pipe"));
        for besides in [Besides::Nothing, Besides::Pipes, Besides::Devices] {
            assert_eq!(read(&path("file"), 4, besides).expect("short enough"), b"four");
            assert_eq!(kind(read(&path("file"), 3, besides)), io::ErrorKind::FileTooLarge);
            assert_eq!(kind(read(folder.path(), 9, besides)), io::ErrorKind::IsADirectory);
            assert_eq!(kind(read(&path("missing"), 9, besides)), io::ErrorKind::NotFound);
        }
        let zero = Path::new("/dev/zero");
        assert_eq!(kind(read(zero, 9, Besides::Nothing)), io::ErrorKind::InvalidInput);
        assert_eq!(kind(read(zero, 9, Besides::Devices)), io::ErrorKind::FileTooLarge);
        assert_eq!(read(Path::new("/dev/null"), 9, Besides::Devices).expect("empty"), b"");
        assert_eq!(kind(read(&path("pipe"), 9, Besides::Nothing)), io::ErrorKind::InvalidInput);
        // A pipe without a writer would block for ever.
        assert_eq!(read(&path("pipe"), 9, Besides::Pipes).expect("at its end"), b"");
    }

    #[test]
    fn a_log_is_its_user_s_and_a_pipe_without_a_reader_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for word in ["one", "two"] {
            append(&path("log")).expect("a file").write_all(word.as_bytes()).expect("written");
        }
        assert_eq!(std::fs::read_to_string(path("log")).expect("there"), "onetwo");
        assert_eq!(std::fs::metadata(path("log")).expect("there").mode() & 0o777, 0o600);
        append(Path::new("/dev/null")).expect("a device");
        pipe(&path("pipe"));
        let refused = append(&path("pipe")).expect_err("nobody reads it");
        assert_eq!(refused.to_string(), "nobody reads this pipe");
        let mut reader = open(&path("pipe"), Besides::Pipes).expect("a pipe");
        append(&path("pipe")).expect("it is read").write_all(b"word").expect("written");
        let mut read = String::new();
        reader.read_to_string(&mut read).expect("whole");
        assert_eq!(read, "word");
    }

    #[test]
    fn a_file_is_replaced_as_others_are_made_and_a_link_stays_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("other"), "").expect("written");
        let mode = |name: &str| std::fs::metadata(path(name)).expect("there").mode();
        replace(&path("new"), "one").expect("written");
        assert_eq!(mode("new"), mode("other"));
        std::os::unix::fs::symlink(path("new"), path("link")).expect("a link");
        replace(&path("link"), "two").expect("written");
        assert!(path("link").is_symlink());
        assert_eq!(std::fs::read_to_string(path("new")).expect("there"), "two");
        assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 3);
    }

    #[test]
    fn a_pipe_is_read_to_its_end() {
        use std::os::fd::AsRawFd as _;
        let (output, mut input) = io::pipe().expect("a pipe");
        let path = format!("/dev/fd/{}", output.as_raw_fd());
        let writer = thread::spawn(move || {
            thread::sleep(std::time::Duration::from_millis(50));
            input.write_all(b"late").expect("it is read");
        });
        let read = read(Path::new(&path), 9, Besides::Pipes).expect("a pipe");
        assert_eq!(read, b"late");
        writer.join().expect("no panic");
    }

    #[test]
    fn the_variable_counts_if_it_is_absolute() {
        let base = |named: Option<&str>, home: Option<&str>| {
            base(named.map(Into::into), home.map(Into::into), ".config")
        };
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(base(Some("/c"), Some("/h")), path("/c"));
        for unusable in [None, Some(""), Some("relative")] {
            assert_eq!(base(unusable, Some("/h")), path("/h/.config"));
        }
        assert_eq!(base(None, None), None);
    }
}
