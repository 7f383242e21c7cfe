//! What follows from an attempt: done, again later, held, or failed. Pure: time and chance are arguments.

use crate::attempt::{Claim, RecipientChange, Settlement};
use crate::event::{EventKind, NewEvent};
use crate::outcome::{Failure, Outcome, RecipientOutcome};
use crate::status::words;
use crate::{FailureCode, RecipientStatus, Status, Timestamp};
use std::time::Duration;

words!(
    /// What to do when the peer may have taken the message but did not say so.
    OnUncertain {
        /// Try once more, late, with the same Message-ID.
        Retry = "retry",
        /// Hold it for a person.
        Hold = "hold",
    }
);

/// When and how often to try again.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all.
    pub max_attempts: u32,
    /// Pause before the second, third... attempt; the last one repeats.
    pub schedule: Vec<Duration>,
    /// Each pause is varied by up to this part of itself, both ways (0.2 = 20 %).
    pub jitter: f64,
    /// What to do after an uncertain end.
    pub on_uncertain: OnUncertain,
    /// Pause before the one more try after an uncertain end.
    pub uncertain_delay: Duration,
}

impl RetryPolicy {
    /// The pause after attempt number `attempts` (from 1); `chance` in 0..1 places it within the jitter.
    pub fn backoff(&self, attempts: u32, chance: f64) -> Duration {
        let last = self.schedule.len().saturating_sub(1);
        let index = (attempts.max(1) as usize - 1).min(last);
        let base = self.schedule.get(index).copied().unwrap_or(Duration::from_secs(30));
        base.mul_f64((1.0 + self.jitter * (2.0 * chance.clamp(0.0, 1.0) - 1.0)).max(0.0))
    }
}

/// The state that an attempt of `claim` by `transport` leads to; `None` when the lease was lost and another worker
/// decides. `chance` is a random number in 0..1.
pub fn settle(
    claim: &Claim,
    transport: &str,
    outcome: Outcome,
    policy: &RetryPolicy,
    now: Timestamp,
    chance: f64,
) -> Option<Settlement> {
    match outcome {
        Outcome::LeaseLost => None,
        Outcome::NotTried { reason, after } => Some(postpone(claim, reason, now.plus(after), now)),
        Outcome::Tried { provider_message_id, recipients } => {
            let attempt = Attempt { claim, transport, policy, now, chance };
            Some(attempt.settle(provider_message_id, recipients))
        }
    }
}

fn postpone(claim: &Claim, reason: String, until: Timestamp, now: Timestamp) -> Settlement {
    // A long outage must not fill the timeline: the same reason is told once.
    let told = claim.last_error.as_deref() == Some(reason.as_str());
    let events =
        if told { Vec::new() } else { vec![event(EventKind::Postponed, now, None, 0, Some(reason.clone()))] };
    Settlement {
        email_id: claim.email.id,
        fence: claim.fence,
        attempts: claim.attempt.saturating_sub(1),
        status: if claim.status == Status::Sent { Status::Sent } else { Status::Queued },
        next_attempt_at: Some(until),
        sent_at: claim.sent_at,
        failure: None,
        error: Some(reason),
        uncertain_ends: claim.uncertain_ends,
        provider: None,
        provider_message_id: None,
        recipients: Vec::new(),
        events,
        at: now,
    }
}

fn event(
    kind: EventKind,
    at: Timestamp,
    recipient: Option<usize>,
    attempt: u32,
    detail: Option<String>,
) -> NewEvent {
    NewEvent { kind, at, recipient, attempt, detail }
}

struct Attempt<'a> {
    claim: &'a Claim,
    transport: &'a str,
    policy: &'a RetryPolicy,
    now: Timestamp,
    chance: f64,
}

/// What one recipient's outcome comes to.
struct Verdict {
    change: RecipientChange,
    kind: EventKind,
    detail: String,
    again_in: Option<Duration>,
}

