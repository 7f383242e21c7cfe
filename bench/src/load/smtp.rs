//! SMTP with pipelining on a kept-open connection.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Fault;
use crate::message::{self, Pattern};

pub struct Connection {
    stream: TcpStream,
    content: Pattern,
    replies: Vec<u8>,
}

impl Connection {
    pub async fn open(stream: TcpStream, size: usize) -> Result<Self, Fault> {
        let mut connection =
            Self { stream, content: message::smtp_content(size), replies: Vec::with_capacity(1024) };
        connection.expect(b"2").await?;
        connection.stream.write_all(b"EHLO bench\r\n").await?;
        connection.expect(b"2").await?;
        Ok(connection)
    }

    pub async fn send(&mut self, number: usize) -> Result<(), Fault> {
        let envelope = b"MAIL FROM:<noreply@example.com>\r\nRCPT TO:<customer@example.org>\r\nDATA\r\n";
        self.stream.write_all(envelope).await?;
        self.expect(b"223").await?;
        self.stream.write_all(self.content.with(number)).await?;
        self.expect(b"2").await
    }

    /// Reads a reply for each expected first digit.
    async fn expect(&mut self, digits: &[u8]) -> Result<(), Fault> {
        self.replies.clear();
        loop {
            // A reply's last line has a space behind its code.
            let last_lines: Vec<u8> = self
                .replies
                .split_inclusive(|byte| *byte == b'\n')
                .filter(|line| line.ends_with(b"\n") && line.get(3) == Some(&b' '))
                .map(|line| line[0])
                .collect();
            if last_lines.len() >= digits.len() {
                return if last_lines == digits {
                    Ok(())
                } else {
                    Err(String::from_utf8_lossy(&self.replies).into_owned().into())
                };
            }
            if self.stream.read_buf(&mut self.replies).await? == 0 {
                return Err("the server closed the connection".into());
            }
        }
    }
}
