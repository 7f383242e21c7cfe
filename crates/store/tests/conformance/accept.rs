//! Accepting: whole, once per idempotency key, leased where a worker has room.

use crate::fixture::*;
use posthaste_model::email::{Attachment, BlobHash, Content, Parts, TemplateRef};
use posthaste_model::event::EventKind;
use posthaste_model::octets::Octets;
use posthaste_model::{FailureCode, RecipientStatus, Status};
use posthaste_store::{AcceptResult, EmailFilter, IdempotencyClaim, Lease, ReplayFound, Store, StoreError};
use tokio::task::JoinSet;

crate::on_every_engine!(
    what_was_accepted_is_read_back,
    a_finished_message_comes_back_byte_for_byte,
    a_lease_hands_over_what_is_due,
    suppressed_recipients_are_never_due,
    the_same_key_accepts_once,
    a_key_is_used_anew_after_its_time,
    a_key_belongs_to_one_client_and_endpoint,
    a_hundred_at_once_with_one_key_make_one_email,
    another_revision_refuses,
    a_copy_is_told_in_the_timeline_of_its_original,
    the_same_email_twice_refuses_all_of_it,
);

async fn what_was_accepted_is_read_back(store: &Store) {
    let mut full = email();
    full.recipients.push(to("Bob <bob@client.example>"));
    full.reply_to = vec!["help@example.com".parse().unwrap()];
    full.tags = vec!["onboarding".into()];
    full.metadata.insert("order".into(), "42".into());
    full.event_id = Some(123);
    full.idempotency_key = Some("k".into());
    full.resent_from = Some(email().id);
    full.attachments = vec![Attachment {
        filename: "a.pdf".into(),
        mime: "application/pdf".into(),
        size: 3,
        sha256: BlobHash::of(b"abc"),
        content_id: Some("logo".into()),
        inline: true,
        link: None,
    }];
    full.content = Content::Parts(Parts {
        html: Some("<p>{{name}}</p>".into()),
        template: Some(TemplateRef { code: "welcome".into(), version: 3 }),
        templated: true,
        headers: vec![("X-A".into(), "b".into())],
        ..Parts::default()
    });
    let expected = format!("{full:?}");
    let id = accept(store, vec![full]).await[0];

    let found = record(store, id).await;
    assert_eq!(format!("{:?}", found.email), expected);
    assert_eq!((found.status, found.attempts), (Status::Queued, 0));
    assert_eq!(found.next_attempt_at, Some(NOW));
    assert_eq!(found.recipients.len(), 2);
    assert!(found.recipients.iter().all(|r| r.status == RecipientStatus::Queued));
    assert_eq!(timeline(store, id).await, [EventKind::Queued]);
    assert_eq!(store.blob_references(&BlobHash::of(b"abc")).await, Ok(1));

    let claimed = claim(store, 1, NOW, 10).await;
    assert_eq!(format!("{:?}", claimed[0].email), expected);
}

async fn a_finished_message_comes_back_byte_for_byte(store: &Store) {
    let octets: Vec<u8> = (0..=u8::MAX).chain(0..=u8::MAX).collect();
    let mut whole = email();
    whole.content = Content::Whole { message: Octets(octets.into()) };
    let content = whole.content.clone();
    let id = accept(store, vec![whole]).await[0];
    assert!(record(store, id).await.email.content == content);
    assert!(claim(store, 1, NOW, 10).await[0].email.content == content);
}

async fn a_lease_hands_over_what_is_due(store: &Store) {
    let mut later = email();
    later.send_at = Some(at(3600));
    let later_id = later.id;
    let claims = accept_leased(store, vec![email(), later]).await;

    assert_eq!(claims.len(), 1);
    assert_eq!((claims[0].attempt, claims[0].fence, claims[0].lease_until), (1, 1, at(60)));
    let found = record(store, claims[0].email.id).await;
    assert_eq!((found.status, found.attempts, found.next_attempt_at), (Status::Processing, 1, None));
    let events = timeline(store, claims[0].email.id).await;
    assert_eq!(events, [EventKind::Queued, EventKind::Processing]);

    let found = record(store, later_id).await;
    assert_eq!((found.status, found.next_attempt_at), (Status::Scheduled, Some(at(3600))));
    assert_eq!(timeline(store, later_id).await, [EventKind::Scheduled]);
    assert!(claim(store, 2, at(59), 10).await.is_empty(), "held by the first worker, or not due");
}

async fn suppressed_recipients_are_never_due(store: &Store) {
    let mut partly = email();
    partly.recipients.push(to("gone@client.example"));
    partly.recipients[1].suppressed = Some("complained".into());
    let mut wholly = email();
    wholly.recipients[0].suppressed = Some("bounced".into());
    wholly.send_at = Some(at(3600));
    let wholly_id = wholly.id;
    let claims = accept_leased(store, vec![partly, wholly]).await;

    assert_eq!(claims.len(), 1);
    assert_eq!(claims[0].due_recipients().collect::<Vec<_>>(), [0]);
    let events = timeline(store, claims[0].email.id).await;
    assert_eq!(events, [EventKind::Queued, EventKind::Failed, EventKind::Processing]);

    let found = record(store, wholly_id).await;
    assert_eq!((found.status, found.next_attempt_at), (Status::Failed, None));
    assert_eq!(found.failure.map(|f| f.0), Some(FailureCode::Suppressed));
    assert_eq!(found.recipients[0].failure_code, Some(FailureCode::Suppressed));
    assert_eq!(timeline(store, wholly_id).await, [EventKind::Failed]);
    assert!(claim(store, 2, at(7200), 10).await.iter().all(|c| c.email.id != wholly_id));
}

