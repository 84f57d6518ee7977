//! The fields of a specification, split as in ssh(1), and joined again.

use super::{InvalidForward, service};

/// One field, without its brackets and backslashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// The path of a unix socket: it has a slash.
    Path(String),
    /// A port, a host or a bind address.
    Word(String),
}

use Field::{Path, Word};

/// Splits at the colons that are neither in brackets nor after a backslash. A colon at the very end begins
/// no field.
pub(super) fn split(spec: &str) -> Result<Vec<Field>, InvalidForward> {
    let mut rest = spec.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (field, after) = match rest.strip_prefix('[') {
            Some(inner) => bracketed(inner)?,
            None => plain(rest)?,
        };
        fields.push(field);
        rest = after;
    }
    Ok(fields)
}

/// Splits the fields of a forward into the place to listen and the target: a path, or a host and a port. The
/// target is empty where nothing else would be left.
pub(super) fn parts(fields: &[Field]) -> (&[Field], &[Field]) {
    let target = match fields {
        [_, .., Path(_)] => 1,
        [_, .., Word(_), Word(_)] => 2,
        _ => 0,
    };
    fields.split_at(fields.len() - target)
}

/// Reads a place to listen: a port, an address and a port, or a path. Any other number or kind of fields is the
/// error `otherwise`.
pub(super) fn listen<T>(
    fields: &[Field],
    otherwise: InvalidForward,
    tcp: impl FnOnce(Option<&str>, &str) -> Result<T, InvalidForward>,
    unix: impl FnOnce(&str) -> Result<T, InvalidForward>,
) -> Result<T, InvalidForward> {
    match fields {
        [Word(port)] => tcp(None, port),
        [Word(bind), Word(port)] => tcp(Some(bind), port),
        [Path(path)] => unix(path),
        _ => Err(otherwise),
    }
}

/// Reads a field in brackets literally.
fn bracketed(inner: &str) -> Result<(Field, &str), InvalidForward> {
    let (text, after) = inner.split_once(']').ok_or(InvalidForward::Quoting)?;
    let after = match after {
        "" => "",
        _ => after.strip_prefix(':').ok_or(InvalidForward::Quoting)?,
    };
    let text = text.to_owned();
    Ok((if text.contains('/') { Path(text) } else { Word(text) }, after))
}

fn plain(text: &str) -> Result<(Field, &str), InvalidForward> {
    let mut field = String::new();
    let mut is_path = false;
    let mut chars = text.chars();
    loop {
        match chars.next() {
            None | Some(':') => break,
            Some('\\') => field.push(chars.next().ok_or(InvalidForward::Quoting)?),
            Some(c) => {
                is_path |= c == '/';
                field.push(c);
            }
        }
    }
    Ok((if is_path { Path(field) } else { Word(field) }, chars.as_str()))
}

/// A word as a field, in brackets where it has a colon.
pub(super) fn word(text: &str) -> String {
    if text.contains(':') { format!("[{text}]") } else { text.to_owned() }
}

/// A path as a field, with a backslash before what would end it or begin a bracket.
pub(super) fn path(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, c) in text.chars().enumerate() {
        let begins = index == 0 && (c == '[' || c.is_ascii_whitespace() || c == '\x0b');
        if c == '\\' || c == ':' || begins {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Replaces the tokens and variables of a path; `None` where one is not known.
pub(crate) type Expand<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A path with its tokens and variables replaced.
pub(super) fn expanded(path: &str, expand: Expand<'_>) -> Result<String, InvalidForward> {
    expand(path).ok_or(InvalidForward::Token)
}

/// Reads the path of a unix socket, which has to fit into `sun_path` of unix(7) with its end.
pub(super) fn checked_path(text: &str) -> Result<&str, InvalidForward> {
    if text.len() > MAX_PATH || text.contains('\0') {
        return Err(InvalidForward::Path);
    }
    Ok(text)
}

/// Reads a port to listen on: 0 to 65535, or the name of a service.
pub(super) fn listen_port(text: &str) -> Result<u16, InvalidForward> {
    service::port(text).ok_or(InvalidForward::ListenPort)
}

/// The longest path of a unix socket, in bytes.
const MAX_PATH: usize = 107;
