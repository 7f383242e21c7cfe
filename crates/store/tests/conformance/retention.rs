//! Retention in steps: bodies, then records; blobs when nobody refers to them any more.

use crate::fixture::*;
use posthaste_model::client::Retention;
use posthaste_model::email::{Attachment, BlobHash, Email};
use posthaste_model::inbox::InboxMessage;
use posthaste_model::{ClientId, EmailId, InboxId, Status, Timestamp};
use posthaste_store::{AcceptResult, EmailFilter, IdempotencyClaim, InboxFilter, Removed, StatsBy, Store};
use std::time::Duration;

crate::on_every_engine!(
    bodies_go_first_and_records_later,
    a_shared_blob_stays_while_it_is_referred_to,
    mail_under_way_is_left_alone,
    keys_go_after_their_time,
    a_client_may_keep_its_email_longer_or_shorter,
    a_body_left_under_way_goes_when_its_email_has_ended,
    messages_of_the_inbox_go_as_bodies_do,
);

/// An email requested `days` ago.
fn old(days: i64) -> Email {
    let mut email = email_of(at(-days * 86_400));
    email.tags = vec!["t".into()];
    email
}

fn with_blob(mut email: Email) -> Email {
    email.attachments = vec![Attachment {
        filename: "a.txt".into(),
        mime: "text/plain".into(),
        size: 1,
        sha256: BlobHash::of(b"a"),
        content_id: None,
        inline: false,
        link: None,
    }];
    email
}

async fn sent(store: &Store, emails: Vec<Email>) -> Vec<EmailId> {
    let claims = accept_leased(store, emails).await;
    let settled: Vec<_> = claims.iter().map(|claim| settlement(claim, Status::Sent, None)).collect();
    store.settle(settled).await.unwrap();
    claims.iter().map(|claim| claim.email.id).collect()
}

async fn drop_old(store: &Store, bodies: i64, records: i64, limit: usize) -> Removed {
    let days = |n: i64| -> Timestamp { at(-n * 86_400) };
    store.drop_old(days(bodies), days(records), NOW, limit).await.unwrap()
}

async fn bodies_go_first_and_records_later(store: &Store) {
    let ids = sent(store, [500, 450, 40, 35, 1, 0].map(old).to_vec()).await;
    let mut removed = Removed::default();
    loop {
        let step = drop_old(store, 30, 400, 1).await;
        assert!(step.bodies <= 1 && step.records <= 1, "in small steps");
        if step.is_nothing() {
            break;
        }
        removed.bodies += step.bodies;
        removed.records += step.records;
    }
    assert_eq!((removed.bodies, removed.records), (4, 2));
    for id in &ids[..2] {
        assert!(store.email(acme().id, *id).await.unwrap().is_none());
        assert!(store.events(acme().id, *id).await.unwrap().is_empty());
    }
    assert!(record(store, ids[2]).await.content_dropped);
    assert_eq!(timeline(store, ids[2]).await.len(), 3);
    assert!(!record(store, ids[4]).await.content_dropped);
    let tagged = EmailFilter { tag: Some("t".into()), ..EmailFilter::default() };
    assert_eq!(store.list(acme().id, &tagged, None, 10).await.unwrap().rows.len(), 4);
    assert_eq!(store.count(acme().id, &EmailFilter::default()).await, Ok(4));
    let far = (at(-600 * 86_400), at(86_400));
    let by_status = store.stats(acme().id, far.0, far.1, StatsBy::Status).await.unwrap();
    assert_eq!(by_status, [("sent".to_owned(), 4)]);
    let by_tag = store.stats(acme().id, far.0, far.1, StatsBy::Tag).await.unwrap();
    assert_eq!(by_tag, [("t".to_owned(), 4)]);
    // New mail goes on with new numbers.
    let newest = accept(store, vec![email()]).await[0];
    assert_eq!(store.list(acme().id, &EmailFilter::default(), None, 1).await.unwrap().rows[0].id, newest);
}

async fn a_shared_blob_stays_while_it_is_referred_to(store: &Store) {
    sent(store, vec![with_blob(old(40)), with_blob(old(1)), old(0)]).await;
    let blob = BlobHash::of(b"a");
    assert_eq!(store.blob_references(&blob).await, Ok(2));
    assert_eq!(drop_old(store, 30, 400, 10).await.blobs, []);
    assert_eq!(store.blob_references(&blob).await, Ok(1));
    let unknown = BlobHash::of(b"unknown");
    assert_eq!(store.unreferenced_blobs(vec![blob, unknown]).await, Ok(vec![unknown]));
    assert_eq!(drop_old(store, 0, 400, 10).await.blobs, [blob]);
    assert_eq!(store.blob_references(&blob).await, Ok(0));
}

async fn messages_of_the_inbox_go_as_bodies_do(store: &Store) {
    store.set_client_retention(rival().id, keeping(7, 90), &actor()).await.unwrap();
    let subjects = async |client: ClientId| -> Vec<String> {
        let filter = InboxFilter { client: Some(client), ..InboxFilter::default() };
        let found = store.inbox_list(&filter, None, 100).await.unwrap();
        found.into_iter().map(|message| message.subject).collect()
    };
    for days in [40, 35, 10, 8, 1] {
        for client in [acme().id, rival().id] {
            let message = InboxMessage {
                id: InboxId::new(NOW, chance()),
                client_id: client,
                email_id: email().id,
                mail_from: String::new(),
                recipients: vec!["ann@client.example".into()],
                subject: days.to_string(),
                from: String::new(),
                size: 1,
                sha256: BlobHash::of(days.to_string().as_bytes()),
                received_at: at(-days * 86_400),
            };
            store.inbox_add(message).await.unwrap();
        }
    }
    let mut blobs = Vec::new();
    for _ in 0..6 {
        blobs.extend(drop_old(store, 30, 400, 1).await.blobs);
    }
    assert_eq!(subjects(acme().id).await, ["1", "8", "10"]);
    assert_eq!(subjects(rival().id).await, ["1"]);
    blobs.sort_unstable();
    let mut unused = ["40", "35"].map(|days| BlobHash::of(days.as_bytes()));
    unused.sort_unstable();
    assert_eq!(blobs, unused, "the other client still has the rest");
}

