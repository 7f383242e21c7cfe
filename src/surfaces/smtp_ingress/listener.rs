//! The listeners. More connections than allowed are told 421 at once, in all and of one stranger's address; trouble
//! with `accept` never ends the loop; at shutdown transactions under way may end, the rest is told 421.

use super::SmtpIngress;
use super::door::Door;
use crate::base::tasks::Tasks;
use posthaste_smtp::server::{self, ServerSettings, TOO_BUSY};
use prometheus_client::metrics::gauge::Gauge;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections the kernel keeps for us until we accept them.
const BACKLOG: u32 = 4096;
/// The pause after `accept` failed for a reason of ours (no file descriptors, no memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Refusals that are being said at once; beyond it a connection is closed without a word.
const MAX_REFUSALS: usize = 256;
/// The time one refusal may take.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// A listener that has its address but serves nobody yet.
#[derive(Debug)]
pub struct BoundIngress {
    listener: TcpListener,
    local_addr: SocketAddr,
    tls_first: bool,
}

/// Takes an address. `tls_first`: TLS begins with the first octet.
pub fn bind(address: SocketAddr, tls_first: bool) -> io::Result<BoundIngress> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let local_addr = listener.local_addr()?;
    Ok(BoundIngress { listener, local_addr, tls_first })
}

/// Connections by address.
type Strangers = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// What the listeners of one process share.
#[derive(Clone)]
struct Seats {
    free: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    /// Connections by address, of strangers only.
    taken: Strangers,
    per_stranger: usize,
    open: Gauge,
}

/// A connection's place; given back when dropped.
struct Seat {
    _permit: OwnedSemaphorePermit,
    stranger: Option<(Strangers, IpAddr)>,
    open: Gauge,
}

impl Seats {
    fn new(ingress: &SmtpIngress) -> Self {
        Self {
            free: Arc::new(Semaphore::new(ingress.max_connections)),
            refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
            taken: Arc::default(),
            // One stranger cannot keep all others out.
            per_stranger: (ingress.max_connections / 4).max(1),
            open: ingress.metrics.connections("smtp"),
        }
    }

    /// A place for a peer, if there is one.
    fn take(&self, peer: IpAddr, is_known: bool) -> Option<Seat> {
        let permit = self.free.clone().try_acquire_owned().ok()?;
        let stranger = if is_known {
            None
        } else {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            let count = taken.entry(peer).or_insert(0);
            if *count >= self.per_stranger {
                return None;
            }
            *count += 1;
            Some((self.taken.clone(), peer))
        };
        self.open.inc();
        Some(Seat { _permit: permit, stranger, open: self.open.clone() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.open.dec();
        let Some((taken, peer)) = &self.stranger else { return };
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(peer) {
            *count -= 1;
            if *count == 0 {
                taken.remove(peer);
            }
        }
    }
}

impl BoundIngress {
    /// The address, with the port that was chosen.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }
}

impl SmtpIngress {
    /// Serves all listeners until the shutdown of `tasks` begins; sessions are tasks of theirs.
    pub fn serve(&self, listeners: Vec<BoundIngress>, tasks: &Tasks) {
        let seats = Seats::new(self);
        let settings = Arc::new(self.settings.clone());
        for listener in listeners {
            let (ingress, seats, settings) = (self.clone(), seats.clone(), settings.clone());
            let inside = tasks.clone();
            tasks.spawn("smtp.listener", async move { listener.run(ingress, seats, settings, inside).await });
        }
    }
}

impl BoundIngress {
    async fn run(self, ingress: SmtpIngress, seats: Seats, settings: Arc<ServerSettings>, tasks: Tasks) {
        let token = tasks.token();
        loop {
            let accepted = tokio::select! {
                biased;
                () = token.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause_after(&error).await;
                    continue;
                }
            };
            // Replies are written whole; waiting for more of them would only delay the client.
            let _ = stream.set_nodelay(true);
            if let Some(seat) = seats.take(peer.ip().to_canonical(), ingress.trusts(peer)) {
                let (door, settings) = (Door::new(ingress.clone()), settings.clone());
                let (tls_first, stopping) = (self.tls_first, token.clone());
                tasks.spawn("smtp_session", async move {
                    server::serve(stream, peer, tls_first, settings, door, stopping).await;
                    drop(seat);
                });
            } else if let Ok(permit) = seats.refusals.clone().try_acquire_owned() {
                let is_clear = !self.tls_first;
                tasks.spawn("smtp_refusal", async move {
                    let _ = tokio::time::timeout(REFUSAL_TIME, refuse(stream, is_clear)).await;
                    drop(permit);
                });
            }
        }
    }
}

/// A peer that gave up before we came is nothing; running out of something is worth a pause, not the end.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
        return;
    }
    tracing::warn!(%error, "an SMTP connection could not be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// Says 421 4.3.2 and waits until the peer has read it.
async fn refuse(mut stream: TcpStream, is_clear: bool) {
    let mut words = Vec::new();
    server::reply(421, (4, 3, 2), TOO_BUSY).encode(&mut words);
    if !is_clear || stream.write_all(&words).await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    let mut unread = [0; 1024];
    while stream.read(&mut unread).await.is_ok_and(|n| n > 0) {}
}
