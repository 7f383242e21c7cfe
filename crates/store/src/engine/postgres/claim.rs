//! Claims, from the queue. The attempt and the lease's end are written before anybody acts on them; rows that another
//! worker is claiming are passed over, not waited for.

use super::Postgres;
use super::rows::{EMAIL_COLUMN_COUNT, EMAIL_COLUMNS, EMAIL_TABLES, email_at, span, uuid_of};
use super::session::Session;
use super::state::{Changes, STATE_COLUMNS, State};
use super::trouble::Trouble;
use crate::StoreError;
use crate::claim::{CLAIM_BYTES, LEVELS, portions};
use crate::engine::postgres::link::End;
use crate::record::states_of;
use posthaste_model::attempt::Claim;
use posthaste_model::event::{EventKind, NewEvent};
use posthaste_model::{EmailId, Status, Timestamp, WorkerId};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio_postgres::Row;
use uuid::Uuid;

/// Who claims, and until when.
#[derive(Clone, Copy)]
struct Claimer {
    worker: Uuid,
    now: Timestamp,
    until: Timestamp,
}

impl Postgres {
    pub(crate) async fn claim_due(
        &self,
        worker: WorkerId,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Claim>, StoreError> {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let claimer = Claimer { worker: uuid_of!(worker), now, until: lease_until };
        let work = move |db: Session| async move {
            let counts = due(&db, now, limit).await?;
            if counts.iter().all(|count| *count == 0) {
                return Ok(End::RollBack(Vec::new()));
            }
            let picked = pick_due(&db, now, &portions(&counts, limit, turn)).await?;
            Ok(End::Commit(claim(&db, picked, claimer).await?))
        };
        self.link.write_or_not(limit.max(1), work).await
    }

    pub(crate) async fn claim_these(
        &self,
        worker: WorkerId,
        emails: &[EmailId],
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Vec<Claim>, StoreError> {
        let claimer = Claimer { worker: uuid_of!(worker), now, until: lease_until };
        let ids: Vec<Uuid> = emails.iter().map(|id| uuid_of!(id)).collect();
        let work = |db: Session| async {
            let db = db;
            let rows = db
                .rows(
                    "SELECT email_id, client_id, bytes FROM queue
                     WHERE email_id = ANY($1) AND due_at <= $2
                     ORDER BY priority, due_at FOR UPDATE SKIP LOCKED",
                    &[&ids, &now.millis()],
                )
                .await?;
            if rows.is_empty() {
                return Ok(End::RollBack(Vec::new()));
            }
            Ok(End::Commit(claim(&db, keys(&rows)?, claimer).await?))
        };
        self.link.write_or_not(ids.len().max(1), work).await
    }

    pub(crate) async fn renew_leases(
        &self,
        worker: WorkerId,
        mut held: Vec<(EmailId, u32)>,
        until: Timestamp,
    ) -> Result<Vec<EmailId>, StoreError> {
        held.sort_unstable();
        let ids: Vec<Uuid> = held.iter().map(|(id, _)| uuid_of!(id)).collect();
        let fences: Vec<i32> = held.iter().map(|(_, fence)| *fence as i32).collect();
        let (owner, until) = (uuid_of!(worker), until.millis());
        let (ids, fences) = (&ids, &fences);
        let renewed = self
            .write(held.len().max(1), |db| async move {
                let rows = db
                    .rows(
                        "UPDATE queue q SET due_at = $1
                         FROM unnest($2::uuid[], $3::int4[]) AS u(email_id, fence)
                         WHERE q.email_id = u.email_id AND q.fence = u.fence AND q.lease_owner = $4
                         RETURNING q.email_id",
                        &[&until, ids, fences, &owner],
                    )
                    .await?;
                rows.iter().map(|row| Ok(row.try_get::<_, Uuid>(0)?)).collect::<Result<Vec<Uuid>, Trouble>>()
            })
            .await?;
        let is_lost = |id: &EmailId| !renewed.contains(&uuid_of!(id));
        Ok(held.into_iter().map(|(id, _)| id).filter(is_lost).collect())
    }

    pub(crate) async fn hand_back(
        &self,
        worker: WorkerId,
        held: Vec<(EmailId, u32)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = held.iter().map(|(id, _)| uuid_of!(id)).collect();
        let fences: HashMap<Uuid, u32> = held.iter().map(|(id, fence)| (uuid_of!(id), *fence)).collect();
        let owner = uuid_of!(worker);
        let (ids, fences) = (&ids, &fences);
        let due = self
            .write(held.len().max(1), |db| async move {
                let mut changes = Changes::default();
                for state in State::lock(&db, ids).await? {
                    let is_held = state.lease_owner == Some(owner)
                        && fences.get(&state.id).is_some_and(|fence| *fence as i32 == state.fence);
                    if is_held {
                        give_back(&mut changes, state, now);
                    }
                }
                changes.save(&db).await?;
                Ok(changes.has_due(now.millis()))
            })
            .await?;
        if due {
            self.listener.ring();
        }
        Ok(())
    }
}

/// How many emails of each priority are due, up to `limit` each.
async fn due(db: &Session, now: Timestamp, limit: usize) -> Result<Vec<usize>, Trouble> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = db
        .rows(
            "SELECT n.count FROM generate_series(1, $3::int4) AS p(priority), LATERAL (
                SELECT count(*) FROM (
                    SELECT FROM queue WHERE priority = p.priority::int2 AND due_at <= $1 LIMIT $2
                ) AS due
             ) AS n ORDER BY p.priority",
            &[&now.millis(), &limit, &(LEVELS as i32)],
        )
        .await?;
    rows.iter().map(|row| Ok(row.try_get::<_, i64>(0)? as usize)).collect()
}

