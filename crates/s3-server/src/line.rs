//! The connections of a server as one line that a test can cut.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many more bytes clients may send; all of them, unless it is cut.
#[derive(Clone, Debug)]
pub struct Line(Arc<AtomicU64>);

impl Default for Line {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }
}

impl Line {
    /// Resets every connection, also new ones, after so many bytes more from the clients.
    pub fn cut_after(&self, bytes: u64) {
        self.0.store(bytes, Ordering::SeqCst);
    }

    /// Carries everything again.
    pub fn mend(&self) {
        self.0.store(u64::MAX, Ordering::SeqCst);
    }

    /// A connection on this line.
    pub(crate) fn carry<S>(&self, socket: S) -> Carried<S> {
        Carried { socket, line: self.clone() }
    }

    fn is_cut(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }

    fn take(&self, bytes: u64) {
        let take = |left: u64| (left != u64::MAX).then(|| left.saturating_sub(bytes));
        // Not cut at all: nothing to count.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
    }
}

#[derive(Debug)]
pub(crate) struct Carried<S> {
    socket: S,
    line: Line,
}

impl<S: AsyncRead + Unpin> AsyncRead for Carried<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.line.is_cut() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.socket).poll_read(context, buffer);
        self.line.take((buffer.filled().len() - before) as u64);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Carried<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.line.is_cut() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
