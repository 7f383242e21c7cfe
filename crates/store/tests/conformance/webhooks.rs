//! Webhooks: one delivery an event whoever looks, calls in the order of the events, leases that count once.

use crate::fixture::*;
use posthaste_model::{EmailId, Timestamp, WebhookDeliveryId, WebhookId};
use posthaste_store::{
    AuditFilter, DeliveryEnd, DeliveryState, NewWebhookDelivery, Store, StoreError, Webhook, WebhookAttempt,
    WebhookChange, WebhookDelivery, WebhookSettlement,
};

crate::on_every_engine!(
    a_webhook_is_its_clients_own,
    what_was_switched_off_is_not_told,
    a_rotated_secret_stays_for_a_while,
    the_configured_webhook_is_one,
    an_event_becomes_one_delivery,
    calls_of_an_email_keep_their_order,
    a_lease_counts_once,
    a_failing_webhook_is_switched_off,
    the_log_is_paged_replayed_and_dropped,
    an_erased_recipient_is_told_of_no_more,
);

fn webhook(number: u8) -> Webhook {
    Webhook {
        id: WebhookId::new(NOW, [number; 10]),
        client_id: acme().id,
        is_configured: false,
        url: "https://example.com/hook".into(),
        events: "*".into(),
        is_active: true,
        sealed_secret: vec![1, 2, 3],
        previous: None,
        cursor: 0,
        failing_since: None,
        disabled_reason: None,
        created_at: NOW,
    }
}

async fn made(store: &Store, number: u8) -> Webhook {
    let webhook = webhook(number);
    store.create_webhook(webhook.clone(), &actor()).await.unwrap();
    webhook
}

fn delivery(event: i64, email_id: EmailId) -> NewWebhookDelivery {
    NewWebhookDelivery {
        id: WebhookDeliveryId::new(NOW, chance()),
        event: Some(event),
        email_id: Some(email_id),
        seq: 1,
        kind: "email.sent".into(),
        body: b"{}".to_vec(),
        once: false,
        at: NOW,
    }
}

/// A webhook that was told of an email, and is to be told of more.
pub async fn told(store: &Store, email_id: EmailId) {
    let mine = made(store, 7).await;
    let deliveries = vec![delivery(1, email_id), delivery(2, email_id)];
    assert_eq!(store.fan_out(mine.id, 0, 2, deliveries).await, Ok(true));
    let first = claimed(store, mine.id, at(0)).await.remove(0);
    store.settle_webhook(outcome(&first, mine.id, DeliveryEnd::Delivered)).await.unwrap();
}

async fn claimed(store: &Store, id: WebhookId, now: Timestamp) -> Vec<WebhookDelivery> {
    store.claim_webhook_deliveries(id, now, now.plus(std::time::Duration::from_secs(15)), 10).await.unwrap()
}

fn outcome(of: &WebhookDelivery, webhook_id: WebhookId, end: DeliveryEnd) -> WebhookSettlement {
    WebhookSettlement {
        webhook_id,
        delivery_id: of.id,
        fence: of.fence,
        attempt: WebhookAttempt { at: at(1), status: Some(500), fault: None, took_ms: 7 },
        end,
        at: at(2),
        disable: None,
    }
}

