//! Moves of whole stores: from SQLite to PostgreSQL, and by a backup from one PostgreSQL database to another. What is
//! read must be the same before and after, and life goes on.

use crate::fixture::*;
use posthaste_model::email::{Content, Email, Parts, TemplateRef};
use posthaste_model::inbox::InboxMessage;
use posthaste_model::template::Template;
use posthaste_model::{EmailId, InboxId, Status, TemplateId, Timestamp};
use posthaste_store::{
    AcceptResult, EmailFilter, IdempotencyClaim, InboxFilter, ReplayFound, StatsBy, Store, StoreError,
};
use std::fmt::Write as _;
use std::sync::Arc;

const DAY: i64 = 86_400;

fn special(number: i64) -> Email {
    let mut email = email_of(at(-number * DAY / 3));
    email.subject = format!("Order No. {number} für\0Ännchen");
    email.tags = vec!["t".into(), format!("t{}", number % 3)];
    email.recipients.push(to("Bob <bob@client.example>"));
    if number % 4 == 0 {
        email.domain = "other.example".into();
        let template = Some(TemplateRef { code: "welcome".into(), version: 1 });
        email.content =
            Content::Parts(Parts { template, html: Some("<p>\u{1F600}".into()), ..Parts::default() });
    }
    if number % 5 == 0 {
        email.client_id = rival().id;
    }
    email
}

async fn populate(store: &Store) -> Vec<EmailId> {
    store.put_template(template(), &actor()).await.unwrap();
    let emails: Vec<Email> = (0..60).map(special).collect();
    let ids: Vec<EmailId> = emails.iter().map(|email| email.id).collect();
    let mut emails = emails.into_iter();
    let leased = accept_leased(store, emails.by_ref().take(20).collect()).await;
    for (claim, status) in
        leased.iter().zip([Status::Sent, Status::Failed, Status::Queued].into_iter().cycle()).take(15)
    {
        let next = (status == Status::Queued).then(|| at(30));
        store.settle(vec![settlement(claim, status, next)]).await.unwrap();
    }
    let mut later: Vec<Email> = emails.by_ref().take(10).collect();
    for email in &mut later {
        email.send_at = Some(at(500));
    }
    accept(store, later).await;
    let rest = accept(store, emails.collect()).await;
    store.cancel(acme().id, rest[1], at(2)).await.unwrap();
    let mut acceptance = acceptance(store, vec![email()]).await;
    acceptance.idempotency = Some(key());
    assert!(matches!(store.accept(acceptance).await, Ok(AcceptResult::Accepted { .. })));
    store.inbox_add(message(ids[0])).await.unwrap();
    crate::webhooks::told(store, ids[0]).await;
    ids
}

fn key() -> IdempotencyClaim {
    IdempotencyClaim {
        client_id: acme().id,
        endpoint: "send",
        key: "k".into(),
        fingerprint: [7; 32],
        answer: vec![1, 0, 2],
        keep_until: at(DAY),
    }
}

fn template() -> Template {
    Template {
        id: TemplateId::new(NOW, chance()),
        client_id: acme().id,
        code: "welcome".into(),
        version: 0,
        name: "Welcome".into(),
        subject: Some("Hi".into()),
        html: None,
        text: Some("Hi".into()),
        variables_schema: Some(serde_json::json!({"type": "object"})),
        created_at: NOW,
        updated_at: NOW,
    }
}

fn message(email_id: EmailId) -> InboxMessage {
    InboxMessage {
        id: InboxId::new(NOW, chance()),
        client_id: acme().id,
        email_id,
        mail_from: "a@b.example".into(),
        recipients: vec!["ann@client.example".into()],
        subject: "Hi".into(),
        from: "a@b.example".into(),
        size: 3,
        sha256: posthaste_model::email::BlobHash::of(b"raw"),
        received_at: NOW,
    }
}

