//! Erasure: afterwards the address is nowhere.

use crate::fixture::*;
use posthaste_model::email::{BlobHash, Content, Parts};
use posthaste_model::event::EventKind;
use posthaste_model::inbox::InboxMessage;
use posthaste_model::{InboxId, RecipientStatus, Status};
use posthaste_store::{EmailFilter, Store};

crate::on_every_engine!(
    the_address_is_nowhere_afterwards,
    others_of_the_same_email_still_go,
    only_of_the_client_that_asked,
    an_attempt_under_way_ends_without_another,
);

const ANN: &str = "ann.canary@client.example";

async fn the_address_is_nowhere_afterwards(store: &Store) {
    let mut email = email();
    email.recipients = vec![to(&format!("Ann <{ANN}>"))];
    email.subject = format!("For {ANN}");
    email.content = Content::Parts(Parts { text: Some(format!("Dear {ANN}")), ..Parts::default() });
    email.metadata.insert("who".into(), ANN.into());
    email.idempotency_key = Some(format!("welcome-{}", ANN.to_uppercase()));
    email.correlation_id = format!("welcome-{ANN}");
    let claimed = accept_leased(store, vec![email]).await.remove(0);
    let id = claimed.email.id;
    let mut failed = settlement(&claimed, Status::Failed, None);
    failed.failure = Some((posthaste_model::FailureCode::Bounce, format!("550 {ANN} unknown")));
    failed.error = Some(format!("550 {ANN} unknown"));
    failed.recipients[0].last_reply = Some(format!("550 {ANN} unknown"));
    failed.events[0].detail = Some(format!("550 {ANN} unknown"));
    store.settle(vec![failed]).await.unwrap();
    let message = InboxMessage {
        id: InboxId::new(NOW, chance()),
        client_id: acme().id,
        email_id: id,
        mail_from: String::new(),
        recipients: vec![ANN.to_uppercase()],
        subject: String::new(),
        from: String::new(),
        size: 1,
        sha256: BlobHash::of(b"kept"),
        received_at: NOW,
    };
    store.inbox_add(message).await.unwrap();

    let report = store.erase_recipient(Some(acme().id), ANN, at(9)).await.unwrap();
    assert_eq!((report.emails, report.bodies, report.inbox_messages), (1, 1, 1));
    assert_eq!((report.events, report.cancelled), (1, 0));
    assert_eq!((report.blobs, report.messages), (vec![], vec![BlobHash::of(b"kept")]));
    let all = format!("{:?} {:?}", record(store, id).await, store.events(acme().id, id).await.unwrap());
    assert!(!all.to_lowercase().contains("canary"), "{all}");
    assert_eq!(record(store, id).await.status, Status::Failed, "that it was sent remains");
    let again = store.erase_recipient(Some(acme().id), ANN, at(9)).await.unwrap();
    assert_eq!(again, posthaste_store::ErasureReport::default());
    let found = EmailFilter { q: Some("canary".into()), ..EmailFilter::default() };
    assert_eq!(store.count(acme().id, &found).await, Ok(0));
}

async fn others_of_the_same_email_still_go(store: &Store) {
    let mut both = email();
    both.recipients.push(to(ANN));
    let mut alone = email();
    alone.recipients = vec![to(ANN)];
    let ids = accept(store, vec![both, alone]).await;
    let report = store.erase_recipient(None, ANN, at(1)).await.unwrap();
    assert_eq!((report.emails, report.cancelled, report.bodies), (2, 2, 1));
    assert_eq!(record(store, ids[1]).await.status, Status::Cancelled);
    assert_eq!(timeline(store, ids[1]).await.last(), Some(&EventKind::Cancelled));
    let claims = claim(store, 1, at(1), 10).await;
    assert_eq!(claims.len(), 1);
    assert_eq!(claims[0].due_recipients().collect::<Vec<_>>(), [0]);
    assert!(!record(store, ids[0]).await.content_dropped);
}

async fn only_of_the_client_that_asked(store: &Store) {
    let mut others = email();
    others.client_id = rival().id;
    others.recipients = vec![to(ANN)];
    let id = accept(store, vec![others]).await[0];
    let report = store.erase_recipient(Some(acme().id), ANN, at(1)).await.unwrap();
    assert_eq!(report.emails, 0);
    let found = store.email(rival().id, id).await.unwrap().unwrap();
    assert_eq!(found.email.recipients[0].mailbox.address.as_str(), ANN);
}

async fn an_attempt_under_way_ends_without_another(store: &Store) {
    let mut email = email();
    email.recipients = vec![to(ANN)];
    let claimed = accept_leased(store, vec![email]).await.remove(0);
    store.erase_recipient(None, ANN, at(1)).await.unwrap();
    let deferred = settlement(&claimed, Status::Queued, Some(at(30)));
    store.settle(vec![deferred]).await.unwrap();
    let found = record(store, claimed.email.id).await;
    assert_eq!(found.recipients[0].status, RecipientStatus::Cancelled);
    assert!(claim(store, 1, at(100_000), 10).await.is_empty(), "nobody is left to send it to");
    assert!(found.status.is_settled(), "{:?}", found.status);
}
