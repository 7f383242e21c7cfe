//! Erasure of a person's data (GDPR). The address, the content made for it and every text that may quote it go; what
//! remains is that an email was sent. While other recipients of the same email are still to be tried its content
//! stays, and goes with retention. The server overwrites what was deleted when it vacuums.

use super::Postgres;
use super::append::NewEvents;
use super::columns::{at, code_at};
use super::counts::{Counts, Place};
use super::inbox::hash_at;
use super::list::Search;
use super::retention::{drop_contents_of, unused};
use super::rows::uuid_of;
use super::session::Session;
use super::trouble::Trouble;
use crate::StoreError;
use crate::emails::EmailFilter;
use crate::record::finders::numbers_of;
use crate::record::{erase_head, raw_blob, states_json, states_of, status_code, status_of, withdraw};
use crate::upkeep::ErasureReport;
use posthaste_model::event::{EventKind, NewEvent};
use posthaste_model::suppression::address_key;
use posthaste_model::{ClientId, Status, Timestamp};
use uuid::Uuid;

/// Emails changed in one transaction.
const STEP: usize = 100;

impl Postgres {
    pub(crate) async fn erase_recipient(
        &self,
        client_id: Option<ClientId>,
        address: &str,
        now: Timestamp,
    ) -> Result<ErasureReport, StoreError> {
        let clients: Vec<Uuid> = match client_id {
            Some(id) => vec![uuid_of!(id)],
            None => self.clients().await?.iter().map(|client| uuid_of!(client.id)).collect(),
        };
        let mut report = ErasureReport::default();
        for client in clients {
            while report.add(self.erase_step(client, address, now).await?) {}
        }
        report.name_once();
        Ok(report)
    }

    async fn erase_step(
        &self,
        client: Uuid,
        address: &str,
        now: Timestamp,
    ) -> Result<ErasureReport, StoreError> {
        let filter = EmailFilter { recipient: Some(address.to_owned()), ..EmailFilter::default() };
        let search = &Search::new(client, &filter);
        let oldest = self.oldest_day();
        self.write(1, |db| async move {
            let mut report = ErasureReport::default();
            let mut counts = Counts::default();
            let mut ids = search.find(&db, None, STEP, oldest).await?;
            // Two that erase at once take the same order.
            ids.sort_unstable();
            for id in ids {
                erase_one(&db, (client, id), address, now, &mut report, &mut counts).await?;
            }
            erase_inbox(&db, client, address, &mut report).await?;
            erase_suppressions(&db, client, address).await?;
            counts.flush(&db).await?;
            Ok(report)
        })
        .await
    }
}

async fn erase_one(
    db: &Session,
    (client, id): (Uuid, Uuid),
    address: &str,
    now: Timestamp,
    report: &mut ErasureReport,
    counts: &mut Counts,
) -> Result<(), Trouble> {
    // Whoever changes an unfinished email locks its row in the queue first.
    let queued =
        "SELECT lease_owner IS NOT NULL FROM queue WHERE email_id = $1 AND client_id = $2 FOR UPDATE";
    let leased = db.maybe(queued, &[&id, &client]).await?.map(|row| at::<bool>(&row, 0)).transpose()?;
    let sql =
        "SELECT e.status, e.events, e.requested_at, e.domain, e.recipient_count, e.recipients, e.first_day,
            e.last_day, h.head
        FROM emails e JOIN heads h ON h.client_id = e.client_id AND h.id = e.id
        WHERE e.client_id = $1 AND e.id = $2 AND h.client_id = $1 AND h.id = $2 FOR UPDATE OF e";
    let Some(row) = db.maybe(sql, &[&client, &id]).await? else { return Ok(()) };
    let old: &[u8] = row.try_get(8)?;
    let count = i64::from(at::<i32>(&row, 4)?);
    let requested_at: i64 = at(&row, 2)?;
    let mut states = states_of(row.try_get(5)?, count, requested_at)?;
    let mut head = erase_head(old, address)?;
    report.cancelled += withdraw(&mut states, &head.erased, now);
    let others_wait = states.iter().any(|recipient| recipient.status.is_open());
    if !others_wait {
        let sql = "SELECT content FROM contents WHERE client_id = $1 AND id = $2";
        let content = db.maybe(sql, &[&client, &id]).await?;
        let message = content.map(|row| Ok::<_, Trouble>(raw_blob(row.try_get(0)?))).transpose()?.flatten();
        let (dropped, blobs) = drop_contents_of(db, &[client], &[id]).await?;
        report.bodies += dropped;
        report.blobs.extend(blobs);
        report.set_message_apart(message);
        head.empty();
    }
    let new = head.into_bytes();
    change_head(db, (client, id), old, &new).await?;
    db.run("UPDATE news SET raw = NULL WHERE email_id = $1 AND raw IS NOT NULL", &[&id]).await?;
    report.events += clear_events(db, (client, id), at(&row, 6)?, at(&row, 7)?).await?;
    // What webhooks were told names the recipient; it is not told again.
    db.run("DELETE FROM webhook_deliveries WHERE email_id = $1", &[&id]).await?;
    db.run(
        "UPDATE emails SET recipients = $3, error = NULL, updated_at = $4,
            failure_message = CASE WHEN failure_message IS NULL THEN NULL ELSE 'erased' END
         WHERE client_id = $1 AND id = $2",
        &[&client, &id, &states_json(&states)?, &now.millis()],
    )
    .await?;
    let status = status_of(code_at(&row, 0)?)?;
    if !others_wait && status.is_cancellable() && leased != Some(true) {
        let seq = at::<i32>(&row, 1)? + 1;
        cancel(db, (client, id), seq, now).await?;
        let place = Place { client_id: client, domain: row.try_get(3)?, requested_at };
        counts.moved(place, status, Status::Cancelled);
    }
    report.emails += 1;
    Ok(())
}

