//! `ssh -D`, grown up: one local port that speaks SOCKS4, SOCKS4a, SOCKS5, HTTP CONNECT and plain
//! HTTP, and carries each request as a `direct-tcpip` channel of an SSH session.
//!
//! # The path of a request
//!
//! ```text
//! listener ──► request ──► route ──► dial ─┬─► pool ──► session ──► channel
//!     ▲                                    └─► direct ────────────────┤
//!     └───────────────────────────── relay ◄──────────────────────────┘
//! ```
//!
//! A forward is a request with a fixed target ([`forward`]); `-R` enters as a listener on the server,
//! whose connections the session passes on. From there the path is the same.
//!
//! Data goes one way. No stage knows the one before it.
//!
//! # The layers
//!
//! Each folder knows only those that stand above it here; `app` is the only one that knows every stage.
//! A test reads this list and the imports of the tree.
//!
//! ```text
//! lock              how a lock is taken
//! task              tasks that end with their owner
//! printable         text from outside, made safe to show
//! file              files, read up to a bound and without waiting
//! secret            a text that nobody guesses
//! destination       a host and a port; target: that, or a socket's path
//! target
//! stream            sockets and other byte streams, and what the system offers for them
//! observe           logs
//! forward           what -L, -R and -D say
//! route             rules: which way a request goes, and why
//! request           who asks for what: the value that passes through the stages
//! registry          what lives: connections, listeners, forwards; what was counted; what happens
//! openssh           what is taken from ssh and needs no session: ssh_config, names, questions
//! ssh::trust        host keys, the record of them, the login
//! ssh::session      one connection to a server, and the channels on it
//! ssh::connect      from a server's name to a session
//! ssh
//! pool              the sessions to one server, and which of them takes a channel
//! remote_listener   what a server listens on for us
//! channel           a connection to a target, by a session or direct
//! relay             bytes both ways
//! dial              joins rules and pools: the deadline, the retries, what went wrong
//! listen            how a connection comes in: SOCKS, HTTP, forwards
//! config            the file: read, judged, compared
//! control           the control socket: what a running program says, and is told
//! dashboard         the same for a browser: a page, and what other dashboards ask for
//! app               binds, wires, runs, drains
//! guide             how it is used, a page a topic
//! cli               the command line
//! ```
//!
//! # The promises
//!
//! Each is tested.
//!
//! 1. **A cut is never a clean end.** If the SSH session dies in the middle of a response, the
//!    client's socket is reset. It gets a FIN only after the far side has said that it is done. (A
//!    unix socket knows no reset: there its client sees an end.)
//! 2. **Failures are told truthfully**, each in the client's own protocol: [`dial::DialError`] is
//!    what can go wrong, and each protocol has one total mapping of it.
//! 3. **No connection can hold up another**: a client that stops reading, a target that stops
//!    answering, a slow name look-up on the far side (sshd stands still for it, so what shares the
//!    session waits: with a pool of one, that is everybody).
//! 4. **Half-close works both ways**, byte for byte.
//! 5. **Nothing leaks**: no channel, socket, task or memory outlives its connection.
//! 6. **Names are resolved on the far side.** Nothing is looked up here but the SSH server itself,
//!    unless a rule says so; and no request goes direct unless a rule says so.
//! 7. **Host keys are verified, always.** Unknown keys are refused when nobody can be asked.
//! 8. **Loopback by default.** A listener on another address needs authentication or an explicit
//!    word for it.
//! 9. **A fault of the tunnel is ours to mend, a fault of the target is the client's to hear.**
//!    Before a channel is confirmed a lost session is retried; a refused target is dialled once.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "a test owns what it starts"))]

pub mod app;
pub mod channel;
pub mod cli;
pub mod config;
pub mod control;
pub mod dashboard;
pub mod destination;
pub mod dial;
mod file;
pub mod forward;
pub mod guide;
pub mod listen;
mod lock;
pub mod observe;
pub mod openssh;
pub mod pool;
mod printable;
pub mod registry;
pub mod relay;
pub mod remote_listener;
pub mod request;
pub mod route;
pub mod secret;
pub mod ssh;
pub mod stream;
pub mod target;
mod task;
