//! One attempt, from claim to outcome: lease, rate, message, circuit, transport.

use super::breaker::{Admission, Phase, Report};
use super::caught::{Panicked, caught};
use super::lane::{Job, Lane, Opening, PATIENCE};
use super::record::{Attempted, Finished, Tried};
use super::suppressed::{LeftOut, with_left_out};
use super::worker::Worker;
use crate::base::metrics::BreakerState;
use crate::base::trace::SpanKind;
use crate::render::RenderedMessage;
use crate::transports::Outgoing;
use posthaste_model::FailureCode;
use posthaste_model::email::Email;
use posthaste_model::fault::FaultPoint;
use posthaste_model::outcome::{Failure, Outcome, RecipientOutcome};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// An email whose attempts end the process never comes to a policy's end by itself; after this many times the policy's
/// attempts it is given up. Far above what restarts of a healthy process cause.
const CRASHES_FORGIVEN: u32 = 20;
/// How long mail waits when its lane is full.
const LANE_FULL_PAUSE: Duration = Duration::from_secs(5);

/// What an attempt offers to its transport.
struct Offer {
    message: RenderedMessage,
    /// The recipients it goes to, by their places.
    due: Vec<usize>,
    left_out: LeftOut,
}

/// Why nothing is offered.
enum NoOffer {
    /// The attempt has ended like this.
    Over(Outcome),
    /// It cannot be known now whom to offer it to.
    Later(String),
}

impl Worker {
    /// Puts a claim into the lane of its route, or puts it off.
    pub(super) fn assign(&self, mut job: Job) {
        match self.lanes.opening(&job.route, Instant::now()) {
            Opening::Lane(lane, instead_of) => {
                if let Some(first) = &instead_of
                    && lane.is_silent_stand_in(Instant::now())
                {
                    let transport = &**lane.name();
                    tracing::warn!(transport, instead_of = &**first, "mail goes by the second choice");
                }
                job.instead_of = instead_of;
                let priority = job.held.claim.email.priority.get();
                if let Err(job) = lane.backlog.push(priority, job) {
                    if self.is_draining() {
                        self.finish(Finished::NotBegun(job.held));
                    } else {
                        let reason = format!("transport {} is busy", lane.name());
                        self.put_off(job, lane.name(), reason, LANE_FULL_PAUSE);
                    }
                }
            }
            Opening::Shut(wait) => {
                let names = job.route.transports.join(", ");
                let first = job.route.transports.first().map_or_else(|| Arc::from(""), Arc::clone);
                self.put_off(job, &first, format!("the circuit of {names} is open"), wait);
            }
            Opening::Unknown => {
                // A configuration that was changed while mail waited: the operator can change it back.
                let names = job.route.transports.join(", ");
                tracing::error!(transport = names, "route leads to a transport that is not configured");
                let first: Arc<str> = names.as_str().into();
                self.put_off(
                    job,
                    &first,
                    format!("transport {names} is not configured"),
                    self.settings.breaker.open_for,
                );
            }
        }
    }

