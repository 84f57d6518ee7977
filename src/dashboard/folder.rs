//! Another dashboard, from a folder.

use std::io;
use std::path::{Component, Path, PathBuf};

use hyper::StatusCode;
use hyper::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use percent_encoding::percent_decode_str;
use tokio::task::spawn_blocking;

use crate::control::reply::{Answer, Failure, text_of};
use crate::file::{self, Besides};

/// A folder whose files are served: those inside it, and nothing outside that a path or a link leads to.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        if path.is_dir() { Ok(Self(path)) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    /// The file at a URL path below `/ui/`; for a folder its `index.html`.
    pub(super) async fn get(&self, path: &str) -> Answer {
        let unknown = || Failure::unknown("there is no such file");
        let path = relative(path).ok_or_else(unknown)?;
        let root = self.0.clone();
        let read = spawn_blocking(move || read(&root, &path)).await;
        let (path, bytes) = read.map_err(|_| unknown())?.map_err(|error| match error.kind() {
            io::ErrorKind::FileTooLarge => {
                Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "the file is too large to serve")
            }
            _ => unknown(),
        })?;
        let mut response = text_of(StatusCode::OK, "application/octet-stream", bytes.into());
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        if let Some(kind) = kind_of(&path) {
            headers.insert(CONTENT_TYPE, kind);
        }
        Ok(response)
    }
}

/// The path of a URL, relative to the folder.
fn relative(path: &str) -> Option<PathBuf> {
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let path = PathBuf::from(&*path);
    let plain = |part: Component<'_>| match part {
        Component::Normal(name) => !name.as_encoded_bytes().starts_with(b"."),
        _ => false,
    };
    path.components().all(plain).then_some(path)
}

fn read(root: &Path, path: &Path) -> io::Result<(PathBuf, Vec<u8>)> {
    let mut path = root.join(path).canonicalize()?;
    if path.is_dir() {
        path = path.join("index.html").canonicalize()?;
    }
    if !path.starts_with(root) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let bytes = file::read(&path, LARGEST, Besides::Nothing)?;
    Ok((path, bytes))
}

/// The content type, by the file name.
fn kind_of(path: &Path) -> Option<HeaderValue> {
    let kind = mime_guess::from_path(path).first_raw()?;
    let is_text = kind.starts_with("text/");
    let kind = if is_text { format!("{kind}; charset=utf-8") } else { kind.to_owned() };
    kind.parse().ok()
}

/// The largest file, in bytes.
const LARGEST: u64 = 32 << 20;
/// The policy for such a third-party page, which may try to look up addresses and newer versions
/// elsewhere. Its scripts are inline, so that it needs more permissions than the built-in page.
const POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; style-src 'self' \
     'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src \
     'self' blob:; base-uri 'none'; object-src 'none'; form-action 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn only_files_in_the_folder_are_served() {
        let place = tempfile::tempdir().expect("a folder");
        let root = place.path().join("ui");
        fs::create_dir_all(root.join("assets")).expect("made");
        for (name, text) in [
            ("ui/index.html", "<p>"),
            ("ui/assets/a b+c.js", "1"),
            ("ui/assets/app.wasm", "2"),
            ("ui/noextension", "3"),
            ("ui/.htpasswd", "secret"),
            ("outside", "secret"),
        ] {
            fs::write(place.path().join(name), text).expect("written");
        }
        symlink("../outside", root.join("link")).expect("a link");
        symlink("assets", root.join("inner")).expect("a link");
        let large = fs::File::create(root.join("large")).expect("a file");
        large.set_len(LARGEST + 1).expect("sparse");
        let folder = Folder::open(&root).expect("a folder");

        for (path, kind, text) in [
            ("", "text/html; charset=utf-8", "<p>"),
            ("index.html", "text/html; charset=utf-8", "<p>"),
            ("assets/a%20b+c.js", "text/javascript; charset=utf-8", "1"),
            ("assets//app.wasm", "application/wasm", "2"),
            ("inner/app.wasm", "application/wasm", "2"),
            ("noextension", "application/octet-stream", "3"),
        ] {
            let response = folder.get(path).await.expect(path);
            assert_eq!(response.headers()[CONTENT_TYPE], kind, "{path}");
            let body = response.into_body().collect().await.expect("whole").to_bytes();
            assert_eq!(body, text, "{path}");
        }
        for path in [
            "../outside",
            "..%2foutside",
            "%2e%2e/outside",
            "assets/../../outside",
            "assets/..%2F..%2Foutside",
            "/etc/passwd",
            "%2Fetc%2Fpasswd",
            "link",
            ".htpasswd",
            "%2Ehtpasswd",
            "assets",
            "none",
            "index.html/",
            "index.html%00.js",
            "index.html&x",
        ] {
            let refused = folder.get(path).await.err();
            let status = refused.map(|failure| failure.into_response().status());
            assert_eq!(status, Some(StatusCode::NOT_FOUND), "{path}");
        }
        let large = folder.get("large").await.expect_err("too large").into_response();
        assert_eq!(large.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(Folder::open(&root.join("index.html")).is_err());
        assert!(Folder::open(&root.join("none")).is_err());
    }
}
