//! Outcomes of attempts, and cancels.

use super::Sqlite;
use super::rows::{State, state_by_id, state_of_client};
use super::trouble::Trouble;
use super::tx::{Chain, Tx, client_number};
use crate::StoreError;
use crate::outcome::{CancelResult, SettleResult, anybody, outcome_status};
use crate::record::{apply_changes, failure_code, states_json, states_of, status_code};
use posthaste_model::attempt::Settlement;
use posthaste_model::email::RecipientState;
use posthaste_model::event::{EventKind, NewEvent};
use posthaste_model::{ClientId, EmailId, RecipientStatus, Status, Timestamp};
use rusqlite::params;
use std::sync::Arc;

impl Sqlite {
    pub(crate) async fn settle(
        &self,
        settlements: Arc<[Settlement]>,
    ) -> Result<Vec<SettleResult>, StoreError> {
        self.write(settlements.len().max(1), move |tx| {
            settlements.iter().map(|settlement| settle(tx, settlement)).collect()
        })
        .await
    }

    pub(crate) async fn cancel(
        &self,
        client_id: ClientId,
        email_id: EmailId,
        now: Timestamp,
    ) -> Result<CancelResult, StoreError> {
        self.write(1, move |tx| cancel(tx, client_id, email_id, now)).await
    }
}

fn settle(tx: &mut Tx<'_>, settlement: &Settlement) -> Result<SettleResult, Trouble> {
    let Some(state) = state_by_id(tx.connection, settlement.email_id)? else {
        return Ok(SettleResult::Fenced);
    };
    // A lease past its end that nobody took over still counts: better a late record than a second delivery.
    if state.fence != settlement.fence || state.lease_owner.is_none() {
        return Ok(SettleResult::Fenced);
    }
    let recipients = recipients_after(&state, settlement)?;
    let is_left = anybody(recipients.as_deref(), |status| status == RecipientStatus::Queued);
    let decided = outcome_status(state.status, settlement.status, recipients.as_deref());
    let (Some(status), is_news) = decided else {
        tracing::error!(
            email.id = %settlement.email_id,
            from = state.status.as_str(),
            to = settlement.status.as_str(),
            "an outcome that cannot follow was not recorded"
        );
        return Ok(SettleResult::Fenced);
    };
    let mut chain = state.chain;
    for event in &settlement.events {
        chain = tx.append(state.n, chain, event)?;
    }
    let recipients = recipients.as_deref().map(states_json).transpose()?;
    let due_at = settlement.next_attempt_at.filter(|_| is_left && status != Status::Failed);
    write(tx, state.n, settlement, (status, is_news), due_at, chain, recipients)?;
    tx.count_move(state.place, state.status, status);
    Ok(SettleResult::Recorded)
}

/// Recipients' states after an outcome; `None` when it changes none.
fn recipients_after(state: &State, settlement: &Settlement) -> Result<Option<Vec<RecipientState>>, Trouble> {
    if settlement.recipients.is_empty() && state.recipients.is_none() {
        return Ok(None);
    }
    let mut states = states_of(state.recipients.as_deref(), state.recipient_count, state.place.requested_at)?;
    apply_changes(&mut states, &settlement.recipients, settlement.at);
    Ok(Some(states))
}

fn write(
    tx: &Tx<'_>,
    n: i64,
    settlement: &Settlement,
    (status, is_news): (Status, bool),
    due_at: Option<Timestamp>,
    chain: Chain,
    recipients: Option<String>,
) -> Result<(), Trouble> {
    // What arrived has not failed, whatever the last attempt saw.
    let (code, message) = match settlement.failure.as_ref().filter(|_| !is_news) {
        Some((code, message)) => (Some(failure_code(*code)), Some(message)),
        None => (None, None),
    };
    tx.connection
        .prepare_cached(
            "UPDATE emails SET status = ?2, due_at = ?3, lease_owner = NULL, attempts = ?4,
                uncertain_ends = ?5, events = ?6, last_event = ?7, updated_at = ?8, sent_at = ?9,
                failure_code = ?10, failure_message = ?11, error = ?12, provider = coalesce(?13, provider),
                provider_message_id = coalesce(?14, provider_message_id), recipients = coalesce(?15, recipients)
             WHERE n = ?1",
        )?
        .execute(params![
            n,
            status_code(status),
            due_at.map(Timestamp::millis),
            settlement.attempts,
            settlement.uncertain_ends,
            chain.length,
            chain.last,
            settlement.at.millis(),
            settlement.sent_at.map(Timestamp::millis),
            code,
            message,
            settlement.error,
            settlement.provider,
            settlement.provider_message_id,
            recipients,
        ])?;
    Ok(())
}

fn cancel(
    tx: &mut Tx<'_>,
    client_id: ClientId,
    email_id: EmailId,
    now: Timestamp,
) -> Result<CancelResult, Trouble> {
    let Some(client) = client_number(tx.connection, client_id)? else { return Ok(CancelResult::NotFound) };
    let Some(state) = state_of_client(tx.connection, client, email_id)? else {
        return Ok(CancelResult::NotFound);
    };
    if !state.status.is_cancellable() || state.lease_owner.is_some() {
        return Ok(CancelResult::NotCancellable(state.status));
    }
    let mut states = states_of(state.recipients.as_deref(), state.recipient_count, state.place.requested_at)?;
    for recipient in states.iter_mut().filter(|r| r.status.is_open()) {
        recipient.status = RecipientStatus::Cancelled;
        recipient.updated_at = now;
    }
    let event = NewEvent { kind: EventKind::Cancelled, at: now, recipient: None, attempt: 0, detail: None };
    let chain = tx.append(state.n, state.chain, &event)?;
    tx.connection
        .prepare_cached(
            "UPDATE emails SET status = ?2, due_at = NULL, events = ?3, last_event = ?4, updated_at = ?5,
                recipients = ?6 WHERE n = ?1",
        )?
        .execute(params![
            state.n,
            status_code(Status::Cancelled),
            chain.length,
            chain.last,
            now.millis(),
            states_json(&states)?,
        ])?;
    tx.count_move(state.place, state.status, Status::Cancelled);
    Ok(CancelResult::Cancelled)
}
