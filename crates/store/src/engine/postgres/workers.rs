//! Workers and the leases of those that fell silent.

use super::Postgres;
use super::rows::{id_at, uuid_of};
use super::session::Session;
use super::trouble::Trouble;
use crate::StoreError;
use crate::workers::{LISTED_FOR, WorkerRecord};
use posthaste_model::{Timestamp, WorkerId};
use tokio_postgres::Row;
use uuid::Uuid;

impl Postgres {
    pub(crate) async fn heartbeat(&self, worker: WorkerRecord, now: Timestamp) -> Result<(), StoreError> {
        let worker = &worker;
        self.write(1, |db| async move {
            db.run(
                "INSERT INTO workers (id, node, pid, roles, host, started_at, last_seen, is_dead)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, false)
                 ON CONFLICT (id) DO UPDATE SET node = excluded.node, pid = excluded.pid, roles = excluded.roles,
                    host = excluded.host, started_at = excluded.started_at, last_seen = excluded.last_seen,
                    is_dead = false",
                &[
                    &uuid_of!(worker.id),
                    &worker.node,
                    &i64::from(worker.pid),
                    &worker.roles,
                    &worker.host,
                    &worker.started_at.millis(),
                    &now.millis(),
                ],
            )
            .await?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn workers(&self, now: Timestamp) -> Result<Vec<(WorkerRecord, Timestamp)>, StoreError> {
        let since = now.minus(LISTED_FOR).millis();
        self.read(|db| async move {
            let sql = "SELECT id, node, pid, roles, host, started_at, last_seen FROM workers
                 WHERE NOT is_dead AND last_seen >= $1 ORDER BY n";
            db.rows(sql, &[&since]).await?.iter().map(worker_at).collect()
        })
        .await
    }

    pub(crate) async fn remove_worker(&self, id: WorkerId) -> Result<(), StoreError> {
        let id = uuid_of!(id);
        self.write(1, |db| async move {
            db.run("DELETE FROM workers WHERE id = $1", &[&id]).await?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn take_back(
        &self,
        node: &str,
        except: WorkerId,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let except = uuid_of!(except);
        let released = self
            .write(1, |db| async move {
                let sql = "DELETE FROM workers WHERE node = $1 AND id <> $2 RETURNING id";
                release(&db, &db.rows(sql, &[&node, &except]).await?, now).await
            })
            .await?;
        if released > 0 {
            self.listener.ring();
        }
        Ok(released)
    }
}

/// Takes the leases of workers not heard of since `dead_before`; how many.
pub(super) async fn release_dead(
    db: &Session,
    dead_before: Timestamp,
    now: Timestamp,
) -> Result<u64, Trouble> {
    let sql = "UPDATE workers SET is_dead = true WHERE NOT is_dead AND last_seen < $1 RETURNING id";
    release(db, &db.rows(sql, &[&dead_before.millis()]).await?, now).await
}

/// Makes what workers hold due at once. The lease itself stays in the row until the next claim, which tells the timeline
/// that it ended; should the worker live after all, its outcome still counts until then.
async fn release(db: &Session, workers: &[Row], now: Timestamp) -> Result<u64, Trouble> {
    let ids = workers.iter().map(|row| row.try_get(0)).collect::<Result<Vec<Uuid>, _>>()?;
    db.run("UPDATE queue SET due_at = $2 WHERE lease_owner = ANY($1)", &[&ids, &now.millis()]).await
}

fn worker_at(row: &Row) -> Result<(WorkerRecord, Timestamp), Trouble> {
    let record = WorkerRecord {
        id: id_at!(row, 0, WorkerId),
        node: row.try_get(1)?,
        pid: row.try_get::<_, i64>(2)? as u32,
        roles: row.try_get(3)?,
        host: row.try_get(4)?,
        started_at: Timestamp::from_millis(row.try_get(5)?),
    };
    Ok((record, Timestamp::from_millis(row.try_get(6)?)))
}
