//! The sweep, and how much waits. Both read the due index alone.

use super::Sqlite;
use super::trouble::Trouble;
use super::workers::release_dead;
use crate::StoreError;
use crate::record::status_code;
use crate::sweep::{QueueCounts, SweepReport};
use posthaste_model::{Status, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

impl Sqlite {
    pub(crate) async fn sweep(
        &self,
        now: Timestamp,
        dead_before: Timestamp,
    ) -> Result<SweepReport, StoreError> {
        // Most sweeps find every worker alive: only one that does not costs a commit.
        let anybody_dead = self
            .readers
            .read(move |connection| {
                let sql = "SELECT 1 FROM workers WHERE is_dead = 0 AND last_seen < ?1";
                let mut statement = connection.prepare_cached(sql)?;
                Ok(statement.query_row([dead_before.millis()], |_| Ok(())).optional()?.is_some())
            })
            .await?;
        let released = if anybody_dead {
            self.write_alone(move |tx| release_dead(tx, dead_before, now)).await?
        } else {
            0
        };
        let (due, oldest_due_at) = self.readers.read(move |connection| due(connection, now)).await?;
        Ok(SweepReport { released, due, oldest_due_at })
    }

    pub(crate) async fn queue_counts(&self, now: Timestamp) -> Result<QueueCounts, StoreError> {
        self.readers.read(move |connection| queue_counts(connection, now)).await
    }

    pub(crate) async fn queue_bytes(&self) -> Result<u64, StoreError> {
        self.readers
            .read(|connection| {
                // The length of a blob stands in its row's head: no content is read.
                let mut statement = connection.prepare_cached(
                    "SELECT coalesce(sum(length(b.head) + coalesce(length(b.content), 0)), 0)
                     FROM (SELECT n FROM emails INDEXED BY emails_due WHERE due_at IS NOT NULL
                           UNION ALL
                           SELECT n FROM emails INDEXED BY emails_held WHERE status = 1 AND due_at IS NULL) e
                     JOIN bodies b ON b.n = e.n",
                )?;
                Ok(statement.query_row([], |row| row.get(0))?)
            })
            .await
    }
}

/// How many emails are due, and since when the first of them.
fn due(connection: &Connection, now: Timestamp) -> Result<(u64, Option<Timestamp>), Trouble> {
    let mut statement = connection.prepare_cached(
        "SELECT count(*), min(due_at) FROM emails INDEXED BY emails_due WHERE priority = ?1 AND due_at <= ?2",
    )?;
    let mut total = 0;
    let mut oldest: Option<i64> = None;
    for priority in 1..=5 {
        let (count, first): (u64, Option<i64>) =
            statement.query_row([priority, now.millis()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        total += count;
        oldest = oldest.into_iter().chain(first).min();
    }
    Ok((total, oldest.map(Timestamp::from_millis)))
}

/// One pass over the index of what is due, without sorting it: health and the dashboard ask often, also when much waits.
fn queue_counts(connection: &Connection, now: Timestamp) -> Result<QueueCounts, Trouble> {
    let (scheduled, processing, others, due, oldest): (u64, u64, u64, u64, Option<i64>) = connection
        .prepare_cached(
            "SELECT count(*) FILTER (WHERE status = ?2), count(*) FILTER (WHERE status = ?3),
                count(*) FILTER (WHERE status NOT IN (?2, ?3)), count(*) FILTER (WHERE due_at <= ?1), min(due_at)
             FROM emails INDEXED BY emails_due WHERE due_at IS NOT NULL",
        )?
        .query_row(
            params![now.millis(), status_code(Status::Scheduled), status_code(Status::Processing)],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
        )?;
    let held: u64 = connection
        .prepare_cached(
            "SELECT count(*) FROM emails INDEXED BY emails_held WHERE status = 1 AND due_at IS NULL",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(QueueCounts {
        // Queued, held ones too; sent, with recipients left over.
        pending: others + held,
        processing,
        scheduled,
        due,
        oldest_due_seconds: oldest.map_or(0, |at| now.since(Timestamp::from_millis(at)).as_secs()),
    })
}
