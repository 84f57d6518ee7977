//! Heads and framing as received, before hyper: pure, without a socket.
//!
//! A client or a web server may send what hyper's parser rejects and others commonly accept, or what two
//! parsers interpret differently. Each head is parsed here and rewritten in an unambiguous form; hyper parses
//! that, carries the content, and writes the messages.
//!
//! - [`head`]: lines and fields. [`framing`]: the length of the content, or its ambiguity.
//! - [`request`], [`target`]: the head of a request. [`requests`]: one client's bytes, message by message;
//!   [`chunks`] finds the end of chunked content.
//! - [`answer`], [`answers`]: the same for a web server, parsed more leniently; [`extensions`] removes chunk
//!   extensions, which hyper limits.

pub(crate) mod answer;
pub(crate) mod answers;
pub(crate) mod chunks;
pub(crate) mod extensions;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod request;
pub(crate) mod requests;
pub(crate) mod target;

/// The maximum length of a request's or response's head. Chromium has the same limit.
pub(crate) const MAX_HEAD: usize = 256 * 1024;
/// The maximum number of fields in a head, as in Node.js.
pub(crate) const MAX_FIELDS: usize = 2000;
