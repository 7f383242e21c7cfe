//! Reading a request's body: never more than the limit, never slower than is decent, never more memory than the
//! budget, and only as much of it as has arrived. A body announced as 40 MB by a client that then sends a byte every
//! ten seconds costs a few kilobytes for less than thirty seconds.

mod budget;

pub use budget::{BodyBudget, BodyHold, PROCESSING_FACTOR, SMALL_BYTES};

use super::exchange::{BodyProgress, Exchange};
use crate::base::metrics::Metrics;
use axum::body::Body;
use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::request::Parts;
use http_body::Body as _;
use http_body_util::BodyExt;
use std::ops::Deref;
use std::time::Duration;
use tokio::time::Instant;

/// A body may take this much longer for each second's worth of bytes: 256 KB/s keep it alive.
const DECENT_BYTES_PER_SECOND: f64 = 256.0 * 1024.0;
/// The part of the timeout that is kept for telling the client and closing, so that its connection is gone in time.
const FOR_THE_ANSWER: f64 = 0.1;
/// What a client is told to wait when there is no room.
const RETRY_AFTER_S: u32 = 5;

/// What bodies may cost.
#[derive(Clone, Copy, Debug)]
pub struct BodySettings {
    /// The largest body, in bytes (`limits.body`).
    pub limit: usize,
    /// Memory for all bodies, in bytes (`limits.memory_for_bodies`).
    pub memory: usize,
    /// The time a body and the end of its connection may take, besides that which its bytes earn it
    /// (`http.body_timeout`).
    pub timeout: Duration,
    /// How long a body waits for room in the budget.
    pub wait_for_room: Duration,
}

impl Default for BodySettings {
    fn default() -> Self {
        Self {
            limit: 40 * 1024 * 1024,
            memory: 256 * 1024 * 1024,
            timeout: Duration::from_secs(30),
            wait_for_room: Duration::from_secs(8),
        }
    }
}

/// Reads bodies. Clones share one budget.
#[derive(Clone, Debug)]
pub struct Bodies {
    settings: BodySettings,
    budget: BodyBudget,
}

/// A whole body, and its part of the budget, which is given back when this is dropped: keep it until the request is
/// answered.
#[derive(Debug)]
pub struct HeldBody {
    bytes: Bytes,
    _hold: BodyHold,
}

/// Why a body was not read. Nothing of it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyRefusal {
    /// Larger than allowed; refused at its announcement where there is one. HTTP 413.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// It has a `Content-Encoding`: small bytes that stand for large ones are not read. HTTP 415.
    #[error("Content-Encoding is not supported, send the body as it is")]
    Encoded,
    /// It did not arrive in time. HTTP 408.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// It ended before its announced end, or its framing is broken. HTTP 400.
    #[error("the body ended early or is malformed")]
    Broken,
    /// The budget stayed full. HTTP 503.
    #[error("too many large requests at once, try again in {retry_after_s} s")]
    Overloaded {
        /// When to try again, in seconds.
        retry_after_s: u32,
    },
}

impl Bodies {
    /// A reader with a budget of its own, shown in `metrics`.
    pub fn new(settings: BodySettings, metrics: &Metrics) -> Self {
        let budget = BodyBudget::new(settings.memory, settings.limit, metrics.body_bytes().clone());
        Self { settings, budget }
    }

    /// The memory that bodies share, for content that comes another way.
    pub fn budget(&self) -> BodyBudget {
        self.budget.clone()
    }

    /// Reads a body of at most `limits.body`.
    pub async fn read(&self, parts: &Parts, body: Body) -> Result<HeldBody, BodyRefusal> {
        self.read_up_to(parts, body, self.settings.limit).await
    }

    /// Reads a body of at most `limit` bytes, for routes that need little (a login form).
    pub async fn read_up_to(&self, parts: &Parts, body: Body, limit: usize) -> Result<HeldBody, BodyRefusal> {
        let exchange = parts.extensions.get::<Exchange>();
        let outcome = self.try_read(parts, body, limit.min(self.settings.limit)).await;
        match (&outcome, exchange) {
            (Ok(_), Some(exchange)) => exchange.note_body(BodyProgress::Read),
            (Err(BodyRefusal::TooSlow), Some(exchange)) => exchange.note_body(BodyProgress::TooSlow),
            _ => {}
        }
        outcome
    }