impl Attempt<'_> {
    fn settle(
        &self,
        provider_message_id: Option<String>,
        outcomes: Vec<(usize, RecipientOutcome)>,
    ) -> Settlement {
        let uncertain = outcomes.iter().any(|(_, o)| matches!(o, RecipientOutcome::Uncertain(_)));
        let uncertain_ends = self.claim.uncertain_ends + u32::from(uncertain);
        let is_tried = outcomes.iter().any(|(_, o)| o.is_tried());
        let attempts = if is_tried { self.claim.attempt } else { self.claim.attempt.saturating_sub(1) };
        let verdicts: Vec<Verdict> =
            outcomes.into_iter().map(|(index, o)| self.judge(index, o, uncertain_ends)).collect();

        let mut states: Vec<RecipientStatus> = self.claim.recipients.iter().map(|r| r.status).collect();
        for verdict in &verdicts {
            if let Some(state) = states.get_mut(verdict.change.index) {
                *state = verdict.change.status;
            }
        }
        let accepted_now = verdicts.iter().any(|v| v.kind == EventKind::Sent);
        let left_over = states.contains(&RecipientStatus::Queued);
        let status = if self.claim.status == Status::Sent || accepted_now {
            Status::Sent
        } else if states.iter().any(|status| status.is_open()) {
            Status::Queued
        } else {
            Status::Failed
        };
        let pause = verdicts.iter().filter_map(|v| v.again_in).max();
        let trouble = verdicts.iter().rev().find(|v| v.kind != EventKind::Sent);
        let failed = verdicts.iter().rev().find(|v| v.change.status == RecipientStatus::Failed);
        let failure = (status == Status::Failed).then(|| {
            failed.map_or((FailureCode::Unknown, String::new()), |v| {
                (v.change.failure_code.unwrap_or(FailureCode::Unknown), v.detail.clone())
            })
        });
        Settlement {
            email_id: self.claim.email.id,
            fence: self.claim.fence,
            attempts,
            status,
            next_attempt_at: pause.filter(|_| left_over).map(|p| self.now.plus(p)),
            sent_at: self.claim.sent_at.or(accepted_now.then_some(self.now)),
            failure,
            error: trouble.map(|v| v.detail.clone()),
            uncertain_ends,
            provider: is_tried.then(|| self.transport.to_owned()),
            provider_message_id,
            events: self.events(&verdicts, attempts),
            recipients: verdicts
                .into_iter()
                .filter(|v| v.kind != EventKind::Postponed)
                .map(|v| v.change)
                .collect(),
            at: self.now,
        }
    }

    fn judge(&self, index: usize, outcome: RecipientOutcome, uncertain_ends: u32) -> Verdict {
        use RecipientStatus::{Failed, Held, Queued, Sent};
        let exhausted = self.claim.attempt >= self.policy.max_attempts;
        let verdict = |status, code, detail: String, kind, again_in| Verdict {
            change: RecipientChange { index, status, last_reply: Some(detail.clone()), failure_code: code },
            kind,
            detail,
            again_in,
        };
        match outcome {
            RecipientOutcome::Accepted(reply) => verdict(Sent, None, reply, EventKind::Sent, None),
            RecipientOutcome::Refused(f) => verdict(Failed, Some(f.code), f.message, EventKind::Failed, None),
            RecipientOutcome::Later(f) if exhausted => {
                verdict(Failed, Some(f.code), f.message, EventKind::Failed, None)
            }
            RecipientOutcome::Later(f) => {
                let pause = self.pause(&f);
                verdict(Queued, None, f.message, EventKind::Deferred, Some(pause))
            }
            RecipientOutcome::Uncertain(f) if self.policy.on_uncertain == OnUncertain::Hold => {
                verdict(Held, None, f.message, EventKind::Held, None)
            }
            RecipientOutcome::Uncertain(f) if uncertain_ends > 1 => {
                let detail = format!("possibly delivered: {}", f.message);
                verdict(Failed, Some(FailureCode::TransportError), detail, EventKind::Failed, None)
            }
            RecipientOutcome::Uncertain(f) => {
                let pause = self.policy.uncertain_delay;
                verdict(Queued, None, f.message, EventKind::PossibleDuplicate, Some(pause))
            }
            RecipientOutcome::Waits { reason, after } => {
                verdict(Queued, None, reason, EventKind::Postponed, Some(after))
            }
        }
    }

    /// The longer of our own backoff and what the peer asked for; never two workers at the same instant.
    fn pause(&self, failure: &Failure) -> Duration {
        let own = self.policy.backoff(self.claim.attempt, self.chance);
        let asked = failure.retry_after.unwrap_or_default();
        own.max(asked.mul_f64(1.0 + self.policy.jitter * self.chance.clamp(0.0, 1.0)))
    }

    /// One event for all recipients when they fared alike, else one each.
    fn events(&self, verdicts: &[Verdict], attempts: u32) -> Vec<NewEvent> {
        let Some(first) = verdicts.first() else { return Vec::new() };
        let attempt = |v: &Verdict| if v.kind == EventKind::Postponed { 0 } else { attempts };
        let alike = verdicts.iter().all(|v| v.kind == first.kind && v.detail == first.detail);
        if alike {
            let whom = (verdicts.len() == 1).then_some(first.change.index);
            return vec![event(first.kind, self.now, whom, attempt(first), Some(first.detail.clone()))];
        }
        verdicts
            .iter()
            .map(|v| event(v.kind, self.now, Some(v.change.index), attempt(v), Some(v.detail.clone())))
            .collect()
    }
}

#[cfg(test)]
mod tests;
