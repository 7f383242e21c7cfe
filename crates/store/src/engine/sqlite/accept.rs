//! Accept, the hot write: one row of state, one of payload, one or two events per email.

use super::Sqlite;
use super::rows::state_of_client;
use super::trouble::Trouble;
use super::tx::{Chain, Place, Tx, client_number};
use crate::StoreError;
use crate::accept::{AcceptResult, Acceptance, IdempotencyClaim, Lease, ReplayFound};
use crate::record::{ALL_SUPPRESSED, Fresh, failure_code, status_code};
use posthaste_model::attempt::Claim;
use posthaste_model::event::{EventKind, NewEvent};
use posthaste_model::{ClientId, EmailId, FailureCode, Status, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

impl Sqlite {
    pub(crate) async fn accept(&self, acceptance: Acceptance) -> Result<AcceptResult, StoreError> {
        let Acceptance { emails, idempotency, lease, revision, now } = acceptance;
        let rows: Result<Vec<Fresh>, StoreError> =
            emails.into_iter().map(|email| Fresh::prepare(email, now)).collect();
        let rows = rows?;
        self.write(rows.len().max(1), move |tx| {
            if let Some(claim) = &idempotency
                && let Some(found) = look_up(tx.connection, claim, now)?
            {
                return Ok(match found {
                    ReplayFound::Answer(answer) => AcceptResult::Replayed(answer),
                    ReplayFound::Reused => AcceptResult::KeyReused,
                });
            }
            if tx.revision()? != revision {
                return Ok(AcceptResult::StaleRevision);
            }
            let mut claims = Vec::new();
            for row in &rows {
                claims.extend(insert(tx, row, lease, now)?);
            }
            if let Some(claim) = &idempotency {
                keep_key(tx, claim)?;
            }
            Ok(AcceptResult::Accepted { claims })
        })
        .await
    }

    pub(crate) async fn replay(
        &self,
        client_id: ClientId,
        endpoint: &'static str,
        key: &str,
        fingerprint: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<ReplayFound>, StoreError> {
        let key = key.to_owned();
        let claim =
            IdempotencyClaim { client_id, endpoint, key, fingerprint, answer: Vec::new(), keep_until: now };
        self.readers.read(move |connection| look_up(connection, &claim, now)).await
    }
}

/// What an idempotency key stands for at `now`; one past its time stands for nothing.
fn look_up(
    connection: &Connection,
    claim: &IdempotencyClaim,
    now: Timestamp,
) -> Result<Option<ReplayFound>, Trouble> {
    let Some(client) = client_number(connection, claim.client_id)? else { return Ok(None) };
    let found = connection
        .prepare_cached(
            "SELECT fingerprint, answer FROM idempotency
             WHERE client = ?1 AND endpoint = ?2 AND key = ?3 AND keep_until > ?4",
        )?
        .query_row(params![client, claim.endpoint, claim.key, now.millis()], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?))
        })
        .optional()?;
    Ok(found.map(|(fingerprint, answer)| {
        if fingerprint == claim.fingerprint { ReplayFound::Answer(answer) } else { ReplayFound::Reused }
    }))
}

fn keep_key(tx: &mut Tx<'_>, claim: &IdempotencyClaim) -> Result<(), Trouble> {
    let client = tx.client(claim.client_id)?;
    tx.connection
        .prepare_cached(
            "INSERT INTO idempotency (client, endpoint, key, fingerprint, answer, keep_until)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (client, endpoint, key) DO UPDATE SET
                fingerprint = excluded.fingerprint, answer = excluded.answer, keep_until = excluded.keep_until",
        )?
        .execute(params![
            client,
            claim.endpoint,
            claim.key,
            claim.fingerprint,
            claim.answer,
            claim.keep_until.millis()
        ])?;
    Ok(())
}

/// Writes one email; the claim on it when it is leased at once.
fn insert(
    tx: &mut Tx<'_>,
    row: &Fresh,
    lease: Option<Lease>,
    now: Timestamp,
) -> Result<Option<Claim>, Trouble> {
    let email = &row.email;
    let lease = lease.filter(|_| row.status == Status::Queued);
    let n = tx.next_email()?;
    let mut chain = Chain::default();
    for event in row.first_events(lease.is_some(), now) {
        chain = tx.append(n, chain, &event)?;
    }
    let due_at = row.due_at(lease, now);
    let owner = lease.map(|lease| tx.worker(lease.worker, now)).transpose()?;
    let status = if lease.is_some() { Status::Processing } else { row.status };
    let client = tx.client(email.client_id)?;
    let place =
        Place { client, domain: tx.domain(&email.domain)?, requested_at: email.requested_at.millis() };
    let failed = row.status == Status::Failed;
    let leased = i64::from(lease.is_some());
    tx.connection
        .prepare_cached(
            "INSERT INTO emails (n, id, client, domain, status, priority, recipient_count, requested_at,
                updated_at, due_at, lease_owner, fence, attempts, uncertain_ends, events, last_event,
                failure_code, failure_message, recipients)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12, 0, ?13, ?14, ?15, ?16, ?17)",
        )?
        .execute(params![
            n,
            email.id.as_bytes(),
            client,
            place.domain,
            status_code(status),
            email.priority.get(),
            email.recipients.len() as i64,
            place.requested_at,
            now.millis(),
            due_at.map(Timestamp::millis),
            owner,
            leased,
            chain.length,
            chain.last,
            failed.then_some(failure_code(FailureCode::Suppressed)),
            failed.then_some(ALL_SUPPRESSED),
            row.states,
        ])?;
    insert_content(tx.connection, n, row)?;
    tx.count_new(n, place, status, &email.tags);
    if let Some(original) = email.resent_from {
        tell_original(tx, client, original, email.id, now)?;
    }
    Ok(lease.map(|lease| row.first_claim(lease, now)))
}

fn insert_content(connection: &Connection, n: i64, row: &Fresh) -> Result<(), Trouble> {
    connection
        .prepare_cached("INSERT INTO bodies (n, head, content) VALUES (?1, ?2, ?3)")?
        .execute(params![n, row.head, row.content])?;
    for blob in &row.blobs {
        connection
            .prepare_cached("INSERT OR IGNORE INTO blob_references (sha256, n) VALUES (?1, ?2)")?
            .execute(params![blob.0, n])?;
    }
    Ok(())
}

/// The timeline of the email that is sent again names its copy.
fn tell_original(
    tx: &mut Tx<'_>,
    client: i64,
    original: EmailId,
    copy: EmailId,
    now: Timestamp,
) -> Result<(), Trouble> {
    let Some(state) = state_of_client(tx.connection, client, original)? else { return Ok(()) };
    let detail = Some(format!("as {copy}"));
    let event = NewEvent { kind: EventKind::Resent, at: now, recipient: None, attempt: 0, detail };
    let chain = tx.append(state.n, state.chain, &event)?;
    tx.connection
        .prepare_cached("UPDATE emails SET events = ?2, last_event = ?3, updated_at = ?4 WHERE n = ?1")?
        .execute(params![state.n, chain.length, chain.last, now.millis()])?;
    Ok(())
}
