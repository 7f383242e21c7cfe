//! The byte stream under a session: plain or TLS, with bounded buffers and a deadline for everything.

use crate::failure::{Failure, Stage};
use crate::reply::{MAX_LINE_BYTES, Reply, ReplyError, ReplyParser};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

/// Bytes of input held at most: any line of a reply fits.
const INPUT_BYTES: usize = 2 * MAX_LINE_BYTES;
/// An output buffer that grew beyond this is given back.
const OUTPUT_KEEP_BYTES: usize = 128 * 1024;

/// The transport.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}

/// Why the stream is of no more use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the connection was closed by the relay")]
    Closed,
    #[error("the connection was lost: {0}")]
    Io(#[from] io::Error),
    #[error("the relay did not answer in time")]
    TimedOut,
    #[error("the relay's answer is no SMTP reply: {0}")]
    Unparsable(#[from] ReplyError),
}

impl Fault {
    pub fn into_failure(self, stage: Stage) -> Failure {
        let message = format!("{self} at {stage}");
        match self {
            Self::Closed | Self::Io(_) | Self::TimedOut => Failure::transport(stage, message),
            Self::Unparsable(_) => Failure::unparsable(stage, message),
        }
    }
}

/// A stream with its buffers.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    parser: ReplyParser,
    input: Box<[u8]>,
    /// The unread part of `input`.
    start: usize,
    end: usize,
    output: Vec<u8>,
}

impl Wire {
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            parser: ReplyParser::new(),
            input: vec![0; INPUT_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            output: Vec::with_capacity(4096),
        }
    }

    /// The stream, for TLS to be put over it. Bytes read but not used are forgotten with the buffers (RFC 3207
    /// section 4.2); look at [`Self::has_unread`] first.
    pub fn into_stream(self) -> Stream {
        self.stream
    }

    /// Whether the peer sent more than was asked for.
    pub fn has_unread(&self) -> bool {
        self.start < self.end
    }

    /// Replaces the parser, for a reply of another length than usual.
    pub fn set_text_limit(&mut self, bytes: usize) {
        self.parser = ReplyParser::with_text_limit(bytes);
    }

    /// Adds to the group of commands that the next [`Self::flush`] writes at once.
    pub fn queue(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// The group so far, to be written into in place.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Writes the group. An error means that its last byte did not go out.
    pub async fn flush(&mut self, within: Duration) -> Result<(), Fault> {
        let write = async {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await
        };
        let written = timeout(within, write).await;
        self.output.clear();
        if self.output.capacity() > OUTPUT_KEEP_BYTES {
            self.output = Vec::with_capacity(4096);
        }
        Ok(written.map_err(|_| Fault::TimedOut)??)
    }

    /// Reads one whole reply.
    pub async fn read_reply(&mut self, within: Duration) -> Result<Reply, Fault> {
        let mut deadline = None;
        loop {
            let fed = self.parser.feed(&self.input[self.start..self.end])?;
            self.start += fed.consumed;
            if let Some(reply) = fed.reply {
                return Ok(reply);
            }
            self.compact();
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + within);
            let read = self.stream.read(&mut self.input[self.end..]);
            match timeout_at(deadline, read).await.map_err(|_| Fault::TimedOut)?? {
                0 => return Err(Fault::Closed),
                count => self.end += count,
            }
        }
    }

    /// Moves the unread rest to the front; it is shorter than [`MAX_LINE_BYTES`], or the parser had refused it.
    fn compact(&mut self) {
        self.input.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
    }

    /// Whether the peer has neither closed nor spoken unasked, as a 421 before closing would be. Does not wait.
    pub async fn is_quiet(&mut self) -> bool {
        if self.has_unread() {
            return false;
        }
        let mut byte = [0_u8; 1];
        let mut buf = ReadBuf::new(&mut byte);
        std::future::poll_fn(|cx| {
            Poll::Ready(Pin::new(&mut self.stream).poll_read(cx, &mut buf).is_pending())
        })
        .await
    }

    /// Closes the stream politely.
    pub async fn shutdown(&mut self, within: Duration) {
        // The peer may have closed already; there is nobody left to tell.
        let _ = timeout(within, self.stream.shutdown()).await;
    }
}