    async fn try_read(&self, parts: &Parts, body: Body, limit: usize) -> Result<HeldBody, BodyRefusal> {
        let encodings = parts.headers.get_all(CONTENT_ENCODING);
        if encodings.iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(BodyRefusal::Encoded);
        }
        let announced = body.size_hint().lower();
        if announced > limit as u64 {
            return Err(BodyRefusal::TooLarge { limit });
        }
        let mut reading = Reading {
            body,
            limit,
            settings: &self.settings,
            hold: self.budget.hold(),
            started: Instant::now(),
            waited: Duration::ZERO,
            received: 0,
        };
        let first = reading.next().await?.unwrap_or_default();
        let bytes = if reading.body.is_end_stream() {
            reading.grow_to(first.len()).await?;
            first
        } else {
            reading.collect(first, announced as usize).await?
        };
        if bytes.len() > SMALL_BYTES {
            reading.grow_to(bytes.len().saturating_mul(PROCESSING_FACTOR)).await?;
        }
        Ok(HeldBody { bytes, _hold: reading.hold })
    }
}

/// One body on its way in.
struct Reading<'s> {
    body: Body,
    limit: usize,
    settings: &'s BodySettings,
    hold: BodyHold,
    started: Instant,
    /// Time spent waiting for the budget: not the client's fault.
    waited: Duration,
    received: usize,
}

impl Reading<'_> {
    /// The next bytes, or nothing at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, BodyRefusal> {
        loop {
            let earned = Duration::from_secs_f64(self.received as f64 / DECENT_BYTES_PER_SECOND);
            let own = self.settings.timeout.mul_f64(1.0 - FOR_THE_ANSWER);
            let deadline = self.started + own + earned + self.waited;
            let Ok(frame) = tokio::time::timeout_at(deadline, self.body.frame()).await else {
                return Err(BodyRefusal::TooSlow);
            };
            match frame {
                None => return Ok(None),
                Some(Err(_)) => return Err(BodyRefusal::Broken),
                // Trailers say nothing that any surface reads.
                Some(Ok(frame)) => {
                    let Ok(bytes) = frame.into_data() else { continue };
                    self.received += bytes.len();
                    if self.received > self.limit {
                        return Err(BodyRefusal::TooLarge { limit: self.limit });
                    }
                    return Ok(Some(bytes));
                }
            }
        }
    }

    /// Collects the rest behind `first`. The buffer doubles, but never beyond what was announced, and is charged
    /// before it grows.
    async fn collect(&mut self, first: Bytes, announced: usize) -> Result<Bytes, BodyRefusal> {
        let mut buffer: Vec<u8> = Vec::new();
        let mut chunk = first;
        loop {
            let needed = buffer.len() + chunk.len();
            if needed > buffer.capacity() {
                let doubled = (needed * 2).min(self.limit);
                let capacity = if announced >= needed { doubled.min(announced) } else { doubled };
                self.grow_to(capacity.max(needed)).await?;
                buffer.reserve_exact(capacity.max(needed) - buffer.len());
            }
            buffer.extend_from_slice(&chunk);
            drop(chunk);
            match self.next().await? {
                Some(next) => chunk = next,
                None => return Ok(Bytes::from(buffer)),
            }
        }
    }

    async fn grow_to(&mut self, bytes: usize) -> Result<(), BodyRefusal> {
        let asked = Instant::now();
        let outcome = self.hold.grow_to(bytes, self.settings.wait_for_room).await;
        self.waited += asked.elapsed();
        outcome.map_err(|_| BodyRefusal::Overloaded { retry_after_s: RETRY_AFTER_S })
    }
}

impl HeldBody {
    /// The bytes, which cost nothing to clone. They must not outlive this.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl Deref for HeldBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
