//! A connection's bytes, with the time limits that hyper does not keep. All limits share one timer that is set only
//! when the peer is waited for: a request whose head arrives in one piece never touches it.

use super::watch::ConnectionWatch;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// After an answer to a body that was not read: how long the rest may take to arrive, in all and between two pieces.
const LINGER_IN_ALL: Duration = Duration::from_secs(15);
const LINGER_BETWEEN: Duration = Duration::from_secs(2);
/// Pieces read away before other tasks get their turn.
const LINGER_TURN: usize = 32;

/// Writes up to this size may be mere answers to pings (17 octets each, RFC 9113, section 6.7).
const CONTROL_BYTES: usize = 128;

/// The limits of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub header: Duration,
    pub idle: Duration,
    pub write: Duration,
}

/// A connection under guard.
pub struct GuardedIo<S> {
    inner: S,
    watch: Arc<ConnectionWatch>,
    times: Times,
    timer: Option<Pin<Box<Sleep>>>,
    /// Requests seen when the next head was last thought about.
    requests_seen: u32,
    head_since: Option<Instant>,
    write_stalled_since: Option<Instant>,
    /// When the peer last took a part of an answer.
    taken_at: Option<Instant>,
    linger: Option<Linger>,
}

#[derive(Clone, Copy)]
struct Linger {
    until: Instant,
    last_piece: Instant,
}

impl<S> GuardedIo<S> {
    pub fn new(inner: S, watch: Arc<ConnectionWatch>, times: Times) -> Self {
        Self {
            inner,
            watch,
            times,
            timer: None,
            requests_seen: 0,
            head_since: None,
            write_stalled_since: None,
            taken_at: None,
            linger: None,
        }
    }

    /// Until when the peer must send something or take its answer; `None` while it is our turn.
    fn read_deadline(&mut self) -> Option<Instant> {
        self.forget_finished_head();
        let watch = &self.watch;
        if let Some(since) = watch.owed_since() {
            return Some(since + self.times.write);
        }
        if watch.is_active() {
            return None;
        }
        if watch.requests() == 0 {
            return Some(watch.opened() + self.times.header);
        }
        // Between requests HTTP/2 has frames of its own (pings, windows): they are no head and no sign of life.
        match self.head_since {
            Some(since) if !watch.is_http2() => Some(since + self.times.header),
            // A large answer may leave our hands at once and still take its time on the way: that is no rest.
            _ => Some(
                self.taken_at.map_or(watch.rested_since(), |at| at.max(watch.rested_since()))
                    + self.times.idle,
            ),
        }
    }

    /// The clock of a head starts with its first byte.
    fn note_read(&mut self) {
        self.forget_finished_head();
        if self.head_since.is_none() && !self.watch.is_active() {
            self.head_since = Some(Instant::now());
        }
    }

    fn forget_finished_head(&mut self) {
        let requests = self.watch.requests();
        if requests != self.requests_seen {
            self.requests_seen = requests;
            self.head_since = None;
        }
    }

    /// Whether `deadline` has passed; if not, the task is woken when it does. The timer may ring early for a limit
    /// that was since moved; it is then set anew.
    fn is_over(&mut self, cx: &mut Context<'_>, deadline: Instant) -> bool {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline || timer.is_elapsed() {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return true;
            }
            timer.as_mut().reset(deadline);
        }
        false
    }

    fn note_written(&mut self, polled: &Poll<io::Result<usize>>) {
        if matches!(polled, Poll::Ready(Ok(bytes)) if *bytes > CONTROL_BYTES) {
            self.taken_at = Some(Instant::now());
        }
    }

    fn watch_write<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.write_stalled_since = None;
            return polled;
        }
        let since = *self.write_stalled_since.get_or_insert_with(Instant::now);
        if self.is_over(cx, since + self.times.write) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> GuardedIo<S> {
    /// Reads away what the peer still sends of a body nobody wants; closing before would make its system throw our
    /// answer away (RFC 9112, section 9.6).
    fn poll_linger(&mut self, cx: &mut Context<'_>, mut linger: Linger) -> Poll<io::Result<()>> {
        let mut piece = [0; 8 * 1024];
        for _ in 0..LINGER_TURN {
            let mut buffer = ReadBuf::new(&mut piece);
            match Pin::new(&mut self.inner).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    linger.last_piece = Instant::now();
                    self.linger = Some(linger);
                    if linger.last_piece >= linger.until {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    let deadline = linger.until.min(linger.last_piece + LINGER_BETWEEN);
                    return if self.is_over(cx, deadline) { Poll::Ready(Ok(())) } else { Poll::Pending };
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for GuardedIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(cx, buffer);
        if polled.is_ready() {
            if buffer.filled().len() > before {
                this.note_read();
            }
            return polled;
        }
        match this.read_deadline() {
            Some(deadline) if this.is_over(cx, deadline) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            _ => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for GuardedIo<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.note_written(&polled);
        self.watch_write(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.note_written(&polled);
        self.watch_write(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        // An answer is out, so it is the peer's turn; hyper need not look at the reading side again until bytes come.
        if polled.is_ready()
            && let Some(deadline) = self.read_deadline()
            && self.is_over(cx, deadline)
        {
            cx.waker().wake_by_ref();
        }
        self.watch_write(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let linger = if let Some(linger) = this.linger {
            linger
        } else {
            let polled = Pin::new(&mut this.inner).poll_shutdown(cx);
            ready!(this.watch_write(cx, polled))?;
            if !this.watch.has_unread_body() {
                return Poll::Ready(Ok(()));
            }
            let now = Instant::now();
            *this.linger.insert(Linger { until: now + LINGER_IN_ALL, last_piece: now })
        };
        this.poll_linger(cx, linger)
    }
}