    /// One turn of a lane: the whole way of one claim.
    pub(super) async fn attempt(&self, lane: &Lane, job: Job) {
        if !job.held.lease.still_held() {
            self.give_up_claim(job);
            return;
        }
        self.faults.crash_at(FaultPoint::Claimed);
        if lane.shut_for(Instant::now()).is_some() {
            self.assign(job);
            return;
        }
        let Some(job) = self.wait_for_rate(lane, job).await else { return };
        let Some((job, _room)) = self.wait_for_room(lane, job).await else { return };
        // While outcomes wait for the store nothing further is sent, so that a crash sends again no more than
        // `delivery.workers` emails.
        let Some((job, permit)) = self.wait_for(&self.permits, 1, lane, job).await else { return };
        let started = Instant::now();
        let Offer { message, due, left_out } = match self.offer(&job).await {
            Ok(offer) => offer,
            Err(none) => {
                self.lanes.give_back(lane, &job.route, Instant::now()).await;
                match none {
                    NoOffer::Over(outcome) => self.settle(job, lane.name(), outcome, (started, Some(permit))),
                    NoOffer::Later(reason) => self.put_off(job, lane.name(), reason, LANE_FULL_PAUSE),
                }
                return;
            }
        };
        self.faults.crash_at(FaultPoint::Rendered);
        let admission = lane.breaker.admit(Instant::now());
        if let Admission::Wait(_) = admission {
            self.lanes.give_back(lane, &job.route, Instant::now()).await;
            self.assign(job);
            return;
        }
        if admission == Admission::Probe {
            self.announce(lane, Phase::HalfOpen, ("", false));
        }
        let outcome = self.send(lane, &job, &message, &due).await;
        let report = judge(&outcome);
        if report == Report::Unused {
            self.lanes.give_back(lane, &job.route, Instant::now()).await;
        }
        if let Some(phase) = lane.breaker.report(admission, report, Instant::now()) {
            self.announce(lane, phase, trouble(&outcome));
        }
        self.settle(job, lane.name(), with_left_out(outcome, left_out, &due), (started, Some(permit)));
    }

    /// What is offered to the transport now: the message, and whom of those that wait it goes to.
    async fn offer(&self, job: &Job) -> Result<Offer, NoOffer> {
        let claim = &job.held.claim;
        let mut due: Vec<usize> = claim.due_recipients().collect();
        let left_out = self
            .leave_out(claim, &mut due)
            .await
            .map_err(|error| NoOffer::Later(format!("the suppression list cannot be read: {error}")))?;
        if due.is_empty() && !left_out.is_empty() {
            return Err(NoOffer::Over(Outcome::Tried { provider_message_id: None, recipients: left_out }));
        }
        match self.render(job, &due).await {
            Ok(message) => Ok(Offer { message, due, left_out }),
            Err(outcome) => Err(NoOffer::Over(with_left_out(outcome, left_out, &due))),
        }
    }

    /// Waits for memory for a large message; a small one takes what it needs.
    async fn wait_for_room(&self, lane: &Lane, job: Job) -> Option<(Job, Option<OwnedSemaphorePermit>)> {
        match Lane::room_for(job.held.claim.email.message_bytes()) {
            0 => Some((job, None)),
            mib => self.wait_for(&lane.large, mib, lane, job).await.map(|(job, room)| (job, Some(room))),
        }
    }

    /// Waits for so many permits, as long as the claim is held.
    async fn wait_for(
        &self,
        permits: &Arc<Semaphore>,
        count: u32,
        lane: &Lane,
        job: Job,
    ) -> Option<(Job, OwnedSemaphorePermit)> {
        let permit = tokio::select! {
            biased;
            permit = Arc::clone(permits).acquire_many_owned(count) => permit,
            () = self.stopping.cancelled() => {
                self.lanes.give_back(lane, &job.route, Instant::now()).await;
                self.finish(Finished::NotBegun(job.held));
                return None;
            }
        };
        if !job.held.lease.still_held() {
            self.lanes.give_back(lane, &job.route, Instant::now()).await;
            self.give_up_claim(job);
            return None;
        }
        // The semaphore is never closed.
        Some((job, permit.ok()?))
    }

    /// Waits for a place under the transport's rate; a long wait is spent in the store.
    async fn wait_for_rate(&self, lane: &Lane, job: Job) -> Option<Job> {
        loop {
            let Err((wait, reason)) = self.lanes.admit(lane, &job.route, Instant::now()).await else {
                return Some(job);
            };
            if wait > PATIENCE {
                self.put_off(job, lane.name(), reason, wait);
                return None;
            }
            tokio::select! {
                () = self.stopping.cancelled() => {
                    self.finish(Finished::NotBegun(job.held));
                    return None;
                }
                () = tokio::time::sleep(wait) => {}
            }
            if !job.held.lease.still_held() {
                self.give_up_claim(job);
                return None;
            }
        }
    }

