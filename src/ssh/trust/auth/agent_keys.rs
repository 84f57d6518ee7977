//! Lists an agent's keys (draft-miller-ssh-agent, section 3.5). russh rejects the whole list if one comment is
//! not UTF-8, or if it cannot decode one key.

use russh::keys::agent::AgentIdentity;
use russh::keys::key::parse_public_key;
use russh::keys::ssh_encoding::Decode as _;
use russh::keys::{Certificate, Error};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Requests the keys. Those that cannot be decoded are skipped; if the agent refuses, there are none.
pub(super) async fn request<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
) -> Result<Vec<AgentIdentity>, Error> {
    stream.write_all(&[0, 0, 0, 1, REQUEST_IDENTITIES]).await?;
    let length = stream.read_u32().await?;
    if length > MOST {
        return Err(Error::AgentProtocolError);
    }
    let mut answer = Vec::new();
    stream.take(length.into()).read_to_end(&mut answer).await?;
    if answer.len() != length as usize {
        return Err(Error::IO(std::io::ErrorKind::UnexpectedEof.into()));
    }
    match answer.split_first() {
        Some((&IDENTITIES_ANSWER, list)) => read(list),
        Some((&FAILURE, _)) => Ok(Vec::new()),
        _ => Err(Error::AgentProtocolError),
    }
}

fn read(mut list: &[u8]) -> Result<Vec<AgentIdentity>, Error> {
    let malformed = |_| Error::AgentProtocolError;
    let mut identities = Vec::new();
    for _ in 0..u32::decode(&mut list).map_err(malformed)? {
        let key = Vec::decode(&mut list).map_err(malformed)?;
        let comment = Vec::decode(&mut list).map_err(malformed)?;
        let comment = String::from_utf8_lossy(&comment).into_owned();
        match identity(&key, comment) {
            Ok(identity) => identities.push(identity),
            Err(error) => tracing::debug!(%error, "a key of the agent is left out"),
        }
    }
    Ok(identities)
}

fn identity(blob: &[u8], comment: String) -> Result<AgentIdentity, Error> {
    // It also rejects certificates whose nesting would overflow the stack.
    let key = parse_public_key(blob)?;
    Ok(match Certificate::decode(&mut &*blob) {
        Ok(certificate) => AgentIdentity::Certificate { certificate, comment },
        Err(_) => AgentIdentity::PublicKey { key, comment },
    })
}

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
/// The maximum length of an answer in bytes, as in `ssh`.
const MOST: u32 = 256 * 1024;
