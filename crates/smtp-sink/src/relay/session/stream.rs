//! The session's bytes: actions written out, lines read in.

use super::{Flow, Session};
use crate::relay::script::Action;
use crate::sink::has_stray_line_end;
use std::io;

impl Session {
    pub(super) async fn perform(&mut self, action: Action) -> io::Result<Flow> {
        let delay = self.shared.rules.settings.delay;
        // Even a sleep of nothing takes a tick of the timer.
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match action {
            Action::Reply(text) => {
                self.write(&format!("{text}\r\n")).await?;
                return Ok(if text.starts_with("421") { Flow::End } else { Flow::Go });
            }
            Action::ReplyThenClose(text) => self.write(&format!("{text}\r\n")).await?,
            Action::ReplyThenHalfClose(text) => {
                self.write(&format!("{text}\r\n")).await?;
                if let Some(link) = &mut self.link {
                    link.close_sending().await?;
                }
                self.listen().await?;
            }
            Action::Raw(bytes) => {
                self.write_bytes(&bytes).await?;
                return Ok(Flow::Go);
            }
            Action::Trickle(text, pause) => {
                for byte in format!("{text}\r\n").bytes() {
                    self.write_bytes(&[byte]).await?;
                    tokio::time::sleep(pause).await;
                }
                return Ok(Flow::Go);
            }
            Action::Endless => loop {
                self.write(&"250-and more\r\n".repeat(100)).await?;
            },
            Action::LongLine(bytes) => {
                self.write("250 ").await?;
                let block = "x".repeat(4096);
                for _ in 0..bytes.div_ceil(4096) {
                    self.write(&block).await?;
                }
                self.write("\r\n").await?;
                return Ok(Flow::Go);
            }
            Action::Silence => self.listen().await?,
            Action::Close => {}
            Action::Reset => {
                if let Some(link) = self.link.take() {
                    link.reset()?;
                }
            }
        }
        Ok(Flow::End)
    }

    /// Reads until the peer closes.
    async fn listen(&mut self) -> io::Result<()> {
        while self.fill().await? {}
        Ok(())
    }

    pub(super) async fn encrypt(&mut self) -> io::Result<()> {
        if let (Some(identity), Some(link)) = (&self.shared.identity, self.link.take()) {
            self.link = Some(link.encrypt(identity).await?);
        }
        Ok(())
    }

    /// The next line without its end; none when the peer has closed.
    pub(super) async fn read_line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.pending) {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                if has_stray_line_end(&line) {
                    self.violation("stray CR or LF in a command".to_owned());
                }
                let line = String::from_utf8_lossy(&line);
                return Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// Reads more and records it; answers whether there was any.
    pub(super) async fn fill(&mut self) -> io::Result<bool> {
        let Some(link) = &mut self.link else { return Ok(false) };
        let mut buffer = vec![0; 16 * 1024];
        let count = link.read(&mut buffer).await?;
        let encrypted = link.is_encrypted();
        let bytes = &buffer[..count];
        self.pending.extend_from_slice(bytes);
        self.shared.with_connection(self.index, |recorded| {
            let record = if encrypted { &mut recorded.encrypted } else { &mut recorded.clear };
            record.extend_from_slice(bytes);
        });
        Ok(count > 0)
    }

    pub(super) async fn write(&mut self, text: &str) -> io::Result<()> {
        self.write_bytes(text.as_bytes()).await
    }

    async fn write_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.link {
            Some(link) => link.write(bytes).await,
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}