    /// The message, or the outcome of an attempt that could not make it.
    async fn render(&self, job: &Job, due: &[usize]) -> Result<RenderedMessage, Outcome> {
        let claim = &job.held.claim;
        if claim.attempt > self.settings.policy.max_attempts.saturating_mul(CRASHES_FORGIVEN) {
            let reason = format!("given up: {} attempts ended without an answer", claim.attempt - 1);
            return Err(all(due, &RecipientOutcome::Refused(Failure::new(FailureCode::Unknown, reason))));
        }
        match caught(self.make_message(&claim.email)).await {
            Ok(Ok(message)) => Ok(message),
            Ok(Err(error)) if error.is_permanent() => {
                let failure = Failure::new(FailureCode::ServerError, error.to_string());
                Err(all(due, &RecipientOutcome::Refused(failure)))
            }
            Ok(Err(error)) => {
                let failure = Failure::new(FailureCode::ServerError, error.to_string());
                Err(all(due, &RecipientOutcome::Later(failure)))
            }
            Err(Panicked(words)) => {
                // The words may quote the email; its timeline is shown to whoever sent it.
                tracing::error!(email.id = %claim.email.id, panic = words, "rendering panicked");
                let failure = Failure::new(FailureCode::Unknown, "the message could not be rendered");
                Err(all(due, &RecipientOutcome::Later(failure)))
            }
        }
    }

    async fn make_message(&self, email: &Email) -> Result<RenderedMessage, crate::render::RenderError> {
        assert!(!self.faults.is_due(FaultPoint::RenderPanic), "the renderer panics on purpose");
        self.renderer.message(email).await
    }

    async fn send(&self, lane: &Lane, job: &Job, message: &RenderedMessage, due: &[usize]) -> Outcome {
        let outgoing = Outgoing {
            claim: &job.held.claim,
            message: &message.bytes,
            is_8bit: message.is_8bit,
            smtputf8: message.smtputf8,
            due,
        };
        match caught(lane.transport.send(&outgoing, &job.held.lease)).await {
            Ok(outcome) => outcome,
            Err(Panicked(words)) => {
                tracing::error!(email.id = %job.held.claim.email.id, panic = words, "transport panicked");
                // Nobody knows how far it came.
                let failure =
                    Failure::new(FailureCode::Unknown, "the attempt ended by a fault of this program");
                all(due, &RecipientOutcome::Uncertain(failure))
            }
        }
    }

    /// Says loudly that a circuit changed.
    fn announce(&self, lane: &Lane, phase: Phase, (reason, alarm): (&str, bool)) {
        let transport = &**lane.name();
        match phase {
            Phase::Open { remaining } => {
                self.metrics.breaker(transport, BreakerState::Open);
                let open_ms = remaining.as_millis() as u64;
                if alarm {
                    tracing::error!(
                        transport,
                        open_ms,
                        reason,
                        "transport needs the operator, circuit opened"
                    );
                } else {
                    tracing::warn!(transport, open_ms, reason, "transport is in trouble, circuit opened");
                }
            }
            Phase::HalfOpen => {
                self.metrics.breaker(transport, BreakerState::HalfOpen);
                tracing::info!(transport, "one email is tried to see whether the transport is back");
            }
            Phase::Closed => {
                self.metrics.breaker(transport, BreakerState::Closed);
                tracing::info!(transport, "transport works again, circuit closed");
                self.look_again.notify_one();
            }
        }
    }

    /// Settles what was not tried: it does not count as an attempt.
    fn put_off(&self, job: Job, transport: &Arc<str>, reason: String, wait: Duration) {
        // Spread out, so that what waited does not come back in one instant.
        let after = wait + wait.mul_f64(0.2 * self.chance.f64()) + Duration::from_secs_f64(self.chance.f64());
        self.settle(job, transport, Outcome::NotTried { reason, after }, (Instant::now(), None));
    }

