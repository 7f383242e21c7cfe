//! What the requests of one connection tell its guard: whose turn it is. Time runs against the peer only while it is
//! the peer's turn: to send a head, or to take an answer; never while we work.

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// One connection's state, shared by its guard and its requests.
#[derive(Debug)]
pub struct ConnectionWatch {
    opened: Instant,
    requests: AtomicU32,
    active: AtomicU32,
    /// Answers with bytes that wait for the peer.
    owed: AtomicU32,
    is_http2: AtomicBool,
    rested_since_ms: AtomicU64,
    progress_ms: AtomicU64,
    has_unread_body: AtomicBool,
    spoiled: Notify,
}

impl ConnectionWatch {
    pub fn new() -> Self {
        Self {
            opened: Instant::now(),
            requests: AtomicU32::new(0),
            active: AtomicU32::new(0),
            owed: AtomicU32::new(0),
            is_http2: AtomicBool::new(false),
            rested_since_ms: AtomicU64::new(0),
            progress_ms: AtomicU64::new(0),
            has_unread_body: AtomicBool::new(false),
            spoiled: Notify::new(),
        }
    }

    /// A request's head has arrived.
    pub fn begin(self: &Arc<Self>, is_http2: bool) -> ActiveRequest {
        self.is_http2.store(is_http2, Ordering::Relaxed);
        self.active.fetch_add(1, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Release);
        ActiveRequest { watch: self.clone(), owes: false }
    }

    /// How many requests there were so far.
    pub fn requests(&self) -> u32 {
        self.requests.load(Ordering::Acquire)
    }

    /// Whether a request is being read, worked on or answered.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed) > 0
    }

    /// Whether the connection speaks HTTP/2.
    pub fn is_http2(&self) -> bool {
        self.is_http2.load(Ordering::Relaxed)
    }

    /// When the connection was opened.
    pub fn opened(&self) -> Instant {
        self.opened
    }

    /// When the last request ended.
    pub fn rested_since(&self) -> Instant {
        self.opened + Duration::from_millis(self.rested_since_ms.load(Ordering::Relaxed))
    }

    /// Since when answers wait for a peer that takes nothing.
    pub fn owed_since(&self) -> Option<Instant> {
        let owes = self.owed.load(Ordering::Relaxed) > 0;
        owes.then(|| self.opened + Duration::from_millis(self.progress_ms.load(Ordering::Relaxed)))
    }

    /// A body was left unread: at the end the peer's bytes are read away, or it never sees its answer.
    pub fn leave_body_unread(&self) {
        self.has_unread_body.store(true, Ordering::Relaxed);
    }

    /// Whether a body was left unread.
    pub fn has_unread_body(&self) -> bool {
        self.has_unread_body.load(Ordering::Relaxed)
    }

    /// The connection should end once its requests have.
    pub fn spoil(&self) {
        self.spoiled.notify_one();
    }

    /// Waits until the connection should end.
    pub async fn spoiled(&self) {
        self.spoiled.notified().await;
    }

    /// Waits until no request has been under way for `pause`.
    pub async fn rested_for(&self, pause: Duration) {
        loop {
            let rested = if self.is_active() { Duration::ZERO } else { self.rested_since().elapsed() };
            let Some(missing) = pause.checked_sub(rested).filter(|missing| !missing.is_zero()) else {
                return;
            };
            tokio::time::sleep(missing).await;
        }
    }

    fn elapsed_ms(&self) -> u64 {
        self.opened.elapsed().as_millis() as u64
    }
}

/// A request that has begun and not ended; ends when dropped, with its answer or without.
#[derive(Debug)]
pub struct ActiveRequest {
    watch: Arc<ConnectionWatch>,
    owes: bool,
}

impl ActiveRequest {
    /// It is the peer's turn (to take bytes) or ours.
    fn owe(&mut self, owes: bool) {
        if owes {
            self.watch.progress_ms.store(self.watch.elapsed_ms(), Ordering::Relaxed);
        }
        if owes != self.owes {
            self.owes = owes;
            if owes {
                self.watch.owed.fetch_add(1, Ordering::Relaxed);
            } else {
                self.watch.owed.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.owe(false);
        self.watch.rested_since_ms.store(self.watch.elapsed_ms(), Ordering::Relaxed);
        self.watch.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer's body that says whose turn it is: asked for bytes, it is ours; having given some, the peer's.
#[derive(Debug)]
pub struct WatchedBody {
    body: Body,
    request: ActiveRequest,
}

impl WatchedBody {
    pub fn new(body: Body, mut request: ActiveRequest) -> Self {
        request.owe(true);
        Self { body, request }
    }
}

impl http_body::Body for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.request.owe(matches!(polled, Poll::Ready(Some(_))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
