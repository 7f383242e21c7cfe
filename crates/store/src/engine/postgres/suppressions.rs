//! Addresses that a client does not write to.

use super::Postgres;
use super::append::storable;
use super::audit::changed;
use super::clients::must_stand;
use super::columns::{at, instant_at};
use super::rows::{id_at, time_at, uuid_of};
use super::session::Session;
use super::trouble::Trouble;
use crate::StoreError;
use crate::configuration::Actor;
use crate::record::damaged;
use crate::suppressions::SuppressionFilter;
use posthaste_model::suppression::Suppression;
use posthaste_model::{ClientId, Timestamp};
use tokio_postgres::Row;
use uuid::Uuid;

const SELECT: &str =
    "SELECT s.n, s.client_id, s.address_key, s.stream, s.email, s.reason, s.evidence, s.created_at,
    s.expires_at FROM suppressions s";

fn suppression_at(row: &Row) -> Result<(i64, Suppression), Trouble> {
    let key: &[u8] = at(row, 2)?;
    let stream: String = at(row, 3)?;
    let entry = Suppression {
        client_id: id_at!(row, 1, ClientId),
        address_key: key.try_into().map_err(|_| damaged("key of an address"))?,
        stream: Some(stream).filter(|stream| !stream.is_empty()),
        email: at(row, 4)?,
        reason: at(row, 5)?,
        evidence: at(row, 6)?,
        created_at: instant_at(row, 7)?,
        expires_at: time_at(row, 8)?,
    };
    Ok((at(row, 0)?, entry))
}

/// Enters an address by what was heard of it. An entry that stands for good stays as it is, one that ends is replaced.
/// The first entry of a client raises the revision.
pub(super) async fn suppress_by_news(db: &Session, entry: &Suppression) -> Result<(), Trouble> {
    let client = uuid_of!(entry.client_id);
    db.run(
        "UPDATE installation SET revision = revision + 1
         WHERE NOT EXISTS (SELECT 1 FROM suppressions WHERE client_id = $1)",
        &[&client],
    )
    .await?;
    put(db, client, entry, "WHERE suppressions.expires_at IS NOT NULL").await?;
    Ok(())
}

/// Whether the entry is new. A row that was never updated has no transaction that replaced it.
async fn put(db: &Session, client: Uuid, entry: &Suppression, which: &'static str) -> Result<bool, Trouble> {
    let sql = format!(
        "INSERT INTO suppressions (client_id, address_key, stream, email, reason, evidence, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (client_id, address_key, stream) DO UPDATE SET email = excluded.email,
            reason = excluded.reason, evidence = excluded.evidence, created_at = excluded.created_at,
            expires_at = excluded.expires_at {which}
         RETURNING xmax = 0"
    );
    let written = db
        .maybe(
            &sql,
            &[
                &client,
                &entry.address_key.as_slice(),
                &entry.stream.as_deref().unwrap_or_default(),
                &entry.email,
                &entry.reason,
                &entry.evidence.as_deref().map(|text| storable(text).into_owned()),
                &entry.created_at.millis(),
                &entry.expires_at.map(Timestamp::millis),
            ],
        )
        .await?;
    written.as_ref().map_or(Ok(false), |row| at(row, 0))
}

impl Postgres {
    pub(crate) async fn suppress(
        &self,
        client_id: ClientId,
        entries: Vec<Suppression>,
        actor: Actor,
    ) -> Result<u64, StoreError> {
        let (entries, actor, client) = (&entries, &actor, uuid_of!(client_id));
        self.write(entries.len().max(1), |db| async move {
            must_stand(&db, client_id).await?;
            let mut added = 0;
            for entry in entries {
                added += u64::from(put(&db, client, entry, "").await?);
            }
            let detail = format!("{} addresses", entries.len());
            changed(&db, actor, "suppression.add", &client_id.to_string(), Some(&detail)).await?;
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
        let (stream, actor, client) = (&stream, &actor, uuid_of!(client_id));
        self.write(1, |db| async move {
            must_stand(&db, client_id).await?;
            let sql = "DELETE FROM suppressions
                WHERE client_id = $1 AND address_key = $2 AND ($3::text IS NULL OR stream = $3)";
            let removed = db.run(sql, &[&client, &address_key.as_slice(), stream]).await?;
            if removed > 0 {
                changed(&db, actor, "suppression.remove", &client_id.to_string(), None).await?;
            }
            Ok(removed)
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
        let filter = &filter;
        self.read(|db| async move {
            let rows = db
                .rows(
                    &format!(
                        "{SELECT} WHERE s.client_id = $1 AND s.n < $2 AND (s.expires_at IS NULL OR s.expires_at > $3)
                            AND ($4::bytea IS NULL OR s.address_key = $4) AND ($5::text IS NULL OR s.reason = $5)
                         ORDER BY s.n DESC LIMIT $6"
                    ),
                    &[
                        &uuid_of!(client_id),
                        &filter.before.unwrap_or(i64::MAX),
                        &now.millis(),
                        &filter.address_key.as_ref().map(<[u8; 32]>::as_slice),
                        &filter.reason,
                        &i64::try_from(limit).unwrap_or(i64::MAX),
                    ],
                )
                .await?;
            rows.iter().map(suppression_at).collect()
        })
        .await
    }

    pub(crate) async fn suppressed(
        &self,
        client_id: ClientId,
        address_keys: Vec<[u8; 32]>,
        now: Timestamp,
    ) -> Result<Vec<Suppression>, StoreError> {
        let keys: Vec<&[u8]> = address_keys.iter().map(<[u8; 32]>::as_slice).collect();
        let keys = &keys;
        self.read(|db| async move {
            let sql = format!(
                "{SELECT} WHERE s.client_id = $1 AND s.address_key = ANY($2)
                    AND (s.expires_at IS NULL OR s.expires_at > $3) ORDER BY s.stream"
            );
            let rows = db.rows(&sql, &[&uuid_of!(client_id), keys, &now.millis()]).await?;
            rows.iter().map(|row| Ok(suppression_at(row)?.1)).collect()
        })
        .await
    }

    pub(crate) async fn has_suppressions(&self, client_id: ClientId) -> Result<bool, StoreError> {
        self.read(|db| async move {
            let sql = "SELECT EXISTS (SELECT 1 FROM suppressions WHERE client_id = $1)";
            at(&db.one(sql, &[&uuid_of!(client_id)]).await?, 0)
        })
        .await
    }
}
