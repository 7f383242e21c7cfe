//! The rows of a group of acceptances as columns, one statement a table.

use super::Waiting;
use crate::accept::Lease;
use crate::engine::postgres::append::{NewEvents, storable};
use crate::engine::postgres::counts::{Counts, Place};
use crate::engine::postgres::rows::uuid_of;
use crate::engine::postgres::session::Session;
use crate::engine::postgres::trouble::Trouble;
use crate::record::{ALL_SUPPRESSED, Fresh, event_code, failure_code, status_code};
use futures_util::future::try_join_all;
use posthaste_model::event::EventKind;
use posthaste_model::{FailureCode, Status, Timestamp};
use std::future::Future;
use std::pin::Pin;
use uuid::Uuid;

/// The columns of a group's emails; borrowed from the group.
#[derive(Default)]
pub(super) struct Columns<'g> {
    client_ids: Vec<Uuid>,
    ids: Vec<Uuid>,
    requested_at: Vec<i64>,
    updated_at: Vec<i64>,
    due_at: Vec<Option<i64>>,
    lease_owners: Vec<Option<Uuid>>,
    recipient_counts: Vec<i32>,
    /// Fence and attempts: 1 under a first lease.
    leased: Vec<i32>,
    event_counts: Vec<i32>,
    statuses: Vec<i16>,
    priorities: Vec<i16>,
    failure_codes: Vec<Option<i16>>,
    failure_messages: Vec<Option<&'static str>>,
    domains: Vec<&'g str>,
    recipients: Vec<Option<&'g str>>,
    heads: Vec<&'g [u8]>,
    contents: Vec<&'g [u8]>,
    bytes: Vec<i32>,
    blobs: Blobs<'g>,
    finders: Finders,
    copies: Vec<Copy>,
    events: NewEvents,
    counts: Counts,
}

#[derive(Default)]
struct Blobs<'g> {
    hashes: Vec<&'g [u8]>,
    client_ids: Vec<Uuid>,
    ids: Vec<Uuid>,
}

/// Entries of the index behind the lists.
#[derive(Default)]
struct Finders {
    keys: Vec<(Uuid, i64, Uuid)>,
}

impl Finders {
    /// Writes them in the order of the index: neighbours share its pages.
    async fn insert(&self, db: &Session) -> Result<(), Trouble> {
        let mut keys = self.keys.clone();
        keys.sort_unstable();
        let client_ids: Vec<Uuid> = keys.iter().map(|(client_id, ..)| *client_id).collect();
        let numbers: Vec<i64> = keys.iter().map(|(_, number, _)| *number).collect();
        let ids: Vec<Uuid> = keys.iter().map(|(.., id)| *id).collect();
        db.run(
            "INSERT INTO finders (client_id, key, id) SELECT * FROM unnest($1::uuid[], $2::int8[], $3::uuid[])",
            &[&client_ids, &numbers, &ids],
        )
        .await?;
        Ok(())
    }
}

/// An email that is sent again as a new one.
struct Copy {
    client_id: Uuid,
    original: Uuid,
    at: Timestamp,
    detail: String,
}

type Statement<'s> = Pin<Box<dyn Future<Output = Result<(), Trouble>> + Send + 's>>;

impl<'g> Columns<'g> {
    /// The columns of everything that a group would accept.
    pub(super) fn of(group: &'g [Waiting]) -> Self {
        let mut columns = Self::default();
        for waiting in group {
            for (row, finders) in waiting.rows.iter().zip(&waiting.finders) {
                let key = (uuid_of!(row.email.client_id), uuid_of!(row.email.id));
                columns.finders.keys.extend(finders.iter().map(|number| (key.0, *number, key.1)));
                columns.push(row, waiting.lease, waiting.now);
            }
        }
        columns
    }

    fn push(&mut self, row: &'g Fresh, lease: Option<Lease>, now: Timestamp) {
        let email = &row.email;
        let lease = lease.filter(|_| row.status == Status::Queued);
        let status = if lease.is_some() { Status::Processing } else { row.status };
        let (client_id, id) = (uuid_of!(email.client_id), uuid_of!(email.id));
        let failed = row.status == Status::Failed;
        let events = row.first_events(lease.is_some(), now);
        for (index, event) in events.iter().enumerate() {
            self.events.push(client_id, id, index as i32 + 1, event);
        }
        let requested_at = email.requested_at.millis();
        self.counts.add(Place { client_id, domain: &email.domain, requested_at }, status, &email.tags, 1);
        for blob in &row.blobs {
            self.blobs.hashes.push(&blob.0);
            self.blobs.client_ids.push(client_id);
            self.blobs.ids.push(id);
        }
        if let Some(original) = email.resent_from {
            let detail = format!("as {}", email.id);
            self.copies.push(Copy { client_id, original: uuid_of!(original), at: now, detail });
        }
        self.client_ids.push(client_id);
        self.ids.push(id);
        self.requested_at.push(requested_at);
        self.updated_at.push(now.millis());
        self.due_at.push(row.due_at(lease, now).map(Timestamp::millis));
        self.lease_owners.push(lease.map(|lease| uuid_of!(lease.worker)));
        self.recipient_counts.push(email.recipients.len() as i32);
        self.leased.push(i32::from(lease.is_some()));
        self.event_counts.push(events.len() as i32);
        self.statuses.push(status_code(status) as i16);
        self.priorities.push(email.priority.get().into());
        self.failure_codes.push(failed.then(|| failure_code(FailureCode::Suppressed) as i16));
        self.failure_messages.push(failed.then_some(ALL_SUPPRESSED));
        self.domains.push(&email.domain);
        self.recipients.push(row.states.as_deref());
        self.heads.push(&row.head);
        self.contents.push(&row.content);
        self.bytes.push(i32::try_from(row.head.len() + row.content.len()).unwrap_or(i32::MAX));
    }

