//! What a step of retention has to do, found out by a reader, so that the writer only removes: which clients keep
//! their email how long, and which records are old by that.

use super::super::trouble::Trouble;
use super::super::tx::HOUR_MS;
use posthaste_model::Timestamp;
use rusqlite::{Connection, params};
use std::time::Duration;

/// Old emails of a client and status that are over, oldest first. Without `likely` the index is read from the first of
/// these statuses on, and sorted, instead of in its own order.
pub(in crate::engine::sqlite) const OLD: &str = "SELECT n FROM emails INDEXED BY emails_ended
    WHERE client = ?1 AND status = ?2 AND likely(status > 2) AND n <= ?3 AND requested_at < ?4
        AND due_at IS NULL ORDER BY n LIMIT ?5";

/// The step to be done.
pub(super) struct Plan {
    /// Bodies of email requested before this go, unless the client has times of its own.
    pub(super) bodies_before: Timestamp,
    /// Clients that have, or ever had, times of their own.
    pub(super) own: Vec<OwnTimes>,
    /// Emails whose bodies were left and that have ended since.
    pub(super) left: Vec<i64>,
    /// Emails whose records are old, oldest first within each client.
    pub(super) records: Vec<i64>,
    /// Messages of the inbox that are as old as bodies that go, oldest first within each client.
    pub(super) inbox: Vec<i64>,
    /// Nothing requested after this loses its record.
    pub(super) records_before: Timestamp,
    /// What was said before this is forgotten.
    pub(super) news_before: Timestamp,
}

/// A client with times of its own.
pub(super) struct OwnTimes {
    /// Its number.
    pub(super) client: i64,
    /// Its bodies are dropped up to this email.
    pub(super) dropped_up_to: i64,
    /// Bodies of its email requested before this go.
    pub(super) bodies_before: Timestamp,
}

impl Plan {
    /// Reads what a step of at most `limit` bodies and records has to do.
    pub(super) fn read(
        connection: &Connection,
        bodies_before: Timestamp,
        records_before: Timestamp,
        now: Timestamp,
        limit: usize,
    ) -> Result<Self, Trouble> {
        let mut plan = Self {
            bodies_before: bodies_before.max(records_before),
            own: Vec::new(),
            left: left(connection, limit)?,
            records: Vec::new(),
            inbox: Vec::new(),
            records_before,
            news_before: records_before,
        };
        let mut statement = connection.prepare_cached(
            "SELECT n, retain_bodies, retain_records, bodies_dropped_up_to FROM clients ORDER BY n",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let before = |own: Option<u64>, usual: Timestamp| {
                own.map_or(usual, |kept_ms| now.minus(Duration::from_millis(kept_ms)))
            };
            let client = row.get(0)?;
            let records_before = before(row.get(2)?, records_before);
            let bodies_before = before(row.get(1)?, bodies_before).max(records_before);
            plan.add_inbox(connection, client, bodies_before, limit)?;
            if let Some(dropped_up_to) = row.get(3)? {
                plan.own.push(OwnTimes { client, dropped_up_to, bodies_before });
            }
            plan.add_records(connection, client, records_before, limit)?;
        }
        Ok(plan)
    }

    /// Adds a client's old messages of the inbox, as far as the limit allows. The first young one ends the walk.
    fn add_inbox(
        &mut self,
        connection: &Connection,
        client: i64,
        before: Timestamp,
        limit: usize,
    ) -> Result<(), Trouble> {
        let room = limit.saturating_sub(self.inbox.len());
        let mut statement = connection
            .prepare_cached("SELECT n, received_at FROM inbox WHERE client = ?1 ORDER BY n LIMIT ?2")?;
        let mut rows = statement.query(params![client, room])?;
        while let Some(row) = rows.next()? {
            if row.get::<_, i64>(1)? >= before.millis() {
                break;
            }
            self.inbox.push(row.get(0)?);
        }
        Ok(())
    }

    /// Adds a client's old records, as far as the limit allows.
    fn add_records(
        &mut self,
        connection: &Connection,
        client: i64,
        before: Timestamp,
        limit: usize,
    ) -> Result<(), Trouble> {
        self.records_before = self.records_before.max(before);
        let last_old = last_old(connection, client, before)?;
        // By status, since that is what the index of ended email goes by: sent to cancelled.
        for status in 3..=8 {
            if self.records.len() >= limit || last_old == 0 {
                break;
            }
            let mut statement = connection.prepare_cached(OLD)?;
            let room = limit - self.records.len();
            let rows = statement
                .query_map(params![client, status, last_old, before.millis(), room], |row| row.get(0))?;
            for n in rows {
                self.records.push(n?);
            }
        }
        Ok(())
    }
}

/// Up to which number a client's emails may have been requested before `before`; 0: none.
fn last_old(connection: &Connection, client: i64, before: Timestamp) -> Result<i64, Trouble> {
    let sql = "SELECT coalesce(max(last_n), 0) FROM hours WHERE client = ?1 AND hour <= ?2";
    let hour = before.millis().div_euclid(HOUR_MS);
    Ok(connection.prepare_cached(sql)?.query_row([client, hour], |row| row.get(0))?)
}

fn left(connection: &Connection, limit: usize) -> Result<Vec<i64>, Trouble> {
    let mut statement = connection.prepare_cached(
        "SELECT l.n FROM bodies_left l JOIN emails e ON e.n = l.n
         WHERE e.status > 2 AND e.due_at IS NULL ORDER BY l.n LIMIT ?1",
    )?;
    let rows = statement.query_map([limit], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
