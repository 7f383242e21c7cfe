//! A relay as a way out: the product's claim in, the protocol's answers back in the product's words.

use super::health::LastHealth;
use super::{Health, LeaseGuard, Outgoing};
use crate::base::return_path::ReturnPaths;
use posthaste_model::FailureCode;
use posthaste_model::fault::{FaultPoint, Faults};
use posthaste_model::outcome::{Failure, Outcome, RecipientOutcome};
use posthaste_smtp::client::pool::{IDLE_TIMEOUT, MAX_MESSAGES_PER_CONNECTION};
use posthaste_smtp::client::{self, ConnectSettings, Connection, Envelope, Passage, Pool, Watch};
use posthaste_smtp::failure::FailureClass;
use std::sync::Arc;
use std::time::Duration;

/// A relay with its pool of sessions.
#[derive(Debug)]
pub struct SmtpTransport {
    name: Arc<str>,
    pool: Pool,
    health: LastHealth,
    faults: Faults,
    return_paths: Option<ReturnPaths>,
}

impl SmtpTransport {
    /// A relay called `name`, with at most `max_connections` sessions at once. Opens none yet.
    pub fn new(name: &str, settings: ConnectSettings, max_connections: usize, faults: Faults) -> Self {
        let pool = Pool::new(settings, max_connections, IDLE_TIMEOUT, MAX_MESSAGES_PER_CONNECTION);
        Self { name: name.into(), pool, health: LastHealth::default(), faults, return_paths: None }
    }

    /// The same with return paths that name their email, so that bounce messages come back to us.
    pub fn with_return_paths(self, return_paths: Option<ReturnPaths>) -> Self {
        Self { return_paths, ..self }
    }

    /// Its configured name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) async fn send(&self, outgoing: &Outgoing<'_>, lease: &LeaseGuard) -> Outcome {
        let recipients = outgoing.addresses();
        let email = &outgoing.claim.email;
        let return_path = self.return_paths.as_ref().map(|paths| paths.address(email.id));
        let envelope = Envelope {
            mail_from: return_path.as_deref().unwrap_or(email.from.address.as_str()),
            recipients: &recipients,
            size: outgoing.message.len(),
            body_8bit: outgoing.is_8bit,
            smtputf8: outgoing.smtputf8,
        };
        let watch = Leased { lease, faults: &self.faults };
        let result = self.pool.send(&envelope, outgoing.message, watch).await;
        if result.aborted {
            return Outcome::LeaseLost;
        }
        let outcomes = result.outcomes.into_iter().map(translate);
        Outcome::Tried {
            provider_message_id: None,
            recipients: outgoing.due.iter().copied().zip(outcomes).collect(),
        }
    }

    pub(super) async fn ping(&self, limit: Duration) -> Health {
        let ask = async {
            let connection =
                Connection::connect(self.pool.settings()).await.map_err(|error| error.to_string())?;
            connection.quit().await;
            Ok(())
        };
        self.health.get(limit, ask).await
    }

    pub(super) async fn tidy(&self) {
        self.pool.prune().await;
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Lets a message go on only while its lease is held, and stops at the named places of a crash test.
struct Leased<'a> {
    lease: &'a LeaseGuard,
    faults: &'a Faults,
}

impl Watch for Leased<'_> {
    fn may_proceed(&mut self) -> bool {
        self.lease.still_held()
    }

    fn passed(&mut self, passage: Passage) {
        self.faults.crash_at(match passage {
            Passage::RecipientsSent => FaultPoint::RcptSent,
            Passage::ContentSent => FaultPoint::FinalDotSent,
            Passage::AcceptanceRead => FaultPoint::AcceptanceRead,
        });
    }
}

fn translate(outcome: client::RecipientOutcome) -> RecipientOutcome {
    match outcome {
        client::RecipientOutcome::Accepted { reply } => RecipientOutcome::Accepted(reply.to_string()),
        client::RecipientOutcome::Later { failure } => RecipientOutcome::Later(failed(failure)),
        client::RecipientOutcome::Refused { failure } => RecipientOutcome::Refused(failed(failure)),
        client::RecipientOutcome::Uncertain { failure } => RecipientOutcome::Uncertain(failed(failure)),
    }
}

fn failed(failure: posthaste_smtp::failure::Failure) -> Failure {
    Failure {
        code: match failure.code {
            FailureClass::InvalidEmail => FailureCode::InvalidEmail,
            FailureClass::TransportError => FailureCode::TransportError,
            FailureClass::ServerError => FailureCode::ServerError,
            FailureClass::Bounce => FailureCode::Bounce,
            FailureClass::Unknown => FailureCode::Unknown,
        },
        alarm: failure.alarm,
        // The session is no good any more: that is the relay's doing, where an answer to one recipient is not.
        transport_down: failure.reconnect,
        message: failure.message,
        retry_after: None,
    }
}
