//! The audit trail, and the revision that every change of configuration raises.

use super::Postgres;
use super::columns::{at, count_at, instant_at};
use super::session::Session;
use super::trouble::Trouble;
use crate::StoreError;
use crate::configuration::{Actor, AuditEntry, AuditFilter};
use tokio_postgres::Row;

/// To be called in the transaction of every change of configuration: raises the revision, so that checks made before
/// it are made again, and writes down who did what.
pub(super) async fn changed(
    db: &Session,
    actor: &Actor,
    action: &str,
    target: &str,
    detail: Option<&str>,
) -> Result<(), Trouble> {
    // The engine's clock: when it was written is a fact about the writing, not a rule.
    db.run(
        "WITH raised AS (UPDATE installation SET revision = revision + 1)
         INSERT INTO audit (at, actor_kind, actor_id, actor_address, action, target, detail)
         VALUES (floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, $1, $2, $3, $4, $5, $6)",
        &[&actor.kind, &actor.id, &actor.address, &action, &target, &detail],
    )
    .await?;
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
        self.write(1, |db| async move { changed(&db, actor, action, target, None).await }).await
    }

    pub(crate) async fn audit(
        &self,
        before: Option<i64>,
        limit: usize,
        filter: AuditFilter,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let filter = &filter;
        self.read(|db| async move {
            let rows = db
                .rows(
                    "SELECT id, at, actor_kind, actor_id, actor_address, action, target, detail FROM audit
                     WHERE id < $1 AND ($2::text IS NULL OR action = $2) AND ($3::text IS NULL OR target = $3)
                        AND ($4::text IS NULL OR actor_id = $4)
                     ORDER BY id DESC LIMIT $5",
                    &[
                        &before.unwrap_or(i64::MAX),
                        &filter.action,
                        &filter.target,
                        &filter.actor_id,
                        &i64::try_from(limit).unwrap_or(i64::MAX),
                    ],
                )
                .await?;
            rows.iter().map(entry).collect()
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
