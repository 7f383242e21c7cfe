//! What may change of an email: read under lock, changed in memory, written back by arrays together with its events, its
//! row in the queue and its counts.

use super::append::{NewEvents, storable};
use super::counts::{Counts, Place};
use super::rows::span;
use super::session::Session;
use super::trouble::Trouble;
use crate::record::{failure_code, status_code, status_of};
use futures_util::future::{join, try_join};
use posthaste_model::event::NewEvent;
use posthaste_model::{FailureCode, Status};
use tokio_postgres::Row;
use uuid::Uuid;

/// The columns of a state, read with alias `e` (emails) and, for the lease, `q` (queue).
pub(super) const STATE_COLUMNS: &str =
    "e.client_id, e.id, e.domain, e.requested_at, e.recipient_count, e.status,
    q.due_at, q.lease_owner, q.fence, e.attempts, e.uncertain_ends, e.events, e.updated_at, e.sent_at,
    e.failure_code, e.failure_message, e.error, e.provider, e.provider_message_id, e.recipients";

/// An email's state.
#[derive(Clone)]
pub(super) struct State {
    pub(super) client_id: Uuid,
    pub(super) id: Uuid,
    pub(super) domain: String,
    pub(super) requested_at: i64,
    pub(super) recipient_count: i32,
    pub(super) status: Status,
    pub(super) due_at: Option<i64>,
    pub(super) lease_owner: Option<Uuid>,
    pub(super) fence: i32,
    pub(super) attempts: i32,
    pub(super) uncertain_ends: i32,
    pub(super) events: i32,
    pub(super) updated_at: i64,
    pub(super) sent_at: Option<i64>,
    pub(super) failure_code: Option<i16>,
    pub(super) failure_message: Option<String>,
    pub(super) error: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) provider_message_id: Option<String>,
    pub(super) recipients: Option<String>,
}

impl State {
    /// The state in a row whose `STATE_COLUMNS` begin at `first`.
    pub(super) fn at(row: &Row, first: usize) -> Result<Self, Trouble> {
        Ok(Self {
            client_id: row.try_get(first)?,
            id: row.try_get(first + 1)?,
            domain: row.try_get(first + 2)?,
            requested_at: row.try_get(first + 3)?,
            recipient_count: row.try_get(first + 4)?,
            status: status_of(i64::from(row.try_get::<_, i16>(first + 5)?))?,
            due_at: row.try_get(first + 6)?,
            lease_owner: row.try_get(first + 7)?,
            fence: row.try_get(first + 8)?,
            attempts: row.try_get(first + 9)?,
            uncertain_ends: row.try_get(first + 10)?,
            events: row.try_get(first + 11)?,
            updated_at: row.try_get(first + 12)?,
            sent_at: row.try_get(first + 13)?,
            failure_code: row.try_get(first + 14)?,
            failure_message: row.try_get(first + 15)?,
            error: row.try_get(first + 16)?,
            provider: row.try_get(first + 17)?,
            provider_message_id: row.try_get(first + 18)?,
            recipients: row.try_get(first + 19)?,
        })
    }

    /// The states of those of some emails that are unfinished, locked, in the order of their ids.
    pub(super) async fn lock(db: &Session, ids: &[Uuid]) -> Result<Vec<Self>, Trouble> {
        let Some((low, high)) = span(ids.iter()) else { return Ok(Vec::new()) };
        let rows = db
            .rows(
                &format!(
                    "SELECT {STATE_COLUMNS} FROM queue q
                     JOIN emails e ON e.client_id = q.client_id AND e.id = q.email_id AND e.id BETWEEN $1 AND $2
                     WHERE q.email_id = ANY($3) ORDER BY q.email_id FOR UPDATE OF q, e"
                ),
                &[&low, &high, &ids],
            )
            .await?;
        rows.iter().map(|row| Self::at(row, 0)).collect()
    }

    /// Sets code and message of a final failure.
    pub(super) fn fail(&mut self, failure: Option<&(FailureCode, String)>) {
        self.failure_code = failure.map(|(code, _)| failure_code(*code) as i16);
        self.failure_message = failure.map(|(_, message)| storable(message).into_owned());
    }

    fn place(&self) -> Place<'_> {
        Place { client_id: self.client_id, domain: &self.domain, requested_at: self.requested_at }
    }

    /// Whether somebody must still act: such an email stands in the queue.
    fn is_unfinished(&self) -> bool {
        matches!(self.status, Status::Scheduled | Status::Queued | Status::Processing)
            || self.due_at.is_some()
    }
}

/// Changes of one transaction.
#[derive(Default)]
pub(super) struct Changes {
    states: Vec<State>,
    events: NewEvents,
    counts: Counts,
}

impl Changes {
    /// Appends an event to an email's timeline.
    pub(super) fn append(&mut self, state: &mut State, event: &NewEvent) {
        state.events += 1;
        self.events.push(state.client_id, state.id, state.events, event);
    }

    /// Takes a changed state; its status was `before`.
    pub(super) fn push(&mut self, state: State, before: Status) {
        self.counts.moved(state.place(), before, state.status);
        self.states.push(state);
    }

