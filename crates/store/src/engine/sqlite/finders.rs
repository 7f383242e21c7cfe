//! The index behind the lists: which emails have this recipient, domain, tag, template, event, word. It is built behind
//! the hot path, when the writer is idle or far ahead, in batches sorted by key; what it does not hold yet is looked
//! through directly, so that a list never misses anything.

use super::Sqlite;
use super::trouble::Trouble;
use super::tx::Tx;
use crate::StoreError;
use crate::record::damaged;
use crate::record::finders::{FinderHead, Kind};
use rusqlite::{Connection, params};

/// Emails indexed in one step when the writer is idle: a few milliseconds.
pub(super) const STEP: usize = 512;
/// Rows written between two looks at how far the index is behind, under load.
pub(super) const FORCED_EVERY: usize = 4096;
/// Emails indexed in one step under load: the more at once, the fewer pages are written for each.
const FORCED_STEP: usize = 2048;
/// So many emails may be looked through directly (some tens of milliseconds) before the index is brought nearer even
/// under load.
const FAR: i64 = 16_384;

impl Sqlite {
    pub(crate) async fn catch_up(&self) -> Result<(), StoreError> {
        while self.write_alone(|tx| index_step(tx)).await? == STEP {}
        Ok(())
    }
}

/// Up to which email the index is complete.
pub(super) fn indexed_up_to(connection: &Connection) -> Result<i64, Trouble> {
    let sql = "SELECT indexed_up_to FROM installation";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// Indexes the next emails; how many.
pub(super) fn index_step(tx: &Tx<'_>) -> Result<usize, Trouble> {
    index(tx, STEP)
}

fn index(tx: &Tx<'_>, limit: usize) -> Result<usize, Trouble> {
    let from = indexed_up_to(tx.connection)?;
    let mut statement = tx.connection.prepare_cached(
        "SELECT e.n, e.client, b.head FROM emails e JOIN bodies b ON b.n = e.n
         WHERE e.n > ?1 ORDER BY e.n LIMIT ?2",
    )?;
    let mut rows = statement.query(params![from, limit])?;
    let (mut entries, mut count, mut last) = (Vec::new(), 0, from);
    while let Some(row) = rows.next()? {
        let (n, client): (i64, i64) = (row.get(0)?, row.get(1)?);
        let head = row.get_ref(2)?.as_blob().map_err(|_| damaged("head of an email"))?;
        for (kind, value) in FinderHead::read(head)?.keys()? {
            entries.push((client, kind, value.into_owned(), n));
        }
        (count, last) = (count + 1, n);
    }
    if count > 0 {
        // Sorted, neighbours fall on the same page.
        entries.sort_unstable();
        for (client, kind, value, n) in entries {
            insert(tx.connection, client, kind, &value, n)?;
        }
        tx.connection.prepare_cached("UPDATE installation SET indexed_up_to = ?1")?.execute([last])?;
    }
    Ok(count)
}

/// Indexes a step when too much would have to be looked through directly.
pub(super) fn index_when_far_behind(tx: &Tx<'_>) -> Result<(), Trouble> {
    let newest: Option<i64> =
        tx.connection.prepare_cached("SELECT max(n) FROM emails")?.query_row([], |row| row.get(0))?;
    if newest.unwrap_or(0) - indexed_up_to(tx.connection)? > FAR {
        index(tx, FORCED_STEP)?;
    }
    Ok(())
}

fn insert(connection: &Connection, client: i64, kind: Kind, value: &str, n: i64) -> Result<(), Trouble> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO finders (client, kind, value, n) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![client, kind as i64, value, n])?;
    Ok(())
}

/// Writes the entries of an email that changed, if the index has come so far.
pub(super) fn add(connection: &Connection, client: i64, n: i64, head: &[u8]) -> Result<(), Trouble> {
    if n <= indexed_up_to(connection)? {
        for (kind, value) in FinderHead::read(head)?.keys()? {
            insert(connection, client, kind, &value, n)?;
        }
    }
    Ok(())
}

/// Removes an email's entries.
pub(super) fn remove(connection: &Connection, client: i64, n: i64, head: &[u8]) -> Result<(), Trouble> {
    let mut delete = connection
        .prepare_cached("DELETE FROM finders WHERE client = ?1 AND kind = ?2 AND value = ?3 AND n = ?4")?;
    for (kind, value) in FinderHead::read(head)?.keys()? {
        delete.execute(params![client, kind as i64, value, n])?;
    }
    Ok(())
}