/// Writes another head, and moves the email to where it is found by it.
async fn change_head(
    db: &Session,
    (client, id): (Uuid, Uuid),
    old: &[u8],
    new: &[u8],
) -> Result<(), Trouble> {
    db.run("UPDATE heads SET head = $3 WHERE client_id = $1 AND id = $2", &[&client, &id, &new]).await?;
    let sql = "DELETE FROM finders WHERE client_id = $1 AND id = $2 AND key = ANY($3)";
    db.run(sql, &[&client, &id, &numbers_of(old)?]).await?;
    let sql = "INSERT INTO finders (client_id, key, id) SELECT $1, k, $2 FROM unnest($3::bigint[]) k
        ON CONFLICT DO NOTHING";
    db.run(sql, &[&client, &id, &numbers_of(new)?]).await?;
    Ok(())
}

async fn clear_events(
    db: &Session,
    (client, id): (Uuid, Uuid),
    first_day: i32,
    last_day: i32,
) -> Result<u64, Trouble> {
    let sql = "UPDATE events SET detail = NULL
        WHERE client_id = $1 AND email_id = $2 AND day BETWEEN $3 AND $4 AND detail IS NOT NULL";
    db.run(sql, &[&client, &id, &first_day, &last_day]).await
}

async fn cancel(db: &Session, (client, id): (Uuid, Uuid), seq: i32, now: Timestamp) -> Result<(), Trouble> {
    let event = NewEvent {
        kind: EventKind::Cancelled,
        at: now,
        recipient: None,
        attempt: 0,
        detail: Some("its recipients were erased".into()),
    };
    let mut events = NewEvents::default();
    events.push(client, id, seq, &event);
    events.insert(db).await?;
    db.run(
        "UPDATE emails SET status = $3, due_at = NULL, events = $4, last_day = today()
         WHERE client_id = $1 AND id = $2",
        &[&client, &id, &(status_code(Status::Cancelled) as i16), &seq],
    )
    .await?;
    db.run("DELETE FROM queue WHERE email_id = $1 AND client_id = $2", &[&id, &client]).await?;
    Ok(())
}

/// Removes messages in the inbox that were delivered to the address.
async fn erase_inbox(
    db: &Session,
    client: Uuid,
    address: &str,
    report: &mut ErasureReport,
) -> Result<(), Trouble> {
    let sql = "DELETE FROM inbox WHERE client_id = $1 AND EXISTS (
            SELECT 1 FROM jsonb_array_elements_text(recipients::jsonb) r WHERE lower(r) = lower($2))
        RETURNING sha256";
    let mut hashes = Vec::new();
    for row in &db.rows(sql, &[&client, &address]).await? {
        hashes.push(hash_at(row, 0)?);
    }
    report.inbox_messages += hashes.len() as u64;
    report.messages.extend(unused(db, &hashes).await?);
    Ok(())
}

/// The address stays suppressed by its key alone: who was erased must not be written to again.
async fn erase_suppressions(db: &Session, client: Uuid, address: &str) -> Result<(), Trouble> {
    let sql = "UPDATE suppressions SET email = NULL, evidence = NULL
        WHERE client_id = $1 AND address_key = $2 AND email IS NOT NULL";
    db.run(sql, &[&client, &address_key(address).as_slice()]).await?;
    // What was said of mail to them may quote anything.
    let sql = "UPDATE news SET raw = NULL WHERE address_key = $1 AND raw IS NOT NULL";
    db.run(sql, &[&address_key(address).as_slice()]).await?;
    Ok(())
}