    /// Writes all of it; the statements go out together.
    pub(super) async fn insert(&self, db: &Session) -> Result<(), Trouble> {
        let mut statements: Vec<Statement<'_>> = vec![
            Box::pin(self.insert_emails(db)),
            Box::pin(self.insert_heads(db)),
            Box::pin(self.insert_contents(db)),
            Box::pin(self.insert_queue(db)),
            Box::pin(self.events.insert(db)),
            Box::pin(self.finders.insert(db)),
        ];
        if !self.blobs.ids.is_empty() {
            statements.push(Box::pin(self.insert_blobs(db)));
        }
        statements.push(Box::pin(self.counts.flush(db)));
        try_join_all(statements).await?;
        for copy in &self.copies {
            tell_original(db, copy).await?;
        }
        Ok(())
    }

    async fn insert_emails(&self, db: &Session) -> Result<(), Trouble> {
        db.run(
            "INSERT INTO emails (client_id, id, requested_at, updated_at, due_at, lease_owner, recipient_count,
                fence, attempts, uncertain_ends, events, status, priority, failure_code, failure_message, domain,
                recipients)
             SELECT client_id, id, requested_at, updated_at, due_at, lease_owner, recipient_count, leased, leased,
                0, events, status, priority, failure_code, failure_message, domain, recipients
             FROM unnest($1::uuid[], $2::uuid[], $3::int8[], $4::int8[], $5::int8[], $6::uuid[], $7::int4[],
                $8::int4[], $9::int4[], $10::int2[], $11::int2[], $12::int2[], $13::text[], $14::text[],
                $15::text[])
             AS u(client_id, id, requested_at, updated_at, due_at, lease_owner, recipient_count, leased, events,
                status, priority, failure_code, failure_message, domain, recipients)",
            &[
                &self.client_ids,
                &self.ids,
                &self.requested_at,
                &self.updated_at,
                &self.due_at,
                &self.lease_owners,
                &self.recipient_counts,
                &self.leased,
                &self.event_counts,
                &self.statuses,
                &self.priorities,
                &self.failure_codes,
                &self.failure_messages,
                &self.domains,
                &self.recipients,
            ],
        )
        .await?;
        Ok(())
    }

    async fn insert_heads(&self, db: &Session) -> Result<(), Trouble> {
        db.run(
            "INSERT INTO heads (client_id, id, head) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[])",
            &[&self.client_ids, &self.ids, &self.heads],
        )
        .await?;
        Ok(())
    }

    async fn insert_contents(&self, db: &Session) -> Result<(), Trouble> {
        db.run(
            "INSERT INTO contents (client_id, id, content)
             SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[])",
            &[&self.client_ids, &self.ids, &self.contents],
        )
        .await?;
        Ok(())
    }

    async fn insert_queue(&self, db: &Session) -> Result<(), Trouble> {
        db.run(
            "INSERT INTO queue (email_id, client_id, due_at, lease_owner, fence, bytes, priority, status)
             SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int8[], $4::uuid[], $5::int4[], $6::int4[],
                $7::int2[], $8::int2[])
                AS u(email_id, client_id, due_at, lease_owner, fence, bytes, priority, status)
             WHERE status <= 2",
            &[
                &self.ids,
                &self.client_ids,
                &self.due_at,
                &self.lease_owners,
                &self.leased,
                &self.bytes,
                &self.priorities,
                &self.statuses,
            ],
        )
        .await?;
        Ok(())
    }

    async fn insert_blobs(&self, db: &Session) -> Result<(), Trouble> {
        db.run(
            "INSERT INTO blob_references (sha256, client_id, id)
             SELECT DISTINCT * FROM unnest($1::bytea[], $2::uuid[], $3::uuid[])",
            &[&self.blobs.hashes, &self.blobs.client_ids, &self.blobs.ids],
        )
        .await?;
        Ok(())
    }
}

/// The timeline of the email that is sent again names its copy; nothing happens where the client has no such email.
async fn tell_original(db: &Session, copy: &Copy) -> Result<(), Trouble> {
    db.run(
        "WITH original AS (
            UPDATE emails SET events = events + 1, last_day = today(), updated_at = $4
            WHERE client_id = $1 AND id = $2 RETURNING events
         )
         INSERT INTO events (client_id, email_id, seq, kind, at, attempt, detail)
         SELECT $1, $2, events, $3, $4, 0, $5 FROM original",
        &[
            &copy.client_id,
            &copy.original,
            &(event_code(EventKind::Resent) as i16),
            &copy.at.millis(),
            &storable(&copy.detail),
        ],
    )
    .await?;
    Ok(())
}
