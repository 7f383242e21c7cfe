//! Settling: the newest claim speaks, once; recipients fare each on their own.

use crate::fixture::*;
use posthaste_model::event::EventKind;
use posthaste_model::outcome::{Failure, Outcome, RecipientOutcome};
use posthaste_model::retry;
use posthaste_model::{FailureCode, RecipientStatus, Status};
use posthaste_store::{CancelResult, SettleResult, Store};

crate::on_every_engine!(
    a_sent_email_is_done,
    a_retry_is_due_at_its_time,
    a_fenced_worker_changes_nothing,
    a_late_outcome_counts_until_another_claims,
    left_over_recipients_are_tried_while_it_is_sent,
    a_held_email_waits_for_a_person,
    a_held_recipient_waits_while_the_others_go_on,
    a_failure_keeps_code_and_message,
    an_outcome_that_cannot_follow_is_not_recorded,
);

async fn a_sent_email_is_done(store: &Store) {
    let claim_ = accept_leased(store, vec![email()]).await.remove(0);
    let id = claim_.email.id;
    let mut sent = settlement(&claim_, Status::Sent, None);
    sent.provider_message_id = Some("p-1".into());
    assert_eq!(store.settle(vec![sent.clone()]).await, Ok(vec![SettleResult::Recorded]));
    assert_eq!(store.settle(vec![sent]).await, Ok(vec![SettleResult::Fenced]), "said twice, recorded once");
    let found = record(store, id).await;
    assert_eq!((found.status, found.next_attempt_at, found.sent_at), (Status::Sent, None, Some(at(1))));
    assert_eq!(found.provider.as_deref(), Some("smtp"));
    assert_eq!(found.provider_message_id.as_deref(), Some("p-1"));
    assert_eq!(found.recipients[0].status, RecipientStatus::Sent);
    assert_eq!(found.recipients[0].last_reply.as_deref(), Some("250 2.0.0 ok"));
    assert_eq!(timeline(store, id).await, [EventKind::Queued, EventKind::Processing, EventKind::Sent]);
    assert!(claim(store, 2, at(100_000), 10).await.is_empty());
}

async fn a_retry_is_due_at_its_time(store: &Store) {
    let first = accept_leased(store, vec![email()]).await.remove(0);
    let mut deferred = settlement(&first, Status::Queued, Some(at(30)));
    deferred.error = Some("450 busy".into());
    deferred.uncertain_ends = 1;
    store.settle(vec![deferred]).await.unwrap();
    assert_eq!(record(store, first.email.id).await.next_attempt_at, Some(at(30)));
    assert!(claim(store, 1, at(29), 10).await.is_empty());
    let second = claim(store, 1, at(30), 10).await.remove(0);
    assert_eq!((second.attempt, second.fence, second.uncertain_ends), (2, 2, 1));
    assert_eq!(second.last_error.as_deref(), Some("450 busy"));
}

async fn a_held_recipient_waits_while_the_others_go_on(store: &Store) {
    let mut mail = email();
    mail.recipients.push(to("bob@client.example"));
    let first = accept_leased(store, vec![mail]).await.remove(0);
    let id = first.email.id;
    let trouble = || Failure::new(FailureCode::TransportError, "connection lost");
    let tried = |recipients| Outcome::Tried { provider_message_id: None, recipients };
    let both = vec![(0, RecipientOutcome::Uncertain(trouble())), (1, RecipientOutcome::Later(trouble()))];
    let settled = retry::settle(&first, "smtp", tried(both), &policy(), at(1), 0.5).unwrap();
    assert_eq!(store.settle(vec![settled]).await, Ok(vec![SettleResult::Recorded]));
    let states = async || -> Vec<RecipientStatus> {
        record(store, id).await.recipients.iter().map(|recipient| recipient.status).collect()
    };
    assert_eq!(states().await, [RecipientStatus::Held, RecipientStatus::Queued]);
    let second = claim(store, 1, at(31), 10).await.remove(0);
    assert_eq!(second.due_recipients().collect::<Vec<_>>(), [1], "the held one is not tried");
    let gone = vec![(1, RecipientOutcome::Refused(trouble()))];
    let settled = retry::settle(&second, "smtp", tried(gone), &policy(), at(32), 0.5).unwrap();
    assert_eq!(store.settle(vec![settled]).await, Ok(vec![SettleResult::Recorded]));
    let found = record(store, id).await;
    assert_eq!((found.status, found.next_attempt_at), (Status::Queued, None), "it waits for a person");
    assert!(claim(store, 1, at(100_000), 10).await.is_empty());
    assert_eq!(store.cancel(acme().id, id, at(40)).await, Ok(CancelResult::Cancelled));
    assert_eq!(states().await, [RecipientStatus::Cancelled, RecipientStatus::Failed]);
}

async fn a_fenced_worker_changes_nothing(store: &Store) {
    let slow = accept_leased(store, vec![email()]).await.remove(0);
    let id = slow.email.id;
    let quick = claim(store, 2, at(61), 10).await.remove(0);
    let before = (record(store, id).await.status, timeline(store, id).await);
    let late = settlement(&slow, Status::Sent, None);
    assert_eq!(store.settle(vec![late.clone()]).await, Ok(vec![SettleResult::Fenced]));
    assert_eq!((record(store, id).await.status, timeline(store, id).await), before);
    let both = vec![settlement(&quick, Status::Sent, None), late];
    assert_eq!(store.settle(both).await, Ok(vec![SettleResult::Recorded, SettleResult::Fenced]));
}

