//! Requests to listen on the server.

use super::Session;
use crate::forward::RemoteListen;

impl Session {
    /// Asks the server to listen (RFC 4254 section 7.1, or OpenSSH's extension for sockets). Returns the
    /// address, including the port if the server chose one.
    pub(crate) async fn listen(&self, listen: &RemoteListen) -> Result<RemoteListen, russh::Error> {
        match listen {
            RemoteListen::Tcp { bind, port } => {
                let asked = u32::from(*port);
                let chosen = self.handle.tcpip_forward(bind.on_the_wire(), asked);
                let chosen = self.answer(chosen).await?;
                let port = match port {
                    0 => u16::try_from(chosen).map_err(|_| russh::Error::Inconsistent)?,
                    port => *port,
                };
                Ok(RemoteListen::Tcp { bind: bind.clone(), port })
            }
            RemoteListen::Unix(path) => {
                self.answer(self.handle.streamlocal_forward(&**path)).await?;
                Ok(listen.clone())
            }
        }
    }

    /// Asks the server to stop listening.
    pub(crate) async fn stop_listening(&self, listen: &RemoteListen) -> Result<(), russh::Error> {
        match listen {
            RemoteListen::Tcp { bind, port } => {
                let port = u32::from(*port);
                self.answer(self.handle.cancel_tcpip_forward(bind.on_the_wire(), port)).await
            }
            RemoteListen::Unix(path) => {
                self.answer(self.handle.cancel_streamlocal_forward(&**path)).await
            }
        }
    }
}
