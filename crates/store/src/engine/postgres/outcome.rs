//! Outcomes of attempts, and cancels.

use super::Postgres;
use super::append::storable;
use super::rows::uuid_of;
use super::session::Session;
use super::state::{Changes, State};
use super::trouble::Trouble;
use crate::StoreError;
use crate::outcome::{CancelResult, SettleResult, anybody, outcome_status};
use crate::record::{apply_changes, states_json, states_of, status_of};
use posthaste_model::attempt::Settlement;
use posthaste_model::email::RecipientState;
use posthaste_model::event::{EventKind, NewEvent};
use posthaste_model::{ClientId, EmailId, RecipientStatus, Status, Timestamp};
use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

impl Postgres {
    pub(crate) async fn settle(
        &self,
        settlements: Arc<[Settlement]>,
    ) -> Result<Vec<SettleResult>, StoreError> {
        let settlements = &settlements;
        self.write(settlements.len().max(1), |db| async move { settle_all(&db, settlements).await }).await
    }

    pub(crate) async fn cancel(
        &self,
        client_id: ClientId,
        email_id: EmailId,
        now: Timestamp,
    ) -> Result<CancelResult, StoreError> {
        let (client, id) = (uuid_of!(client_id), uuid_of!(email_id));
        self.write(1, |db| async move { cancel(&db, client, id, now).await }).await
    }
}

async fn settle_all(db: &Session, settlements: &[Settlement]) -> Result<Vec<SettleResult>, Trouble> {
    let ids: Vec<Uuid> = settlements.iter().map(|settlement| uuid_of!(settlement.email_id)).collect();
    let mut states: HashMap<Uuid, State> =
        State::lock(db, &ids).await?.into_iter().map(|state| (state.id, state)).collect();
    let mut changes = Changes::default();
    let mut results = Vec::with_capacity(settlements.len());
    for (settlement, id) in settlements.iter().zip(&ids) {
        // Taken out: a second settlement of the same email comes too late.
        let recorded = match states.remove(id) {
            Some(state) => settle(&mut changes, state, settlement)?,
            None => SettleResult::Fenced,
        };
        results.push(recorded);
    }
    changes.save(db).await?;
    Ok(results)
}

fn settle(changes: &mut Changes, mut state: State, settlement: &Settlement) -> Result<SettleResult, Trouble> {
    // A lease past its end that nobody took over still counts: better a late record than a second delivery.
    if state.fence != settlement.fence as i32 || state.lease_owner.is_none() {
        return Ok(SettleResult::Fenced);
    }
    let recipients = recipients_after(&state, settlement)?;
    let is_left = anybody(recipients.as_deref(), |status| status == RecipientStatus::Queued);
    let before = state.status;
    let (Some(status), is_news) = outcome_status(before, settlement.status, recipients.as_deref()) else {
        tracing::error!(
            email.id = %settlement.email_id,
            from = before.as_str(),
            to = settlement.status.as_str(),
            "an outcome that cannot follow was not recorded"
        );
        return Ok(SettleResult::Fenced);
    };
    for event in &settlement.events {
        changes.append(&mut state, event);
    }
    if let Some(recipients) = recipients {
        state.recipients = Some(states_json(&recipients)?);
    }
    let due_at = settlement.next_attempt_at.filter(|_| is_left && status != Status::Failed);
    write(&mut state, settlement, status, due_at);
    if is_news {
        // What arrived has not failed, whatever the last attempt saw.
        state.fail(None);
    }
    changes.push(state, before);
    Ok(SettleResult::Recorded)
}

/// Sets what an outcome says.
fn write(state: &mut State, settlement: &Settlement, status: Status, due_at: Option<Timestamp>) {
    let text = |text: &Option<String>| text.as_deref().map(|text| storable(text).into_owned());
    state.status = status;
    state.due_at = due_at.map(Timestamp::millis);
    state.lease_owner = None;
    state.attempts = settlement.attempts as i32;
    state.uncertain_ends = settlement.uncertain_ends as i32;
    state.updated_at = settlement.at.millis();
    state.sent_at = settlement.sent_at.map(Timestamp::millis);
    state.fail(settlement.failure.as_ref());
    state.error = text(&settlement.error);
    state.provider = text(&settlement.provider).or(state.provider.take());
    state.provider_message_id = text(&settlement.provider_message_id).or(state.provider_message_id.take());
}

/// Recipients' states after an outcome; `None` when it changes none.
fn recipients_after(state: &State, settlement: &Settlement) -> Result<Option<Vec<RecipientState>>, Trouble> {
    if settlement.recipients.is_empty() && state.recipients.is_none() {
        return Ok(None);
    }
    let mut states = recipients_of(state)?;
    apply_changes(&mut states, &settlement.recipients, settlement.at);
    Ok(Some(states))
}

fn recipients_of(state: &State) -> Result<Vec<RecipientState>, Trouble> {
    let count = i64::from(state.recipient_count);
    Ok(states_of(state.recipients.as_deref(), count, state.requested_at)?)
}

async fn cancel(db: &Session, client: Uuid, id: Uuid, now: Timestamp) -> Result<CancelResult, Trouble> {
    let state = State::lock(db, &[id]).await?.pop().filter(|state| state.client_id == client);
    let Some(mut state) = state else {
        let found =
            db.maybe("SELECT status FROM emails WHERE client_id = $1 AND id = $2", &[&client, &id]).await?;
        return match found {
            Some(row) => Ok(CancelResult::NotCancellable(status_of(i64::from(row.try_get::<_, i16>(0)?))?)),
            None => Ok(CancelResult::NotFound),
        };
    };
    let before = state.status;
    if !before.is_cancellable() || state.lease_owner.is_some() {
        return Ok(CancelResult::NotCancellable(before));
    }
    let mut states = recipients_of(&state)?;
    for recipient in states.iter_mut().filter(|r| r.status.is_open()) {
        recipient.status = RecipientStatus::Cancelled;
        recipient.updated_at = now;
    }
    let event = NewEvent { kind: EventKind::Cancelled, at: now, recipient: None, attempt: 0, detail: None };
    let mut changes = Changes::default();
    changes.append(&mut state, &event);
    state.status = Status::Cancelled;
    state.due_at = None;
    state.updated_at = now.millis();
    state.recipients = Some(states_json(&states)?);
    changes.push(state, before);
    changes.save(db).await?;
    Ok(CancelResult::Cancelled)
}
