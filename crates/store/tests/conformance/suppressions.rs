//! Suppressed addresses: one list a client, entries that end, the revision that their first one raises.

use crate::fixture::*;
use posthaste_model::suppression::{Suppression, address_key, reason};
use posthaste_store::{Store, StoreError, SuppressionFilter};

crate::on_every_engine!(
    an_address_is_suppressed_for_one_client,
    entries_end_and_are_replaced,
    the_list_comes_in_pages,
    an_erased_address_stays_suppressed,
);

fn entry(address: &str) -> Suppression {
    Suppression::new(acme().id, address, reason::MANUAL, NOW)
}

async fn an_address_is_suppressed_for_one_client(store: &Store) {
    let (ours, theirs) = (acme().id, rival().id);
    let keys = vec![address_key("a@b.example"), address_key("x@b.example")];
    assert_eq!(store.has_suppressions(ours).await, Ok(false));
    let before = store.revision().await.unwrap();
    assert_eq!(store.suppress(ours, vec![entry("a@b.example")], &actor()).await, Ok(1));
    assert!(store.revision().await.unwrap() > before, "whoever remembers an empty list looks again");
    assert_eq!(store.suppress(ours, vec![entry("a@b.example")], &actor()).await, Ok(0));
    let twice = vec![entry("b@b.example"), entry("a@b.example"), entry("b@b.example")];
    assert_eq!(store.suppress(ours, twice, &actor()).await, Ok(1), "one of these is new");
    assert_eq!(store.has_suppressions(ours).await, Ok(true));
    assert_eq!(store.suppressed(ours, keys.clone(), NOW).await, Ok(vec![entry("a@b.example")]));
    assert_eq!(store.suppressed(theirs, keys.clone(), NOW).await, Ok(vec![]));
    assert_eq!(store.unsuppress(theirs, keys[0], None, &actor()).await, Ok(0));
    assert_eq!(store.unsuppress(ours, keys[0], None, &actor()).await, Ok(1));
    assert_eq!(store.suppressed(ours, keys, NOW).await, Ok(vec![]));
    let nobody = posthaste_model::ClientId::new(NOW, [99; 10]);
    let refused = store.suppress(nobody, vec![entry("a@b.example")], &actor()).await;
    assert_eq!(refused, Err(StoreError::NotFound));
}

async fn entries_end_and_are_replaced(store: &Store) {
    let ours = acme().id;
    let until = Suppression { expires_at: Some(at(60)), ..entry("a@b.example") };
    let news = Suppression { stream: Some("news".into()), reason: "x".into(), ..entry("a@b.example") };
    assert_eq!(store.suppress(ours, vec![until.clone(), news.clone()], &actor()).await, Ok(2));
    let keys = || vec![address_key("a@b.example")];
    assert_eq!(store.suppressed(ours, keys(), NOW).await, Ok(vec![until.clone(), news.clone()]));
    assert_eq!(store.suppressed(ours, keys(), at(60)).await, Ok(vec![news.clone()]));
    store.drop_old(at(-9999), at(-9999), at(61), 100).await.unwrap();
    let all = store.suppressions(ours, &SuppressionFilter::default(), 10, NOW).await.unwrap();
    assert_eq!(all.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>(), vec![news]);
    assert_eq!(store.unsuppress(ours, keys()[0], Some("other"), &actor()).await, Ok(0));
    assert_eq!(store.unsuppress(ours, keys()[0], Some("news"), &actor()).await, Ok(1));
}

async fn the_list_comes_in_pages(store: &Store) {
    let ours = acme().id;
    let entries: Vec<_> = (0..5).map(|n| entry(&format!("a{n}@b.example"))).collect();
    store.suppress(ours, entries.clone(), &actor()).await.unwrap();
    let mut filter = SuppressionFilter::default();
    let mut seen = Vec::new();
    loop {
        let page = store.suppressions(ours, &filter, 2, NOW).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        filter.before = Some(*last);
        seen.extend(page.into_iter().map(|(_, entry)| entry));
    }
    seen.reverse();
    assert_eq!(seen, entries);
    let one =
        SuppressionFilter { address_key: Some(address_key("a3@b.example")), ..SuppressionFilter::default() };
    assert_eq!(store.suppressions(ours, &one, 9, NOW).await.unwrap().len(), 1);
    let none = SuppressionFilter { reason: Some("bounce".into()), ..SuppressionFilter::default() };
    assert_eq!(store.suppressions(ours, &none, 9, NOW).await, Ok(vec![]));
}

async fn an_erased_address_stays_suppressed(store: &Store) {
    let ours = acme().id;
    let said = entry("a@b.example").with_evidence(Some("550 a@b.example is gone"));
    store.suppress(ours, vec![said.clone()], &actor()).await.unwrap();
    store.erase_recipient(None, "a@b.example", NOW).await.unwrap();
    let left = Suppression { email: None, evidence: None, ..said };
    assert_eq!(store.suppressed(ours, vec![address_key("a@b.example")], NOW).await, Ok(vec![left]));
}