/// Locks so many due emails of each priority; client and id of each, in the order to work them off.
async fn pick_due(db: &Session, now: Timestamp, amounts: &[usize]) -> Result<Vec<(Uuid, Uuid)>, Trouble> {
    let amounts: Vec<i64> = amounts.iter().map(|amount| *amount as i64).collect();
    let rows = db
        .rows(
            "SELECT q.email_id, q.client_id, q.bytes FROM unnest($1::int8[]) WITH ORDINALITY AS p(amount, priority),
             LATERAL (
                SELECT email_id, client_id, due_at, bytes FROM queue
                WHERE priority = p.priority::int2 AND due_at <= $2
                ORDER BY due_at LIMIT p.amount FOR UPDATE SKIP LOCKED
             ) AS q ORDER BY p.priority, q.due_at",
            &[&amounts, &now.millis()],
        )
        .await?;
    keys(&rows)
}

/// Client and id of locked emails, until their bodies reach what one answer may hold; the others stay due.
fn keys(rows: &[Row]) -> Result<Vec<(Uuid, Uuid)>, Trouble> {
    let mut keys = Vec::with_capacity(rows.len());
    let mut bytes = 0;
    for row in rows {
        keys.push((row.try_get(1)?, row.try_get(0)?));
        bytes += row.try_get::<_, i32>(2)? as usize;
        if bytes >= CLAIM_BYTES {
            break;
        }
    }
    Ok(keys)
}

/// Leases emails whose rows in the queue are locked; the claims in their order.
async fn claim(db: &Session, keys: Vec<(Uuid, Uuid)>, claimer: Claimer) -> Result<Vec<Claim>, Trouble> {
    let (client_ids, ids): (Vec<Uuid>, Vec<Uuid>) = keys.iter().copied().unzip();
    let Some((low, high)) = span(ids.iter()) else { return Ok(Vec::new()) };
    let rows = db
        .rows(
            &format!(
                "SELECT {EMAIL_COLUMNS}, {STATE_COLUMNS}
                 FROM unnest($3::uuid[], $4::uuid[]) AS u(client_id, id)
                 JOIN queue q ON q.email_id = u.id AND q.client_id = u.client_id
                 JOIN ({EMAIL_TABLES}) ON e.client_id = u.client_id AND e.id = u.id AND e.id BETWEEN $1 AND $2
                 FOR NO KEY UPDATE OF e"
            ),
            &[&low, &high, &client_ids, &ids],
        )
        .await?;
    let mut changes = Changes::default();
    let mut claims = HashMap::with_capacity(rows.len());
    for row in &rows {
        let (email, _) = email_at(row)?;
        let state = State::at(row, EMAIL_COLUMN_COUNT)?;
        claims.insert(state.id, lease(&mut changes, email, state, claimer)?);
    }
    changes.save(db).await?;
    if claims.len() < keys.len() {
        forget(db, &keys, &claims).await?;
    }
    Ok(ids.iter().filter_map(|id| claims.remove(id)).collect())
}

/// Leases one email; the claim on it.
fn lease(
    changes: &mut Changes,
    email: posthaste_model::email::Email,
    mut state: State,
    claimer: Claimer,
) -> Result<Claim, Trouble> {
    let event = |kind, attempt| NewEvent { kind, at: claimer.now, recipient: None, attempt, detail: None };
    let recipients =
        states_of(state.recipients.as_deref(), i64::from(state.recipient_count), state.requested_at)?;
    let before = state.status;
    let attempt = state.attempts as u32 + 1;
    if state.lease_owner.is_some() {
        changes.append(&mut state, &event(EventKind::LeaseExpired, attempt - 1));
    }
    changes.append(&mut state, &event(EventKind::Processing, attempt));
    // Recipients left over are tried while the email as a whole is already `sent`, or more than that.
    state.status = if before.is_settled() { before } else { Status::Processing };
    state.due_at = Some(claimer.until.millis());
    state.lease_owner = Some(claimer.worker);
    state.fence += 1;
    state.attempts += 1;
    state.updated_at = claimer.now.millis();
    let claim = Claim {
        email: Arc::new(email),
        status: before,
        recipients,
        attempt,
        fence: state.fence as u32,
        uncertain_ends: state.uncertain_ends as u32,
        lease_until: claimer.until,
        sent_at: state.sent_at.map(Timestamp::from_millis),
        last_error: state.error.clone(),
    };
    changes.push(state, before);
    Ok(claim)
}

/// Takes out of the queue what has no email any more: its day was dropped.
async fn forget(db: &Session, keys: &[(Uuid, Uuid)], found: &HashMap<Uuid, Claim>) -> Result<(), Trouble> {
    let gone: Vec<Uuid> = keys.iter().map(|(_, id)| *id).filter(|id| !found.contains_key(id)).collect();
    tracing::warn!(count = gone.len(), "emails that waited are gone");
    db.run("DELETE FROM queue WHERE email_id = ANY($1)", &[&gone]).await?;
    Ok(())
}

fn give_back(changes: &mut Changes, mut state: State, now: Timestamp) {
    let before = state.status;
    let event = NewEvent {
        kind: EventKind::Queued,
        at: now,
        recipient: None,
        attempt: 0,
        detail: Some("given back before the attempt began".into()),
    };
    changes.append(&mut state, &event);
    state.status = if before.is_settled() { before } else { Status::Queued };
    state.due_at = Some(now.millis());
    state.lease_owner = None;
    state.attempts = (state.attempts - 1).max(0);
    state.updated_at = now.millis();
    changes.push(state, before);
}
