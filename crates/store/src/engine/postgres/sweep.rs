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
        let look = self.look(now).await?;
        Ok(SweepReport { released, due: look.due, oldest_due_at: look.oldest })
    }

    pub(crate) async fn queue_counts(&self, now: Timestamp) -> Result<QueueCounts, StoreError> {
        let Look { due, oldest, by_status } = self.look(now).await?;
        let mut counts = QueueCounts { due, ..QueueCounts::default() };
        for (status, count) in by_status {
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

    pub(crate) async fn queue_bytes(&self) -> Result<u64, StoreError> {
        self.read(|db| async move {
            let sql = "SELECT coalesce(sum(bytes), 0)::bigint FROM queue";
            let row = db.maybe(sql, &[]).await?;
            Ok(row.map_or(Ok(0), |row| row.try_get::<_, i64>(0))? as u64)
        })
        .await
    }

    async fn look(&self, now: Timestamp) -> Result<Look, StoreError> {
        self.read(|db| async move { look(&db, now).await }).await
    }
}

/// The queue at a glance.
#[derive(Default)]
struct Look {
    due: u64,
    /// Since when the longest waiting due email is due.
    oldest: Option<Timestamp>,
    by_status: Vec<(i64, u64)>,
}

/// Reads the queue once.
async fn look(db: &Session, now: Timestamp) -> Result<Look, Trouble> {
    let rows = db
        .rows(
            "SELECT status, count(*), count(*) FILTER (WHERE due_at <= $1), min(due_at) FILTER (WHERE due_at <= $1)
             FROM queue GROUP BY status",
            &[&now.millis()],
        )
        .await?;
    let mut found = Look::default();
    for row in rows {
        found.by_status.push((i64::from(row.try_get::<_, i16>(0)?), row.try_get::<_, i64>(1)? as u64));
        found.due += row.try_get::<_, i64>(2)? as u64;
        let oldest = row.try_get::<_, Option<i64>>(3)?.map(Timestamp::from_millis);
        found.oldest = found.oldest.into_iter().chain(oldest).min();
    }
    Ok(found)
}
