//! Moving a whole embedded store into an empty PostgreSQL database: table by table, streamed, in one transaction, and
//! compared row by row before it is committed.

mod cell;
mod plan;

pub(crate) use cell::{Cell, Digest, Kind};
#[cfg(test)]
pub(crate) use plan::Makes;
pub(crate) use plan::{PARTS, Part, TABLES};

use crate::engine::Engine;
use crate::{Store, StoreError};
use std::sync::Arc;

/// What was moved of one table, and that both stores have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedTable {
    /// The table in the target.
    pub table: &'static str,
    /// Rows in both.
    pub rows: u64,
    /// Checksum of the rows in both, whatever their order.
    pub checksum: String,
}

/// Told how far a move is: the table, and the rows of it that are done.
pub type MoveObserver = Arc<dyn Fn(&'static str, u64) + Send + Sync>;

impl Store {
    /// Moves all of an embedded store, which nobody may use meanwhile, into this one, which must be empty. Nothing is
    /// stored unless all of it is, and is the same: else `Corrupt` says which table differs.
    pub async fn take_over(
        &self,
        from: &Self,
        observer: MoveObserver,
    ) -> Result<Vec<MovedTable>, StoreError> {
        match (&self.engine, &from.engine) {
            (Engine::Postgres(target), Engine::Sqlite(source)) => target.take_over(source, observer).await,
            _ => Err(StoreError::Unavailable("only SQLite can be moved, and only to PostgreSQL".into())),
        }
    }
}
