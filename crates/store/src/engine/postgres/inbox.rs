//! The inbox transport's messages.

use super::Postgres;
use super::audit::note;
use super::clients::must_stand;
use super::columns::{at, count_at, instant_at};
use super::rows::{id_at, uuid_of};
use super::session::Session;
use super::trouble::Trouble;
use crate::StoreError;
use crate::configuration::Actor;
use crate::inbox::{DELETED, InboxClient, InboxFilter, InboxSelection, all_deleted};
use crate::record::damaged;
use posthaste_model::email::BlobHash;
use posthaste_model::inbox::InboxMessage;
use posthaste_model::{ClientId, EmailId, InboxId, Timestamp};
use tokio_postgres::Row;
use uuid::Uuid;

const MESSAGE: &str = "SELECT i.id, i.client_id, i.email_id, i.mail_from, i.recipients, i.subject, i.sender,
    i.size, i.sha256, i.received_at FROM inbox i";

fn message_at(row: &Row) -> Result<InboxMessage, Trouble> {
    let recipients: &str = row.try_get(4)?;
    Ok(InboxMessage {
        id: id_at!(row, 0, InboxId),
        client_id: id_at!(row, 1, ClientId),
        email_id: id_at!(row, 2, EmailId),
        mail_from: at(row, 3)?,
        recipients: serde_json::from_str(recipients).map_err(|_| damaged("recipients of a message"))?,
        subject: at(row, 5)?,
        from: at(row, 6)?,
        size: count_at(row, 7)?,
        sha256: hash_at(row, 8)?,
        received_at: instant_at(row, 9)?,
    })
}

fn client_at(row: &Row) -> Result<InboxClient, Trouble> {
    Ok(InboxClient { id: id_at!(row, 0, ClientId), name: at(row, 1)?, messages: count_at(row, 2)? })
}

/// A digest.
pub(super) fn hash_at(row: &Row, column: usize) -> Result<BlobHash, Trouble> {
    let bytes: &[u8] = row.try_get(column)?;
    Ok(BlobHash(bytes.try_into().map_err(|_| damaged("digest of a blob"))?))
}

