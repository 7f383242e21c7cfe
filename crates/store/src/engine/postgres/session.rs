//! A connection lent to one operation, and how a whole transaction runs on it.
//!
//! A session that is dropped in the middle of anything (its caller hung up, its time ran out) closes its connection
//! instead of giving it back: the server then rolls back what was open.

use super::trouble::Trouble;
use deadpool_postgres::Object;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// A parameter of a statement.
pub(super) type Value<'a> = &'a (dyn ToSql + Sync);

/// A connection under way. Clones share it; statements that are polled together go out in one piece.
#[derive(Clone)]
pub(super) struct Session {
    lent: Arc<Lent>,
}

struct Lent {
    /// Always there until the drop.
    object: Option<Object>,
    is_settled: AtomicBool,
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(object) = self.object.take()
            && !self.is_settled.load(Ordering::Acquire)
        {
            drop(Object::take(object));
        }
    }
}

impl Deref for Session {
    type Target = Object;

    fn deref(&self) -> &Object {
        self.lent.object.as_ref().expect("it is taken out by the drop only")
    }
}

impl Session {
    pub(super) fn new(object: Object) -> Self {
        Self { lent: Arc::new(Lent { object: Some(object), is_settled: AtomicBool::new(false) }) }
    }

    /// Says that nothing is open on the connection: it may be used again.
    pub(super) fn settled(&self) {
        self.lent.is_settled.store(true, Ordering::Release);
    }

    /// Runs a statement; its rows.
    pub(super) async fn rows(&self, sql: &str, of: &[Value<'_>]) -> Result<Vec<Row>, Trouble> {
        let statement = self.prepare_cached(sql).await?;
        Ok(self.query(&statement, of).await?)
    }

    /// Runs a statement that finds one row or none.
    pub(super) async fn maybe(&self, sql: &str, of: &[Value<'_>]) -> Result<Option<Row>, Trouble> {
        let statement = self.prepare_cached(sql).await?;
        Ok(self.query_opt(&statement, of).await?)
    }

    /// Runs a statement that finds one row.
    pub(super) async fn one(&self, sql: &str, of: &[Value<'_>]) -> Result<Row, Trouble> {
        let statement = self.prepare_cached(sql).await?;
        Ok(self.query_one(&statement, of).await?)
    }

    /// Runs a statement; how many rows it changed.
    pub(super) async fn run(&self, sql: &str, of: &[Value<'_>]) -> Result<u64, Trouble> {
        let statement = self.prepare_cached(sql).await?;
        Ok(self.execute(&statement, of).await?)
    }
}
