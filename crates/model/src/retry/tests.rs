use super::*;
use crate::email::{Content, Email, Parts, Priority, Recipient, RecipientKind, RecipientState, Source};
use crate::{ClientId, EmailId, Mailbox};
use proptest::prelude::*;
use std::sync::Arc;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn policy(on_uncertain: OnUncertain) -> RetryPolicy {
    RetryPolicy {
        max_attempts: 5,
        schedule: [30, 120, 480, 1800].map(Duration::from_secs).to_vec(),
        jitter: 0.2,
        on_uncertain,
        uncertain_delay: Duration::from_secs(600),
    }
}

fn claim(recipients: usize, attempt: u32) -> Claim {
    let mailbox = Mailbox::parse("a@example.com").unwrap();
    let email = Email {
        id: EmailId::new(NOW, [1; 10]),
        client_id: ClientId::new(NOW, [2; 10]),
        credential_id: None,
        source: Source::Emails,
        test_mode: false,
        domain: "example.com".into(),
        from: mailbox.clone(),
        recipients: vec![
            Recipient { kind: RecipientKind::To, mailbox: mailbox.clone(), suppressed: None };
            recipients
        ],
        reply_to: vec![],
        subject: "s".into(),
        content: Content::Parts(Parts::default()),
        attachments: vec![],
        tags: vec![],
        metadata: std::collections::BTreeMap::new(),
        event_id: None,
        priority: Priority::DEFAULT,
        requested_at: NOW,
        send_at: None,
        idempotency_key: None,
        correlation_id: "c".into(),
        message_id: "m@example.com".into(),
        signed_by: None,
        resent_from: None,
        decisions: vec![],
    };
    let state = RecipientState {
        status: RecipientStatus::Queued,
        last_reply: None,
        failure_code: None,
        updated_at: NOW,
    };
    Claim {
        email: Arc::new(email),
        status: Status::Queued,
        recipients: vec![state; recipients],
        attempt,
        fence: attempt,
        uncertain_ends: 0,
        lease_until: NOW,
        sent_at: None,
        last_error: None,
    }
}

fn tried(recipients: Vec<RecipientOutcome>) -> Outcome {
    Outcome::Tried { provider_message_id: None, recipients: recipients.into_iter().enumerate().collect() }
}

fn later(text: &str) -> RecipientOutcome {
    RecipientOutcome::Later(Failure::new(FailureCode::ServerError, text))
}

fn refused(text: &str) -> RecipientOutcome {
    RecipientOutcome::Refused(Failure::new(FailureCode::InvalidEmail, text))
}

fn uncertain() -> RecipientOutcome {
    RecipientOutcome::Uncertain(Failure::new(FailureCode::TransportError, "lost after the dot"))
}

fn run(claim: &Claim, outcomes: Vec<RecipientOutcome>, on_uncertain: OnUncertain) -> Settlement {
    settle(claim, "smtp", tried(outcomes), &policy(on_uncertain), NOW, 0.5).unwrap()
}

#[test]
fn accepted_is_sent() {
    let s = run(&claim(1, 1), vec![RecipientOutcome::Accepted("250 ok".into())], OnUncertain::Retry);
    assert_eq!((s.status, s.next_attempt_at, s.sent_at), (Status::Sent, None, Some(NOW)));
    assert_eq!(s.events.len(), 1);
    assert_eq!(s.error, None);
}

#[test]
fn mixed_recipients_are_judged_each_for_itself() {
    let outcomes = vec![
        RecipientOutcome::Accepted("250 ok".into()),
        later("450 later"),
        refused("550 5.1.1 no such user"),
    ];
    let s = run(&claim(3, 1), outcomes, OnUncertain::Retry);
    assert_eq!(s.status, Status::Sent, "sent from the first acceptance on");
    assert_eq!(s.next_attempt_at, Some(NOW.plus(Duration::from_secs(30))), "the deferred one is due again");
    let states: Vec<_> = s.recipients.iter().map(|r| r.status).collect();
    assert_eq!(states, [RecipientStatus::Sent, RecipientStatus::Queued, RecipientStatus::Failed]);
    assert_eq!(s.events.len(), 3);
}

