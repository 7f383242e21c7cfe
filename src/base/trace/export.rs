//! Carries spans to the collector: many in one request, and never in the way of mail.

use super::{Span, TraceSettings, otlp};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// Spans of one export at most.
const BATCH_MAX: usize = 512;
/// The waits before an export is tried again; after the last one its spans are dropped.
const RETRIES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// The longest wait that a collector may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
/// How long the last spans may take when the process ends.
const LAST_EXPORT: Duration = Duration::from_secs(2);

/// Sends batches of spans.
pub(super) struct Exporter {
    client: reqwest::Client,
    settings: TraceSettings,
    dropped: Arc<AtomicU64>,
    /// Whether the latest export failed; said once, not with every batch.
    failing: bool,
}

/// Why a batch did not arrive.
enum Trouble {
    /// It may arrive later, after this wait at least.
    Later(String, Duration),
    /// The collector does not want it.
    Never(String),
}

impl Exporter {
    pub fn new(settings: &TraceSettings, dropped: Arc<AtomicU64>) -> Result<Self, reqwest::Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            // Both were checked when the configuration was read.
            let (Ok(name), Ok(mut value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value.expose()))
            else {
                continue;
            };
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let client = reqwest::Client::builder()
            .user_agent(concat!("posthaste/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(settings.timeout)
            .build()?;
        Ok(Self { client, settings: settings.clone(), dropped, failing: false })
    }

    /// Runs until `stop`, then sends what waits once, within a moment.
    pub async fn run(mut self, mut waiting: mpsc::Receiver<Span>, stop: CancellationToken) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                received = waiting.recv_many(&mut batch, BATCH_MAX) => {
                    if received == 0 {
                        return;
                    }
                }
            }
            let due = Instant::now() + self.settings.schedule_delay;
            while batch.len() < BATCH_MAX && !stop.is_cancelled() {
                let room = BATCH_MAX - batch.len();
                let more = async {
                    tokio::select! {
                        () = stop.cancelled() => 0,
                        received = waiting.recv_many(&mut batch, room) => received,
                    }
                };
                if timeout_at(due, more).await.is_err() {
                    break;
                }
            }
            if stop.is_cancelled() {
                break;
            }
            self.deliver(&batch, &stop).await;
            batch.clear();
        }
        self.send_the_last(batch, waiting).await;
    }

    async fn send_the_last(mut self, mut batch: Vec<Span>, mut waiting: mpsc::Receiver<Span>) {
        waiting.close();
        let end = Instant::now() + LAST_EXPORT;
        loop {
            while batch.len() < BATCH_MAX
                && let Ok(span) = waiting.try_recv()
            {
                batch.push(span);
            }
            if batch.is_empty() {
                return;
            }
            match timeout_at(end, self.post(&batch)).await {
                Ok(Ok(())) => batch.clear(),
                Ok(Err(Trouble::Later(reason, _) | Trouble::Never(reason))) => {
                    return self.lose(&batch, &reason);
                }
                Err(_late) => return self.lose(&batch, "the process ends"),
            }
        }
    }

    /// One batch, tried a few times. Meanwhile the queue fills and what does not fit is dropped.
    async fn deliver(&mut self, batch: &[Span], stop: &CancellationToken) {
        let mut waits = RETRIES.iter();
        loop {
            match self.post(batch).await {
                Ok(()) => return self.arrived(),
                Err(Trouble::Never(reason)) => return self.lose(batch, &reason),
                Err(Trouble::Later(reason, at_least)) => {
                    let Some(wait) = waits.next() else { return self.lose(batch, &reason) };
                    self.note(&reason);
                    tokio::select! {
                        () = tokio::time::sleep(at_least.max(*wait)) => {}
                        () = stop.cancelled() => return self.lose(batch, &reason),
                    }
                }
            }
        }
    }

    async fn post(&self, batch: &[Span]) -> Result<(), Trouble> {
        let body = otlp::request(&self.settings.resource, batch);
        let sent = self.client.post(self.settings.endpoint.expose()).body(body).send().await;
        // The URL may hold a password.
        let answer = sent.map_err(|error| Trouble::Later(error.without_url().to_string(), Duration::ZERO))?;
        let status = answer.status();
        // The specification's table of what may be sent again.
        match status.as_u16() {
            200..=299 => Ok(()),
            429 | 502 | 503 | 504 => Err(Trouble::Later(status.to_string(), asked_wait(answer.headers()))),
            _ => Err(Trouble::Never(status.to_string())),
        }
    }

    fn arrived(&mut self) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if std::mem::take(&mut self.failing) || dropped > 0 {
            tracing::info!(dropped, "traces are exported again");
        }
    }

    fn lose(&mut self, batch: &[Span], reason: &str) {
        self.dropped.fetch_add(batch.len() as u64, Ordering::Relaxed);
        self.note(reason);
    }

    fn note(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(reason, "the collector of traces does not take them; mail goes on without");
        }
    }
}

fn asked_wait(headers: &HeaderMap) -> Duration {
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    seconds.map_or(Duration::ZERO, Duration::from_secs).min(RETRY_AFTER_MAX)
}
