//! Claims, from the due index. The attempt and the lease's end are written before anybody acts on them.

use super::Sqlite;
use super::rows::{EMAIL_COLUMN_COUNT, EMAIL_COLUMNS, email_at, state_by_id, time_at};
use super::trouble::Trouble;
use super::tx::{Chain, Place, Tx, worker_number};
use crate::StoreError;
use crate::claim::{CLAIM_BYTES, LEVELS, portions};
use crate::record::{states_of, status_code, status_of};
use posthaste_model::attempt::Claim;
use posthaste_model::event::{EventKind, NewEvent};
use posthaste_model::{EmailId, Status, Timestamp, WorkerId};
use rusqlite::{OptionalExtension, params};
use std::sync::Arc;

impl Sqlite {
    pub(crate) async fn claim_due(
        &self,
        worker: WorkerId,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Claim>, StoreError> {
        self.write(limit.max(1), move |tx| {
            let numbers = due(tx, now, limit)?;
            if numbers.is_empty() {
                return Ok(Vec::new());
            }
            let owner = tx.worker(worker, now)?;
            claim_all(tx, &numbers, owner, now, lease_until)
        })
        .await
    }

    pub(crate) async fn claim_these(
        &self,
        worker: WorkerId,
        emails: &[EmailId],
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Vec<Claim>, StoreError> {
        let emails = emails.to_vec();
        self.write(emails.len().max(1), move |tx| {
            let numbers = due_among(tx, &emails, now)?;
            if numbers.is_empty() {
                return Ok(Vec::new());
            }
            let owner = tx.worker(worker, now)?;
            claim_all(tx, &numbers, owner, now, lease_until)
        })
        .await
    }

    pub(crate) async fn renew_leases(
        &self,
        worker: WorkerId,
        held: Vec<(EmailId, u32)>,
        until: Timestamp,
    ) -> Result<Vec<EmailId>, StoreError> {
        self.write(held.len().max(1), move |tx| {
            let Some(owner) = worker_number(tx.connection, worker)? else {
                return Ok(held.iter().map(|(id, _)| *id).collect());
            };
            let mut renew = tx.connection.prepare_cached(
                "UPDATE emails SET due_at = ?1 WHERE id = ?2 AND fence = ?3 AND lease_owner = ?4",
            )?;
            let mut lost = Vec::new();
            for (id, fence) in &held {
                if renew.execute(params![until.millis(), id.as_bytes(), fence, owner])? == 0 {
                    lost.push(*id);
                }
            }
            Ok(lost)
        })
        .await
    }

    pub(crate) async fn hand_back(
        &self,
        worker: WorkerId,
        held: Vec<(EmailId, u32)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(held.len().max(1), move |tx| {
            let Some(owner) = worker_number(tx.connection, worker)? else { return Ok(()) };
            for (id, fence) in &held {
                give_back(tx, *id, *fence, owner, now)?;
            }
            Ok(())
        })
        .await
    }
}

/// Numbers of due emails, by priority, each priority with its share.
fn due(tx: &mut Tx<'_>, now: Timestamp, limit: usize) -> Result<Vec<i64>, Trouble> {
    let mut levels = Vec::with_capacity(LEVELS);
    for priority in 1..=LEVELS {
        let mut statement = tx.connection.prepare_cached(
            "SELECT n FROM emails INDEXED BY emails_due WHERE priority = ?1 AND due_at <= ?2
             ORDER BY due_at LIMIT ?3",
        )?;
        let rows = statement.query_map(params![priority, now.millis(), limit], |row| row.get::<_, i64>(0))?;
        levels.push(rows.collect::<Result<Vec<i64>, _>>()?);
    }
    tx.memory.turns = tx.memory.turns.wrapping_add(1);
    let counts: Vec<usize> = levels.iter().map(Vec::len).collect();
    let amounts = portions(&counts, limit, tx.memory.turns);
    Ok(levels.into_iter().zip(amounts).flat_map(|(level, amount)| level.into_iter().take(amount)).collect())
}

/// Numbers of those of `emails` that are due, each once.
fn due_among(tx: &Tx<'_>, emails: &[EmailId], now: Timestamp) -> Result<Vec<i64>, Trouble> {
    let mut statement =
        tx.connection.prepare_cached("SELECT n FROM emails WHERE id = ?1 AND due_at <= ?2")?;
    let mut numbers = Vec::with_capacity(emails.len());
    for id in emails {
        let found = statement.query_row(params![id.as_bytes(), now.millis()], |row| row.get::<_, i64>(0));
        numbers.extend(found.optional()?);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

/// Leases the emails with these numbers, until their bodies reach what one answer may hold.
fn claim_all(
    tx: &mut Tx<'_>,
    numbers: &[i64],
    owner: i64,
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<Claim>, Trouble> {
    let mut claims = Vec::with_capacity(numbers.len());
    let mut bytes = 0;
    for &n in numbers {
        let claim = claim(tx, n, owner, now, until)?;
        bytes += claim.email.body_bytes();
        claims.push(claim);
        if bytes >= CLAIM_BYTES {
            break;
        }
    }
    Ok(claims)
}

/// Leases one due email.
fn claim(tx: &mut Tx<'_>, n: i64, owner: i64, now: Timestamp, until: Timestamp) -> Result<Claim, Trouble> {
    let (claim, chain, place, was_leased) = read(tx, n, until)?;
    let event = |kind, attempt| NewEvent { kind, at: now, recipient: None, attempt, detail: None };
    let chain = if was_leased {
        tx.append(n, chain, &event(EventKind::LeaseExpired, claim.attempt.saturating_sub(1)))?
    } else {
        chain
    };
    let chain = tx.append(n, chain, &event(EventKind::Processing, claim.attempt))?;
    // Recipients left over are tried while the email as a whole is already `sent`, or more than that.
    let status = if claim.status.is_settled() { claim.status } else { Status::Processing };
    tx.connection
        .prepare_cached(
            "UPDATE emails SET status = ?2, due_at = ?3, lease_owner = ?4, fence = ?5, attempts = ?6,
                events = ?7, last_event = ?8, updated_at = ?9 WHERE n = ?1",
        )?
        .execute(params![
            n,
            status_code(status),
            until.millis(),
            owner,
            claim.fence,
            claim.attempt,
            chain.length,
            chain.last,
            now.millis(),
        ])?;
    tx.count_move(place, claim.status, status);
    Ok(claim)
}

/// The claim on an email as it will be, with what the change needs.
fn read(tx: &Tx<'_>, n: i64, until: Timestamp) -> Result<(Claim, Chain, Place, bool), Trouble> {
    let mut statement = tx.connection.prepare_cached(&format!(
        "SELECT {EMAIL_COLUMNS}, e.status, e.fence, e.attempts, e.uncertain_ends, e.sent_at, e.error,
            e.recipient_count, e.recipients, e.events, e.last_event, e.lease_owner IS NOT NULL, e.client, e.domain
         FROM emails e JOIN bodies b ON b.n = e.n JOIN clients c ON c.n = e.client WHERE e.n = ?1"
    ))?;
    let mut rows = statement.query([n])?;
    let row = rows.next()?.ok_or(StoreError::Corrupt(format!("email {n} has no body")))?;
    let (email, _) = email_at(row)?;
    let at = |offset: usize| EMAIL_COLUMN_COUNT + offset;
    let requested_at = email.requested_at.millis();
    let states: Option<String> = row.get(at(7))?;
    let claim = Claim {
        status: status_of(row.get(at(0))?)?,
        recipients: states_of(states.as_deref(), row.get(at(6))?, requested_at)?,
        attempt: row.get::<_, u32>(at(2))? + 1,
        fence: row.get::<_, u32>(at(1))? + 1,
        uncertain_ends: row.get(at(3))?,
        lease_until: until,
        sent_at: time_at(row, at(4))?,
        last_error: row.get(at(5))?,
        email: Arc::new(email),
    };
    let chain = Chain { length: row.get(at(8))?, last: row.get(at(9))? };
    let place = Place { client: row.get(at(11))?, domain: row.get(at(12))?, requested_at };
    Ok((claim, chain, place, row.get(at(10))?))
}

fn give_back(tx: &mut Tx<'_>, id: EmailId, fence: u32, owner: i64, now: Timestamp) -> Result<(), Trouble> {
    let Some(state) = state_by_id(tx.connection, id)? else { return Ok(()) };
    if state.fence != fence || state.lease_owner != Some(owner) {
        return Ok(());
    }
    let event = NewEvent {
        kind: EventKind::Queued,
        at: now,
        recipient: None,
        attempt: 0,
        detail: Some("given back before the attempt began".into()),
    };
    let chain = tx.append(state.n, state.chain, &event)?;
    let status = if state.status.is_settled() { state.status } else { Status::Queued };
    tx.connection
        .prepare_cached(
            "UPDATE emails SET status = ?2, due_at = ?3, lease_owner = NULL, attempts = ?4, events = ?5,
                last_event = ?6, updated_at = ?3 WHERE n = ?1",
        )?
        .execute(params![
            state.n,
            status_code(status),
            now.millis(),
            state.attempts.saturating_sub(1),
            chain.length,
            chain.last,
        ])?;
    tx.count_move(state.place, state.status, status);
    Ok(())
}
