//! The relay behind every system: the fast sink, a process of its own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::Fault;

pub struct Sink {
    pub address: SocketAddr,
    control: SocketAddr,
    process: Child,
}

impl Sink {
    pub async fn start(delay_ms: u64) -> Result<Self, Fault> {
        let stamps = std::env::temp_dir().join(format!("posthaste-bench-stamps-{}", std::process::id()));
        let mut process = Command::new(beside("smtp-sink")?)
            .args(["--delay-ms", &delay_ms.to_string(), "--stamps"])
            .arg(stamps)
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(process.stdout.take().ok_or("no output")?).lines();
        let mut address = async |name: &str| -> Result<SocketAddr, Fault> {
            let line = lines.next_line().await?.ok_or("the sink ended")?;
            Ok(line.strip_prefix(name).ok_or("an unknown line")?.trim().parse()?)
        };
        Ok(Self { address: address("smtp").await?, control: address("control").await?, process })
    }

    async fn ask(&self, path: &str) -> Result<String, Fault> {
        let mut stream = TcpStream::connect(self.control).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: sink\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).ok_or("no body")?)
    }

    /// `received`, `duplicates`, `distinct_tokens`, `last_ms` and so on.
    pub async fn summary(&self) -> Result<Value, Fault> {
        Ok(serde_json::from_str(&self.ask("/summary").await?)?)
    }

    /// Arrival of each token, microseconds since 1970.
    pub async fn stamps(&self) -> Result<HashMap<String, u64>, Fault> {
        let text = self.ask("/stamps").await?;
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        Ok(pairs.filter_map(|(token, at)| Some((token.to_owned(), at.parse().ok()?))).collect())
    }

    /// Waits until so many messages came; answers how many there are in the end.
    pub async fn wait_for(&self, count: u64, patience: Duration) -> Result<u64, Fault> {
        let began = Instant::now();
        loop {
            let received = self.summary().await?["received"].as_u64().unwrap_or(0);
            if received >= count || began.elapsed() > patience {
                return Ok(received);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn stop(mut self) {
        // Ended already is as good.
        let _ = self.process.kill().await;
    }
}

/// A program that was built together with this one.
pub fn beside(name: &str) -> Result<std::path::PathBuf, Fault> {
    let path = std::env::current_exe()?.with_file_name(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("{} is not built; use bench/run", path.display()).into())
    }
}