fn suppressed() -> RecipientOutcome {
    RecipientOutcome::Refused(Failure::new(FailureCode::Suppressed, "suppressed: bounce"))
}

fn waits(seconds: u64) -> RecipientOutcome {
    RecipientOutcome::Waits { reason: "a pause".into(), after: Duration::from_secs(seconds) }
}

#[test]
fn who_waits_uses_up_no_attempt_while_others_end() {
    let s = run(&claim(2, 5), vec![suppressed(), waits(7)], OnUncertain::Retry);
    assert_eq!((s.status, s.attempts, s.provider.as_deref()), (Status::Queued, 4, None));
    assert_eq!(s.next_attempt_at, Some(NOW.plus(Duration::from_secs(7))));
    let changed: Vec<_> = s.recipients.iter().map(|r| (r.index, r.status)).collect();
    assert_eq!(changed, [(0, RecipientStatus::Failed)]);
    let told: Vec<_> = s.events.iter().map(|e| (e.kind, e.recipient, e.attempt)).collect();
    assert_eq!(told, [(EventKind::Failed, Some(0), 4), (EventKind::Postponed, Some(1), 0)]);

    let s = run(
        &claim(3, 5),
        vec![RecipientOutcome::Accepted("ok".into()), waits(7), waits(7)],
        OnUncertain::Retry,
    );
    assert_eq!((s.status, s.attempts, s.provider.as_deref()), (Status::Sent, 5, Some("smtp")));
    assert_eq!(s.next_attempt_at, Some(NOW.plus(Duration::from_secs(7))), "though all attempts are used up");
    let s = run(&claim(2, 5), vec![later("503"), waits(7)], OnUncertain::Retry);
    assert_eq!((s.status, s.failure), (Status::Queued, None), "who was never offered has not failed");
}

#[test]
fn suppressed_while_it_waited_is_no_attempt() {
    let s = run(&claim(1, 2), vec![suppressed()], OnUncertain::Retry);
    assert_eq!((s.status, s.attempts, s.events[0].attempt), (Status::Failed, 1, 1));
    assert_eq!(s.failure.map(|(code, _)| code), Some(FailureCode::Suppressed));
}

#[test]
fn the_last_transient_reason_becomes_the_failure() {
    let s = run(&claim(1, 5), vec![later("451 try later")], OnUncertain::Retry);
    assert_eq!(s.status, Status::Failed);
    assert_eq!(s.failure, Some((FailureCode::ServerError, "451 try later".into())));
    assert_eq!(s.next_attempt_at, None);
}

#[test]
fn uncertain_is_tried_once_more_late_then_fails() {
    let s = run(&claim(1, 1), vec![uncertain()], OnUncertain::Retry);
    assert_eq!(s.next_attempt_at, Some(NOW.plus(Duration::from_secs(600))));
    assert_eq!(s.events[0].kind, EventKind::PossibleDuplicate);
    let mut second = claim(1, 2);
    second.uncertain_ends = 1;
    let s = run(&second, vec![uncertain()], OnUncertain::Retry);
    assert_eq!(s.status, Status::Failed);
    assert!(
        s.failure.is_some_and(|(c, m)| c == FailureCode::TransportError && m.contains("possibly delivered"))
    );
}

#[test]
fn a_first_uncertain_end_is_tried_once_more_even_after_the_last_attempt() {
    let s = run(&claim(1, 5), vec![uncertain()], OnUncertain::Retry);
    assert_eq!((s.status, s.next_attempt_at.is_some()), (Status::Queued, true));
    let mut second = claim(1, 6);
    second.uncertain_ends = 1;
    assert_eq!(run(&second, vec![uncertain()], OnUncertain::Retry).status, Status::Failed);
}

