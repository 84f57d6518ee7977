//! The target of a request as received (RFC 9112 section 3.2).

use bytes::Bytes;
use hyper::Uri;

/// The target in a request line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A URI with a scheme and an authority, for a proxy.
    Absolute {
        scheme: String,
        /// The part between the slashes and the path.
        authority: Vec<u8>,
        path: Path,
    },
    /// A path, for a web server, which is this program itself.
    Origin(Path),
    /// `*`: the server as a whole.
    Asterisk,
    /// Anything else, including the authority of a CONNECT.
    Other(Vec<u8>),
}

/// A path with its query, as forwarded. It may contain characters that RFC 3986 does not allow in a URI but
/// that browsers, curl and web servers do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    bytes: Bytes,
    /// Whether the client omitted the path.
    is_empty: bool,
}

impl Target {
    /// Parses a target without spaces and control characters.
    pub(crate) fn parse(target: &[u8]) -> Self {
        match target {
            b"*" => Self::Asterisk,
            [b'/', ..] => Self::Origin(Path::new(target)),
            _ => Self::absolute(target).unwrap_or_else(|| Self::Other(target.to_vec())),
        }
    }

    fn absolute(target: &[u8]) -> Option<Self> {
        let colon = target.windows(3).position(|three| three == b"://")?;
        let scheme = std::str::from_utf8(&target[..colon]).ok()?;
        let first = scheme.bytes().next()?;
        let is_scheme = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
        if !first.is_ascii_alphabetic() || !scheme.bytes().all(is_scheme) {
            return None;
        }
        let rest = &target[colon + 3..];
        let path = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
        Some(Self::Absolute {
            scheme: scheme.to_ascii_lowercase(),
            authority: rest[..path].to_vec(),
            path: Path::new(&rest[path..]),
        })
    }
}

impl Path {
    fn new(given: &[u8]) -> Self {
        // A fragment is never meant to be sent (RFC 9110 section 7.1).
        let end = given.iter().position(|&byte| byte == b'#').unwrap_or(given.len());
        let given = &given[..end];
        // RFC 9112 section 3.2.1: an empty path becomes a slash.
        let bytes = match given.first() {
            Some(b'/') => Bytes::copy_from_slice(given),
            _ => [b"/", given].concat().into(),
        };
        Self { bytes, is_empty: given.is_empty() }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the client sent neither a path nor a query.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// The path if hyper can write it; otherwise a request line with the path replaces hyper's.
    pub(crate) fn uri(&self) -> Option<Uri> {
        let uri = Uri::from_maybe_shared(self.bytes.clone()).ok()?;
        let same = uri.path_and_query().is_some_and(|path| path.as_str().as_bytes() == self.bytes);
        same.then_some(uri)
    }
}
