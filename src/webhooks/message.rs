//! What is told of an event: its public name, and the body that webhooks, the stream and the feed share.

use posthaste_model::event::{Event, EventKind};
use posthaste_model::{EmailId, Status, Timestamp};
use posthaste_store::ClientEvent;
use serde_json::{Value, json};

/// The public names of events.
pub const EVENTS: &[&str] = &[
    "email.queued",
    "email.sent",
    "email.delivered",
    "email.deferred",
    "email.bounced",
    "email.complained",
    "email.failed",
    "email.cancelled",
    "email.opened",
    "email.clicked",
    "email.unsubscribed",
];
/// What the webhook of the configuration is called for: whatever makes an email `sent` or `failed` to a client of Aegis.
pub const AEGIS_EVENTS: &str = "email.sent,email.failed,email.bounced,email.cancelled";
/// Stands for every event.
pub const ALL_EVENTS: &str = "*";
/// The name of what a webhook is tried out with.
pub const TEST: &str = "webhook.test";

/// The name of an event outside; `None` for those that only the timeline tells.
pub fn public_name(kind: EventKind) -> Option<&'static str> {
    match kind {
        EventKind::Queued | EventKind::Scheduled => Some("email.queued"),
        EventKind::Sent => Some("email.sent"),
        EventKind::Delivered => Some("email.delivered"),
        EventKind::Deferred => Some("email.deferred"),
        EventKind::Bounced => Some("email.bounced"),
        EventKind::Complained => Some("email.complained"),
        EventKind::Failed => Some("email.failed"),
        EventKind::Cancelled => Some("email.cancelled"),
        EventKind::Opened => Some("email.opened"),
        EventKind::Clicked => Some("email.clicked"),
        EventKind::Unsubscribed => Some("email.unsubscribed"),
        EventKind::Processing
        | EventKind::PossibleDuplicate
        | EventKind::Held
        | EventKind::LeaseExpired
        | EventKind::Postponed
        | EventKind::Resent => None,
    }
}

/// Whether a webhook that asked for `events` (names with commas between them, or `*`) is told of this one.
pub fn is_wanted(events: &str, name: &str) -> bool {
    events == ALL_EVENTS || events.split(',').any(|wanted| wanted == name)
}

/// The email's status as the event made it: what was told late must not claim what only happened later.
fn status_after(event: &Event, now: Status) -> Status {
    match event.event.kind {
        EventKind::Scheduled => Status::Scheduled,
        EventKind::Queued => Status::Queued,
        EventKind::Sent => Status::Sent,
        EventKind::Delivered => Status::Delivered,
        EventKind::Bounced => Status::Bounced,
        EventKind::Complained => Status::Complained,
        EventKind::Cancelled => Status::Cancelled,
        // Of one recipient among several: the email itself may have been sent.
        EventKind::Deferred if now == Status::Processing => Status::Queued,
        _ => now,
    }
}

/// The body: `{"type", "timestamp", "data"}`.
pub fn body(found: &ClientEvent, name: &str) -> Value {
    let event = &found.event.event;
    let tells_why = matches!(event.kind, EventKind::Failed | EventKind::Deferred | EventKind::Bounced);
    json!({
        "type": name,
        "timestamp": event.at,
        "data": {
            "email_id": found.event.email_id,
            "message_id": found.message_id,
            "status": status_after(&found.event, found.status),
            "seq": found.event.seq,
            "recipient": found.recipient,
            "attempt": (event.attempt > 0).then_some(event.attempt),
            "error": tells_why.then_some(event.detail.as_deref()).flatten(),
            "tags": found.tags,
            "metadata": found.metadata,
        },
    })
}

/// The body of a test call: the shape of all others, about no email.
pub fn test_body(now: Timestamp) -> Value {
    json!({
        "type": TEST,
        "timestamp": now,
        "data": {
            "email_id": null, "message_id": null, "status": null, "seq": 0, "recipient": null, "attempt": null,
            "error": null, "tags": [], "metadata": {},
        },
    })
}

/// What Aegis tells of an event: that an email was sent, or has failed for good. Nothing else. An email that came back or
/// was taken back is a failed one there, as its status says.
pub fn aegis_body(
    found: &ClientEvent,
    message_id: impl Fn(EmailId) -> String,
) -> Option<(&'static str, Value)> {
    let event = &found.event.event;
    let (id, timestamp) = (message_id(found.event.email_id), with_offset(event.at));
    let error = match (event.kind, found.status) {
        (EventKind::Sent, _) => {
            return Some(("sent", json!({"message_id": id, "status": "sent", "timestamp": timestamp})));
        }
        // A recipient that failed or bounced while others still wait, or have it, is not the end.
        (EventKind::Failed, Status::Failed) | (EventKind::Bounced, Status::Bounced) => {
            event.detail.as_deref().unwrap_or_default()
        }
        (EventKind::Cancelled, Status::Cancelled) => "cancelled",
        _ => return None,
    };
    // What came of no attempt, but of news or a word from outside, is told with those made before.
    let attempts = if event.attempt > 0 { event.attempt } else { found.attempts };
    let body = json!({
        "message_id": id, "status": "failed", "timestamp": timestamp, "error": error, "attempts": attempts,
    });
    Some(("failed", body))
}

