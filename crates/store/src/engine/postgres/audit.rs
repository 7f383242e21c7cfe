//! The audit trail, and the revision that every change of configuration raises.

use super::Postgres;
use super::columns::{at, count_at, instant_at};
use super::session::{Session, Value};
use super::trouble::Trouble;
use crate::StoreError;
use crate::configuration::{Actor, AuditEntry, AuditFilter};
use tokio_postgres::Row;

/// The engine's clock: when it was written is a fact about the writing, not a rule.
const NOTE: &str = "INSERT INTO audit (at, actor_kind, actor_id, actor_address, action, target, detail)
    VALUES (floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, $1, $2, $3, $4, $5, $6)";

/// To be called in the transaction of every change of configuration: raises the revision, so that checks made before
/// it are made again, and writes down who did what.
pub(super) async fn changed(
    db: &Session,
    actor: &Actor,
    action: &str,
    target: &str,
    detail: Option<&str>,
) -> Result<(), Trouble> {
    let sql = format!("WITH raised AS (UPDATE installation SET revision = revision + 1) {NOTE}");
    db.run(&sql, &[&actor.kind, &actor.id, &actor.address, &action, &target, &detail]).await?;
    Ok(())
}

/// Writes down who did what where no check depends on it.
pub(super) async fn note(
    db: &Session,
    actor: &Actor,
    action: &str,
    target: &str,
    detail: Option<&str>,
) -> Result<(), Trouble> {
    db.run(NOTE, &[&actor.kind, &actor.id, &actor.address, &action, &target, &detail]).await?;
    Ok(())
}

impl Postgres {
    pub(crate) async fn revision(&self) -> Result<u64, StoreError> {
        self.read(|db| async move { count_at(&db.one("SELECT revision FROM installation", &[]).await?, 0) })
            .await
    }

    pub(crate) async fn note_action(
        &self,
        actor: Actor,
        action: String,
        target: String,
    ) -> Result<(), StoreError> {
        let (actor, action, target) = (&actor, &action, &target);
        self.write(1, |db| async move { note(&db, actor, action, target, None).await }).await
    }

    pub(crate) async fn audit(
        &self,
        before: Option<i64>,
        limit: usize,
        filter: AuditFilter,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let filter = &filter;
        self.read(|db| async move {
            let (before, limit) = (before.unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX));
            let mut values: Vec<Value<'_>> = vec![&before, &limit];
            let mut conditions = String::new();
            // Only those that are asked for: one that also holds for NULL is looked up in no index.
            for (column, asked) in
                [("action", &filter.action), ("target", &filter.target), ("actor_id", &filter.actor_id)]
            {
                if let Some(asked) = asked {
                    values.push(asked);
                    conditions.push_str(&format!(" AND {column} = ${}", values.len()));
                }
            }
            let sql = format!(
                "SELECT id, at, actor_kind, actor_id, actor_address, action, target, detail FROM audit
                 WHERE id < $1{conditions} ORDER BY id DESC LIMIT $2"
            );
            db.rows(&sql, &values).await?.iter().map(entry).collect()
        })
        .await
    }
}

fn entry(row: &Row) -> Result<AuditEntry, Trouble> {
    Ok(AuditEntry {
        id: at(row, 0)?,
        at: instant_at(row, 1)?,
        actor: Actor { kind: at(row, 2)?, id: at(row, 3)?, address: at(row, 4)? },
        action: at(row, 5)?,
        target: at(row, 6)?,
        detail: at(row, 7)?,
    })
}
