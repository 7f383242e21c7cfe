//! How a store is opened.

use posthaste_model::fault::Faults;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Called after each commit with the rows it took and the time it needed.
pub type CommitObserver = Arc<dyn Fn(usize, Duration) + Send + Sync>;

/// How to open the embedded store.
#[derive(Clone)]
pub struct StoreSettings {
    /// The database file; its folder is made (0700) when it is missing.
    pub path: PathBuf,
    /// Connections that only read.
    pub readers: usize,
    /// Operations that may wait for the writer before further ones are refused as busy.
    pub queue: usize,
    /// Rows in one commit at most.
    pub group_max: usize,
    /// Whether missing migrations are run; else they are an error.
    pub migrate: bool,
    /// Named places to fail at, for tests.
    pub faults: Faults,
    /// Told of every commit.
    pub observer: CommitObserver,
}

impl StoreSettings {
    /// The embedded defaults for the database file `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            readers: 4,
            queue: 20_000,
            group_max: 512,
            migrate: true,
            faults: Faults::none(),
            observer: Arc::new(|_, _| ()),
        }
    }
}

impl std::fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreSettings")
            .field("path", &self.path)
            .field("readers", &self.readers)
            .field("queue", &self.queue)
            .field("group_max", &self.group_max)
            .field("migrate", &self.migrate)
            .finish_non_exhaustive()
    }
}
