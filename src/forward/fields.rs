//! The fields of a specification, split as in ssh(1), and joined again.

use super::{InvalidForward, service};

/// A field without its brackets and backslashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// The path of a unix socket, which contains a slash.
    Path(String),
    /// A port, a host or a bind address.
    Word(String),
}

use Field::{Path, Word};

/// Splits at colons that are neither in brackets nor escaped. A trailing colon begins no field.
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

/// Splits the fields of a forward into the listen address and the target: a path, or a host and a port. The
/// target is empty if nothing else would be left.
pub(super) fn parts(fields: &[Field]) -> (&[Field], &[Field]) {
    let target = match fields {
        [_, .., Path(_)] => 1,
        [_, .., Word(_), Word(_)] => 2,
        _ => 0,
    };
    fields.split_at(fields.len() - target)
}

/// Parses a listen address: a port, an address and a port, or a path. Any other number or kind of fields
/// results in the error `otherwise`.
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

/// Parses a bracketed field literally.
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

/// A word as a field, in brackets if it contains a colon.
pub(super) fn word(text: &str) -> String {
    if text.contains(':') { format!("[{text}]") } else { text.to_owned() }
}

/// A path as a field, with a backslash before any character that would end it or start a bracket.
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

/// Expands the tokens and variables of a path; `None` if one is unknown.
pub(crate) type Expand<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A path with its tokens and variables replaced.
pub(super) fn expanded(path: &str, expand: Expand<'_>) -> Result<String, InvalidForward> {
    expand(path).ok_or(InvalidForward::Token)
}

/// Checks the path of a unix socket, which must fit into `sun_path` of unix(7) with its terminator.
pub(super) fn checked_path(text: &str) -> Result<&str, InvalidForward> {
    if text.len() > MAX_PATH || text.contains('\0') {
        return Err(InvalidForward::Path);
    }
    Ok(text)
}

/// Parses a port to listen on: 0 to 65535, or the name of a service.
pub(super) fn listen_port(text: &str) -> Result<u16, InvalidForward> {
    service::port(text).ok_or(InvalidForward::ListenPort)
}

/// The maximum length of the path of a unix socket, in bytes.
const MAX_PATH: usize = 107;
