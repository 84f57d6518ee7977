//! The creation of unix socket files.

/// How the file of a listening unix socket is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketFiles {
    /// The bits that are cleared in its mode, out of 0777 (`StreamLocalBindMask`). Default 0177: only its
    /// owner may connect.
    pub mask: u32,
    /// The treatment of a socket in use (`StreamLocalBindUnlink`).
    pub taken: Taken,
}

/// The treatment of a socket file in use. One without a listener is always replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Taken {
    /// The file stays, and listening fails.
    #[default]
    Kept,
    /// The file is replaced.
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
