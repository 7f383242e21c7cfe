//! A TCP listener that nothing ends but the shutdown, and the word to a peer that there is no place for.

use crate::base::tasks::Tasks;
use bytes::Bytes;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Connections the kernel keeps for us until we accept them.
const BACKLOG: u32 = 4096;
/// The pause after `accept` failed for a reason of ours (no file descriptors, no memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Refusals that are being said at once; beyond it a connection is closed without a word.
const MAX_REFUSALS: usize = 256;
/// The time one refusal may take.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// A listener that has its address: until they are accepted, connections wait in the kernel.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    local_addr: SocketAddr,
}

impl Listener {
    /// Takes an address; port 0 chooses one.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let local_addr = listener.local_addr()?;
        Ok(Self { listener, local_addr })
    }

    /// The address, with the port that was chosen.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The next connection and its peer; `None` once `stop` is cancelled. Trouble with `accept` is waited out.
    pub async fn accept(&self, stop: &CancellationToken) -> Option<(TcpStream, SocketAddr)> {
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok(accepted) => return Some(accepted),
                Err(error) => self.pause_after(&error).await,
            }
        }
    }

    /// A peer that gave up before we came is nothing; running out of something is worth a pause, not the end.
    async fn pause_after(&self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
            return;
        }
        tracing::warn!(%error, listener = %self.local_addr, "a connection could not be accepted");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Refusals of connections that are being said. Clones share their bound.
#[derive(Clone, Debug)]
pub struct Refusals(Arc<Semaphore>);

impl Refusals {
    /// None yet.
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_REFUSALS)))
    }

    /// Says `words` in a task of this name, when too many are not being said already, and closes the connection once
    /// the peer has read them: closing on unread bytes would take the words back (RST).
    pub fn say(&self, tasks: &Tasks, task: &'static str, stream: TcpStream, words: Bytes) {
        let Ok(permit) = self.0.clone().try_acquire_owned() else { return };
        tasks.spawn(task, async move {
            let _ = tokio::time::timeout(REFUSAL_TIME, say(stream, &words)).await;
            drop(permit);
        });
    }
}

async fn say(mut stream: TcpStream, words: &[u8]) {
    if stream.write_all(words).await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    let mut unread = [0; 1024];
    while stream.read(&mut unread).await.is_ok_and(|n| n > 0) {}
}
