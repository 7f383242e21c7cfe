//! Lines in, replies out: the connection with its buffers and its clocks. Replies wait until the input is used up, so
//! that pipelined commands get theirs in one write (RFC 2920 section 3.2).

use super::link::Link;
use super::settings::ServerSettings;
use crate::command::MAX_AUTH_BYTES;
use crate::reply::Reply;
use bytes::{Bytes, BytesMut};
use memchr::memchr;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// What one read takes at most while commands are read.
const READ_BYTES: usize = 16 * 1024;
/// What one read takes at most while content is read.
const CONTENT_READ_BYTES: usize = 64 * 1024;
/// Replies that wait; more are written before the next command is looked at.
const REPLIES_BYTES: usize = 16 * 1024;
/// A line that goes on for longer is no mistake.
const MAX_SKIPPED_BYTES: usize = 1024 * 1024;
/// What is read away after the last word, so that the peer can read it: bytes and time.
const LINGER_BYTES: usize = 4 * 1024 * 1024;
const LINGER: Duration = Duration::from_secs(2);

/// Why a session ends without another word from us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// The peer has gone, or takes nothing.
    Closed,
    /// The peer was silent or slow for too long.
    TimedOut,
    /// The server is stopping and nothing is under way.
    Stopping,
    /// A line that does not end.
    Endless,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line, its CRLF cut off.
    Text(Bytes),
    /// A line that holds, or ends with, a stray CR or LF.
    Stray,
    /// A line that is longer than any command, and whether it began like a login.
    TooLong {
        /// It began with AUTH.
        is_login: bool,
    },
}