impl Postgres {
    pub(crate) async fn inbox_add(&self, message: InboxMessage) -> Result<(), StoreError> {
        let recipients = serde_json::Value::from(message.recipients.clone()).to_string();
        let (message, recipients) = (&message, &recipients);
        self.write(1, |db| async move {
            must_stand(&db, message.client_id).await?;
            db.run(
                "INSERT INTO inbox (id, client_id, email_id, mail_from, recipients, subject, sender, size,
                    sha256, received_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING",
                &[
                    &uuid_of!(message.id),
                    &uuid_of!(message.client_id),
                    &uuid_of!(message.email_id),
                    &message.mail_from,
                    recipients,
                    &message.subject,
                    &message.from,
                    &i64::try_from(message.size).unwrap_or(i64::MAX),
                    &message.sha256.0.as_slice(),
                    &message.received_at.millis(),
                ],
            )
            .await?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn inbox_list(
        &self,
        filter: InboxFilter,
        before: Option<InboxId>,
        limit: usize,
    ) -> Result<Vec<InboxMessage>, StoreError> {
        let filter = &filter;
        self.read(|db| async move { list(&db, filter, before, limit).await }).await
    }

    pub(crate) async fn inbox_get(
        &self,
        client: Option<ClientId>,
        id: InboxId,
    ) -> Result<Option<InboxMessage>, StoreError> {
        self.read(|db| async move {
            let sql = format!("{MESSAGE} WHERE i.id = $1 AND ($2::uuid IS NULL OR i.client_id = $2)");
            let row = db.maybe(&sql, &[&uuid_of!(id), &client.map(|id| uuid_of!(id))]).await?;
            row.map(|row| message_at(&row)).transpose()
        })
        .await
    }

    pub(crate) async fn inbox_delete(
        &self,
        client: Option<ClientId>,
        which: InboxSelection,
        actor: Option<Actor>,
    ) -> Result<u64, StoreError> {
        let of_client = client.map(|id| uuid_of!(id));
        let ids: Option<Vec<Uuid>> = match which {
            InboxSelection::All => None,
            InboxSelection::Ids(ids) => Some(ids.iter().map(|id| uuid_of!(id)).collect()),
        };
        let (ids, actor) = (&ids, actor.as_ref());
        self.write(1, |db| async move {
            let Some(ids) = ids else {
                let sql = "DELETE FROM inbox WHERE $1::uuid IS NULL OR client_id = $1";
                let deleted = db.run(sql, &[&of_client]).await?;
                if let Some(actor) = actor.filter(|_| deleted > 0) {
                    let (target, detail) = all_deleted(client, deleted);
                    note(&db, actor, DELETED, &target, Some(&detail)).await?;
                }
                return Ok(deleted);
            };
            let sql = "DELETE FROM inbox WHERE ($1::uuid IS NULL OR client_id = $1) AND id = ANY($2)
                RETURNING id";
            let rows = db.rows(sql, &[&of_client, ids]).await?;
            for row in &rows {
                if let Some(actor) = actor {
                    note(&db, actor, DELETED, &id_at!(row, 0, InboxId).to_string(), None).await?;
                }
            }
            Ok(rows.len() as u64)
        })
        .await
    }

    pub(crate) async fn inbox_clients(
        &self,
        client: Option<ClientId>,
    ) -> Result<Vec<InboxClient>, StoreError> {
        self.read(|db| async move {
            let of_client = if client.is_some() { "client_id = $1" } else { "$1::uuid IS NULL" };
            // Counted in the index alone before anything is joined.
            let sql = format!(
                "SELECT c.id, c.name, i.messages
                 FROM (SELECT client_id, count(*) AS messages FROM inbox WHERE {of_client}
                    GROUP BY client_id) i
                 JOIN clients c ON c.id = i.client_id ORDER BY c.name"
            );
            let rows = db.rows(&sql, &[&client.map(|id| uuid_of!(id))]).await?;
            rows.iter().map(client_at).collect()
        })
        .await
    }

    pub(crate) async fn inbox_count(&self, client: Option<ClientId>) -> Result<u64, StoreError> {
        self.read(|db| async move {
            let sql = "SELECT count(*) FROM inbox WHERE $1::uuid IS NULL OR client_id = $1";
            count_at(&db.one(sql, &[&client.map(|id| uuid_of!(id))]).await?, 0)
        })
        .await
    }
}

async fn list(
    db: &Session,
    filter: &InboxFilter,
    before: Option<InboxId>,
    limit: usize,
) -> Result<Vec<InboxMessage>, Trouble> {
    let client = filter.client.map(|id| uuid_of!(id));
    let before = match before {
        None => i64::MAX,
        Some(id) => match place(db, client, id).await? {
            Place::Kept(n) => n,
            Place::GoneBehind(n) => n + 1,
        },
    };
    let behind = match filter.behind {
        None => 0,
        Some(id) => match place(db, client, id).await? {
            Place::Kept(n) | Place::GoneBehind(n) => n,
        },
    };
    let of_client = if client.is_some() { "i.client_id = $1" } else { "$1::uuid IS NULL" };
    // `strpos` rather than LIKE: what is looked for is text, not a pattern.
    let sql = format!(
        "{MESSAGE} WHERE {of_client} AND i.n < $2
            AND ($3::text IS NULL OR strpos(lower(i.subject), lower($3)) > 0
                OR strpos(lower(i.sender), lower($3)) > 0 OR strpos(lower(i.recipients), lower($3)) > 0)
            AND ($4::text IS NULL OR EXISTS (SELECT 1 FROM jsonb_array_elements_text(i.recipients::jsonb) r
                WHERE lower(r) = lower($4)))
            AND ($5::bigint IS NULL OR i.received_at >= $5) AND i.n > $6
         ORDER BY i.n DESC LIMIT $7"
    );
    let q = filter.q.as_deref().filter(|q| !q.is_empty());
    let after = filter.after.map(Timestamp::millis);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = db.rows(&sql, &[&client, &before, &q, &filter.to, &after, &behind, &limit]).await?;
    rows.iter().map(message_at).collect()
}

/// Where a message stands in the order of the list.
enum Place {
    Kept(i64),
    /// It is gone, or another client's; this is the last place that an older id has.
    GoneBehind(i64),
}

async fn place(db: &Session, client: Option<Uuid>, id: InboxId) -> Result<Place, Trouble> {
    let sql = "SELECT n FROM inbox WHERE id = $1 AND ($2::uuid IS NULL OR client_id = $2)";
    if let Some(row) = db.maybe(sql, &[&uuid_of!(id), &client]).await? {
        return Ok(Place::Kept(at(&row, 0)?));
    }
    let sql = "SELECT coalesce(max(n), 0) FROM inbox WHERE id < $1";
    Ok(Place::GoneBehind(at(&db.one(sql, &[&uuid_of!(id)]).await?, 0)?))
}