    /// Whether mail became due that nobody holds.
    pub(super) fn has_due(&self, now: i64) -> bool {
        self.states.iter().any(|s| s.lease_owner.is_none() && s.due_at.is_some_and(|due_at| due_at <= now))
    }

    /// Writes everything; the statements go out together.
    pub(super) async fn save(&self, db: &Session) -> Result<(), Trouble> {
        if self.states.is_empty() {
            return Ok(());
        }
        let (finished, unfinished): (Vec<&State>, Vec<&State>) =
            self.states.iter().partition(|state| !state.is_unfinished());
        let queue = join(update_queue(db, &unfinished), delete_queue(db, &finished));
        let written = try_join(self.update_emails(db), self.events.insert(db));
        let (written, (updated, deleted), counted) =
            futures_util::future::join3(written, queue, self.counts.flush(db)).await;
        written?;
        updated?;
        deleted?;
        counted
    }

    async fn update_emails(&self, db: &Session) -> Result<(), Trouble> {
        let states = &self.states;
        let Some((low, high)) = span(states.iter().map(|state| &state.id)) else { return Ok(()) };
        let changed = db
            .run(
                "UPDATE emails e SET status = u.status, due_at = u.due_at, lease_owner = u.lease_owner,
                    fence = u.fence, attempts = u.attempts, uncertain_ends = u.uncertain_ends, events = u.events,
                    last_day = today(), updated_at = u.updated_at, sent_at = u.sent_at,
                    failure_code = u.failure_code, failure_message = u.failure_message, error = u.error,
                    provider = u.provider, provider_message_id = u.provider_message_id, recipients = u.recipients
                 FROM unnest($3::uuid[], $4::uuid[], $5::int2[], $6::int8[], $7::uuid[], $8::int4[], $9::int4[],
                    $10::int4[], $11::int4[], $12::int8[], $13::int8[], $14::int2[], $15::text[], $16::text[],
                    $17::text[], $18::text[], $19::text[])
                 AS u(client_id, id, status, due_at, lease_owner, fence, attempts, uncertain_ends, events,
                    updated_at, sent_at, failure_code, failure_message, error, provider, provider_message_id,
                    recipients)
                 WHERE e.client_id = u.client_id AND e.id = u.id AND e.id BETWEEN $1 AND $2",
                &[
                    &low,
                    &high,
                    &column(states, |s| s.client_id),
                    &column(states, |s| s.id),
                    &column(states, |s| status_code(s.status) as i16),
                    &column(states, |s| s.due_at),
                    &column(states, |s| s.lease_owner),
                    &column(states, |s| s.fence),
                    &column(states, |s| s.attempts),
                    &column(states, |s| s.uncertain_ends),
                    &column(states, |s| s.events),
                    &column(states, |s| s.updated_at),
                    &column(states, |s| s.sent_at),
                    &column(states, |s| s.failure_code),
                    &column(states, |s| s.failure_message.as_deref()),
                    &column(states, |s| s.error.as_deref()),
                    &column(states, |s| s.provider.as_deref()),
                    &column(states, |s| s.provider_message_id.as_deref()),
                    &column(states, |s| s.recipients.as_deref()),
                ],
            )
            .await?;
        debug_assert_eq!(changed, states.len() as u64);
        Ok(())
    }
}

fn column<'s, T>(states: &'s [State], of: impl Fn(&'s State) -> T) -> Vec<T> {
    states.iter().map(of).collect()
}

async fn update_queue(db: &Session, states: &[&State]) -> Result<(), Trouble> {
    if states.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = states.iter().map(|s| s.id).collect();
    let client_ids: Vec<Uuid> = states.iter().map(|s| s.client_id).collect();
    let due_at: Vec<Option<i64>> = states.iter().map(|s| s.due_at).collect();
    let owners: Vec<Option<Uuid>> = states.iter().map(|s| s.lease_owner).collect();
    let fences: Vec<i32> = states.iter().map(|s| s.fence).collect();
    let statuses: Vec<i16> = states.iter().map(|s| status_code(s.status) as i16).collect();
    db.run(
        "UPDATE queue q SET due_at = u.due_at, lease_owner = u.lease_owner, fence = u.fence, status = u.status
         FROM unnest($1::uuid[], $2::uuid[], $3::int8[], $4::uuid[], $5::int4[], $6::int2[])
            AS u(email_id, client_id, due_at, lease_owner, fence, status)
         WHERE q.email_id = u.email_id AND q.client_id = u.client_id",
        &[&ids, &client_ids, &due_at, &owners, &fences, &statuses],
    )
    .await?;
    Ok(())
}

async fn delete_queue(db: &Session, states: &[&State]) -> Result<(), Trouble> {
    if states.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = states.iter().map(|s| s.id).collect();
    let client_ids: Vec<Uuid> = states.iter().map(|s| s.client_id).collect();
    db.run(
        "DELETE FROM queue q USING unnest($1::uuid[], $2::uuid[]) AS u(email_id, client_id)
         WHERE q.email_id = u.email_id AND q.client_id = u.client_id",
        &[&ids, &client_ids],
    )
    .await?;
    Ok(())
}
