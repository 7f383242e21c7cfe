//! The inbox transport's messages.

use crate::fixture::*;
use posthaste_model::email::BlobHash;
use posthaste_model::inbox::InboxMessage;
use posthaste_model::{ClientId, InboxId};
use posthaste_store::{AuditFilter, InboxClient, InboxFilter, InboxSelection, Store};

crate::on_every_engine!(
    keeps_lists_and_deletes,
    what_a_person_deletes_is_in_the_audit,
    filters,
    nothing_of_another_client,
    counts_by_client,
);

fn message(client_id: ClientId, subject: &str) -> InboxMessage {
    InboxMessage {
        id: InboxId::new(NOW, chance()),
        client_id,
        email_id: email().id,
        mail_from: "bounce@example.com".into(),
        recipients: vec!["Ann@client.example".into()],
        subject: subject.into(),
        from: "Shop <noreply@example.com>".into(),
        size: 123,
        sha256: BlobHash::of(subject.as_bytes()),
        received_at: NOW,
    }
}

async fn keeps_lists_and_deletes(store: &Store) {
    let all: Vec<InboxMessage> = (0..5).map(|n| message(acme().id, &format!("no {n}"))).collect();
    for message in &all {
        store.inbox_add(message.clone()).await.unwrap();
        store.inbox_add(message.clone()).await.unwrap();
    }
    assert_eq!(store.inbox_count(Some(acme().id)).await, Ok(5));
    let filter = InboxFilter::default();
    let first = store.inbox_list(&filter, None, 2).await.unwrap();
    assert_eq!(first, [all[4].clone(), all[3].clone()]);
    let next = store.inbox_list(&filter, Some(first[1].id), 10).await.unwrap();
    assert_eq!(next, [all[2].clone(), all[1].clone(), all[0].clone()]);
    assert_eq!(store.inbox_get(None, all[0].id).await, Ok(Some(all[0].clone())));
    assert_eq!(store.blob_references(&all[0].sha256).await, Ok(1));
    let behind = InboxFilter { behind: Some(all[2].id), ..InboxFilter::default() };
    assert_eq!(store.inbox_list(&behind, None, 10).await.unwrap(), [all[4].clone(), all[3].clone()]);
    let two = InboxSelection::Ids(vec![all[3].id, all[0].id]);
    assert_eq!(store.inbox_delete(Some(acme().id), two, None).await, Ok(2));
    // A page goes on where a message that was deleted stood.
    assert_eq!(store.inbox_list(&filter, Some(all[3].id), 10).await.unwrap().len(), 2);
    let behind = InboxFilter { behind: Some(all[3].id), ..InboxFilter::default() };
    assert_eq!(store.inbox_list(&behind, None, 10).await.unwrap(), [all[4].clone()]);
    assert_eq!(store.inbox_delete(Some(acme().id), InboxSelection::All, None).await, Ok(3));
    let again = message(acme().id, "after all were deleted");
    store.inbox_add(again.clone()).await.unwrap();
    assert_eq!(store.inbox_list(&behind, None, 10).await.unwrap(), [again]);
    assert_eq!(store.blob_references(&all[1].sha256).await, Ok(0));
}

async fn what_a_person_deletes_is_in_the_audit(store: &Store) {
    let all: Vec<InboxMessage> = (0..4).map(|n| message(acme().id, &format!("no {n}"))).collect();
    for message in &all {
        store.inbox_add(message.clone()).await.unwrap();
    }
    let ids = |which: &[usize]| InboxSelection::Ids(which.iter().map(|at| all[*at].id).collect());
    let person = actor();
    let revision = store.revision().await.unwrap();
    for (client, which, by, deleted) in [
        (None, ids(&[0, 1]), Some(&person), 2),
        (None, ids(&[1]), Some(&person), 0),
        (None, ids(&[2]), None, 1),
        (Some(acme().id), InboxSelection::All, Some(&person), 1),
        (None, InboxSelection::All, Some(&person), 0),
    ] {
        assert_eq!(store.inbox_delete(client, which.clone(), by).await, Ok(deleted), "{which:?}");
    }
    let filter = AuditFilter { action: Some("inbox.delete".into()), ..AuditFilter::default() };
    let told = store.audit(None, 10, &filter).await.unwrap();
    let mut told: Vec<_> = told.into_iter().rev().map(|one| (one.target, one.detail, one.actor)).collect();
    let one = |at: usize| (all[at].id.to_string(), None, person.clone());
    let rest = (acme().id.to_string(), Some("1 message".to_owned()), person.clone());
    let mut wanted = vec![one(0), one(1), rest];
    // The messages of one deletion are in no order.
    told[..2].sort_by(|a, b| a.0.cmp(&b.0));
    wanted[..2].sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(told, wanted);
    assert_eq!(store.revision().await, Ok(revision), "no check depends on it");
}

async fn filters(store: &Store) {
    for subject in ["Rechnung 100%", "Willkommen"] {
        store.inbox_add(message(acme().id, subject)).await.unwrap();
    }
    let found = async |filter: InboxFilter| store.inbox_list(&filter, None, 10).await.unwrap().len();
    let q = |text: &str| InboxFilter { q: Some(text.into()), ..InboxFilter::default() };
    assert_eq!(found(q("rechnung")).await, 1);
    assert_eq!(found(q("100%")).await, 1);
    assert_eq!(found(q("%")).await, 1, "text, no pattern");
    assert_eq!(found(q("noreply@")).await, 2);
    assert_eq!(found(q("ann@client")).await, 2);
    let to = |text: &str| InboxFilter { to: Some(text.into()), ..InboxFilter::default() };
    assert_eq!((found(to("ann@client.example")).await, found(to("nn@client.example")).await), (2, 0));
    let after = |seconds| InboxFilter { after: Some(at(seconds)), ..InboxFilter::default() };
    assert_eq!((found(after(0)).await, found(after(1)).await), (2, 0));
}

async fn nothing_of_another_client(store: &Store) {
    let own = message(acme().id, "own");
    store.inbox_add(own.clone()).await.unwrap();
    for other in [rival().id, ClientId::from_bytes([9; 16])] {
        let filter = InboxFilter { client: Some(other), ..InboxFilter::default() };
        assert_eq!(store.inbox_list(&filter, None, 10).await, Ok(vec![]));
        assert_eq!(store.inbox_get(Some(other), own.id).await, Ok(None));
        assert_eq!(store.inbox_count(Some(other)).await, Ok(0));
        assert_eq!(store.inbox_delete(Some(other), InboxSelection::Ids(vec![own.id]), None).await, Ok(0));
        assert_eq!(store.inbox_delete(Some(other), InboxSelection::All, None).await, Ok(0));
    }
    assert_eq!(store.inbox_count(None).await, Ok(1));
}

async fn counts_by_client(store: &Store) {
    assert_eq!(store.inbox_clients(None).await, Ok(vec![]));
    for (client, subject) in [(rival().id, "a"), (acme().id, "b"), (rival().id, "c")] {
        store.inbox_add(message(client, subject)).await.unwrap();
    }
    let of = |client: posthaste_model::client::Client, messages| InboxClient {
        id: client.id,
        name: client.name,
        messages,
    };
    let mut all = vec![of(acme(), 1), of(rival(), 2)];
    all.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(store.inbox_clients(None).await, Ok(all));
    assert_eq!(store.inbox_clients(Some(acme().id)).await, Ok(vec![of(acme(), 1)]));
    assert_eq!(store.inbox_clients(Some(ClientId::from_bytes([9; 16]))).await, Ok(vec![]));
}
