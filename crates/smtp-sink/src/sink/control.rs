//! A small door to ask a running sink: `GET /summary`, `GET /stamps`, `POST /reset`, over HTTP/1.1 so that `curl`
//! will do.

use super::tally::Tally;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Answers one caller after the other, for ever.
pub async fn serve_control(listener: TcpListener, tally: Arc<Tally>) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            // A caller that says nothing must not lock the door for the next.
            let _ = timeout(Duration::from_secs(5), answer(stream, &tally)).await;
        }
    }
}

async fn answer(mut stream: TcpStream, tally: &Tally) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < 8192 {
        if stream.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    let line = String::from_utf8_lossy(&request);
    let (status, body) = match line.split_ascii_whitespace().nth(1) {
        Some("/summary") => ("200 OK", format!("{}\n", tally.summary())),
        Some("/stamps") => ("200 OK", tally.stamps()),
        Some("/reset") => {
            tally.reset();
            ("200 OK", String::new())
        }
        _ => ("404 Not Found", String::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