/// All that is read of a store, as text.
async fn everything(store: &Store, ids: &[EmailId]) -> String {
    let mut all = String::new();
    let out = &mut all;
    let (from, to): (Timestamp, Timestamp) = (at(-900 * DAY), at(DAY));
    writeln!(out, "{:?} {:?}", store.clients().await, store.credentials(None).await).unwrap();
    writeln!(out, "{:?} {:?}", store.domains(None).await, store.templates(acme().id).await).unwrap();
    writeln!(out, "{:?}", store.replay(acme().id, "send", "k", [7; 32], NOW).await).unwrap();
    for webhook in store.webhooks(acme().id).await.unwrap() {
        let told = store.webhook_deliveries(acme().id, webhook.id, None, 9).await.unwrap();
        writeln!(out, "{webhook:?} {told:?}").unwrap();
    }
    writeln!(out, "{:?}", store.inbox_list(&InboxFilter::default(), None, 9).await).unwrap();
    writeln!(out, "{:?}", store.queue_counts(at(600)).await).unwrap();
    for client in [acme().id, rival().id] {
        for id in ids {
            writeln!(out, "{:?}", store.email(client, *id).await.unwrap()).unwrap();
            writeln!(out, "{:?}", store.events(client, *id).await.unwrap()).unwrap();
        }
        for by in [StatsBy::Status, StatsBy::Domain, StatsBy::Tag, StatsBy::Hour, StatsBy::Day] {
            writeln!(out, "{:?}", store.stats(client, from, to, by).await).unwrap();
        }
        for filter in filters() {
            let mut rows = store.list(client, &filter, None, 100).await.unwrap().rows;
            rows.sort_unstable_by_key(|row| row.id);
            writeln!(out, "{filter:?} {:?} {rows:?}", store.count(client, &filter).await).unwrap();
        }
    }
    all
}

fn filters() -> [EmailFilter; 6] {
    let none = EmailFilter::default();
    [
        none.clone(),
        EmailFilter { tag: Some("t1".into()), ..none.clone() },
        EmailFilter { recipient: Some("bob@client.example".into()), tag: Some("t0".into()), ..none.clone() },
        EmailFilter { q: Some("order 41".into()), ..none.clone() },
        EmailFilter { statuses: vec![Status::Queued, Status::Failed], ..none.clone() },
        EmailFilter { template_code: Some("welcome".into()), date_from: Some(at(-9 * DAY)), ..none },
    ]
}

/// The first line in which two texts differ.
fn same(before: &str, after: &str) {
    for (before, after) in before.lines().zip(after.lines()) {
        assert_eq!(before, after);
    }
    assert_eq!(before.lines().count(), after.lines().count());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_takes_all_and_life_goes_on() {
    let Some(target) = empty_postgres().await else { return };
    let source = sqlite().await;
    let ids = populate(&source.store).await;
    // PostgreSQL keeps no NUL in its own texts; JSON bytes it does keep.
    let before = everything(&source.store, &ids).await;
    let moved = target.store.take_over(&source.store, Arc::new(|_, _| ())).await.unwrap();
    let rows = |table| moved.iter().find(|one| one.table == table).map(|one| one.rows);
    assert_eq!((rows("emails"), rows("clients"), rows("idempotency")), (Some(61), Some(2), Some(1)));
    same(&before, &everything(&target.store, &ids).await);
    target.store.check_integrity().await.unwrap();
    let again = target.store.take_over(&source.store, Arc::new(|_, _| ())).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    // Leases of processes that are gone run out, and the cursor of a feed stays good.
    let last = target.store.last_event_id().await.unwrap();
    assert_eq!(last, source.store.last_event_id().await.unwrap());
    let due = claim(&target.store, 9, at(700), 100).await;
    assert_eq!(due.len(), claim(&source.store, 9, at(700), 100).await.len());
    let new = accept(&target.store, vec![email()]).await[0];
    let found = target.store.events_after(acme().id, last, 100).await.unwrap();
    assert!(found.events.iter().any(|event| event.event.email_id == new));
    source.end().await;
    target.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_postgresql_is_restored_into_an_empty_database() {
    let (Some(source), Some(target)) = (postgres().await, empty_postgres().await) else { return };
    let ids = populate(&source.store).await;
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("store");
    source.store.backup(&path).await.unwrap();
    let before = everything(&source.store, &ids).await;
    // What came after the copy is not in it.
    accept(&source.store, vec![email()]).await;
    target.store.restore(&path).await.unwrap();
    same(&before, &everything(&target.store, &ids).await);
    let found = target.store.replay(acme().id, "send", "k", [7; 32], NOW).await.unwrap();
    assert_eq!(found, Some(ReplayFound::Answer(vec![1, 0, 2])));
    let twice = target.store.restore(&path).await;
    assert!(matches!(twice, Err(StoreError::Conflict(_))), "{twice:?}");
    let last = target.store.last_event_id().await.unwrap();
    let new = accept(&target.store, vec![email()]).await[0];
    let found = target.store.events_after(acme().id, last, 100).await.unwrap();
    assert_eq!(found.events.iter().map(|event| event.event.email_id).collect::<Vec<_>>(), [new]);
    source.end().await;
    target.end().await;
}
