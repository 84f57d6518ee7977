//! The paths of the control sockets: one for each program, in a directory that belongs to the user alone.

use std::fs::{self, DirBuilder};
use std::io;
use std::mem::offset_of;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use libc::sockaddr_un;
use rustix::process::geteuid;

use super::guard;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Location {
    /// In the user's directory, under this name, or with a number added if it is taken.
    Named(String),
    At(PathBuf),
    #[default]
    None,
}

/// Why the directory of the sockets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It can neither be found nor created.
    #[error("{}: {cause}", .directory.display())]
    Io { directory: PathBuf, cause: io::Error },
    /// Another user could put sockets there.
    #[error("{}: it is not a directory that belongs to this user alone (mode 0700)", .0.display())]
    NotOurs(PathBuf),
}

/// A directory that may contain control sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    path: PathBuf,
    /// The only user who may have created them.
    owner: u32,
}

/// The directory of this program's socket: `$XDG_RUNTIME_DIR/sockeye`; or the one that systemd created for a
/// machine service; or `sockeye-UID` among the temporary files. It may not exist.
pub(crate) fn directory() -> PathBuf {
    let of_service = set("RUNTIME_DIRECTORY").filter(|path| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        name.starts_with(b"sockeye")
    });
    if let Some(runtime) = set("XDG_RUNTIME_DIR") {
        return runtime.join("sockeye");
    }
    of_service.unwrap_or_else(|| temporary().join(of_user(geteuid().as_raw())))
}

/// The directories in which to look for running programs: this process's own, those of this user's programs in
/// another environment (a login, cron, launchd), and those of machine services.
pub(crate) fn directories() -> Vec<Directory> {
    let user = geteuid().as_raw();
    let mut paths = vec![directory(), temporary().join(of_user(user))];
    if set("XDG_RUNTIME_DIR").is_none() {
        paths.push(Path::new("/run/user").join(user.to_string()).join("sockeye"));
    }
    if cfg!(target_os = "macos") {
        // A shell on macOS has TMPDIR set, but a launchd daemon does not.
        paths.push(Path::new("/tmp").join(of_user(user)));
    }
    let own = paths.into_iter().map(|path| Directory { path, owner: user });
    let mut all: Vec<Directory> = Vec::new();
    for directory in own.chain(services(Path::new("/run"), user)) {
        if all.iter().all(|other| other.path != directory.path) {
            all.push(directory);
        }
    }
    all
}

fn temporary() -> PathBuf {
    set("TMPDIR").unwrap_or_else(|| "/tmp".into())
}

/// The directories of the machine services that this user may ask; root may ask all of them. They are below
/// `run`, where only root can create any.
fn services(run: &Path, user: u32) -> Vec<Directory> {
    let Ok(entries) = fs::read_dir(run) else { return Vec::new() };
    let service = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let is_service = name == "sockeye" || name.as_encoded_bytes().starts_with(b"sockeye-");
        let owner = entry.metadata().ok()?.uid();
        let directory = Directory { path: entry.path(), owner };
        (is_service && guard::may_answer(owner, user)).then_some(directory)
    };
    let mut services: Vec<_> = entries.filter_map(|entry| service(entry.ok()?)).collect();
    services.sort_by(|one, other| one.path.cmp(&other.path));
    services
}

/// The name of this user's directory, where other users have theirs too.
pub(crate) fn of_user(user: u32) -> String {
    format!("sockeye-{user}")
}

