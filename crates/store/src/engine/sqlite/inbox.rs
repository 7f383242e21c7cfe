//! The inbox transport's messages.

use super::Sqlite;
use super::rows::id_at;
use super::trouble::Trouble;
use super::tx::{Tx, client_number};
use crate::StoreError;
use crate::configuration::Actor;
use crate::inbox::{DELETED, InboxClient, InboxFilter, InboxSelection, all_deleted};
use crate::record::damaged;
use posthaste_model::email::BlobHash;
use posthaste_model::inbox::InboxMessage;
use posthaste_model::{ClientId, EmailId, InboxId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

const MESSAGE: &str = "SELECT i.id, c.id, i.email_id, i.mail_from, i.recipients, i.subject, i.sender, i.size,
    i.sha256, i.received_at FROM inbox i JOIN clients c ON c.n = i.client";

fn message_at(row: &Row<'_>) -> Result<InboxMessage, Trouble> {
    let recipients: String = row.get(4)?;
    Ok(InboxMessage {
        id: id_at!(row, 0, InboxId),
        client_id: id_at!(row, 1, ClientId),
        email_id: id_at!(row, 2, EmailId),
        mail_from: row.get(3)?,
        recipients: serde_json::from_str(&recipients).map_err(|_| damaged("recipients of a message"))?,
        subject: row.get(5)?,
        from: row.get(6)?,
        size: row.get(7)?,
        sha256: BlobHash(row.get(8)?),
        received_at: Timestamp::from_millis(row.get(9)?),
    })
}

/// The number that stands for `client` in a filter: none for all; one that no client has for an unknown client.
fn number_of(connection: &Connection, client: Option<ClientId>) -> Result<Option<i64>, Trouble> {
    match client {
        None => Ok(None),
        Some(id) => Ok(Some(client_number(connection, id)?.unwrap_or(0))),
    }
}

impl Sqlite {
    pub(crate) async fn inbox_add(&self, message: InboxMessage) -> Result<(), StoreError> {
        let recipients = serde_json::Value::from(message.recipients.clone()).to_string();
        self.write(1, move |tx| {
            let client = tx.client(message.client_id)?;
            tx.connection
                .prepare_cached(
                    "INSERT INTO inbox (id, client, email_id, mail_from, recipients, subject, sender, size,
                        sha256, received_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO NOTHING",
                )?
                .execute(params![
                    message.id.as_bytes(),
                    client,
                    message.email_id.as_bytes(),
                    message.mail_from,
                    recipients,
                    message.subject,
                    message.from,
                    message.size,
                    message.sha256.0,
                    message.received_at.millis()
                ])?;
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
        self.readers.read(move |connection| list(connection, &filter, before, limit)).await
    }

    pub(crate) async fn inbox_get(
        &self,
        client: Option<ClientId>,
        id: InboxId,
    ) -> Result<Option<InboxMessage>, StoreError> {
        self.readers
            .read(move |connection| {
                let sql = format!("{MESSAGE} WHERE i.id = ?1 AND (?2 IS NULL OR i.client = ?2)");
                let mut statement = connection.prepare_cached(&sql)?;
                let mut rows = statement.query(params![id.as_bytes(), number_of(connection, client)?])?;
                rows.next()?.map(message_at).transpose()
            })
            .await
    }

    pub(crate) async fn inbox_delete(
        &self,
        client: Option<ClientId>,
        which: InboxSelection,
        actor: Option<Actor>,
    ) -> Result<u64, StoreError> {
        self.write_alone(move |tx| {
            let number = number_of(tx.connection, client)?;
            match &which {
                InboxSelection::All => {
                    let sql = "DELETE FROM inbox WHERE ?1 IS NULL OR client = ?1";
                    let deleted = tx.connection.execute(sql, [number])? as u64;
                    if let Some(actor) = actor.as_ref().filter(|_| deleted > 0) {
                        let (target, detail) = all_deleted(client, deleted);
                        tx.note(actor, DELETED, &target, Some(&detail))?;
                    }
                    Ok(deleted)
                }
                InboxSelection::Ids(ids) => delete_each(tx, number, ids, actor.as_ref()),
            }
        })
        .await
    }

    pub(crate) async fn inbox_clients(
        &self,
        client: Option<ClientId>,
    ) -> Result<Vec<InboxClient>, StoreError> {
        self.readers
            .read(move |connection| {
                let client = number_of(connection, client)?;
                let of_client = if client.is_some() { "client = ?1" } else { "?1 IS NULL" };
                // Counted in the index alone before anything is joined.
                let mut statement = connection.prepare_cached(&format!(
                    "SELECT c.id, c.name, i.messages
                     FROM (SELECT client, count(*) AS messages FROM inbox WHERE {of_client} GROUP BY client) i
                     JOIN clients c ON c.n = i.client ORDER BY c.name"
                ))?;
                let mut rows = statement.query([client])?;
                let mut clients = Vec::new();
                while let Some(row) = rows.next()? {
                    let (id, name) = (id_at!(row, 0, ClientId), row.get(1)?);
                    clients.push(InboxClient { id, name, messages: row.get(2)? });
                }
                Ok(clients)
            })
            .await
    }

    pub(crate) async fn inbox_count(&self, client: Option<ClientId>) -> Result<u64, StoreError> {
        self.readers
            .read(move |connection| match number_of(connection, client)? {
                None => Ok(connection.query_row("SELECT count(*) FROM inbox", [], |row| row.get(0))?),
                Some(client) => {
                    let sql = "SELECT count(*) FROM inbox WHERE client = ?1";
                    Ok(connection.query_row(sql, [client], |row| row.get(0))?)
                }
            })
            .await
    }
}

fn delete_each(
    tx: &mut Tx<'_>,
    client: Option<i64>,
    ids: &[InboxId],
    actor: Option<&Actor>,
) -> Result<u64, Trouble> {
    let sql = "DELETE FROM inbox WHERE id = ?1 AND (?2 IS NULL OR client = ?2)";
    let mut deleted = 0;
    for id in ids {
        if tx.connection.prepare_cached(sql)?.execute(params![id.as_bytes(), client])? == 0 {
            continue;
        }
        deleted += 1;
        if let Some(actor) = actor {
            tx.note(actor, DELETED, &id.to_string(), None)?;
        }
    }
    Ok(deleted)
}

fn list(
    connection: &Connection,
    filter: &InboxFilter,
    before: Option<InboxId>,
    limit: usize,
) -> Result<Vec<InboxMessage>, Trouble> {
    let client = number_of(connection, filter.client)?;
    let before = match before {
        None => i64::MAX,
        Some(id) => match place(connection, client, id)? {
            Place::Kept(n) => n,
            Place::GoneBehind(n) => n + 1,
        },
    };
    let behind = match filter.behind {
        None => 0,
        Some(id) => match place(connection, client, id)? {
            Place::Kept(n) | Place::GoneBehind(n) => n,
        },
    };
    let of_client = if client.is_some() { "i.client = ?1" } else { "?1 IS NULL" };
    // `instr` rather than LIKE: what is looked for is text, not a pattern.
    let mut statement = connection.prepare_cached(&format!(
        "{MESSAGE} WHERE {of_client} AND i.n < ?2
            AND (?3 IS NULL OR instr(lower(i.subject), lower(?3)) OR instr(lower(i.sender), lower(?3))
                OR instr(lower(i.recipients), lower(?3)))
            AND (?4 IS NULL OR EXISTS (SELECT 1 FROM json_each(i.recipients) WHERE lower(value) = lower(?4)))
            AND (?5 IS NULL OR i.received_at >= ?5) AND i.n > ?6
         ORDER BY i.n DESC LIMIT ?7"
    ))?;
    let of = params![
        client,
        before,
        filter.q.as_deref().filter(|q| !q.is_empty()),
        filter.to,
        filter.after.map(Timestamp::millis),
        behind,
        limit as i64
    ];
    let mut rows = statement.query(of)?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        messages.push(message_at(row)?);
    }
    Ok(messages)
}

/// Where a message stands in the order of the list.
enum Place {
    Kept(i64),
    /// It is gone, or another client's; this is the last place that an older id has.
    GoneBehind(i64),
}

fn place(connection: &Connection, client: Option<i64>, id: InboxId) -> Result<Place, Trouble> {
    let sql = "SELECT n FROM inbox WHERE id = ?1 AND (?2 IS NULL OR client = ?2)";
    let kept = connection.query_row(sql, params![id.as_bytes(), client], |row| row.get(0)).optional()?;
    if let Some(n) = kept {
        return Ok(Place::Kept(n));
    }
    let sql = "SELECT coalesce(max(n), 0) FROM inbox WHERE id < ?1";
    Ok(Place::GoneBehind(connection.query_row(sql, [id.as_bytes()], |row| row.get(0))?))
}
