//! Whether the parts work: one check a part, each with a time limit, each really trying.
//!
//! Whoever asks gets a report that is at most a second old; of many who ask at once, one makes it. Nothing is checked
//! while nobody asks, so that an idle installation writes nothing.

mod checks;
mod report;
mod silence;

pub use checks::{WORKER_SILENCE, delivers, live_workers};
pub use report::{Finding, Overall, Report, State};
pub use silence::{Reporter, Reports};

use crate::base::clock::Clock;
use crate::blobs::Blobs;
use crate::cache::SharedCache;
use crate::queue::Queue;
use posthaste_store::Store;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// A report is good for this long. With [`LIMIT`] it bounds how late a dead part is noticed: within two seconds.
const FRESH_FOR: Duration = Duration::from_millis(500);
/// How long a part may take to answer.
const LIMIT: Duration = Duration::from_millis(1_400);

/// What is known of providers' silence is good for this long at most.
const SILENCE_FRESH_FOR: Duration = Duration::from_secs(60);

/// A way out, as far as this module looks at it.
#[derive(Clone, Debug)]
pub struct ConfiguredTransport {
    /// Its name.
    pub name: String,
    /// Whether mail leaves the machine by it.
    pub is_outward: bool,
}

/// What is looked at.
#[derive(Clone)]
pub struct HealthParts {
    /// The truth.
    pub store: Store,
    /// Files.
    pub blobs: Blobs,
    /// The bell.
    pub queue: Queue,
    /// What nodes share, if they do.
    pub cache: Option<SharedCache>,
    /// The time.
    pub clock: Clock,
    /// The data directory.
    pub data_directory: PathBuf,
    /// What the configuration asks for without giving what it needs, as a sentence.
    pub unfinished: Option<&'static str>,
    /// Where daily logs are written; none: to stderr only.
    pub log_directory: Option<PathBuf>,
    /// The ways out that are configured.
    pub transports: Vec<ConfiguredTransport>,
    /// The one that is taken when no route matches.
    pub default_transport: String,
    /// The providers that may be expected to report.
    pub reporters: Vec<Reporter>,
    /// How long they may be silent; `None`: for ever.
    pub silence: Option<Duration>,
    /// Names the transports whose circuits are open, where this process delivers.
    pub open_circuits: Option<OpenCircuits>,
}

/// Answers the names of the transports whose circuits are open now.
pub type OpenCircuits = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// Asks the parts. Cheap to clone; clones share what was found.
#[derive(Clone)]
pub struct Health(Arc<Shared>);

struct Shared {
    parts: HealthParts,
    last: Mutex<Last>,
    is_stopping: AtomicBool,
}

/// What was found last, and when.
#[derive(Default)]
struct Last {
    report: Option<(Instant, Arc<Report>)>,
    /// Whether providers report. Asked for seldom, as it looks through mail.
    reports: Option<(Instant, Option<Finding>)>,
}

impl Health {
    /// A look-out over these parts.
    pub fn new(parts: HealthParts) -> Self {
        let shared = Shared { parts, last: Mutex::default(), is_stopping: AtomicBool::new(false) };
        Self(Arc::new(shared))
    }

    /// Says that the server is about to end: it is not ready from now on.
    pub fn stopping(&self) {
        self.0.is_stopping.store(true, Ordering::Release);
    }

    /// Whether the server is about to end.
    pub fn is_stopping(&self) -> bool {
        self.0.is_stopping.load(Ordering::Acquire)
    }

    /// How the parts are.
    pub async fn report(&self) -> Arc<Report> {
        let mut last = self.0.last.lock().await;
        if let Some((at, report)) = &last.report
            && at.elapsed() < FRESH_FOR
        {
            return Arc::clone(report);
        }
        let parts = &self.0.parts;
        let known = last.reports.take();
        let fresh_for =
            parts.silence.map_or(SILENCE_FRESH_FOR, |silence| SILENCE_FRESH_FOR.min(silence / 10));
        let reports = async {
            match known {
                Some((at, found)) if at.elapsed() < fresh_for => (at, found),
                known => (Instant::now(), parts.reports(known.and_then(|(_, found)| found)).await),
            }
        };
        let (report, reports) = tokio::join!(Box::pin(parts.look()), Box::pin(reports));
        let report = Arc::new(Report { reports: reports.1.clone(), ..report });
        last.reports = Some(reports);
        report.log_changes(last.report.as_ref().map(|(_, earlier)| &**earlier));
        last.report = Some((Instant::now(), Arc::clone(&report)));
        report
    }

    /// Whether mail can be accepted; else why not.
    pub async fn ready(&self) -> Result<(), &'static str> {
        if self.is_stopping() {
            return Err("the server is stopping");
        }
        let report = self.report().await;
        if report.store.state == State::Failed {
            return Err("the store does not take writes");
        }
        Ok(())
    }
}