#[test]
fn uncertain_may_be_held_for_a_person() {
    let s = run(&claim(1, 1), vec![uncertain()], OnUncertain::Hold);
    assert_eq!((s.status, s.next_attempt_at), (Status::Queued, None));
    assert_eq!(s.events[0].kind, EventKind::Held);
    assert_eq!(s.recipients[0].status, RecipientStatus::Held);
}

#[test]
fn only_the_uncertain_recipient_is_held_the_deferred_one_goes_on() {
    let s = run(&claim(3, 1), vec![later("450"), uncertain(), refused("550")], OnUncertain::Hold);
    let states: Vec<RecipientStatus> = s.recipients.iter().map(|r| r.status).collect();
    assert_eq!(states, [RecipientStatus::Queued, RecipientStatus::Held, RecipientStatus::Failed]);
    assert_eq!((s.status, s.next_attempt_at.is_some(), s.failure), (Status::Queued, true, None));
    // What follows for the deferred one decides nothing for the held one.
    let mut next = claim(3, 5);
    for (state, status) in next.recipients.iter_mut().zip(states) {
        state.status = status;
    }
    assert_eq!(next.due_recipients().collect::<Vec<_>>(), [0]);
    let s = run(&next, vec![later("450")], OnUncertain::Hold);
    assert_eq!((s.status, s.next_attempt_at, s.failure), (Status::Queued, None, None), "the held one waits");
    let s = run(&next, vec![RecipientOutcome::Accepted("250".into())], OnUncertain::Hold);
    assert_eq!((s.status, s.next_attempt_at), (Status::Sent, None));
}

#[test]
fn what_was_not_tried_does_not_count_and_is_told_once() {
    let outcome = || Outcome::NotTried { reason: "circuit open".into(), after: Duration::from_secs(30) };
    let mut c = claim(1, 1);
    let s = settle(&c, "smtp", outcome(), &policy(OnUncertain::Retry), NOW, 0.5).unwrap();
    assert_eq!((s.attempts, s.status, s.events.len()), (0, Status::Queued, 1));
    c.last_error = Some("circuit open".into());
    let s = settle(&c, "smtp", outcome(), &policy(OnUncertain::Retry), NOW, 0.5).unwrap();
    assert!(s.events.is_empty());
}

#[test]
fn a_lost_lease_decides_nothing() {
    assert_eq!(settle(&claim(1, 1), "smtp", Outcome::LeaseLost, &policy(OnUncertain::Retry), NOW, 0.5), None);
}

proptest! {
    #[test]
    fn backoff_stays_within_its_jitter(attempt in 1_u32..40, chance in 0.0_f64..1.0) {
        let policy = policy(OnUncertain::Retry);
        let base = policy.schedule[(attempt as usize - 1).min(3)];
        let pause = policy.backoff(attempt, chance);
        prop_assert!(pause >= base.mul_f64(0.799) && pause <= base.mul_f64(1.201));
    }

    /// Whatever the mix: nobody accepted is ever due again, and an email that is not settled is due or held.
    #[test]
    fn no_recipient_is_forgotten(
        kinds in proptest::collection::vec(0_u8..4, 1..6),
        attempt in 1_u32..7,
        hold in proptest::bool::ANY,
    ) {
        let outcomes: Vec<_> = kinds.iter().map(|k| match k {
            0 => RecipientOutcome::Accepted("250".into()),
            1 => later("450"),
            2 => refused("550"),
            _ => uncertain(),
        }).collect();
        let on_uncertain = if hold { OnUncertain::Hold } else { OnUncertain::Retry };
        let s = run(&claim(kinds.len(), attempt), outcomes, on_uncertain);
        let queued = s.recipients.iter().filter(|r| r.status == RecipientStatus::Queued).count();
        prop_assert_eq!(queued > 0, s.next_attempt_at.is_some());
        prop_assert_eq!(s.status == Status::Failed, s.failure.is_some());
        for (kind, change) in kinds.iter().zip(&s.recipients) {
            if *kind == 0 { prop_assert_eq!(change.status, RecipientStatus::Sent); }
            prop_assert_eq!(change.status == RecipientStatus::Held, hold && *kind == 3);
        }
    }
}
