//! The load: so many kept-open connections, each sending the next message when the last was answered.

mod http;
mod smtp;

pub use http::is_whole;

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::Fault;
use crate::message::Surface;

/// The language of a system's door.
#[derive(Clone, Debug)]
pub enum Door {
    /// A surface, with this credential.
    Http(Surface, String),
    /// SMTP.
    Smtp,
}

/// What to send.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where; connections take turns.
    pub addresses: Vec<SocketAddr>,
    pub door: Door,
    /// The first message's number.
    pub first: usize,
    pub messages: usize,
    pub connections: usize,
    /// Bytes of text and html together.
    pub size: usize,
}

/// One connection in its door's language.
pub enum Connection {
    Http(http::Connection),
    Smtp(smtp::Connection),
}

impl Connection {
    /// The connection with this number.
    pub async fn open(load: &Load, number: usize) -> Result<Self, Fault> {
        let address = load.addresses.get(number % load.addresses.len().max(1)).ok_or("nowhere to connect")?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(match &load.door {
            Door::Http(surface, credential) => {
                Self::Http(http::Connection::new(stream, load.size, *surface, credential))
            }
            Door::Smtp => Self::Smtp(smtp::Connection::open(stream, load.size).await?),
        })
    }

    /// Sends a message and waits until it is accepted.
    pub async fn send(&mut self, number: usize) -> Result<(), Fault> {
        match self {
            Self::Http(connection) => connection.send(number).await,
            Self::Smtp(connection) => connection.send(number).await,
        }
    }
}

/// Sends everything; answers the time from each request to its answer, in microseconds.
pub async fn run(load: &Load) -> Result<Vec<u32>, Fault> {
    let next = Rc::new(Cell::new(load.first));
    let end = load.first + load.messages;
    let local = LocalSet::new();
    let mut tasks = Vec::new();
    for number in 0..load.connections.min(load.messages) {
        let mut connection = Connection::open(load, number).await?;
        let next = next.clone();
        tasks.push(local.spawn_local(async move {
            let mut times = Vec::with_capacity(1024);
            loop {
                let number = next.get();
                if number >= end {
                    return Ok::<_, Fault>(times);
                }
                next.set(number + 1);
                let began = Instant::now();
                connection.send(number).await?;
                times.push(began.elapsed().as_micros() as u32);
            }
        }));
    }
    local
        .run_until(async {
            let mut all = Vec::with_capacity(load.messages);
            for task in tasks {
                all.extend(task.await??);
            }
            Ok(all)
        })
        .await
}
