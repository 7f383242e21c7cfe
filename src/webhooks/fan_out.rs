//! Events become deliveries: for each webhook that is called, those behind its cursor that it asked for.

use super::Caller;
use super::message::{aegis_body, body, is_wanted, public_name};
use posthaste_model::aegis::message_id;
use posthaste_model::{Timestamp, WebhookDeliveryId, WebhookId};
use posthaste_store::{ClientEvent, NewWebhookDelivery, StoreError, Webhook};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Events read at once.
const PAGE: usize = 100;
/// What the final failure of an email is called.
const FAILED: &str = "email.failed";
/// A cursor that passed so many events of no interest is written down; until then it is only remembered.
const UNWRITTEN: i64 = 2_000;

/// How far this process has looked, beyond the cursors in the store.
#[derive(Default)]
pub(super) struct Seen {
    newest: i64,
    /// By webhook: the cursor in the store, and how far has been looked.
    looked: HashMap<WebhookId, (i64, i64)>,
}

/// Brings every webhook up to the newest event.
pub(super) async fn look(caller: &Arc<Caller>, seen: &mut Seen) -> Result<(), StoreError> {
    let newest = caller.parts.store.last_event_id().await?;
    if newest == seen.newest {
        return Ok(());
    }
    let webhooks = caller.parts.store.active_webhooks().await?;
    seen.looked.retain(|id, _| webhooks.iter().any(|webhook| webhook.id == *id));
    let mut is_done = true;
    for webhook in &webhooks {
        let looked = match seen.looked.get(&webhook.id) {
            Some((cursor, looked)) if *cursor == webhook.cursor => *looked,
            _ => webhook.cursor,
        };
        match catch_up(caller, webhook, looked).await? {
            Some(reached) => {
                seen.looked.insert(webhook.id, reached);
            }
            // Whoever moved the cursor may not live to go on: the next look begins at what stands there.
            None => is_done = false,
        }
    }
    if is_done {
        seen.newest = newest;
        caller.fanned_out.store(newest, Ordering::Release);
    }
    Ok(())
}

/// The cursor in the store then, and how far has been looked; `None` when another node has moved the cursor, or the
/// webhook was switched off.
async fn catch_up(caller: &Caller, webhook: &Webhook, looked: i64) -> Result<Option<(i64, i64)>, StoreError> {
    let store = &caller.parts.store;
    let (mut cursor, mut after) = (webhook.cursor, looked);
    while !caller.is_stopping() {
        let page = store.events_after(webhook.client_id, after, PAGE).await?;
        if page.after == after {
            break;
        }
        let now = caller.parts.clock.now();
        let mut deliveries: Vec<_> =
            page.events.iter().filter_map(|event| delivery(caller, webhook, event, now)).collect();
        if webhook.is_configured {
            only_final(&mut deliveries);
        }
        after = page.after;
        if !deliveries.is_empty() || after - cursor >= UNWRITTEN {
            if !store.fan_out(webhook.id, cursor, after, deliveries).await? {
                return Ok(None);
            }
            cursor = after;
        }
    }
    Ok(Some((cursor, after)))
}

/// Of the failures of one email only the last is the email's own; those before it are of single recipients.
fn only_final(deliveries: &mut Vec<NewWebhookDelivery>) {
    let mut failed = HashSet::new();
    deliveries.reverse();
    deliveries.retain(|one| one.kind != FAILED || failed.insert(one.email_id));
    deliveries.reverse();
}

/// What is told of an event, if the webhook wants to hear of it.
fn delivery(
    caller: &Caller,
    webhook: &Webhook,
    found: &ClientEvent,
    now: Timestamp,
) -> Option<NewWebhookDelivery> {
    let name = public_name(found.event.event.kind).filter(|name| is_wanted(&webhook.events, name))?;
    let (kind, body) = if webhook.is_configured {
        let (status, body) = aegis_body(found, |id| message_id(webhook.client_id, id))?;
        (if status == "sent" { "email.sent" } else { FAILED }, body)
    } else {
        (name, body(found, name))
    };
    Some(NewWebhookDelivery {
        id: WebhookDeliveryId::new(now, caller.parts.chance.bytes()),
        event: Some(found.event.id),
        email_id: Some(found.event.email_id),
        seq: found.event.seq,
        kind: kind.to_owned(),
        body: body.to_string().into_bytes(),
        // Aegis told each of the two once, however many recipients there were.
        once: webhook.is_configured,
        at: now,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_model::EmailId;

    #[test]
    fn of_several_failures_of_an_email_the_last_is_told() {
        let at = Timestamp::from_millis(0);
        let made = |email: u8, seq: u32, kind: &str| NewWebhookDelivery {
            id: WebhookDeliveryId::new(at, [1; 10]),
            event: Some(i64::from(seq)),
            email_id: Some(EmailId::new(at, [email; 10])),
            seq,
            kind: kind.to_owned(),
            body: Vec::new(),
            once: true,
            at,
        };
        let mut deliveries =
            vec![made(1, 2, FAILED), made(2, 3, "email.sent"), made(1, 4, FAILED), made(3, 5, FAILED)];
        only_final(&mut deliveries);
        let told: Vec<u32> = deliveries.iter().map(|one| one.seq).collect();
        assert_eq!(told, [3, 4, 5]);
    }
}
