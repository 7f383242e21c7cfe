//! One check a part.

use super::{Finding, HealthParts, LIMIT, Report, Reports};
use crate::queue::BrokerTrouble;
use posthaste_model::Timestamp;
use posthaste_store::{QueueCounts, WorkerRecord};
use std::fmt::Display;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A worker that was not heard of for this long is dead.
pub const WORKER_SILENCE: Duration = Duration::from_secs(15);

impl HealthParts {
    /// Asks all parts at once.
    pub(super) async fn look(&self) -> Report {
        let now = self.clock.now();
        let (store, blobs, queue, broker, config, logs) = tokio::join!(
            within("the store", "takes reads and writes", "does not take writes", self.store.ping()),
            within("the attachments' storage", "takes writes", "does not take writes", self.blobs.ping()),
            self.queue(now),
            self.broker(),
            self.config(),
            self.logs(),
        );
        Report {
            store_name: self.store.engine_name(),
            store,
            blobs,
            queue,
            broker,
            cache: self.cache(),
            config,
            transports: self.transports(),
            reports: None,
            logs,
        }
    }

    /// Whether the providers that should report do. Whatever keeps it from being known has a check of its own: what was
    /// known stands until it is.
    pub(super) async fn reports(&self, known: Option<Finding>) -> Option<Finding> {
        let asked = Reports::find(&self.store, &self.reporters, self.silence?, self.clock.now());
        match tokio::time::timeout(LIMIT, asked).await {
            Ok(Ok(found)) => Some(match found.in_words()? {
                Ok(fine) => Finding::ok(fine),
                Err(silence) => Finding::warning(silence),
            }),
            Ok(Err(_)) | Err(_) => known,
        }
    }

    async fn queue(&self, now: Timestamp) -> Finding {
        let asked = async { tokio::try_join!(self.store.queue_counts(now), self.store.workers(now)) };
        match tokio::time::timeout(LIMIT, asked).await {
            Ok(Ok((counts, workers))) => judge_queue(counts, live_workers(&workers, now)),
            Ok(Err(error)) => Finding::failed("the queue cannot be asked", Some(error.to_string())),
            Err(_) => Finding::failed("the queue does not answer", None),
        }
    }

    async fn broker(&self) -> Option<Finding> {
        let told = tokio::time::timeout(LIMIT, self.queue.ping()).await;
        Some(match told.unwrap_or(Some(Err(BrokerTrouble::Silent)))? {
            Ok(()) => Finding::ok("the broker answers"),
            Err(trouble) => Finding::failed(
                "the broker cannot be used: mail goes out by the store's own index",
                Some(trouble.to_string()),
            ),
        })
    }

    async fn config(&self) -> Finding {
        let root = self.data_directory.clone();
        let found = blocking(move || judge_data_directory(&root)).await;
        match self.unfinished {
            Some(lack) if found.state == super::State::Ok => Finding::warning(lack),
            _ => found,
        }
    }

    async fn logs(&self) -> Finding {
        match self.log_directory.clone() {
            None => Finding::ok("logs go to stderr"),
            Some(directory) => {
                let written =
                    blocking(move || write_probe(&directory).map_err(|error| error.to_string())).await;
                match written {
                    Ok(()) => Finding::ok("the log directory takes writes"),
                    Err(cause) => Finding::failed("the log directory does not take writes", Some(cause)),
                }
            }
        }
    }

    /// The cache is looked at all the time by those who use it; what they know is less than a second old.
    fn cache(&self) -> Option<Finding> {
        let state = self.cache.as_ref()?.state();
        Some(match state {
            Ok(()) => Finding::ok("the shared cache takes reads and writes"),
            Err(cause) => {
                let message = "the shared cache does not work: limits hold for each node alone";
                Finding::failed(message, Some(cause))
            }
        })
    }

    fn transports(&self) -> Finding {
        let outward: Vec<&str> =
            self.transports.iter().filter(|one| one.is_outward).map(|one| one.name.as_str()).collect();
        if outward.is_empty() {
            return Finding::warning("no transport is configured: mail stays in the inbox");
        }
        let open = self.open_circuits.as_ref().map(|circuits| circuits()).unwrap_or_default();
        if !open.is_empty() {
            let message =
                format!("out of order: {}; its mail waits, or goes by the next choice", open.join(", "));
            return Finding::failed(message, Some("its circuit is open".to_owned()));
        }
        Finding::ok(format!("configured: {}; {} is the default", outward.join(", "), self.default_transport))
    }
}

