//! The ways in which a file can change.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;

struct Bed {
    folder: TempDir,
}

impl Bed {
    fn new() -> Self {
        Self { folder: TempDir::new().expect("a directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file");
    }

    fn watch(&self, name: &str) -> Watch {
        let watch = Watch::start(&BTreeSet::from([self.path(name)]));
        assert!(watch.watcher.is_some(), "this system can watch");
        watch
    }
}

async fn sees(watch: &mut Watch) {
    timeout(WRITING, watch.changed()).await.expect("the change is seen");
}

#[tokio::test]
async fn a_write_and_a_replacement_are_seen() {
    let bed = Bed::new();
    bed.write("config", "1");
    let mut watch = bed.watch("config");
    bed.write("config", "22");
    sees(&mut watch).await;
    for round in 0..3 {
        bed.write("new", &format!("as an editor does, {round}"));
        fs::rename(bed.path("new"), bed.path("config")).expect("renamed");
        sees(&mut watch).await;
    }
    fs::remove_file(bed.path("config")).expect("removed");
    sees(&mut watch).await;
    bed.write("config", "back");
    sees(&mut watch).await;
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_file_that_is_being_written_is_not_read() {
    use std::io::Write as _;
    let bed = Bed::new();
    bed.write("config", "whole");
    symlink("config", bed.path("link")).expect("a link");
    let mut watch = bed.watch("link");
    let start = Instant::now();
    let mut writer = fs::File::create(bed.path("config")).expect("a file");
    writer.write_all(b"ha").expect("room");
    watch.changed().await;
    assert!(start.elapsed() >= WRITING, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_file_is_read_once_its_writer_has_closed_it() {
    use std::io::Write as _;
    let bed = Bed::new();
    bed.write("config", "whole");
    let mut watch = bed.watch("config");
    let mut writer = fs::File::create(bed.path("config")).expect("a file");
    writer.write_all(b"ha").expect("room");
    tokio::join!(sees(&mut watch), async {
        tokio::time::sleep(2 * QUIET).await;
        writer.write_all(b"lf").expect("room");
        drop(writer);
    });
    // A file that replaces an open one is complete.
    let mut writer = fs::File::create(bed.path("config")).expect("a file");
    writer.write_all(b"ha").expect("room");
    bed.write("new", "another");
    fs::rename(bed.path("new"), bed.path("config")).expect("renamed");
    sees(&mut watch).await;
}

#[tokio::test]
async fn a_swapped_link_is_seen_as_with_kubernetes() {
    let bed = Bed::new();
    let version = |number: u32| {
        let folder = format!("..{number}");
        fs::create_dir(bed.path(&folder)).expect("a directory");
        bed.write(&format!("{folder}/config"), "the same length");
        symlink(&folder, bed.path("..tmp")).expect("a link");
        fs::rename(bed.path("..tmp"), bed.path("..data")).expect("swapped");
    };
    version(0);
    symlink("..data/config", bed.path("config")).expect("a link");
    let mut watch = bed.watch("config");
    for number in 1..4 {
        version(number);
        fs::remove_dir_all(bed.path(&format!("..{}", number - 1))).expect("removed");
        sees(&mut watch).await;
    }
    // This changes the file itself, to which the links lead now.
    bed.write("..3/config", "written in its place");
    sees(&mut watch).await;
}

#[tokio::test]
async fn a_directory_may_disappear_and_return() {
    let bed = Bed::new();
    fs::create_dir_all(bed.path("a/b")).expect("directories");
    bed.write("a/b/config", "1");
    let mut watch = bed.watch("a/b/config");
    for _ in 0..2 {
        fs::remove_dir_all(bed.path("a")).expect("removed");
        sees(&mut watch).await;
        let back = async {
            fs::create_dir(bed.path("a")).expect("a directory");
            tokio::time::sleep(2 * QUIET).await;
            fs::create_dir(bed.path("a/b")).expect("a directory");
            tokio::time::sleep(2 * QUIET).await;
            bed.write("a/b/config", "1");
        };
        tokio::join!(sees(&mut watch), back);
    }
}

#[tokio::test]
async fn a_write_under_another_name_in_another_directory_is_seen() {
    let bed = Bed::new();
    fs::create_dir(bed.path("host")).expect("a directory");
    bed.write("host/config", "1");
    // This stands for a file mounted into a container, which a test could set up only as root.
    fs::hard_link(bed.path("host/config"), bed.path("config")).expect("a second name");
    let mut watch = bed.watch("config");
    for text in ["22", "333"] {
        bed.write("host/config", text);
        sees(&mut watch).await;
    }
    bed.write("new", "4444");
    fs::rename(bed.path("new"), bed.path("config")).expect("renamed");
    sees(&mut watch).await;
    bed.write("config", "55555");
    sees(&mut watch).await;
}

#[tokio::test]
async fn other_files_in_the_directory_do_not_matter() {
    let bed = Bed::new();
    bed.write("config", "1");
    let mut watch = bed.watch("config");
    bed.write("other", "1");
    fs::read(bed.path("config")).expect("read");
    let seen = timeout(5 * QUIET, watch.changed()).await;
    assert!(seen.is_err(), "nothing has changed");
    // A change is not lost if nobody waits at that moment.
    bed.write("config", "22");
    sees(&mut watch).await;
}

#[tokio::test]
async fn a_new_set_of_files_is_followed() {
    let bed = Bed::new();
    bed.write("config", "1");
    fs::create_dir(bed.path("lists")).expect("a directory");
    bed.write("lists/names", "1");
    let mut watch = bed.watch("config");
    watch.follow(&BTreeSet::from([bed.path("config"), bed.path("lists/names")]));
    bed.write("lists/names", "22");
    sees(&mut watch).await;
}

#[test]
fn the_directories_of_links_are_found() {
    let bed = Bed::new();
    // The system may keep its temporary files behind a symbolic link.
    let root = bed.folder.path().canonicalize().expect("a directory");
    fs::create_dir_all(root.join("a/b")).expect("directories");
    fs::write(root.join("a/b/file"), "").expect("a file");
    symlink("a/b", root.join("c")).expect("a link");
    symlink("../c/file", root.join("a/link")).expect("a link");
    symlink("loop", root.join("loop")).expect("a link");
    let found = directories(&root.join("a/link"));
    assert_eq!(found, ["a", "", "a/b"].map(|name| root.join(name).components().collect()).into());
    assert_eq!(directories(&root.join("loop")), [root.clone()].into());
    assert_eq!(directories(&root.join("none/file")), [root.join("none")].into());
}
