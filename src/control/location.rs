//! Where the control sockets are: one for each program, in a directory that is the user's alone.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

/// Where a program's control socket is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Location {
    /// In the user's directory, under a name like this, or the next that is free.
    Named(String),
    At(PathBuf),
    #[default]
    None,
}

/// Why the directory of the sockets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It can neither be found nor made.
    #[error("{}: {cause}", .directory.display())]
    Io { directory: PathBuf, cause: io::Error },
    /// Somebody else could put sockets there.
    #[error("{}: it is not a directory that belongs to this user alone (mode 0700)", .0.display())]
    NotOurs(PathBuf),
}

/// The directory of the sockets: `$XDG_RUNTIME_DIR/sockeye`, or else `sockeye-UID` among the temporary
/// files. It may not be there.
pub(crate) fn directory() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(runtime) = set("XDG_RUNTIME_DIR") {
        return runtime.join("sockeye");
    }
    let temporary = set("TMPDIR").unwrap_or_else(|| "/tmp".into());
    temporary.join(format!("sockeye-{}", geteuid().as_raw()))
}

/// Makes the directory where it is not there, and sees to it that it is the user's alone.
pub(crate) fn prepare(directory: &Path) -> Result<(), DirectoryError> {
    let failed = |cause| DirectoryError::Io { directory: directory.to_owned(), cause };
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    check(directory)
}

/// Sees to it that the directory is the user's alone. A link is none, wherever it leads.
fn check(directory: &Path) -> Result<(), DirectoryError> {
    let failed = |cause| DirectoryError::Io { directory: directory.to_owned(), cause };
    let metadata = fs::symlink_metadata(directory).map_err(failed)?;
    let ours = metadata.is_dir()
        && metadata.uid() == geteuid().as_raw()
        && metadata.mode().trailing_zeros() >= GROUP_AND_OTHERS;
    if ours { Ok(()) } else { Err(DirectoryError::NotOurs(directory.to_owned())) }
}

/// The socket of the program that is called so. A name with a slash is a path.
pub(crate) fn socket(directory: &Path, name: &str) -> PathBuf {
    if name.contains('/') { name.into() } else { directory.join(format!("{name}.sock")) }
}

/// The names of all sockets there, in order, whether somebody listens or not; none where the directory
/// is not there, or could be somebody else's.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    if check(directory).is_err() {
        return Vec::new();
    }
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let name = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        Some(name.strip_suffix(".sock")?.to_owned())
    };
    let mut names: Vec<_> = entries.filter_map(|entry| name(entry.ok()?)).collect();
    names.sort();
    names
}

/// A name for a socket, made of what the user calls the server or the file.
pub(crate) fn name_of(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
    let name: String = text.chars().map(|c| if plain(c) { c } else { '-' }).take(LONGEST).collect();
    let name = name.trim_matches(['.', '-']);
    if name.is_empty() { "default".to_owned() } else { name.to_owned() }
}

/// The lowest bits of a mode say what others than the owner may do.
const GROUP_AND_OTHERS: u32 = 6;
/// The longest name. A path of a socket has 107 bytes, and the directory takes some.
const LONGEST: usize = 50;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn the_directory_is_the_user_s_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = folder.path().join("sockeye");
        prepare(&directory).expect("made");
        assert_eq!(fs::metadata(&directory).expect("there").mode() & 0o777, 0o700);
        prepare(&directory).expect("there already");
        let link = folder.path().join("link");
        symlink(&directory, &link).expect("a link");
        assert!(matches!(prepare(&link), Err(DirectoryError::NotOurs(_))));
        fs::write(socket(&directory, "b"), "").expect("written");
        fs::write(socket(&directory, "a"), "").expect("written");
        fs::write(directory.join("other"), "").expect("written");
        assert_eq!(names(&directory), ["a", "b"]);
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("ours");
        assert!(matches!(prepare(&directory), Err(DirectoryError::NotOurs(_))));
        assert!(names(&directory).is_empty());
        assert!(matches!(prepare(Path::new("/proc/none")), Err(DirectoryError::Io { .. })));
    }

    #[test]
    fn a_name_is_a_file_s_name() {
        for (text, name) in [
            ("me@bastion", "me@bastion"),
            ("ssh://[::1]:22", "ssh------1--22"),
            ("../../x", "x"),
            ("..", "default"),
            ("", "default"),
        ] {
            assert_eq!(name_of(text), name, "{text}");
        }
        assert_eq!(name_of(&"x".repeat(300)).len(), LONGEST);
    }
}
