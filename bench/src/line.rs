//! A line to a server that counts round trips: how often a connection asks after it was answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::Fault;

/// A proxy on a free port.
pub struct Line {
    pub address: SocketAddr,
    turns: Arc<AtomicU64>,
}

impl Line {
    pub async fn to(target: SocketAddr) -> Result<Self, Fault> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let turns = Arc::new(AtomicU64::new(0));
        spawn(accept(listener, target, Arc::clone(&turns)));
        Ok(Self { address, turns })
    }

    /// Round trips so far.
    pub fn round_trips(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }
}

#[expect(clippy::disallowed_methods, reason = "no product: nothing here is drained or supervised")]
fn spawn(task: impl Future<Output = Result<(), Fault>> + Send + 'static) {
    // A connection that is gone is no fault of the measurement.
    tokio::spawn(task);
}

async fn accept(listener: TcpListener, target: SocketAddr, turns: Arc<AtomicU64>) -> Result<(), Fault> {
    loop {
        let (client, _) = listener.accept().await?;
        let server = TcpStream::connect(target).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let asked = Arc::new(AtomicBool::new(false));
        spawn(pass(from_client, to_server, Arc::clone(&asked), true, Some(Arc::clone(&turns))));
        spawn(pass(from_server, to_client, asked, false, None));
    }
}

/// Passes one direction on. `asked` says which side spoke last; the client's first word after an answer counts.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    asked: Arc<AtomicBool>,
    is_client: bool,
    turns: Option<Arc<AtomicU64>>,
) -> Result<(), Fault> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(to.shutdown().await?);
        }
        let was_asked = asked.swap(is_client, Ordering::Relaxed);
        if let Some(turns) = &turns
            && !was_asked
        {
            turns.fetch_add(1, Ordering::Relaxed);
        }
        to.write_all(&buffer[..count]).await?;
    }
}
