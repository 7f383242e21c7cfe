//! The scripted relay: behaves as its [`Script`] says, and records what it was sent.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use posthaste_smtp_sink::relay::{Action, Relay, Script, Step};
//! let script = Script::accepting().on_matching(Step::Rcpt, "<busy@", Action::reply("450 4.2.1 busy"));
//! let relay = Relay::start(script).await?;
//! // ... send mail to relay.address() ...
//! let messages = relay.wait_for(1).await;
//! # Ok(())
//! # }
//! ```
//!
//! Without any rule a recipient whose local part begins with a code and a hyphen, `550-x@example.org`, is answered
//! with that code.

mod certificate;
mod link;
mod script;
mod session;

pub use certificate::Certificate;
pub use script::{Action, Script, Step};

use certificate::Identity;
use script::Rules;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long [`Relay::wait_for`] waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// A message that the relay took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The connection it came over, counted from zero.
    pub connection: usize,
    /// The return path.
    pub sender: String,
    /// What stood behind the return path, such as `BODY=8BITMIME SIZE=120`.
    pub sender_parameters: String,
    /// The recipients that had been answered 2yz.
    pub recipients: Vec<String>,
    /// The content, dots unstuffed.
    pub content: Vec<u8>,
}

/// Every byte of one connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// What came in clear, the TLS handshake not included.
    pub clear: Vec<u8>,
    /// What came through TLS, decrypted.
    pub encrypted: Vec<u8>,
    /// Whether the peer has closed.
    pub closed: bool,
    /// Commands sent before the reply to the last was given although PIPELINING was not offered, bytes before the
    /// TLS handshake, bare CR or LF.
    pub violations: Vec<String>,
}

impl Recorded {
    /// The command lines and content as text, both parts.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&[self.clear.as_slice(), &self.encrypted].concat()).into_owned()
    }
}

#[derive(Debug, Default)]
struct Records {
    connections: Vec<Recorded>,
    messages: Vec<Taken>,
}

/// What sessions and tests share.
#[derive(Debug)]
struct Shared {
    rules: Rules,
    identity: Option<Identity>,
    records: Mutex<Records>,
    /// Counts every change of the records.
    changed: watch::Sender<u64>,
}

impl Shared {
    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Records)) {
        change(&mut self.records());
        self.changed.send_modify(|count| *count += 1);
    }

    fn with_connection(&self, index: usize, change: impl FnOnce(&mut Recorded)) {
        self.change(|records| {
            if let Some(recorded) = records.connections.get_mut(index) {
                change(recorded);
            }
        });
    }
}

/// A running relay; dropping it closes everything.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    _accepting: JoinSet<()>,
}

impl Relay {
    /// Starts a relay on a free port of 127.0.0.1.
    pub async fn start(script: Script) -> io::Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), script).await
    }

    /// Starts a relay at an address, such as that of one that was dropped.
    pub async fn start_at(address: SocketAddr, script: Script) -> io::Result<Self> {
        let (rules, certificate) = script.into_rules();
        let identity = certificate.map(Identity::make).transpose()?;
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { rules, identity, records: Mutex::default(), changed: watch::Sender::new(0) });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, shared.clone()));
        Ok(Self { address, shared, _accepting: accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The certificate authority that a client must trust to reach it by TLS, as PEM.
    pub fn roots_pem(&self) -> Option<&str> {
        self.shared.identity.as_ref().map(|identity| identity.roots_pem.as_str())
    }

    /// The messages taken so far.
    pub fn messages(&self) -> Vec<Taken> {
        self.shared.records().messages.clone()
    }

    /// The connections so far.
    pub fn connections(&self) -> Vec<Recorded> {
        self.shared.records().connections.clone()
    }

    /// Waits until so many messages were taken, and answers them; after 30 s what there is.
    pub async fn wait_for(&self, messages: usize) -> Vec<Taken> {
        self.wait_until(|_, taken| taken.len() >= messages).await;
        self.messages()
    }

    /// Waits until a connection's peer has closed, and answers what was recorded of it; after 30 s what there is.
    pub async fn wait_closed(&self, connection: usize) -> Recorded {
        self.wait_until(|connections, _| connections.get(connection).is_some_and(|recorded| recorded.closed))
            .await;
        self.connections().into_iter().nth(connection).unwrap_or_default()
    }

    /// Waits until the records are as wished; answers whether they became so within 30 s.
    pub async fn wait_until(&self, wished: impl Fn(&[Recorded], &[Taken]) -> bool) -> bool {
        let mut changed = self.shared.changed.subscribe();
        let wait = async {
            loop {
                {
                    let records = self.shared.records();
                    if wished(&records.connections, &records.messages) {
                        return;
                    }
                }
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        timeout(PATIENCE, wait).await.is_ok()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                let mut index = 0;
                shared.change(|records| {
                    index = records.connections.len();
                    records.connections.push(Recorded::default());
                });
                sessions.spawn(session::run(stream, index, shared.clone()));
            },
            Some(_) = sessions.join_next() => {}
        }
    }
}