async fn a_late_outcome_counts_until_another_claims(store: &Store) {
    let late = accept_leased(store, vec![email()]).await.remove(0);
    let mut sent = settlement(&late, Status::Sent, None);
    sent.at = at(600);
    assert_eq!(store.settle(vec![sent]).await, Ok(vec![SettleResult::Recorded]));
    assert!(claim(store, 2, at(601), 10).await.is_empty());
}

async fn left_over_recipients_are_tried_while_it_is_sent(store: &Store) {
    let mut two = email();
    two.recipients.push(to("bob@client.example"));
    let first = accept_leased(store, vec![two]).await.remove(0);
    let id = first.email.id;
    let busy = RecipientOutcome::Later(Failure::new(FailureCode::ServerError, "450 busy"));
    let outcome = |recipients| Outcome::Tried { provider_message_id: None, recipients };
    let mixed = outcome(vec![(0, RecipientOutcome::Accepted("250 ok".into())), (1, busy)]);
    let settled = retry::settle(&first, "smtp", mixed, &policy(), at(1), 0.5).unwrap();
    store.settle(vec![settled]).await.unwrap();
    let found = record(store, id).await;
    assert_eq!((found.status, found.next_attempt_at), (Status::Sent, Some(at(31))));

    let second = claim(store, 1, at(31), 10).await.remove(0);
    assert_eq!((second.status, second.sent_at), (Status::Sent, Some(at(1))));
    assert_eq!(second.due_recipients().collect::<Vec<_>>(), [1]);
    let found = record(store, id).await;
    assert_eq!((found.status, found.next_attempt_at), (Status::Sent, None), "sent all the while");
    // Another cannot have it, nor can it be taken back.
    assert!(claim(store, 2, at(32), 10).await.is_empty());
    let cancelled = store.cancel(acme().id, id, at(32)).await.unwrap();
    assert_eq!(cancelled, CancelResult::NotCancellable(Status::Sent));

    let refused = RecipientOutcome::Refused(Failure::new(FailureCode::Bounce, "550 no"));
    let settled =
        retry::settle(&second, "smtp", outcome(vec![(1, refused)]), &policy(), at(33), 0.5).unwrap();
    store.settle(vec![settled]).await.unwrap();
    let found = record(store, id).await;
    assert_eq!((found.status, found.next_attempt_at, found.sent_at), (Status::Sent, None, Some(at(1))));
    let statuses: Vec<_> = found.recipients.iter().map(|r| r.status).collect();
    assert_eq!(statuses, [RecipientStatus::Sent, RecipientStatus::Failed]);
    assert_eq!(found.recipients[1].failure_code, Some(FailureCode::Bounce));
}

async fn a_held_email_waits_for_a_person(store: &Store) {
    let claimed = accept_leased(store, vec![email()]).await.remove(0);
    let lost = RecipientOutcome::Uncertain(Failure::new(FailureCode::TransportError, "reset"));
    let outcome = Outcome::Tried { provider_message_id: None, recipients: vec![(0, lost)] };
    let held = retry::settle(&claimed, "smtp", outcome, &policy(), at(1), 0.5).unwrap();
    store.settle(vec![held]).await.unwrap();
    let found = record(store, claimed.email.id).await;
    assert_eq!((found.status, found.next_attempt_at), (Status::Queued, None));
    assert!(claim(store, 1, at(1_000_000), 10).await.is_empty());
    assert_eq!(store.queue_counts(at(2)).await.unwrap().pending, 1);
    let cancelled = store.cancel(acme().id, claimed.email.id, at(3)).await.unwrap();
    assert_eq!(cancelled, CancelResult::Cancelled);
}

async fn a_failure_keeps_code_and_message(store: &Store) {
    let claimed = accept_leased(store, vec![email()]).await.remove(0);
    let mut failed = settlement(&claimed, Status::Failed, Some(at(30)));
    failed.failure = Some((FailureCode::InvalidEmail, "550 5.1.1 no such user".into()));
    store.settle(vec![failed]).await.unwrap();
    let found = record(store, claimed.email.id).await;
    assert_eq!((found.status, found.next_attempt_at), (Status::Failed, None), "what failed is never due");
    assert_eq!(found.failure, Some((FailureCode::InvalidEmail, "550 5.1.1 no such user".into())));
}

async fn an_outcome_that_cannot_follow_is_not_recorded(store: &Store) {
    let claims = accept_leased(store, vec![email(), email()]).await;
    let mut wrong = settlement(&claims[0], Status::Sent, None);
    wrong.status = Status::Cancelled;
    let right = settlement(&claims[1], Status::Sent, None);
    let results = store.settle(vec![wrong, right]).await;
    assert_eq!(results, Ok(vec![SettleResult::Fenced, SettleResult::Recorded]));
    assert_eq!(record(store, claims[0].email.id).await.status, Status::Processing);
}
