//! Samples for unit tests of several parts.

use posthaste_model::attempt::Claim;
use posthaste_model::email::{
    Content, Email, Parts, Priority, Recipient, RecipientKind, RecipientState, Source,
};
use posthaste_model::{ClientId, EmailId, Mailbox, RecipientStatus, Status, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A plain email from `from` to `recipients`, accepted at a fixed time.
pub fn email(from: &str, recipients: &[&str]) -> Email {
    let mailbox = |text: &str| Mailbox::parse(text).expect("a valid address");
    let at = Timestamp::from_millis(1_700_000_000_000);
    let recipient =
        |text: &&str| Recipient { kind: RecipientKind::To, mailbox: mailbox(text), suppressed: None };
    let from = mailbox(from);
    Email {
        id: EmailId::new(at, [7; 10]),
        client_id: ClientId::new(at, [1; 10]),
        credential_id: None,
        source: Source::Emails,
        test_mode: false,
        domain: from.address.domain().to_owned(),
        message_id: format!("0707@{}", from.address.domain()),
        from,
        recipients: recipients.iter().map(recipient).collect(),
        reply_to: Vec::new(),
        subject: "Greetings".into(),
        content: Content::Parts(Parts {
            subject: Some("Greetings".into()),
            text: Some("Hello".into()),
            ..Parts::default()
        }),
        attachments: Vec::new(),
        tags: Vec::new(),
        metadata: BTreeMap::new(),
        event_id: None,
        priority: Priority::DEFAULT,
        requested_at: at,
        send_at: None,
        idempotency_key: None,
        correlation_id: "c-1".into(),
        signed_by: None,
        resent_from: None,
        decisions: Vec::new(),
    }
}

/// The first attempt of `email` under lease, as claim number `fence`.
pub fn claim(email: &Arc<Email>, fence: u32) -> Claim {
    let queued = RecipientState {
        status: RecipientStatus::Queued,
        last_reply: None,
        failure_code: None,
        updated_at: email.requested_at,
    };
    Claim {
        email: Arc::clone(email),
        status: Status::Processing,
        recipients: vec![queued; email.recipients.len()],
        attempt: 1,
        fence,
        uncertain_ends: 0,
        lease_until: email.requested_at,
        sent_at: None,
        last_error: None,
    }
}
