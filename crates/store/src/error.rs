//! Why the store could not do what was asked: what the caller may conclude, not which engine said it.

/// An operation that the store did not carry out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too much waits for the writer already; nothing was stored.
    #[error("the store is busy")]
    Busy,
    /// The store cannot be reached or cannot write now; nothing was stored.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The store was lost during the commit, which may have happened: a retry with the same idempotency key settles it.
    #[error("the store was lost during a commit: {0}")]
    Uncertain(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// A newer version of the program has changed the schema.
    #[error("the store has schema {found}, this version knows up to {known}: run a newer version")]
    SchemaTooNew {
        /// Number of the newest migration in the store.
        found: u32,
        /// Number of the newest migration this version has.
        known: u32,
    },
    /// Migrations are missing and this process was told not to run them.
    #[error("the store needs migrations: {}; run `posthaste migrate`", .0.join(", "))]
    MigrationsMissing(Vec<String>),
    /// The engine's version lacks what we need: a mend of a fault that loses data, or statements we use.
    #[error("{engine} {found} is too old: {needed} or newer is needed")]
    TooOld {
        /// The engine.
        engine: &'static str,
        /// Version found.
        found: String,
        /// First version that will do.
        needed: &'static str,
    },
    /// What was read cannot have been written by us.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// It stands already; which unique thing.
    #[error("{0} stands already")]
    Conflict(&'static str),
    /// No such thing.
    #[error("not found")]
    NotFound,
}

impl StoreError {
    /// Whether the same call may succeed later without anybody's doing.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Busy | Self::Unavailable(_) | Self::Uncertain(_))
    }
}
