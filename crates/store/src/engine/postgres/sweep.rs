//! The sweep, and how much waits. Both read the queue alone.

use super::Postgres;
use super::session::Session;
use super::trouble::Trouble;
use super::workers::release_dead;
use crate::StoreError;
use crate::record::status_code;
use crate::sweep::{QueueCounts, SweepReport};
use posthaste_model::{Status, Timestamp};

impl Postgres {
    pub(crate) async fn sweep(
        &self,
        now: Timestamp,
        dead_before: Timestamp,
    ) -> Result<SweepReport, StoreError> {
        // Most sweeps find every worker alive: only one that does not costs a commit.
        let anybody_dead = self
            .read(|db| async move {
                let sql = "SELECT FROM workers WHERE NOT is_dead AND last_seen < $1 LIMIT 1";
                Ok(db.maybe(sql, &[&dead_before.millis()]).await?.is_some())
            })
            .await?;
        let released = if anybody_dead {
            self.write(1, |db| async move { release_dead(&db, dead_before, now).await }).await?
        } else {
            0
        };
        if released > 0 {
            self.listener.ring();
        }
        let (due, oldest_due_at) = self.read(|db| async move { due(&db, now).await }).await?;
        Ok(SweepReport { released, due, oldest_due_at })
    }

    pub(crate) async fn queue_counts(&self, now: Timestamp) -> Result<QueueCounts, StoreError> {
        self.read(|db| async move { queue_counts(&db, now).await }).await
    }
}

/// How many emails are due, and since when the first of them.
async fn due(db: &Session, now: Timestamp) -> Result<(u64, Option<Timestamp>), Trouble> {
    let row = db
        .one(
            "SELECT sum(d.count)::int8, min(d.first) FROM generate_series(1, 5) AS p(priority), LATERAL (
                SELECT count(*), min(due_at) AS first FROM queue
                WHERE priority = p.priority::int2 AND due_at <= $1
             ) AS d",
            &[&now.millis()],
        )
        .await?;
    let count: Option<i64> = row.try_get(0)?;
    let oldest: Option<i64> = row.try_get(1)?;
    Ok((count.unwrap_or(0) as u64, oldest.map(Timestamp::from_millis)))
}

async fn queue_counts(db: &Session, now: Timestamp) -> Result<QueueCounts, Trouble> {
    let by_status = db.rows("SELECT status, count(*) FROM queue GROUP BY status", &[]);
    let (rows, (due, oldest)) = futures_util::future::try_join(by_status, due(db, now)).await?;
    let mut counts = QueueCounts { due, ..QueueCounts::default() };
    for row in rows {
        let (status, count) = (i64::from(row.try_get::<_, i16>(0)?), row.try_get::<_, i64>(1)? as u64);
        match status {
            s if s == status_code(Status::Scheduled) => counts.scheduled = count,
            s if s == status_code(Status::Processing) => counts.processing = count,
            // Queued, held ones too; sent, with recipients left over.
            _ => counts.pending += count,
        }
    }
    counts.oldest_due_seconds = oldest.map_or(0, |oldest| now.since(oldest).as_secs());
    Ok(counts)
}
