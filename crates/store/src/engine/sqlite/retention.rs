//! Retention: contents go first, records later, in small steps that leave the hot path its share of the writer.

use super::Sqlite;
use super::emails::walk;
use super::finders;
use super::rows::{State, state_by_number};
use super::trouble::Trouble;
use super::tx::{HOUR_MS, Tx};
use crate::StoreError;
use crate::record::damaged;
use crate::record::finders::FinderHead;
use crate::upkeep::Removed;
use posthaste_model::Timestamp;
use posthaste_model::email::{Attachment, BlobHash, Content};
use posthaste_model::fault::FaultPoint;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use std::time::Duration;

/// Workers silent for longer are forgotten.
const FORGET_WORKERS: Duration = Duration::from_hours(7 * 24);

impl Sqlite {
    pub(crate) async fn drop_old(
        &self,
        bodies_before: Timestamp,
        records_before: Timestamp,
        now: Timestamp,
        limit: usize,
    ) -> Result<Removed, StoreError> {
        // The look for the last old record reads every hour that is kept: that is for a reader.
        let last_old = self.readers.read(move |connection| last_old(connection, records_before)).await?;
        let removed = self
            .write_alone(move |tx| {
                let mut removed = Removed::default();
                drop_bodies(tx, bodies_before.max(records_before), limit, &mut removed)?;
                drop_records(tx, records_before, last_old, limit, &mut removed)?;
                drop_keys(tx, now, limit, &mut removed)?;
                let silent = now.minus(FORGET_WORKERS).millis();
                tx.connection.execute("DELETE FROM workers WHERE last_seen < ?1", [silent])?;
                tx.forget_workers();
                removed.blobs.sort_unstable();
                removed.blobs.dedup();
                Ok(removed)
            })
            .await?;
        self.faults.crash_at(FaultPoint::RetentionStep);
        Ok(removed)
    }

    pub(crate) async fn blob_references(&self, hash: BlobHash) -> Result<u64, StoreError> {
        self.readers.read(move |connection| references(connection, hash)).await
    }
}

/// How many emails and inbox messages refer to a blob.
pub(super) fn references(connection: &Connection, hash: BlobHash) -> Result<u64, Trouble> {
    Ok(connection
        .prepare_cached(
            "SELECT (SELECT count(*) FROM blob_references WHERE sha256 = ?1)
                + (SELECT count(*) FROM inbox WHERE sha256 = ?1)",
        )?
        .query_row([hash.0], |row| row.get(0))?)
}

