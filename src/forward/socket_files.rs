//! How the files of unix sockets are made.

/// How the file of a listening unix socket is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketFiles {
    /// The bits that its mode does not have, out of 0777 (`StreamLocalBindMask`). 0177 by default:
    /// nobody but its owner may connect.
    pub mask: u32,
    /// What becomes of a socket that somebody listens at (`StreamLocalBindUnlink`).
    pub taken: Taken,
}

/// What becomes of a socket's file that is in use. One that nobody listens at is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Taken {
    /// It stays, and there is no listener.
    #[default]
    Kept,
    /// It is replaced.
    Replaced,
}

impl SocketFiles {
    /// The mode of the file.
    pub fn mode(self) -> u32 {
        0o777 & !self.mask
    }
}

impl Default for SocketFiles {
    fn default() -> Self {
        Self { mask: 0o177, taken: Taken::default() }
    }
}