async fn mail_under_way_is_left_alone(store: &Store) {
    let mut scheduled = old(500);
    scheduled.send_at = Some(at(60));
    let waiting = accept(store, vec![scheduled, old(500)]).await;
    let held = accept_leased(store, vec![old(500)]).await.remove(0);
    sent(store, vec![old(0)]).await;
    for _ in 0..3 {
        let step = drop_old(store, 30, 400, 10).await;
        assert_eq!((step.bodies, step.records), (0, 0));
    }
    assert!(drop_old(store, 30, 400, 10).await.is_nothing());
    for id in waiting.into_iter().chain([held.email.id]) {
        assert!(!record(store, id).await.content_dropped);
    }
    assert_eq!(claim(store, 2, at(61), 10).await.len(), 3);
}

async fn keys_go_after_their_time(store: &Store) {
    for (key, keep_until) in [("a", at(-5)), ("b", at(5))] {
        let mut acceptance = acceptance(store, vec![email()]).await;
        acceptance.idempotency = Some(IdempotencyClaim {
            client_id: acme().id,
            endpoint: "e",
            key: key.into(),
            fingerprint: [0; 32],
            answer: vec![],
            keep_until,
        });
        acceptance.now = at(-10);
        assert!(matches!(store.accept(acceptance).await, Ok(AcceptResult::Accepted { .. })));
    }
    assert_eq!(drop_old(store, 30, 400, 10).await.idempotency_keys, 1);
    assert!(store.replay(acme().id, "e", "b", [0; 32], NOW).await.unwrap().is_some());
}

fn of_rival(mut email: Email) -> Email {
    email.client_id = rival().id;
    email
}

fn keeping(bodies: u64, records: u64) -> Retention {
    let days = |days: u64| Some(Duration::from_secs(days * 86_400));
    Retention { bodies: days(bodies), records: days(records) }
}

async fn drop_all(store: &Store, bodies: i64, records: i64) -> (u64, u64) {
    let mut removed = (0, 0);
    loop {
        let step = drop_old(store, bodies, records, 2).await;
        if step.is_nothing() {
            return removed;
        }
        removed = (removed.0 + step.bodies, removed.1 + step.records);
    }
}

/// Whether the content is gone; `None` when the whole record is.
async fn content_gone(store: &Store, client: ClientId, id: EmailId) -> Option<bool> {
    Some(store.email(client, id).await.unwrap()?.content_dropped)
}

async fn a_client_may_keep_its_email_longer_or_shorter(store: &Store) {
    let ages = [500, 100, 40, 8, 1];
    let mut ids = Vec::new();
    for age in ages {
        // Accepted in turn, so that the numbers of the two clients lie between each other.
        let id = sent(store, vec![old(age)]).await[0];
        let others = sent(store, vec![of_rival(old(age))]).await[0];
        ids.push((id, others));
    }
    sent(store, vec![old(0)]).await;
    let shorter = keeping(7, 90);
    store.set_client_retention(rival().id, shorter, &actor()).await.unwrap();
    assert_eq!(drop_all(store, 30, 400).await.1, 1 + 2);
    let mut found = Vec::new();
    for (id, others) in &ids {
        let own = content_gone(store, acme().id, *id).await;
        found.push((own, content_gone(store, rival().id, *others).await));
    }
    let (kept, dropped) = (Some(false), Some(true));
    let expected = [(None, None), (dropped, None), (dropped, dropped), (kept, dropped), (kept, kept)];
    assert_eq!(found, expected);

    // Longer again: nothing comes back, what follows is kept.
    let longer = keeping(1_000, 2_000);
    store.set_client_retention(rival().id, longer, &actor()).await.unwrap();
    assert_eq!(drop_all(store, 0, 400).await, (2, 0));
    assert_eq!(content_gone(store, rival().id, ids[4].1).await, kept);
    // Taken back: as the installation, also for what the installation's walk has passed.
    store.set_client_retention(rival().id, Retention::default(), &actor()).await.unwrap();
    assert_eq!(drop_all(store, 0, 400).await, (1, 0));
    assert_eq!(content_gone(store, rival().id, ids[4].1).await, dropped);
    // Emails of the index and those that it does not hold yet are walked alike.
    let young = sent(store, vec![of_rival(old(3))]).await[0];
    store.catch_up().await.unwrap();
    let younger = sent(store, vec![of_rival(old(2))]).await[0];
    sent(store, vec![old(0)]).await;
    assert_eq!(drop_all(store, 1, 400).await, (2, 0));
    for id in [young, younger] {
        assert_eq!(content_gone(store, rival().id, id).await, dropped);
    }
}

async fn a_body_left_under_way_goes_when_its_email_has_ended(store: &Store) {
    let held = accept_leased(store, vec![old(40)]).await.remove(0);
    sent(store, vec![old(35), old(0)]).await;
    assert_eq!(drop_all(store, 30, 400).await, (1, 0));
    assert!(!record(store, held.email.id).await.content_dropped);
    store.settle(vec![settlement(&held, Status::Sent, None)]).await.unwrap();
    assert_eq!(drop_all(store, 30, 400).await, (1, 0));
    assert!(record(store, held.email.id).await.content_dropped);
}
