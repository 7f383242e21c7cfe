//! The audit trail, and the revision that every change of configuration raises.

use super::Sqlite;
use super::trouble::Trouble;
use super::tx::Tx;
use crate::StoreError;
use crate::configuration::{Actor, AuditEntry, AuditFilter};
use posthaste_model::Timestamp;
use rusqlite::{Row, params};

impl Tx<'_> {
    /// To be called in the transaction of every change of configuration: raises the revision, so that checks made
    /// before it are made again, and writes down who did what.
    pub(super) fn changed(
        &mut self,
        actor: &Actor,
        action: &str,
        target: &str,
        detail: Option<&str>,
    ) -> Result<(), Trouble> {
        self.connection.execute("UPDATE installation SET revision = revision + 1", [])?;
        self.note(actor, action, target, detail)
    }

    /// Writes down who did what where no check depends on it.
    pub(super) fn note(
        &mut self,
        actor: &Actor,
        action: &str,
        target: &str,
        detail: Option<&str>,
    ) -> Result<(), Trouble> {
        // The engine's clock: when it was written is a fact about the writing, not a rule.
        self.connection
            .prepare_cached(
                "INSERT INTO audit (at, actor_kind, actor_id, actor_address, action, target, detail)
                 VALUES (CAST(unixepoch('subsec') * 1000 AS INTEGER), ?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![actor.kind, actor.id, actor.address, action, target, detail])?;
        Ok(())
    }
}

impl Sqlite {
    pub(crate) async fn revision(&self) -> Result<u64, StoreError> {
        let sql = "SELECT revision FROM installation";
        self.readers.read(move |c| Ok(c.prepare_cached(sql)?.query_row([], |row| row.get(0))?)).await
    }

    pub(crate) async fn note_action(
        &self,
        actor: Actor,
        action: String,
        target: String,
    ) -> Result<(), StoreError> {
        self.write_alone(move |tx| tx.note(&actor, &action, &target, None)).await
    }

    pub(crate) async fn audit(
        &self,
        before: Option<i64>,
        limit: usize,
        filter: AuditFilter,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.readers
            .read(move |connection| {
                let mut statement = connection.prepare_cached(&search(&filter))?;
                let before = before.unwrap_or(i64::MAX);
                let of = params![before, filter.action, filter.target, filter.actor_id, limit as i64];
                let rows = statement.query_map(of, entry)?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }
}

/// Of the conditions only those that are asked for: one that also holds for NULL is looked up in no index.
pub(super) fn search(filter: &AuditFilter) -> String {
    let of = |is_asked: bool, condition: &'static str| if is_asked { condition } else { "" };
    format!(
        "SELECT id, at, actor_kind, actor_id, actor_address, action, target, detail FROM audit
         WHERE id < ?1{}{}{} ORDER BY id DESC LIMIT ?5",
        of(filter.action.is_some(), " AND action = ?2"),
        of(filter.target.is_some(), " AND target = ?3"),
        of(filter.actor_id.is_some(), " AND actor_id = ?4"),
    )
}

fn entry(row: &Row<'_>) -> rusqlite::Result<AuditEntry> {
    Ok(AuditEntry {
        id: row.get(0)?,
        at: Timestamp::from_millis(row.get(1)?),
        actor: Actor { kind: row.get(2)?, id: row.get(3)?, address: row.get(4)? },
        action: row.get(5)?,
        target: row.get(6)?,
        detail: row.get(7)?,
    })
}
