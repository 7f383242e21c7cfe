//! Workers and the leases of those that fell silent.

use super::Sqlite;
use super::rows::id_at;
use super::trouble::Trouble;
use super::tx::Tx;
use crate::StoreError;
use crate::workers::{LISTED_FOR, WorkerRecord};
use posthaste_model::{Timestamp, WorkerId};
use rusqlite::{Row, params};

impl Sqlite {
    pub(crate) async fn heartbeat(&self, worker: WorkerRecord, now: Timestamp) -> Result<(), StoreError> {
        self.write(1, move |tx| {
            // Another process may have struck it off; it then gets a new number.
            tx.forget_workers();
            tx.connection
                .prepare_cached(
                    "INSERT INTO workers (id, node, pid, roles, host, started_at, last_seen, is_dead)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)
                     ON CONFLICT (id) DO UPDATE SET node = excluded.node, pid = excluded.pid,
                        roles = excluded.roles, host = excluded.host, started_at = excluded.started_at,
                        last_seen = excluded.last_seen, is_dead = 0",
                )?
                .execute(params![
                    worker.id.as_bytes(),
                    worker.node,
                    worker.pid,
                    worker.roles,
                    worker.host,
                    worker.started_at.millis(),
                    now.millis()
                ])?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn workers(&self, now: Timestamp) -> Result<Vec<(WorkerRecord, Timestamp)>, StoreError> {
        let since = now.minus(LISTED_FOR).millis();
        self.readers
            .read(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT id, node, pid, roles, host, started_at, last_seen FROM workers
                     WHERE is_dead = 0 AND last_seen >= ?1 ORDER BY n",
                )?;
                let rows = statement.query_map([since], worker_at)?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }

    pub(crate) async fn remove_worker(&self, id: WorkerId) -> Result<(), StoreError> {
        self.write_alone(move |tx| {
            tx.connection.execute("DELETE FROM workers WHERE id = ?1", [id.as_bytes()])?;
            tx.forget_workers();
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
        let node = node.to_owned();
        self.write_alone(move |tx| {
            let sql = "SELECT n FROM workers WHERE node = ?1 AND id <> ?2";
            let earlier = numbers(tx, sql, params![node, except.as_bytes()])?;
            let mut released = 0;
            for worker in earlier {
                released += release(tx, worker, now)?;
                tx.connection.execute("DELETE FROM workers WHERE n = ?1", [worker])?;
            }
            tx.forget_workers();
            Ok(released)
        })
        .await
    }
}

/// Takes the leases of workers not heard of since `dead_before`; how many.
pub(super) fn release_dead(tx: &Tx<'_>, dead_before: Timestamp, now: Timestamp) -> Result<u64, Trouble> {
    let sql = "SELECT n FROM workers WHERE is_dead = 0 AND last_seen < ?1";
    let mut released = 0;
    for worker in numbers(tx, sql, [dead_before.millis()])? {
        released += release(tx, worker, now)?;
        tx.connection.execute("UPDATE workers SET is_dead = 1 WHERE n = ?1", [worker])?;
    }
    Ok(released)
}

/// Makes what a worker holds due at once. The lease itself stays in the row until the next claim, which tells the
/// timeline that it ended; should the worker live after all, its outcome still counts until then.
fn release(tx: &Tx<'_>, worker: i64, now: Timestamp) -> Result<u64, Trouble> {
    let sql = "SELECT n FROM emails INDEXED BY emails_due WHERE due_at IS NOT NULL AND lease_owner = ?1";
    let held = numbers(tx, sql, [worker])?;
    let mut update = tx.connection.prepare_cached("UPDATE emails SET due_at = ?2 WHERE n = ?1")?;
    for n in &held {
        update.execute(params![n, now.millis()])?;
    }
    Ok(held.len() as u64)
}

fn numbers(tx: &Tx<'_>, sql: &str, of: impl rusqlite::Params) -> Result<Vec<i64>, Trouble> {
    let mut statement = tx.connection.prepare_cached(sql)?;
    let rows = statement.query_map(of, |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn worker_at(row: &Row<'_>) -> rusqlite::Result<(WorkerRecord, Timestamp)> {
    let record = WorkerRecord {
        id: id_at!(row, 0, WorkerId),
        node: row.get(1)?,
        pid: row.get(2)?,
        roles: row.get(3)?,
        host: row.get(4)?,
        started_at: Timestamp::from_millis(row.get(5)?),
    };
    Ok((record, Timestamp::from_millis(row.get(6)?)))
}