/// RFC 3339 as the replaced service wrote it: whole seconds and an offset.
fn with_offset(at: Timestamp) -> String {
    let (year, month, day, hour, minute, second, _) = at.civil();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+00:00")
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_model::event::NewEvent;
    use std::collections::BTreeMap;

    fn event(kind: EventKind, status: Status, detail: Option<&str>) -> ClientEvent {
        let at = Timestamp::from_millis(1_722_627_000_123);
        ClientEvent {
            event: Event {
                id: 7,
                email_id: EmailId::new(at, [3; 10]),
                seq: 3,
                event: NewEvent { kind, at, recipient: Some(0), attempt: 3, detail: detail.map(Into::into) },
            },
            status,
            attempts: 2,
            recipient: Some("ann@client.example".into()),
            message_id: "m@example.com".into(),
            tags: vec!["t".into()],
            metadata: BTreeMap::new(),
        }
    }

    #[test]
    fn every_event_with_a_public_name_is_one_that_can_be_asked_for() {
        for kind in EventKind::ALL {
            if let Some(name) = public_name(*kind) {
                assert!(EVENTS.contains(&name), "{name}");
                assert!(is_wanted("*", name) && is_wanted(&format!("email.x,{name}"), name));
                assert!(!is_wanted("email.x", name));
            }
        }
    }

    #[test]
    fn the_status_is_the_one_the_event_made() {
        let body = body(&event(EventKind::Sent, Status::Complained, Some("250 ok")), "email.sent");
        assert_eq!(body["data"]["status"], "sent");
        assert_eq!(body["data"]["error"], Value::Null, "a reply to what went well is no error");
        assert_eq!(body["timestamp"], "2024-08-02T19:30:00.123Z");
        assert_eq!((&body["data"]["seq"], &body["data"]["attempt"]), (&json!(3), &json!(3)));
    }

    #[test]
    fn aegis_tells_of_sent_and_of_the_final_failure_only() {
        let told = |kind, status| {
            let found = event(kind, status, Some("550 5.1.1 no such user"));
            aegis_body(&found, |_| "msg_x".to_owned()).map(|(_, body)| body.to_string())
        };
        assert_eq!(
            told(EventKind::Sent, Status::Sent).as_deref(),
            Some(r#"{"message_id":"msg_x","status":"sent","timestamp":"2024-08-02T19:30:00+00:00"}"#)
        );
        assert_eq!(
            told(EventKind::Failed, Status::Failed).as_deref(),
            Some(
                r#"{"message_id":"msg_x","status":"failed","timestamp":"2024-08-02T19:30:00+00:00","error":"550 5.1.1 no such user","attempts":3}"#
            )
        );
        assert_eq!(told(EventKind::Failed, Status::Queued), None);
        assert_eq!(told(EventKind::Failed, Status::Sent), None);
        for &kind in EventKind::ALL {
            if !matches!(kind, EventKind::Sent | EventKind::Failed) {
                assert_eq!(told(kind, Status::Failed), None);
            }
        }
    }

    #[test]
    fn aegis_tells_of_what_came_back_or_was_taken_back_as_failed() {
        let told = |kind, status, attempt| {
            let mut found = event(kind, status, Some("550 5.1.1 gone"));
            found.event.event.attempt = attempt;
            aegis_body(&found, |_| "msg_x".to_owned())
                .map(|(word, body)| (word, body["error"].clone(), body["attempts"].clone()))
        };
        let failed = |error: &str, attempts: u32| Some(("failed", json!(error), json!(attempts)));
        assert_eq!(told(EventKind::Bounced, Status::Bounced, 0), failed("550 5.1.1 gone", 2));
        assert_eq!(told(EventKind::Bounced, Status::Sent, 0), None, "others have it");
        assert_eq!(
            told(EventKind::Failed, Status::Failed, 0),
            failed("550 5.1.1 gone", 2),
            "by a provider's word"
        );
        assert_eq!(told(EventKind::Cancelled, Status::Cancelled, 0), failed("cancelled", 2));
        assert_eq!(
            told(EventKind::Complained, Status::Complained, 0),
            None,
            "it is sent to a client of Aegis"
        );
        for name in AEGIS_EVENTS.split(',') {
            assert!(EVENTS.contains(&name), "{name}");
        }
    }
}