    /// Decides what follows from the outcome and has it written. The permit goes with it until that is durable.
    fn settle(
        &self,
        job: Job,
        transport: &Arc<str>,
        outcome: Outcome,
        (started, permit): (Instant, Option<OwnedSemaphorePermit>),
    ) {
        let now = self.clock.now();
        let tried = Tried::of(&outcome);
        let policy = &self.settings.policy;
        let claim = &job.held.claim;
        let settled =
            posthaste_model::retry::settle(claim, transport, outcome, policy, now, self.chance.f64());
        let Some(mut settlement) = settled else {
            self.give_up_claim(job);
            return;
        };
        if let (Some(first), Some(event)) = (&job.instead_of, settlement.events.first_mut())
            && let Some(detail) = &mut event.detail
        {
            detail.push_str(&format!(" (by {transport}, as the circuit of {first} is open)"));
        }
        let took = started.elapsed();
        if tried != Tried::No {
            self.trace(&job, transport, (tried, settlement.failure.as_ref().map(|(code, _)| *code)), started);
        }
        let transport = Arc::clone(transport);
        self.finish(Finished::Settled {
            attempt: Attempted { held: job.held, transport, tried, took, _permit: permit },
            settlement,
        });
    }

    /// The span of an attempt, under what brought the email where that is known here.
    fn trace(
        &self,
        job: &Job,
        transport: &str,
        (tried, failure): (Tried, Option<FailureCode>),
        started: Instant,
    ) {
        let claim = &job.held.claim;
        let email = &claim.email;
        let parent = self.traces.origin(email.id);
        let Some(mut span) = self.traces.begun(SpanKind::Client, parent, started) else { return };
        span.text("posthaste.transport", transport);
        span.text("posthaste.outcome", tried.as_str());
        span.text("posthaste.email.id", email.id.to_string());
        span.text("posthaste.client.id", email.client_id.to_string());
        span.text("posthaste.correlation_id", email.correlation_id.as_str());
        span.number("posthaste.attempt", claim.attempt);
        if tried != Tried::Sent {
            span.failed();
            if let Some(code) = failure {
                span.text("error.type", code.as_str());
            }
        }
        span.end("dispatch.attempt");
    }

    /// The lease is over before anything was sent. It is given back, so that an email whose lease nobody took need not
    /// wait until it has run out; where another worker holds it by now, the store knows, and nothing changes.
    fn give_up_claim(&self, job: Job) {
        if !job.held.lease.is_recalled() {
            let claim = &job.held.claim;
            tracing::warn!(email.id = %claim.email.id, attempt = claim.attempt, "lease was lost, attempt dropped");
        }
        self.finish(Finished::NotBegun(job.held));
    }
}

/// What an outcome says of the transport.
fn judge(outcome: &Outcome) -> Report {
    let Outcome::Tried { recipients, .. } = outcome else { return Report::Unused };
    let mut report = Report::Worked;
    for (_, outcome) in recipients {
        match failure(outcome) {
            None if !outcome.is_tried() => {}
            None => return Report::Worked,
            Some(failure) if failure.alarm => report = Report::Alarm,
            Some(failure) if failure.transport_down && report == Report::Worked => report = Report::Down,
            Some(_) => {}
        }
    }
    report
}

fn failure(outcome: &RecipientOutcome) -> Option<&Failure> {
    match outcome {
        RecipientOutcome::Accepted(_) | RecipientOutcome::Waits { .. } => None,
        RecipientOutcome::Later(failure)
        | RecipientOutcome::Refused(failure)
        | RecipientOutcome::Uncertain(failure) => Some(failure),
    }
}

/// The first trouble of an outcome, and whether the operator must act.
fn trouble(outcome: &Outcome) -> (&str, bool) {
    let Outcome::Tried { recipients, .. } = outcome else { return ("", false) };
    let first = recipients.iter().find_map(|(_, outcome)| failure(outcome));
    first.map_or(("", false), |failure| (failure.message.as_str(), failure.alarm))
}

/// The same end for every due recipient.
fn all(due: &[usize], outcome: &RecipientOutcome) -> Outcome {
    let recipients = due.iter().map(|index| (*index, outcome.clone())).collect();
    Outcome::Tried { provider_message_id: None, recipients }
}
