//! The fast sink: takes every message, at once, and keeps account.
//!
//! It is strict about line ends: a CR or LF that stands alone, in a command or in a message, is counted as a
//! violation.

mod control;
mod session;
mod tally;

pub use control::serve_control;
pub use tally::{Message, Summary, Tally};
pub(crate) use tally::{has_stray_line_end, unstuff};

use session::Session;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What the sink offers, and what it keeps.
#[derive(Debug, Clone)]
pub struct SinkOptions {
    /// Offer PIPELINING.
    pub pipelining: bool,
    /// Offer 8BITMIME.
    pub eight_bit_mime: bool,
    /// Offer SMTPUTF8.
    pub smtputf8: bool,
    /// Offer CHUNKING.
    pub chunking: bool,
    /// Offer SIZE with this limit.
    pub size: Option<u64>,
    /// Wait so long before each answer (one wait for a pipelined group, as a distant relay would cause).
    pub delay: Duration,
    /// Keep whole messages.
    pub keep_messages: bool,
    /// Keep the token and arrival time of each message.
    pub keep_stamps: bool,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self {
            pipelining: true,
            eight_bit_mime: true,
            smtputf8: true,
            chunking: true,
            size: Some(50_000_000),
            delay: Duration::ZERO,
            keep_messages: false,
            keep_stamps: false,
        }
    }
}

impl SinkOptions {
    /// The reply to EHLO.
    fn ehlo_reply(&self) -> Vec<u8> {
        let mut lines = vec!["sink".to_owned()];
        let flags = [
            (self.pipelining, "PIPELINING"),
            (self.eight_bit_mime, "8BITMIME"),
            (self.smtputf8, "SMTPUTF8"),
            (self.chunking, "CHUNKING"),
        ];
        lines.extend(flags.iter().filter(|(offered, _)| *offered).map(|(_, name)| (*name).to_owned()));
        lines.extend(self.size.map(|size| format!("SIZE {size}")));
        let last = lines.len() - 1;
        let lines = lines.iter().enumerate();
        let line =
            |(at, line): (usize, &String)| format!("250{}{line}\r\n", if at == last { ' ' } else { '-' });
        lines.map(line).collect::<String>().into_bytes()
    }
}

/// A running sink; dropping it ends it.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    tally: Arc<Tally>,
    _accepting: JoinSet<()>,
}

impl Sink {
    /// Starts a sink on `address` (port 0 for any).
    pub async fn start(address: SocketAddr, options: SinkOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let tally = Arc::new(Tally::new(options.keep_messages, options.keep_stamps));
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::new(options), tally.clone()));
        Ok(Self { address, tally, _accepting: accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The account.
    pub fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }
}

async fn accept(listener: TcpListener, options: Arc<SinkOptions>, tally: Arc<Tally>) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                tally.count_connection();
                let session = Session::new(options.ehlo_reply(), tally.clone());
                let delay = options.delay;
                sessions.spawn(async move {
                    // A peer that goes away is its own business.
                    let _ = serve(stream, session, delay).await;
                });
            },
            Some(_) = sessions.join_next() => {}
        }
    }
}

/// Reads, answers all that was read in one write, and again.
async fn serve(mut stream: TcpStream, mut session: Session, delay: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = vec![0; 64 * 1024];
    let mut filled = 0;
    let mut output = Vec::with_capacity(1024);
    stream.write_all(b"220 sink ESMTP\r\n").await?;
    loop {
        let count = stream.read(&mut input[filled..]).await?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        let used = session.feed(&input[..filled], &mut output);
        input.copy_within(used..filled, 0);
        filled -= used;
        if !output.is_empty() {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            stream.write_all(&output).await?;
            output.clear();
        }
        if session.is_over() || filled == input.len() {
            return Ok(());
        }
    }
}
