//! `GET /status`: what the service is doing, in true figures. Anybody may ask, so they are counted once a second at most.

use super::{Aegis, AegisError, time};
use crate::base::memory::Memory;
use crate::health::{WORKER_SILENCE, delivers};
use crate::surfaces::Ground;
use crate::surfaces::http::answer;
use axum::extract::State;
use axum::response::Response;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use posthaste_model::Timestamp;
use posthaste_store::{QueueCounts, Store, StoreError};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// The program whose API this is, as its clients know it.
const SERVICE: &str = "Aegis Mailer";
/// The version of that API.
const VERSION: &str = "1.0.0";
/// How long figures are good.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// Counts what `GET /status` tells.
pub(super) struct Figures {
    started: Instant,
    directory: String,
    last: Mutex<Option<(Instant, Counted)>>,
}

/// What the store tells.
#[derive(Clone)]
struct Counted {
    queue: QueueCounts,
    bytes: u64,
    pids: Vec<u32>,
}

impl Figures {
    pub fn new(ground: &Ground) -> Self {
        let directory = last_component(&ground.settings.data.dir);
        Self { started: Instant::now(), directory, last: Mutex::new(None) }
    }

    /// Of many who ask at once, one counts.
    async fn counted(&self, store: &Store, now: Timestamp) -> Result<Counted, StoreError> {
        let mut last = self.last.lock().await;
        if let Some((at, counted)) = &*last
            && at.elapsed() < FRESH_FOR
        {
            return Ok(counted.clone());
        }
        let (queue, bytes, workers) =
            tokio::try_join!(store.queue_counts(now), store.queue_bytes(), store.workers(now))?;
        let live =
            workers.iter().filter(|(record, seen)| delivers(record) && now.since(*seen) <= WORKER_SILENCE);
        let counted = Counted { queue, bytes, pids: live.map(|(record, _)| record.pid).collect() };
        *last = Some((Instant::now(), counted.clone()));
        Ok(counted)
    }

    fn shape(&self, counted: &Counted, memory: Memory, now: Timestamp) -> Value {
        json!({
            "service": SERVICE,
            "version": VERSION,
            "timestamp": time::instant(now),
            "uptime": time::span(self.started.elapsed()),
            "queue": {
                // What a client of this API is told to be queued.
                "pending_messages": counted.queue.pending + counted.queue.scheduled,
                "lock_files": counted.queue.processing,
                "total_size_bytes": counted.bytes,
                "total_size_human": human(counted.bytes),
                "directory": self.directory,
            },
            "workers": {
                "count": counted.pids.len(),
                "pids": counted.pids,
                "status": if counted.pids.is_empty() { "stopped" } else { "running" },
            },
            "environment": {
                "rust_version": env!("POSTHASTE_RUSTC_VERSION"),
                "memory_usage": memory.used,
                "memory_peak": memory.peak,
                "memory_limit": memory.limit.map_or_else(|| "unlimited".to_owned(), limit),
            },
        })
    }
}

/// The handler.
pub(super) async fn show(State(aegis): State<Aegis>) -> Response {
    let now = aegis.clock.now();
    let mut response = match aegis.figures.counted(&aegis.store, now).await {
        Ok(counted) => answer::json(StatusCode::OK, &aegis.figures.shape(&counted, Memory::read(), now)),
        Err(error) => AegisError::from(error).into_response(now),
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The directory's own name: where it lies is nobody's business.
fn last_component(directory: &Path) -> String {
    let whole = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    whole.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// A size for people, in steps of 1,024.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.2} {}", UNITS[unit])
}

/// A limit as PHP writes it: `128M`.
fn limit(bytes: u64) -> String {
    [(30, "G"), (20, "M"), (10, "K")]
        .into_iter()
        .find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1 << shift))
        .map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_is_the_documented_one() {
        let figures = Figures { started: Instant::now(), directory: "data".into(), last: Mutex::new(None) };
        let queue = QueueCounts { pending: 2, processing: 1, scheduled: 1, ..QueueCounts::default() };
        let counted = Counted { queue, bytes: 1536, pids: vec![12345] };
        let memory = Memory { used: 2_097_152, peak: 4_194_304, limit: Some(128 << 20) };
        let now = Timestamp::parse("2024-08-02T19:30:00Z").unwrap();
        assert_eq!(
            figures.shape(&counted, memory, now),
            json!({
                "service": "Aegis Mailer", "version": "1.0.0", "timestamp": "2024-08-02T19:30:00+00:00",
                "uptime": "0d 0h 0m",
                "queue": {
                    "pending_messages": 3, "lock_files": 1, "total_size_bytes": 1536,
                    "total_size_human": "1.50 KB", "directory": "data",
                },
                "workers": {"count": 1, "pids": [12345], "status": "running"},
                "environment": {
                    "rust_version": env!("POSTHASTE_RUSTC_VERSION"), "memory_usage": 2_097_152,
                    "memory_peak": 4_194_304, "memory_limit": "128M",
                },
            })
        );
        assert!(env!("POSTHASTE_RUSTC_VERSION").starts_with("1."));
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!((human(0), human(1023), human(1024)), ("0 B".into(), "1023 B".into(), "1.00 KB".into()));
        assert_eq!(human(3 << 30), "3.00 GB");
        assert_eq!(
            (limit(128 << 20), limit(2 << 30), limit(1025)),
            ("128M".into(), "2G".into(), "1025".into())
        );
        assert_eq!(last_component(Path::new("/none/such/data")), "data");
    }
}
