//! Heads and framing as they are on the wire, before hyper: pure, without a socket.
//!
//! A client and a web server may write what hyper's parser refuses and others take every day, and
//! they may write what two parsers read differently. Each head is read here and written anew in one
//! form that leaves no doubt; hyper reads that, carries the content, and writes the messages.
//!
//! - [`head`]: lines and fields. [`framing`]: how long the content is, or that nobody can say.
//! - [`request`], [`target`]: the head of a request. [`requests`]: one client's bytes, message by
//!   message; [`chunks`] finds where chunked content ends.
//! - [`answer`], [`answers`]: the same of a web server, which is read more leniently; [`extensions`]
//!   takes out of chunked content what hyper counts and nobody reads.

pub(crate) mod answer;
pub(crate) mod answers;
pub(crate) mod chunks;
pub(crate) mod extensions;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod request;
pub(crate) mod requests;
pub(crate) mod target;

/// The longest head that is taken, of a request or a response. Chromium takes as much.
pub(crate) const MAX_HEAD: usize = 256 * 1024;
/// The most fields of a head, as Node takes them.
pub(crate) const MAX_FIELDS: usize = 2000;