pub(super) struct Wire<S> {
    link: Link<S>,
    settings: Arc<ServerSettings>,
    stopping: CancellationToken,
    input: BytesMut,
    /// Octets of `input` known to hold no LF.
    scanned: usize,
    /// Octets of an over-long line that are gone already.
    skipped: usize,
    /// The over-long line began with AUTH.
    skips_login: bool,
    output: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S, settings: Arc<ServerSettings>, stopping: CancellationToken) -> Self {
        Self {
            link: Link::Clear(stream),
            settings,
            stopping,
            input: BytesMut::new(),
            scanned: 0,
            skipped: 0,
            skips_login: false,
            output: Vec::new(),
        }
    }

    /// Lets a reply wait for the next write.
    pub(super) fn say(&mut self, reply: &Reply) {
        reply.encode(&mut self.output);
    }

    /// Writes what waits.
    pub(super) async fn flush(&mut self) -> Result<(), Lost> {
        if self.output.is_empty() {
            return Ok(());
        }
        let written = timeout(self.settings.write_timeout, async {
            self.link.write_all(&self.output).await?;
            self.link.flush().await
        });
        let written = written.await;
        self.output.clear();
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Lost::Closed),
        }
    }

    /// Whether the peer talks before it was greeted. Without a pause nobody looks.
    pub(super) async fn talks_early(&mut self) -> Result<bool, Lost> {
        let pause = self.settings.greeting_pause;
        if pause.is_zero() {
            return Ok(false);
        }
        match timeout(pause, self.link.read_buf(&mut self.input)).await {
            Err(_silent) => Ok(false),
            Ok(Ok(0) | Err(_)) => Err(Lost::Closed),
            Ok(Ok(_)) => Ok(true),
        }
    }

    /// The next line. `may_stop`: nothing is under way that a stopping server would let end.
    pub(super) async fn line(&mut self, may_stop: bool) -> Result<Line, Lost> {
        let mut begun = (!self.input.is_empty()).then(Instant::now);
        loop {
            if let Some(line) = self.take_line() {
                return Ok(line);
            }
            if self.skipped > MAX_SKIPPED_BYTES {
                return Err(Lost::Endless);
            }
            self.flush().await?;
            let wait = match begun {
                Some(begun) => self.settings.patience.saturating_sub(begun.elapsed()),
                None => self.settings.idle_timeout,
            };
            self.read_line_bytes(wait, may_stop && begun.is_none()).await?;
            begun = begun.or_else(|| Some(Instant::now()));
        }
    }

    async fn read_line_bytes(&mut self, wait: Duration, may_stop: bool) -> Result<(), Lost> {
        self.input.reserve(READ_BYTES.min(1024));
        let stopping = self.stopping.clone();
        let read = tokio::select! {
            biased;
            read = timeout(wait, self.link.read_buf(&mut self.input)) => read,
            () = stopping.cancelled() => {
                if may_stop {
                    return Err(Lost::Stopping);
                }
                timeout(self.settings.drain.min(wait), self.link.read_buf(&mut self.input)).await
            }
        };
        arrived(read).map(drop)
    }

    fn take_line(&mut self) -> Option<Line> {
        let Some(length) = memchr(b'\n', &self.input[self.scanned..]) else {
            self.scanned = self.input.len();
            if self.scanned > MAX_AUTH_BYTES {
                if self.skipped == 0 {
                    self.skips_login = self.input[..5].eq_ignore_ascii_case(b"AUTH ");
                }
                // The line is refused whatever follows; its last octet may be the CR of its end.
                let gone = self.scanned - 1;
                self.skipped += gone;
                bytes::Buf::advance(&mut self.input, gone);
                self.scanned = 1;
            }
            return None;
        };
        let end = self.scanned + length + 1;
        self.scanned = 0;
        let line = self.input.split_to(end);
        let is_skipped = std::mem::take(&mut self.skipped) > 0;
        let Some(text) = line.strip_suffix(b"\r\n") else { return Some(Line::Stray) };
        if is_skipped {
            return Some(Line::TooLong { is_login: self.skips_login });
        }
        if memchr(b'\r', text).is_some() {
            return Some(Line::Stray);
        }
        let length = text.len();
        Some(Line::Text(line.freeze().slice(..length)))
    }

    /// Whether replies should be written before more is done.
    pub(super) fn is_full(&self) -> bool {
        self.output.len() > REPLIES_BYTES
    }

    /// What has come and is not used up.
    pub(super) fn pending(&self) -> &[u8] {
        &self.input
    }

    /// So much of [`Wire::pending`] is used up.
    pub(super) fn used(&mut self, bytes: usize) {
        bytes::Buf::advance(&mut self.input, bytes);
        self.scanned = 0;
    }

    /// Waits for more content; answers how much came.
    pub(super) async fn more(&mut self, wait: Duration) -> Result<usize, Lost> {
        self.flush().await?;
        self.input.reserve(CONTENT_READ_BYTES);
        arrived(timeout(wait, self.link.read_buf(&mut self.input)).await)
    }

    /// Begins TLS. What came before it, used up or not, is forgotten (RFC 3207 section 5).
    pub(super) async fn secure(&mut self, config: Arc<rustls::ServerConfig>) -> Result<(), Lost> {
        self.input.clear();
        self.scanned = 0;
        self.flush().await?;
        match timeout(self.settings.patience, self.link.secure(config)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Lost::Closed),
            Err(_) => Err(Lost::TimedOut),
        }
    }

    /// Writes what waits and closes. A peer that is still sending is read for a while: closing on unread octets would
    /// take our last words back (RST).
    pub(super) async fn close(mut self) {
        if self.flush().await.is_err() {
            return;
        }
        let linger = async {
            self.link.shutdown().await?;
            let mut unread = [0; 4096];
            let mut left = LINGER_BYTES;
            while left > 0 {
                match self.link.read(&mut unread).await? {
                    0 => break,
                    read => left = left.saturating_sub(read),
                }
            }
            Ok::<(), io::Error>(())
        };
        // However it ends, the connection is over.
        let _ = timeout(LINGER, linger).await;
    }
}

fn arrived(read: Result<io::Result<usize>, tokio::time::error::Elapsed>) -> Result<usize, Lost> {
    match read {
        Err(_) => Err(Lost::TimedOut),
        Ok(Ok(0) | Err(_)) => Err(Lost::Closed),
        Ok(Ok(read)) => Ok(read),
    }
}
