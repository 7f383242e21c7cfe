//! Requests of any kind on a kept-open connection, each with the time that its answer took.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Fault;
use crate::load::is_whole;

pub struct Caller {
    address: SocketAddr,
    stream: TcpStream,
    answer: Vec<u8>,
}

/// A request in its whole length, written before the clock starts.
pub struct Request(Vec<u8>);

impl Request {
    pub fn new(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        Self(format!("{head}\r\n{body}").into_bytes())
    }

    /// With a JSON body.
    pub fn json(path: &str, headers: &[(&str, &str)], body: &serde_json::Value) -> Self {
        let headers = [headers, &[("Content-Type", "application/json")]].concat();
        Self::new("POST", path, &headers, &body.to_string())
    }
}

impl Caller {
    pub async fn new(address: SocketAddr) -> Result<Self, Fault> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { address, stream, answer: Vec::with_capacity(64 * 1024) })
    }

    /// How long the answer took, which must have this status.
    pub async fn time(&mut self, request: &Request, status: u16) -> Result<Duration, Fault> {
        let began = Instant::now();
        self.stream.write_all(&request.0).await?;
        self.answer.clear();
        while !is_whole(&self.answer) {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err("the server closed the connection".into());
            }
        }
        let took = began.elapsed();
        if !self.answer.starts_with(format!("HTTP/1.1 {status} ").as_bytes()) {
            let answer = String::from_utf8_lossy(&self.answer);
            return Err(format!("not {status}: {}", answer.chars().take(1000).collect::<String>()).into());
        }
        let closes = memchr::memmem::find(&self.answer, b"connection: close").is_some();
        if closes {
            self.stream = Self::new(self.address).await?.stream;
        }
        Ok(took)
    }
}
