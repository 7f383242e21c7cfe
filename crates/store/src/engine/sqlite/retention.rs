//! Retention: contents go first, records later, in small steps that leave the hot path its share of the writer.
//!
//! Bodies are dropped along the numbers of emails: one walk for all clients that keep their email as long as the
//! installation says, and one for each client with times of its own. What is still under way when a walk comes by is
//! written down and goes when it has ended.

mod plan;

use super::Sqlite;
use super::emails::walk;
use super::finders;
use super::rows::{State, state_by_number};
use super::trouble::Trouble;
use super::tx::{HOUR_MS, Tx};
use crate::StoreError;
use crate::record::finders::FinderHead;
use crate::record::{damaged, raw_blob};
use crate::upkeep::Removed;
use crate::workers::FORGOTTEN_AFTER;
#[cfg(test)]
pub(super) use plan::OLD;
use plan::{OwnTimes, Plan};
use posthaste_model::Timestamp;
use posthaste_model::email::{Attachment, BlobHash};
use posthaste_model::fault::{FaultPoint, Faults};
use rusqlite::{Connection, OptionalExtension, Params, params};
use serde::Deserialize;

impl Sqlite {
    pub(crate) async fn drop_old(
        &self,
        bodies_before: Timestamp,
        records_before: Timestamp,
        now: Timestamp,
        limit: usize,
    ) -> Result<Removed, StoreError> {
        let read =
            move |connection: &Connection| Plan::read(connection, bodies_before, records_before, now, limit);
        let plan = self.readers.read(read).await?;
        let faults = self.faults.clone();
        let removed = self.write_alone(move |tx| step(tx, &plan, now, limit, &faults)).await?;
        self.faults.crash_at(FaultPoint::RetentionStep);
        Ok(removed)
    }

    pub(crate) async fn blob_references(&self, hash: BlobHash) -> Result<u64, StoreError> {
        self.readers.read(move |connection| references(connection, hash)).await
    }

