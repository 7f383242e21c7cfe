//! Addresses that a client does not write to.

use super::Sqlite;
use super::rows::{id_at, time_at};
use super::trouble::Trouble;
use super::tx::Tx;
use crate::StoreError;
use crate::configuration::Actor;
use crate::suppressions::SuppressionFilter;
use posthaste_model::suppression::Suppression;
use posthaste_model::{ClientId, Timestamp};
use rusqlite::{Connection, Row, params};

const SELECT: &str = "SELECT s.n, c.id, s.address_key, s.stream, s.email, s.reason, s.evidence, s.created_at,
    s.expires_at FROM suppressions s JOIN clients c ON c.n = s.client";

fn suppression_at(row: &Row<'_>) -> Result<(i64, Suppression), Trouble> {
    let stream: String = row.get(3)?;
    let entry = Suppression {
        client_id: id_at!(row, 1, ClientId),
        address_key: row.get(2)?,
        stream: Some(stream).filter(|stream| !stream.is_empty()),
        email: row.get(4)?,
        reason: row.get(5)?,
        evidence: row.get(6)?,
        created_at: Timestamp::from_millis(row.get(7)?),
        expires_at: time_at(row, 8)?,
    };
    Ok((row.get(0)?, entry))
}

impl Tx<'_> {
    /// Enters an address by what was heard of it. An entry that stands for good stays as it is, one that ends is
    /// replaced. The first entry of a client raises the revision.
    pub(super) fn suppress_by_news(&mut self, client: i64, entry: &Suppression) -> Result<(), Trouble> {
        if !has_any(self.connection, client)? {
            self.connection.execute("UPDATE installation SET revision = revision + 1", [])?;
        }
        put(
            self.connection,
            client,
            entry,
            "DO UPDATE SET email = excluded.email, reason = excluded.reason, evidence = excluded.evidence,
                created_at = excluded.created_at, expires_at = excluded.expires_at
             WHERE suppressions.expires_at IS NOT NULL",
        )
    }
}

fn has_any(connection: &Connection, client: i64) -> Result<bool, Trouble> {
    let sql = "SELECT EXISTS (SELECT 1 FROM suppressions WHERE client = ?1)";
    Ok(connection.prepare_cached(sql)?.query_row([client], |row| row.get(0))?)
}

fn put(
    connection: &Connection,
    client: i64,
    entry: &Suppression,
    on_conflict: &'static str,
) -> Result<(), Trouble> {
    connection
        .prepare_cached(&format!(
            "INSERT INTO suppressions (client, address_key, stream, email, reason, evidence, created_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (client, address_key, stream) {on_conflict}"
        ))?
        .execute(params![
            client,
            entry.address_key,
            entry.stream.as_deref().unwrap_or_default(),
            entry.email,
            entry.reason,
            entry.evidence,
            entry.created_at.millis(),
            entry.expires_at.map(Timestamp::millis),
        ])?;
    Ok(())
}

/// Whether there is an entry for the same address and stream.
fn stands(connection: &Connection, client: i64, entry: &Suppression) -> Result<bool, Trouble> {
    let sql =
        "SELECT EXISTS (SELECT 1 FROM suppressions WHERE client = ?1 AND address_key = ?2 AND stream = ?3)";
    let stream = entry.stream.as_deref().unwrap_or_default();
    Ok(connection
        .prepare_cached(sql)?
        .query_row(params![client, entry.address_key, stream], |row| row.get(0))?)
}

impl Sqlite {
    pub(crate) async fn suppress(
        &self,
        client_id: ClientId,
        entries: Vec<Suppression>,
        actor: Actor,
    ) -> Result<u64, StoreError> {
        self.write_alone(move |tx| {
            let client = tx.client(client_id)?;
            let mut added = 0;
            for entry in &entries {
                added += u64::from(!stands(tx.connection, client, entry)?);
                put(
                    tx.connection,
                    client,
                    entry,
                    "DO UPDATE SET email = excluded.email, reason = excluded.reason, evidence = excluded.evidence,
                        created_at = excluded.created_at, expires_at = excluded.expires_at",
                )?;
            }
            let detail = format!("{} addresses", entries.len());
            tx.changed(&actor, "suppression.add", &client_id.to_string(), Some(&detail))?;
            Ok(added)
        })
        .await
    }

    pub(crate) async fn unsuppress(
        &self,
        client_id: ClientId,
        address_key: [u8; 32],
        stream: Option<String>,
        actor: Actor,
    ) -> Result<u64, StoreError> {
        self.write_alone(move |tx| {
            let client = tx.client(client_id)?;
            let removed = tx.connection.execute(
                "DELETE FROM suppressions WHERE client = ?1 AND address_key = ?2 AND (?3 IS NULL OR stream = ?3)",
                params![client, address_key, stream],
            )?;
            if removed > 0 {
                tx.changed(&actor, "suppression.remove", &client_id.to_string(), None)?;
            }
            Ok(removed as u64)
        })
        .await
    }

    pub(crate) async fn suppressions(
        &self,
        client_id: ClientId,
        filter: SuppressionFilter,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<(i64, Suppression)>, StoreError> {
        self.readers
            .read(move |connection| {
                let mut statement = connection.prepare_cached(&format!(
                    "{SELECT} WHERE s.client = (SELECT n FROM clients WHERE id = ?1) AND s.n < ?2
                        AND (s.expires_at IS NULL OR s.expires_at > ?3) AND (?4 IS NULL OR s.address_key = ?4)
                        AND (?5 IS NULL OR s.reason = ?5)
                     ORDER BY s.n DESC LIMIT ?6"
                ))?;
                let mut rows = statement.query(params![
                    client_id.as_bytes(),
                    filter.before.unwrap_or(i64::MAX),
                    now.millis(),
                    filter.address_key,
                    filter.reason,
                    limit,
                ])?;
                let mut found = Vec::new();
                while let Some(row) = rows.next()? {
                    found.push(suppression_at(row)?);
                }
                Ok(found)
            })
            .await
    }

    pub(crate) async fn suppressed(
        &self,
        client_id: ClientId,
        address_keys: Vec<[u8; 32]>,
        now: Timestamp,
    ) -> Result<Vec<Suppression>, StoreError> {
        self.readers
            .read(move |connection| {
                let mut statement = connection.prepare_cached(&format!(
                    "{SELECT} WHERE s.client = (SELECT n FROM clients WHERE id = ?1) AND s.address_key = ?2
                        AND (s.expires_at IS NULL OR s.expires_at > ?3) ORDER BY s.stream"
                ))?;
                let mut found = Vec::new();
                for key in &address_keys {
                    let mut rows = statement.query(params![client_id.as_bytes(), key, now.millis()])?;
                    while let Some(row) = rows.next()? {
                        found.push(suppression_at(row)?.1);
                    }
                }
                Ok(found)
            })
            .await
    }

    pub(crate) async fn has_suppressions(&self, client_id: ClientId) -> Result<bool, StoreError> {
        self.readers
            .read(move |connection| {
                let sql = "SELECT EXISTS (SELECT 1 FROM suppressions
                    WHERE client = (SELECT n FROM clients WHERE id = ?1))";
                Ok(connection.prepare_cached(sql)?.query_row([client_id.as_bytes()], |row| row.get(0))?)
            })
            .await
    }
}
