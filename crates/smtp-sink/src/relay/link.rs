//! The byte stream of a session, before and after TLS.

use super::certificate::{Certificate, Identity};
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

pub(super) enum Link {
    Clear(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Link {
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Self::Encrypted(_))
    }

    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read(buffer).await,
            Self::Encrypted(stream) => stream.read(buffer).await,
        }
    }

    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.write_all(bytes).await,
            Self::Encrypted(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }

    pub async fn close_sending(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.shutdown().await,
            Self::Encrypted(stream) => stream.shutdown().await,
        }
    }

    /// Closes with RST.
    pub fn reset(self) -> io::Result<()> {
        match &self {
            Self::Clear(stream) => stream.set_zero_linger(),
            Self::Encrypted(stream) => stream.get_ref().0.set_zero_linger(),
        }
    }

    /// Does the server's side of the handshake.
    pub async fn encrypt(self, identity: &Identity) -> io::Result<Self> {
        let Self::Clear(mut stream) = self else {
            return Err(io::Error::other("TLS within TLS"));
        };
        if identity.kind == Certificate::OldProtocolOnly {
            let mut hello = [0; 1024];
            let _ = stream.read(&mut hello).await?;
            // A fatal alert, protocol_version (RFC 8446 section 6.2).
            stream.write_all(&[21, 3, 1, 0, 2, 2, 70]).await?;
            stream.shutdown().await?;
            return Err(io::Error::other("only TLS 1.0 is spoken here"));
        }
        Ok(Self::Encrypted(Box::new(identity.acceptor.accept(stream).await?)))
    }
}