/// Walks on from where the last step ended. An email still under way is passed over: its content goes with its record.
fn drop_bodies(tx: &Tx<'_>, before: Timestamp, limit: usize, removed: &mut Removed) -> Result<(), Trouble> {
    let mut statement = tx.connection.prepare_cached(
        "SELECT n, requested_at, status > 2 AND due_at IS NULL FROM emails
         WHERE n > (SELECT bodies_dropped_up_to FROM installation) ORDER BY n LIMIT ?1",
    )?;
    let rows = statement
        .query_map([limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<Vec<(i64, i64, bool)>, _>>()?;
    let mut last = None;
    // The first young email ends the walk: what follows it is younger, but for a clock that went back.
    for (n, _, is_over) in rows.into_iter().take_while(|(_, at, _)| *at < before.millis()) {
        if is_over && drop_body(tx, n, &mut removed.blobs)? {
            removed.bodies += 1;
        }
        last = Some(n);
    }
    if let Some(last) = last {
        tx.connection.execute("UPDATE installation SET bodies_dropped_up_to = ?1", [last])?;
    }
    Ok(())
}

/// The part of a head that names blobs.
#[derive(Deserialize)]
struct BlobHead {
    #[serde(default)]
    attachments: Vec<Attachment>,
}

/// Drops an email's content and its hold on blobs; whether there was any content. Blobs that nothing refers to any
/// more are added to `unused`.
pub(super) fn drop_body(tx: &Tx<'_>, n: i64, unused: &mut Vec<BlobHash>) -> Result<bool, Trouble> {
    let found: Option<(Vec<u8>, Option<Vec<u8>>)> = tx
        .connection
        .prepare_cached("SELECT head, content FROM bodies WHERE n = ?1")?
        .query_row([n], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((head, content)) = found else { return Ok(false) };
    let head: BlobHead = serde_json::from_slice(&head).map_err(|_| damaged("head of an email"))?;
    let mut blobs: Vec<BlobHash> = head.attachments.iter().map(|attachment| attachment.sha256).collect();
    if let Some(content) = &content
        && let Ok(Content::Raw { sha256, .. }) = serde_json::from_slice(content)
    {
        blobs.push(sha256);
    }
    tx.connection.prepare_cached("UPDATE bodies SET content = NULL WHERE n = ?1")?.execute([n])?;
    for blob in blobs {
        let sql = "DELETE FROM blob_references WHERE sha256 = ?1 AND n = ?2";
        let held = tx.connection.prepare_cached(sql)?.execute(params![blob.0, n])? > 0;
        if held && references(tx.connection, blob)? == 0 {
            unused.push(blob);
        }
    }
    Ok(content.is_some())
}

/// Up to which number emails may have been requested before `before`.
fn last_old(connection: &Connection, before: Timestamp) -> Result<i64, Trouble> {
    let sql = "SELECT coalesce(max(last_n), 0) FROM hours WHERE hour <= ?1";
    let hour = before.millis().div_euclid(HOUR_MS);
    Ok(connection.prepare_cached(sql)?.query_row([hour], |row| row.get(0))?)
}

fn drop_records(
    tx: &mut Tx<'_>,
    before: Timestamp,
    last_old: i64,
    limit: usize,
    removed: &mut Removed,
) -> Result<(), Trouble> {
    // The newest email and the newest event stay, so that no number is ever given twice.
    let mut statement = tx.connection.prepare_cached(
        "SELECT n FROM emails
         WHERE n <= ?2 AND requested_at < ?1
            AND status > 2 AND due_at IS NULL AND n < (SELECT max(n) FROM emails)
            AND last_event <> (SELECT max(id) FROM events)
         ORDER BY n LIMIT ?3",
    )?;
    let rows = statement.query_map(params![before.millis(), last_old, limit], |row| row.get(0))?;
    let numbers = rows.collect::<Result<Vec<i64>, _>>()?;
    drop(statement);
    let is_last_step = !numbers.is_empty() && numbers.len() < limit;
    for n in numbers {
        if let Some(state) = state_by_number(tx.connection, n)? {
            drop_record(tx, &state, &mut removed.blobs)?;
            removed.records += 1;
        }
    }
    if is_last_step {
        let hour = before.millis().div_euclid(HOUR_MS);
        // Counts of these hours are all zero but for what is still under way.
        tx.connection.execute("DELETE FROM counts WHERE hour < ?1 AND amount = 0", [hour])?;
        tx.connection.execute("DELETE FROM tag_counts WHERE hour < ?1 AND amount = 0", [hour])?;
        let gone = "DELETE FROM hours WHERE hour < ?1 AND last_n < (SELECT min(n) FROM emails)";
        tx.connection.execute(gone, [hour])?;
    }
    Ok(())
}

fn drop_record(tx: &mut Tx<'_>, state: &State, unused: &mut Vec<BlobHash>) -> Result<(), Trouble> {
    let n = state.n;
    drop_body(tx, n, unused)?;
    let head: Vec<u8> =
        tx.connection.query_row("SELECT head FROM bodies WHERE n = ?1", [n], |row| row.get(0))?;
    finders::remove(tx.connection, state.place.client, n, &head)?;
    let mut events = Vec::new();
    walk(tx.connection, Some(state.chain.last), |id, _| {
        events.push(id);
        Ok(())
    })?;
    let mut delete = tx.connection.prepare_cached("DELETE FROM events WHERE id = ?1")?;
    for id in events {
        delete.execute([id])?;
    }
    tx.connection.prepare_cached("DELETE FROM bodies WHERE n = ?1")?.execute([n])?;
    tx.connection.prepare_cached("DELETE FROM emails WHERE n = ?1")?.execute([n])?;
    tx.count_gone(state.place, state.status, &FinderHead::read(&head)?.tags);
    Ok(())
}

/// Keys are kept in the order of their requests: the oldest ones first.
fn drop_keys(tx: &Tx<'_>, now: Timestamp, limit: usize, removed: &mut Removed) -> Result<(), Trouble> {
    let dropped = tx.connection.execute(
        "DELETE FROM idempotency WHERE keep_until <= ?1
            AND n IN (SELECT n FROM idempotency ORDER BY n LIMIT ?2)",
        params![now.millis(), limit],
    )?;
    removed.idempotency_keys = dropped as u64;
    Ok(())
}