async fn a_webhook_is_its_clients_own(store: &Store) {
    let mine = made(store, 1).await;
    let (ours, theirs) = (acme().id, rival().id);
    assert_eq!(store.webhook(ours, mine.id).await, Ok(Some(mine.clone())));
    assert_eq!(store.webhook(theirs, mine.id).await, Ok(None));
    assert_eq!(store.webhooks(theirs).await, Ok(vec![]));
    assert_eq!(store.active_webhooks().await, Ok(vec![mine.clone()]));
    let change = WebhookChange { url: Some("https://other.example/".into()), ..WebhookChange::default() };
    let refused = store.update_webhook(theirs, mine.id, change.clone(), &actor()).await;
    assert_eq!(refused, Err(StoreError::NotFound));
    let before = store.revision().await.unwrap();
    let changed = store.update_webhook(ours, mine.id, change, &actor()).await.unwrap();
    assert_eq!(changed, Webhook { url: "https://other.example/".into(), ..mine.clone() });
    assert!(store.revision().await.unwrap() > before);
    let test = NewWebhookDelivery { event: None, email_id: None, ..delivery(0, EmailId::new(NOW, chance())) };
    let refused = store.add_webhook_delivery(theirs, mine.id, test.clone()).await;
    assert_eq!(refused, Err(StoreError::NotFound));
    store.add_webhook_delivery(ours, mine.id, test.clone()).await.unwrap();
    assert_eq!(store.webhook_delivery(theirs, mine.id, test.id).await, Ok(None));
    assert_eq!(store.webhook_deliveries(theirs, mine.id, None, 9).await, Ok(vec![]));
    let refused = store.replay_webhook_delivery(theirs, mine.id, test.id, NOW).await;
    assert_eq!(refused, Err(StoreError::NotFound));
    assert_eq!(store.delete_webhook(theirs, mine.id, &actor()).await, Err(StoreError::NotFound));
    store.delete_webhook(ours, mine.id, &actor()).await.unwrap();
    assert_eq!(store.delete_webhook(ours, mine.id, &actor()).await, Err(StoreError::NotFound));
    assert_eq!(store.webhook_delivery(ours, mine.id, test.id).await, Ok(None));
}

async fn what_was_switched_off_is_not_told(store: &Store) {
    let mine = made(store, 1).await;
    let switch = |on| WebhookChange { is_active: Some(on), ..WebhookChange::default() };
    let id = accept(store, vec![email()]).await[0];
    assert_eq!(store.fan_out(mine.id, 0, 1, vec![delivery(1, id)]).await, Ok(true));
    let off = store.update_webhook(mine.client_id, mine.id, switch(false), &actor()).await.unwrap();
    assert!(!off.is_active);
    assert_eq!(store.active_webhooks().await, Ok(vec![]));
    assert_eq!(store.due_webhooks(at(5)).await, Ok(vec![]));
    assert_eq!(store.fan_out(mine.id, 1, 2, vec![]).await, Ok(false));
    assert_eq!(store.webhook_backlog().await.unwrap().waiting, 0);
    accept(store, vec![email()]).await;
    let on = store.update_webhook(mine.client_id, mine.id, switch(true), &actor()).await.unwrap();
    assert_eq!(on.cursor, store.last_event_id().await.unwrap(), "what happened meanwhile is not told");
    assert_eq!(store.due_webhooks(at(5)).await.unwrap().len(), 1, "what waited goes on");
}

async fn a_rotated_secret_stays_for_a_while(store: &Store) {
    let mine = made(store, 1).await;
    let rotate = WebhookChange { rotate: Some((vec![9], at(60))), ..WebhookChange::default() };
    let rotated = store.update_webhook(mine.client_id, mine.id, rotate, &actor()).await.unwrap();
    assert_eq!((rotated.sealed_secret, rotated.previous), (vec![9], Some((vec![1, 2, 3], at(60)))));
    let audit = store.audit(None, 1, &AuditFilter::default()).await.unwrap();
    assert_eq!(audit[0].action, "webhook.rotate");
}

async fn the_configured_webhook_is_one(store: &Store) {
    let set = |number, url: &str, cursor| {
        Some(Webhook { is_configured: true, url: url.into(), cursor, ..webhook(number) })
    };
    let client = acme().id;
    store.set_configured_webhook(client, set(1, "https://a.example/", 3)).await.unwrap();
    store.set_configured_webhook(client, set(2, "https://b.example/", 8)).await.unwrap();
    let standing = store.webhooks(client).await.unwrap();
    assert_eq!(standing.len(), 1);
    assert_eq!((standing[0].url.as_str(), standing[0].cursor), ("https://b.example/", 3));
    store.set_configured_webhook(client, None).await.unwrap();
    assert!(!store.webhooks(client).await.unwrap()[0].is_active);
    store.set_configured_webhook(client, set(1, "https://c.example/", 9)).await.unwrap();
    let again = store.webhooks(client).await.unwrap();
    assert_eq!((again[0].is_active, again[0].cursor, again[0].id), (true, 9, standing[0].id));
}

