//! A proxy over SSH, like `ssh -D`, with rules and a pool of sessions: one local port that speaks SOCKS4, SOCKS4a,
//! SOCKS5, HTTP CONNECT and plain HTTP, and carries each request over a `direct-tcpip` channel of an SSH session.
//!
//! # The path of a request
//!
//! ```text
//! client ──► listen ──► dial ─┬─► pool ──► session ──┐
//!              │         │    └─► direct ────────────┴─► channel
//!              │         └─ asks route (the rules)          │
//!              └───────────────► relay ◄────────────────────┘
//! ```
//!
//! A forward is a request with a fixed target ([`forward`]). With `-R`, the server listens, and the session
//! passes its connections on; from there the path is the same.
//!
//! A stage calls only the stages to its right, and knows none to its left.
//!
//! # The path of a byte
//!
//! For a download, from the server to the client:
//!
//! 1. `ssh::connect::ssh_socket`: the socket, which acknowledges at once; or a jump host's channel, or
//!    `proxy_command`. A buffer of 64 KiB follows (`handshake`).
//! 2. `ssh::connect::transport`: counts, can be cut, and yields to other tasks; `greeting` only passes data
//!    through after the identification line.
//! 3. russh's task for the session: decrypts, and puts the data into the channel's queue.
//! 4. `ssh::session::channel`, [`channel`]: record it in the load of the session and in the connection.
//! 5. `relay::down`: takes it at once into the `backlog`, which may spill to a file (`spill`), and writes it to
//! 6. `listen::stream`, `stream::socket`: the client's socket.
//!
//! For plain HTTP, step 5 writes into an in-memory `relay::pipe`, from which hyper reads the response to write
//! it to `listen::http::stream`, and so to step 6. An upload goes from the socket through `relay::up` to the
//! channel's writer, which waits for its turn in `ssh::session::outflow`.
//!
//! # The layers
//!
//! Each module imports only those above it in this list; only `app` knows every stage. A test compares the list
//! with the imports.
//!
//! ```text
//! lock              locking, poisoned or not
//! task              tasks that end with their owner
//! printable         text from outside, escaped for display
//! file              reading of files, bounded and without blocking on a FIFO
//! secret            random and configured tokens
//! destination       a host and a port; target: a destination, or a socket's path
//! target
//! stream            sockets and other byte streams
//! observe           logs
//! forward           the values of -L, -R and -D
//! route             rules: where a request goes, and why
//! request           a client's request: the value that passes through the stages
//! registry          open connections, listeners, forwards; counters; events
//! openssh           what comes from ssh and needs no session: ssh_config, server names, prompts
//! ssh::trust        host keys, known_hosts, the login
//! ssh::session      one connection to a server, and the channels on it
//! ssh::connect      from a server's name to a session
//! ssh
//! pool              the sessions to one server, and which of them takes a channel
//! remote_listener   listeners on a server (-R)
//! channel           a connection to a target, over a session or direct
//! relay             bytes both ways
//! dial              applies the rules, opens channels: deadline, retries, errors
//! listen            accepts clients: SOCKS, HTTP, forwards
//! config            the configuration file: reading, validation, differences
//! control           the control socket and its API
//! dashboard         the web page, and the API of Clash dashboards
//! app               binds, wires, runs, drains
//! guide             the user's guide, a page a topic
//! cli               the command line
//! ```
//!
//! # The promises
//!
//! Each promise is tested.
//!
//! 1. **A cut is never a clean end.** If the SSH session dies in the middle of a response, the client's socket
//!    is reset. It gets a FIN only after the far side has sent EOF. (A unix socket cannot be reset: its client
//!    sees EOF.)
//! 2. **Failures are reported truthfully**, each in the client's own protocol: [`dial::DialError`] lists them,
//!    and one table (`dial::blame`) has their codes in each protocol.
//! 3. **No connection holds up another**: neither a client that stops reading, nor a target that stops
//!    answering, nor a slow name look-up on the server (which blocks sshd's session: other channels of that
//!    session wait, and with a pool of one session these are all).
//! 4. **Half-close works both ways**, byte for byte.
//! 5. **Nothing leaks**: no channel, socket, task or memory outlives its connection.
//! 6. **Names are resolved by the SSH server.** Only the SSH server's own name, and one that a listener is bound
//!    to, are looked up on this machine, unless a rule says so; and no request goes direct unless a rule says so.
//! 7. **Host keys are verified, always.** Unknown keys are refused when nobody can be asked.
//! 8. **Loopback by default.** A listener on another address needs authentication or explicit
//!    permission.
//! 9. **A failure of the tunnel is repaired, a failure of the target is reported to the client.** An open
//!    whose session is lost is retried; a target that refuses is dialled once.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "a test owns what it starts"))]

pub mod app;
pub mod channel;
pub mod cli;
pub mod config;
mod control;
mod dashboard;
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
mod secret;
pub mod ssh;
pub mod stream;
pub mod target;
mod task;
