//! HTTP/1.1 on a kept-open connection, with no more parsing than finding the end of the answer.

use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Fault;
use crate::message::{self, Pattern, Surface};

pub struct Connection {
    stream: TcpStream,
    request: Pattern,
    answer: Vec<u8>,
}

impl Connection {
    pub fn new(stream: TcpStream, size: usize, surface: Surface, credential: &str) -> Self {
        let request = message::http_request(surface, size, credential);
        Self { stream, request, answer: Vec::with_capacity(4096) }
    }

    pub async fn send(&mut self, number: usize) -> Result<(), Fault> {
        self.stream.write_all(self.request.with(number)).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err("the server closed the connection".into());
            }
            if is_whole(&self.answer) {
                break;
            }
        }
        if self.answer.starts_with(b"HTTP/1.1 20") {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&self.answer).into_owned().into())
        }
    }
}

/// Whether an answer has come to the end that it announces.
pub fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = memmem::find(answer, b"\r\n\r\n") else { return false };
    let length = memmem::find(&answer[..head], b"content-length: ").and_then(|at| {
        let digits = &answer[at + 16..head];
        let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
        std::str::from_utf8(&digits[..end]).ok()?.parse::<usize>().ok()
    });
    length.is_some_and(|length| answer.len() >= head + 4 + length)
}