async fn an_event_becomes_one_delivery(store: &Store) {
    let mine = made(store, 1).await;
    let id = accept(store, vec![email()]).await[0];
    assert_eq!(store.fan_out(mine.id, 0, 4, vec![delivery(3, id), delivery(4, id)]).await, Ok(true));
    // Another node that had read the same events.
    assert_eq!(store.fan_out(mine.id, 0, 4, vec![delivery(3, id), delivery(4, id)]).await, Ok(false));
    assert_eq!(store.webhook(mine.client_id, mine.id).await.unwrap().unwrap().cursor, 4);
    let once = NewWebhookDelivery { once: true, ..delivery(6, id) };
    assert_eq!(store.fan_out(mine.id, 4, 6, vec![once]).await, Ok(true));
    let told = store.webhook_deliveries(mine.client_id, mine.id, None, 10).await.unwrap();
    let events: Vec<_> = told.iter().map(|one| one.event).collect();
    assert_eq!(events, [Some(4), Some(3)], "newest first; one of its kind stood already");
    let backlog = store.webhook_backlog().await.unwrap();
    assert_eq!((backlog.waiting, backlog.oldest), (2, Some(NOW)));
}

async fn calls_of_an_email_keep_their_order(store: &Store) {
    let mine = made(store, 1).await;
    let ids = accept(store, vec![email(), email()]).await;
    let deliveries = vec![delivery(1, ids[0]), delivery(2, ids[1]), delivery(3, ids[0])];
    store.fan_out(mine.id, 0, 3, deliveries).await.unwrap();
    assert_eq!(store.due_webhooks(at(0)).await.unwrap().len(), 1);
    let first = claimed(store, mine.id, at(0)).await;
    assert_eq!(first.iter().map(|one| one.event).collect::<Vec<_>>(), [Some(1), Some(2)]);
    assert_eq!(claimed(store, mine.id, at(1)).await, vec![], "the third waits for the first");
    assert_eq!(store.due_webhooks(at(1)).await, Ok(vec![]));
    assert_eq!(store.settle_webhook(outcome(&first[0], mine.id, DeliveryEnd::Retry(at(30)))).await, Ok(true));
    assert_eq!(claimed(store, mine.id, at(29)).await.len(), 1, "only the second, whose lease has ended");
    let again = claimed(store, mine.id, at(31)).await;
    assert_eq!((again[0].event, again[0].tries, again[0].attempts.len()), (Some(1), 1, 1));
    store.settle_webhook(outcome(&again[0], mine.id, DeliveryEnd::Failed)).await.unwrap();
    let next = claimed(store, mine.id, at(32)).await;
    assert_eq!(next.iter().map(|one| one.event).collect::<Vec<_>>(), [Some(3)]);
}

async fn a_lease_counts_once(store: &Store) {
    let mine = made(store, 1).await;
    let id = accept(store, vec![email()]).await[0];
    store.fan_out(mine.id, 0, 1, vec![delivery(1, id)]).await.unwrap();
    let first = claimed(store, mine.id, at(0)).await;
    assert_eq!(claimed(store, mine.id, at(14)).await, vec![]);
    let second = claimed(store, mine.id, at(16)).await;
    assert_eq!(second[0].fence, first[0].fence + 1);
    assert_eq!(store.settle_webhook(outcome(&first[0], mine.id, DeliveryEnd::Failed)).await, Ok(false));
    assert_eq!(store.settle_webhook(outcome(&second[0], mine.id, DeliveryEnd::Delivered)).await, Ok(true));
    assert_eq!(store.settle_webhook(outcome(&second[0], mine.id, DeliveryEnd::Failed)).await, Ok(false));
    let done = store.webhook_delivery(mine.client_id, mine.id, first[0].id).await.unwrap().unwrap();
    assert_eq!((done.state, done.due_at, done.attempt_count), (DeliveryState::Delivered, None, 1));
    assert_eq!(done.attempts, [WebhookAttempt { at: at(1), status: Some(500), fault: None, took_ms: 7 }]);
}