    pub(crate) async fn unreferenced_blobs(
        &self,
        mut hashes: Vec<BlobHash>,
    ) -> Result<Vec<BlobHash>, StoreError> {
        self.readers
            .read(move |connection| {
                let mut unused = Vec::new();
                for hash in hashes.drain(..) {
                    if references(connection, hash)? == 0 {
                        unused.push(hash);
                    }
                }
                Ok(unused)
            })
            .await
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

fn step(
    tx: &mut Tx<'_>,
    plan: &Plan,
    now: Timestamp,
    limit: usize,
    faults: &Faults,
) -> Result<Removed, Trouble> {
    let mut removed = Removed::default();
    for &n in &plan.left {
        removed.bodies += u64::from(drop_body(tx, n, &mut removed.blobs)?);
        tx.connection.prepare_cached("DELETE FROM bodies_left WHERE n = ?1")?.execute([n])?;
    }
    let mut room = limit.saturating_sub(plan.left.len());
    drop_bodies(tx, plan.bodies_before, &mut room, &mut removed)?;
    for own in &plan.own {
        drop_own_bodies(tx, own, &mut room, &mut removed)?;
    }
    drop_inbox(tx, plan, &mut removed)?;
    // In the middle of the transaction: what stands above must not count without what follows.
    faults.crash_at(FaultPoint::RetentionStep);
    drop_records(tx, plan, limit, &mut removed)?;
    drop_news(tx, plan.news_before, limit)?;
    drop_keys(tx, now, limit, &mut removed)?;
    let silent = now.minus(FORGOTTEN_AFTER).millis();
    tx.connection.execute("DELETE FROM workers WHERE last_seen < ?1", [silent])?;
    tx.forget_workers();
    removed.blobs.sort_unstable();
    removed.blobs.dedup();
    Ok(removed)
}

/// An email that a walk comes to.
struct Passed {
    n: i64,
    requested_at: i64,
    is_over: bool,
    is_of_another_walk: bool,
}

fn passed(connection: &Connection, sql: &str, of: impl Params) -> Result<Vec<Passed>, Trouble> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(of, |row| {
        Ok(Passed {
            n: row.get(0)?,
            requested_at: row.get(1)?,
            is_over: row.get(2)?,
            is_of_another_walk: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Walks on from where the last step ended, over the email of all clients without times of their own.
fn drop_bodies(
    tx: &Tx<'_>,
    before: Timestamp,
    room: &mut usize,
    removed: &mut Removed,
) -> Result<(), Trouble> {
    let next = passed(
        tx.connection,
        "SELECT e.n, e.requested_at, e.status > 2 AND e.due_at IS NULL, c.bodies_dropped_up_to IS NOT NULL
         FROM emails e JOIN clients c ON c.n = e.client
         WHERE e.n > (SELECT bodies_dropped_up_to FROM installation) ORDER BY e.n LIMIT ?1",
        [*room],
    )?;
    if let Some(last) = drop_passed(tx, next, before, room, removed)? {
        tx.connection.execute("UPDATE installation SET bodies_dropped_up_to = ?1", [last])?;
    }
    Ok(())
}

/// Walks on over the email of one client with times of its own: by the index of every email, and by number past where
/// that ends.
fn drop_own_bodies(
    tx: &Tx<'_>,
    own: &OwnTimes,
    room: &mut usize,
    removed: &mut Removed,
) -> Result<(), Trouble> {
    let indexed = "SELECT e.n, e.requested_at, e.status > 2 AND e.due_at IS NULL, 0
         FROM finders f JOIN emails e ON e.n = f.n
         WHERE f.client = ?1 AND f.kind = 0 AND f.value = '' AND f.n > ?2 ORDER BY f.n LIMIT ?3";
    let further = "SELECT n, requested_at, status > 2 AND due_at IS NULL, 0 FROM emails
         WHERE client = ?1 AND n > max(?2, (SELECT indexed_up_to FROM installation)) ORDER BY n LIMIT ?3";
    let mut up_to = own.dropped_up_to;
    for sql in [indexed, further] {
        let next = passed(tx.connection, sql, params![own.client, up_to, *room])?;
        up_to = drop_passed(tx, next, own.bodies_before, room, removed)?.unwrap_or(up_to);
    }
    if up_to > own.dropped_up_to {
        let sql = "UPDATE clients SET bodies_dropped_up_to = ?2 WHERE n = ?1";
        tx.connection.execute(sql, [own.client, up_to])?;
    }
    Ok(())
}

/// Drops the bodies of the emails that a walk comes to; the number of the last one.
fn drop_passed(
    tx: &Tx<'_>,
    next: Vec<Passed>,
    before: Timestamp,
    room: &mut usize,
    removed: &mut Removed,
) -> Result<Option<i64>, Trouble> {
    let mut last = None;
    // The first young email ends the walk: what follows it is younger, but for a clock that went back.
    for email in next.into_iter().take_while(|email| email.requested_at < before.millis()) {
        *room = room.saturating_sub(1);
        removed.passed += 1;
        last = Some(email.n);
        if email.is_of_another_walk {
            continue;
        }
        if !email.is_over {
            let sql = "INSERT OR IGNORE INTO bodies_left (n) VALUES (?1)";
            tx.connection.prepare_cached(sql)?.execute([email.n])?;
        } else if drop_body(tx, email.n, &mut removed.blobs)? {
            removed.bodies += 1;
        }
    }
    Ok(last)
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
    blobs.extend(content.as_deref().and_then(raw_blob));
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

fn drop_inbox(tx: &Tx<'_>, plan: &Plan, removed: &mut Removed) -> Result<(), Trouble> {
    for n in &plan.inbox {
        let sql = "DELETE FROM inbox WHERE n = ?1 RETURNING sha256";
        let blob = tx.connection.prepare_cached(sql)?.query_row([n], |row| row.get(0)).optional()?;
        let Some(blob) = blob.map(BlobHash) else { continue };
        if references(tx.connection, blob)? == 0 {
            removed.blobs.push(blob);
        }
    }
    Ok(())
}

fn drop_records(tx: &mut Tx<'_>, plan: &Plan, limit: usize, removed: &mut Removed) -> Result<(), Trouble> {
    // The newest email and the newest event stay, so that no number is ever given twice.
    let newest = "SELECT (SELECT max(n) FROM emails), (SELECT max(id) FROM events)";
    let (newest, newest_event): (Option<i64>, Option<i64>) =
        tx.connection.prepare_cached(newest)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    for &n in &plan.records {
        // What was found may have changed since: a recipient that is tried again, an erasure.
        let Some(state) = state_by_number(tx.connection, n)? else { continue };
        let is_newest = Some(n) == newest || Some(state.chain.last) == newest_event;
        if !is_newest && is_over(tx, n)? {
            drop_record(tx, &state, &mut removed.blobs)?;
            removed.records += 1;
        }
    }
    if removed.records > 0 && plan.records.len() < limit {
        let hour = plan.records_before.millis().div_euclid(HOUR_MS);
        // Counts of these hours are all zero but for what is still under way, or kept longer.
        tx.connection.execute("DELETE FROM counts WHERE hour < ?1 AND amount = 0", [hour])?;
        tx.connection.execute("DELETE FROM tag_counts WHERE hour < ?1 AND amount = 0", [hour])?;
        let gone = "DELETE FROM hours WHERE hour < ?1 AND last_n < (SELECT min(n) FROM emails)";
        tx.connection.execute(gone, [hour])?;
    }
    Ok(())
}

fn is_over(tx: &Tx<'_>, n: i64) -> Result<bool, Trouble> {
    let sql = "SELECT status > 2 AND due_at IS NULL FROM emails WHERE n = ?1";
    Ok(tx.connection.prepare_cached(sql)?.query_row([n], |row| row.get(0))?)
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
    tx.connection.prepare_cached("DELETE FROM bodies_left WHERE n = ?1")?.execute([n])?;
    tx.connection.prepare_cached("DELETE FROM emails WHERE n = ?1")?.execute([n])?;
    tx.count_gone(state.place, state.status, &FinderHead::read(&head)?.tags);
    Ok(())
}

/// Keys are kept in the order of their requests: the oldest ones first.
/// News is kept as long as the records of the installation's emails.
fn drop_news(tx: &Tx<'_>, before: Timestamp, limit: usize) -> Result<(), Trouble> {
    tx.connection.execute(
        "DELETE FROM news WHERE n IN (SELECT n FROM news WHERE received_at < ?1 ORDER BY received_at LIMIT ?2)",
        params![before.millis(), limit],
    )?;
    Ok(())
}

fn drop_keys(tx: &Tx<'_>, now: Timestamp, limit: usize, removed: &mut Removed) -> Result<(), Trouble> {
    let dropped = tx.connection.execute(
        "DELETE FROM idempotency WHERE keep_until <= ?1
            AND n IN (SELECT n FROM idempotency ORDER BY n LIMIT ?2)",
        params![now.millis(), limit],
    )?;
    removed.idempotency_keys = dropped as u64;
    tx.connection.execute(
        "DELETE FROM webhook_tokens WHERE token IN
            (SELECT token FROM webhook_tokens WHERE keep_until <= ?1 LIMIT ?2)",
        params![now.millis(), limit],
    )?;
    tx.connection.execute(
        "DELETE FROM suppressions WHERE n IN (SELECT n FROM suppressions WHERE expires_at <= ?1 LIMIT ?2)",
        params![now.millis(), limit],
    )?;
    Ok(())
}