fn key(text: &str, request: u8) -> IdempotencyClaim {
    IdempotencyClaim {
        client_id: acme().id,
        endpoint: "POST /api/emails",
        key: text.into(),
        fingerprint: [request; 32],
        answer: vec![request],
        keep_until: at(86_400),
    }
}

async fn accept_with(store: &Store, key: IdempotencyClaim, now: i64) -> AcceptResult {
    let mut acceptance = acceptance(store, vec![email()]).await;
    acceptance.idempotency = Some(key);
    acceptance.now = at(now);
    store.accept(acceptance).await.unwrap()
}

async fn emails(store: &Store) -> u64 {
    store.count(acme().id, &EmailFilter::default()).await.unwrap()
}

async fn the_same_key_accepts_once(store: &Store) {
    assert!(matches!(accept_with(store, key("k", 1), 0).await, AcceptResult::Accepted { .. }));
    assert!(matches!(accept_with(store, key("k", 1), 1).await, AcceptResult::Replayed(a) if a == [1]));
    assert!(matches!(accept_with(store, key("k", 2), 1).await, AcceptResult::KeyReused));
    assert_eq!(emails(store).await, 1);
    let replay = |request: u8, now| store.replay(acme().id, "POST /api/emails", "k", [request; 32], at(now));
    assert_eq!(replay(1, 5).await, Ok(Some(ReplayFound::Answer(vec![1]))));
    assert_eq!(replay(2, 5).await, Ok(Some(ReplayFound::Reused)));
    assert_eq!(replay(1, 86_400).await, Ok(None));
}

async fn a_key_is_used_anew_after_its_time(store: &Store) {
    accept_with(store, key("k", 1), 0).await;
    assert!(matches!(accept_with(store, key("k", 1), 86_399).await, AcceptResult::Replayed(_)));
    assert!(matches!(accept_with(store, key("k", 2), 86_401).await, AcceptResult::Accepted { .. }));
    assert_eq!(emails(store).await, 2);
}

async fn a_key_belongs_to_one_client_and_endpoint(store: &Store) {
    accept_with(store, key("k", 1), 0).await;
    let elsewhere = IdempotencyClaim { endpoint: "POST /send", ..key("k", 2) };
    assert!(matches!(accept_with(store, elsewhere, 0).await, AcceptResult::Accepted { .. }));
    let others = IdempotencyClaim { client_id: rival().id, ..key("k", 3) };
    assert!(matches!(accept_with(store, others, 0).await, AcceptResult::Accepted { .. }));
}

async fn a_hundred_at_once_with_one_key_make_one_email(store: &Store) {
    let mut requests = JoinSet::new();
    for _ in 0..100 {
        let store = store.clone();
        requests.spawn(async move { accept_with(&store, key("k", 1), 0).await });
    }
    let results = requests.join_all().await;
    let accepted = results.iter().filter(|r| matches!(r, AcceptResult::Accepted { .. })).count();
    let replayed = results.iter().filter(|r| matches!(r, AcceptResult::Replayed(_))).count();
    assert_eq!((accepted, replayed, emails(store).await), (1, 99, 1));
}

async fn another_revision_refuses(store: &Store) {
    let stale = acceptance(store, vec![email()]).await;
    let mut client = acme();
    client.id = posthaste_model::ClientId::new(NOW, [9; 10]);
    client.name = "third".into();
    store.create_client(client, &actor()).await.unwrap();
    assert!(matches!(store.accept(stale).await, Ok(AcceptResult::StaleRevision)));
    assert_eq!(emails(store).await, 0);
}

async fn a_copy_is_told_in_the_timeline_of_its_original(store: &Store) {
    let original = accept(store, vec![email()]).await[0];
    let mut copy = email();
    copy.resent_from = Some(original);
    let mut foreign = email();
    foreign.client_id = rival().id;
    foreign.resent_from = Some(original);
    let ids = accept(store, vec![copy, foreign]).await;
    let events = store.events(acme().id, original).await.unwrap();
    assert_eq!(timeline(store, original).await, [EventKind::Queued, EventKind::Resent]);
    assert_eq!(events[1].event.detail.as_deref(), Some(format!("as {}", ids[0]).as_str()));
    assert_eq!(record(store, original).await.status, Status::Queued);
}

async fn the_same_email_twice_refuses_all_of_it(store: &Store) {
    let first = email();
    accept(store, vec![first.clone()]).await;
    let fresh = email();
    let fresh_id = fresh.id;
    let mut again = acceptance(store, vec![fresh, first]).await;
    again.lease = Some(Lease { worker: worker(1), until: at(60) });
    // Others of the same group are not affected.
    let mut others = JoinSet::new();
    for _ in 0..20 {
        let other = acceptance(store, vec![email()]).await;
        let store = store.clone();
        others.spawn(async move { store.accept(other).await });
    }
    let refused = store.accept(again).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    assert!(others.join_all().await.iter().all(Result::is_ok));
    assert!(store.email(acme().id, fresh_id).await.unwrap().is_none());
    assert_eq!(emails(store).await, 21);
}