/// Waits for a part's answer, not for ever.
async fn within<E: Display>(
    part: &str,
    good: &str,
    bad: &str,
    asked: impl Future<Output = Result<(), E>>,
) -> Finding {
    match tokio::time::timeout(LIMIT, asked).await {
        Ok(Ok(())) => Finding::ok(format!("{part} {good}")),
        Ok(Err(error)) => Finding::failed(format!("{part} {bad}"), Some(error.to_string())),
        Err(_) => Finding::failed(format!("{part} does not answer"), None),
    }
}

/// Runs file work off the async threads; a hanging file system is an answer too.
async fn blocking<T: Send + 'static + Unreachable>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::time::timeout(LIMIT, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(found)) => found,
        Ok(Err(stopped)) => T::because(stopped.to_string()),
        Err(_) => T::because("the file system does not answer".to_owned()),
    }
}

/// What a check says when it could not be made.
trait Unreachable {
    fn because(cause: String) -> Self;
}

impl Unreachable for Finding {
    fn because(cause: String) -> Self {
        Self::failed("the data directory cannot be looked at", Some(cause))
    }
}

impl Unreachable for Result<(), String> {
    fn because(cause: String) -> Self {
        Err(cause)
    }
}

/// Whether a process was started to deliver mail.
pub fn delivers(record: &WorkerRecord) -> bool {
    record.roles.split(',').any(|role| matches!(role, "all" | "worker"))
}

/// How many of these deliver mail and were heard of lately.
pub fn live_workers(workers: &[(WorkerRecord, Timestamp)], now: Timestamp) -> usize {
    workers.iter().filter(|(record, seen)| delivers(record) && now.since(*seen) <= WORKER_SILENCE).count()
}

fn judge_queue(counts: QueueCounts, live_workers: usize) -> Finding {
    let waiting = counts.pending + counts.processing + counts.scheduled;
    match live_workers {
        0 if counts.oldest_due_seconds > 0 => Finding::failed("mail is due and no worker is alive", None),
        0 => Finding::warning(format!("no worker is alive; {waiting} emails wait")),
        workers => Finding::ok(format!("{waiting} emails wait, {workers} workers are alive")),
    }
}

fn judge_data_directory(root: &Path) -> Finding {
    match fs::metadata(root) {
        Ok(metadata) if !metadata.is_dir() => Finding::failed("the data directory is no directory", None),
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            Finding::warning("the data directory is open to other users")
        }
        Ok(_) => Finding::ok("the configuration is complete"),
        Err(error) => Finding::failed("the data directory cannot be entered", Some(error.to_string())),
    }
}

/// Writes and removes a file; its name keeps two processes apart.
fn write_probe(directory: &Path) -> std::io::Result<()> {
    let path: PathBuf = directory.join(format!(".probe-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    let written = file.write_all(b"probe");
    fs::remove_file(&path)?;
    written
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;
    use posthaste_model::WorkerId;

    fn worker(roles: &str) -> WorkerRecord {
        let at = Timestamp::from_millis(0);
        WorkerRecord {
            id: WorkerId::new(at, [1; 10]),
            node: "n".into(),
            pid: 1,
            roles: roles.into(),
            host: "h".into(),
            started_at: at,
        }
    }

    #[test]
    fn only_workers_heard_of_lately_count() {
        let now = Timestamp::from_millis(100_000);
        let seen = |seconds: u64| now.minus(Duration::from_secs(seconds));
        let workers = [
            (worker("api,worker"), seen(14)),
            (worker("worker"), seen(16)),
            (worker("api"), seen(1)),
            (worker("all"), seen(0)),
        ];
        assert_eq!(live_workers(&workers, now), 2);
    }

    #[test]
    fn due_mail_without_a_worker_is_a_fault() {
        let due = QueueCounts { pending: 1, oldest_due_seconds: 3, ..QueueCounts::default() };
        assert_eq!(judge_queue(due, 0).state, State::Failed);
        assert_eq!(judge_queue(due, 1).state, State::Ok);
        assert_eq!(judge_queue(QueueCounts::default(), 0).state, State::Warning);
    }

    #[test]
    fn a_directory_that_is_gone_or_open_is_noticed() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        assert_eq!(judge_data_directory(&data).state, State::Failed);
        fs::create_dir(&data).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(judge_data_directory(&data).state, State::Warning);
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(judge_data_directory(&data).state, State::Ok);
        assert!(write_probe(&data).is_ok());
        assert_eq!(fs::read_dir(&data).unwrap().count(), 0, "the probe is removed");
        assert!(write_probe(&home.path().join("none")).is_err());
    }
}
