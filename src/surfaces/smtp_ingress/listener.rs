//! The listeners. More connections than allowed are told 421 at once, in all and of one stranger's address; trouble
//! with `accept` never ends the loop; at shutdown transactions under way may end, the rest is told 421.

use super::SmtpIngress;
use super::door::Door;
use crate::base::tasks::Tasks;
use crate::surfaces::listener::{Listener, Refusals};
use bytes::Bytes;
use posthaste_smtp::server::{self, ServerSettings, TOO_BUSY};
use prometheus_client::metrics::gauge::Gauge;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A listener that has its address but serves nobody yet.
#[derive(Debug)]
pub struct BoundIngress {
    listener: Listener,
    tls_first: bool,
}

/// Takes an address. `tls_first`: TLS begins with the first octet.
pub fn bind(address: SocketAddr, tls_first: bool) -> io::Result<BoundIngress> {
    Ok(BoundIngress { listener: Listener::bind(address)?, tls_first })
}

/// Connections by address.
type Strangers = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// What the listeners of one process share.
#[derive(Clone)]
struct Seats {
    free: Arc<Semaphore>,
    refusals: Refusals,
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
            refusals: Refusals::new(),
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
        self.listener.local_addr()
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
        while let Some((stream, peer)) = self.listener.accept(&token).await {
            // Replies are written whole; waiting for more of them would only delay the client.
            let _ = stream.set_nodelay(true);
            if let Some(seat) = seats.take(peer.ip().to_canonical(), ingress.trusts(peer)) {
                let (door, settings) = (Door::new(ingress.clone()), settings.clone());
                let (tls_first, stopping) = (self.tls_first, token.clone());
                tasks.spawn("smtp_session", async move {
                    server::serve(stream, peer, tls_first, settings, door, stopping).await;
                    drop(seat);
                });
            } else if !self.tls_first {
                seats.refusals.say(&tasks, "smtp_refusal", stream, too_busy());
            }
        }
    }
}

/// 421 4.3.2.
fn too_busy() -> Bytes {
    let mut words = Vec::new();
    server::reply(421, (4, 3, 2), TOO_BUSY).encode(&mut words);
    words.into()
}
