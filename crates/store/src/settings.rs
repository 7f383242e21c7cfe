//! How a store is opened.

use posthaste_model::Secret;
use posthaste_model::fault::Faults;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Called after each commit with the rows it took and the time it needed.
pub type CommitObserver = Arc<dyn Fn(usize, Duration) + Send + Sync>;

/// Which engine keeps the store.
#[derive(Clone, Debug)]
pub enum EngineSettings {
    /// A file of this machine.
    Sqlite {
        /// The database file; its folder is made (0700) when it is missing.
        path: PathBuf,
        /// Connections that only read.
        readers: usize,
    },
    /// A PostgreSQL server, 14 or newer.
    Postgres(PostgresSettings),
}

/// How to reach a PostgreSQL server, and how long to wait for it.
#[derive(Clone, Debug)]
pub struct PostgresSettings {
    /// `postgres://USER:PASSWORD@HOST/NAME?sslmode=...`; `sslmode` and `sslrootcert` mean what they mean to libpq.
    pub url: Secret,
    /// Connections at most, the one that listens not counted.
    pub connections: usize,
    /// How long an operation waits for a free connection before it is refused as busy.
    pub acquire: Duration,
    /// How long making a connection may take.
    pub connect: Duration,
    /// How long one statement may run.
    pub statement: Duration,
}

impl PostgresSettings {
    /// The defaults for a server's URL.
    pub fn new(url: Secret) -> Self {
        Self {
            url,
            connections: 16,
            acquire: Duration::from_secs(2),
            connect: Duration::from_secs(5),
            statement: Duration::from_secs(10),
        }
    }
}

/// How to open a store.
#[derive(Clone)]
pub struct StoreSettings {
    /// The engine.
    pub engine: EngineSettings,
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
        Self::of(EngineSettings::Sqlite { path: path.into(), readers: 4 })
    }

    /// The defaults for the PostgreSQL server at `url`.
    pub fn postgres(url: Secret) -> Self {
        Self::of(EngineSettings::Postgres(PostgresSettings::new(url)))
    }

    fn of(engine: EngineSettings) -> Self {
        Self {
            engine,
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
            .field("engine", &self.engine)
            .field("queue", &self.queue)
            .field("group_max", &self.group_max)
            .field("migrate", &self.migrate)
            .finish_non_exhaustive()
    }
}