async fn a_failing_webhook_is_switched_off(store: &Store) {
    let mine = made(store, 1).await;
    let id = accept(store, vec![email()]).await[0];
    let mut now = 0;
    store.fan_out(mine.id, 0, 3, vec![delivery(1, id), delivery(2, id), delivery(3, id)]).await.unwrap();
    for (end, failing) in [
        (DeliveryEnd::Retry(at(20)), Some(at(2))),
        (DeliveryEnd::Failed, Some(at(2))),
        (DeliveryEnd::Delivered, None),
    ] {
        let claim = claimed(store, mine.id, at(now)).await.remove(0);
        store.settle_webhook(outcome(&claim, mine.id, end)).await.unwrap();
        assert_eq!(store.webhook(mine.client_id, mine.id).await.unwrap().unwrap().failing_since, failing);
        now += 20;
    }
    let claim = claimed(store, mine.id, at(now)).await.remove(0);
    let disable = Some("no call has succeeded".to_owned());
    let last = WebhookSettlement { disable, ..outcome(&claim, mine.id, DeliveryEnd::Failed) };
    store.settle_webhook(last).await.unwrap();
    let off = store.webhook(mine.client_id, mine.id).await.unwrap().unwrap();
    assert_eq!((off.is_active, off.disabled_reason.as_deref()), (false, Some("no call has succeeded")));
    let audit = store.audit(None, 1, &AuditFilter::default()).await.unwrap();
    assert_eq!((audit[0].action.as_str(), audit[0].actor.kind.as_str()), ("webhook.disable", "system"));
    let on = WebhookChange { is_active: Some(true), ..WebhookChange::default() };
    let on = store.update_webhook(mine.client_id, mine.id, on, &actor()).await.unwrap();
    assert_eq!((on.failing_since, on.disabled_reason), (None, None));
}

async fn the_log_is_paged_replayed_and_dropped(store: &Store) {
    let mine = made(store, 1).await;
    let ids = accept(store, vec![email(), email(), email()]).await;
    let deliveries = ids.iter().zip(1..).map(|(id, event)| delivery(event, *id)).collect();
    store.fan_out(mine.id, 0, 3, deliveries).await.unwrap();
    let page = store.webhook_deliveries(mine.client_id, mine.id, None, 2).await.unwrap();
    let rest = store.webhook_deliveries(mine.client_id, mine.id, Some(page[1].number), 2).await.unwrap();
    assert_eq!((page[0].event, page[1].event, rest.len()), (Some(3), Some(2), 1));
    let replay = |id, now| store.replay_webhook_delivery(mine.client_id, mine.id, id, now);
    assert_eq!(replay(rest[0].id, at(9)).await, Err(StoreError::Conflict("the delivery")));
    for claim in claimed(store, mine.id, at(0)).await {
        store.settle_webhook(outcome(&claim, mine.id, DeliveryEnd::Failed)).await.unwrap();
    }
    let again = replay(rest[0].id, at(9)).await.unwrap();
    assert_eq!(
        (again.state, again.due_at, again.tries, again.attempt_count),
        (DeliveryState::Waiting, Some(at(9)), 0, 1)
    );
    assert_eq!(store.drop_webhook_deliveries(at(2), 10).await, Ok(0));
    assert_eq!(store.drop_webhook_deliveries(at(3), 1).await, Ok(1));
    assert_eq!(store.drop_webhook_deliveries(at(3), 10).await, Ok(1));
    let left = store.webhook_deliveries(mine.client_id, mine.id, None, 9).await.unwrap();
    assert_eq!(left, vec![again], "what waits stays");
}

async fn an_erased_recipient_is_told_of_no_more(store: &Store) {
    let mine = made(store, 1).await;
    let ids = accept(store, vec![email(), email()]).await;
    store.fan_out(mine.id, 0, 2, vec![delivery(1, ids[0]), delivery(2, ids[1])]).await.unwrap();
    store.erase_recipient(Some(acme().id), "ann@client.example", at(5)).await.unwrap();
    assert_eq!(store.webhook_deliveries(mine.client_id, mine.id, None, 9).await, Ok(vec![]));
}