fn set(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Creates the directory if it does not exist, and checks that it belongs to the user alone.
pub(crate) fn prepare(directory: &Path) -> Result<(), DirectoryError> {
    let failed = |cause| DirectoryError::Io { directory: directory.to_owned(), cause };
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    check(directory, geteuid().as_raw())
}

/// Checks that the directory belongs to this user alone. A symbolic link does not count as one.
fn check(directory: &Path, owner: u32) -> Result<(), DirectoryError> {
    let failed = |cause| DirectoryError::Io { directory: directory.to_owned(), cause };
    let metadata = fs::symlink_metadata(directory).map_err(failed)?;
    let ours = metadata.is_dir()
        && metadata.uid() == owner
        && metadata.mode().trailing_zeros() >= GROUP_AND_OTHERS;
    if ours { Ok(()) } else { Err(DirectoryError::NotOurs(directory.to_owned())) }
}

/// The socket of the program with this name.
pub(crate) fn socket(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.sock"))
}

impl Directory {
    /// The names of all sockets in the directory, sorted, whether a program listens or not; empty if the
    /// directory does not exist or might belong to someone else.
    pub(crate) fn names(&self) -> Vec<String> {
        if check(&self.path, self.owner).is_err() {
            return Vec::new();
        }
        let Ok(entries) = fs::read_dir(&self.path) else { return Vec::new() };
        let name = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            Some(name.strip_suffix(".sock")?.to_owned())
        };
        let mut names: Vec<_> = entries.filter_map(|entry| name(entry.ok()?)).collect();
        names.sort();
        names
    }

    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        socket(&self.path, name)
    }
}

/// The longest prefix of a name that fits into a socket path there with a number; all of it if nothing fits.
pub(crate) fn fitting<'a>(directory: &Path, name: &'a str) -> &'a str {
    let rest = socket(directory, "-99").as_os_str().len();
    match MAX_PATH.saturating_sub(rest) {
        0 => name,
        room => name.get(..room).unwrap_or(name),
    }
}

/// The name of a socket, derived from the user's name for the server or the file.
pub(crate) fn name_of(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
    let name: String = text.chars().map(|c| if plain(c) { c } else { '-' }).take(LONGEST).collect();
    let name = name.trim_matches(['.', '-']);
    if name.is_empty() { "default".to_owned() } else { name.to_owned() }
}

/// The number of mode bits for users other than the owner.
const GROUP_AND_OTHERS: u32 = 6;
/// The longest name, which leaves room for the directory.
const LONGEST: usize = 50;
/// The most bytes in a socket path, without the final NUL: 107 on Linux, 103 on macOS.
const MAX_PATH: usize = size_of::<sockaddr_un>() - offset_of!(sockaddr_un, sun_path) - 1;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn the_directory_must_belong_to_the_user_alone() {
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
        let owner = geteuid().as_raw();
        let there = Directory { path: directory.clone(), owner };
        assert_eq!(there.names(), ["a", "b"]);
        assert!(Directory { owner: owner + 1, ..there.clone() }.names().is_empty());
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("ours");
        assert!(matches!(prepare(&directory), Err(DirectoryError::NotOurs(_))));
        assert!(there.names().is_empty());
        assert!(matches!(prepare(Path::new("/proc/none")), Err(DirectoryError::Io { .. })));
    }

    #[test]
    fn services_are_found_by_the_names_of_their_directories() {
        let run = tempfile::tempdir().expect("a folder");
        for name in ["sockeye", "sockeye-1", "sockeyes", "sshd"] {
            fs::create_dir(run.path().join(name)).expect("made");
        }
        let owner = geteuid().as_raw();
        let place = |name| Directory { path: run.path().join(name), owner };
        let found = [place("sockeye"), place("sockeye-1")];
        assert_eq!(services(run.path(), owner), found);
        assert_eq!(services(Path::new("/nonexistent"), owner), []);
    }

    #[test]
    fn a_name_fits_into_the_path_of_a_socket() {
        let long = "x".repeat(LONGEST);
        for (directory, length) in [("/run/user/1000/sockeye", LONGEST), (&*"/d".repeat(40), 0)] {
            let directory = Path::new(directory);
            let name = fitting(directory, &long);
            assert!(name.len() >= length, "{name}");
            let path = socket(directory, &format!("{name}-99"));
            assert!(path.as_os_str().len() <= MAX_PATH, "{}", path.display());
            std::os::unix::net::SocketAddr::from_pathname(&path).expect("an address");
        }
        // The error names the directory that is too long.
        assert_eq!(fitting(Path::new(&"/d".repeat(90)), "name"), "name");
    }

    #[test]
    fn a_name_is_a_valid_file_name() {
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
