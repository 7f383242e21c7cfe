//! What a transport reports of one attempt: an answer per recipient, and nothing about retries or storage.

use crate::FailureCode;
use std::time::Duration;

/// Why a recipient was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The class it falls into (07-providers, Classification).
    pub code: FailureCode,
    /// What a person can act on: `550 5.1.1 no such user`.
    pub message: String,
    /// The operator must act (wrong credentials, certificate): the circuit opens and it is said loudly.
    pub alarm: bool,
    /// The way out itself is in trouble (as opposed to this message): counts for the circuit breaker.
    pub transport_down: bool,
    /// The peer asked for this pause.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure of `code` with nothing further to it.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), alarm: false, transport_down: false, retry_after: None }
    }
}

/// What became of one recipient in one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientOutcome {
    /// The peer took it; its reply.
    Accepted(String),
    /// Refused for now.
    Later(Failure),
    /// Refused for good.
    Refused(Failure),
    /// The peer may have taken it: the connection was lost after the message's last byte.
    Uncertain(Failure),
    /// Not offered this time, while others of the same email were, or came to their end: no attempt is used up by it.
    Waits {
        /// Why.
        reason: String,
        /// How long to wait at least.
        after: Duration,
    },
}

impl RecipientOutcome {
    /// Whether it came of a try: not of waiting, nor of being on a suppression list.
    pub fn is_tried(&self) -> bool {
        match self {
            Self::Accepted(_) | Self::Later(_) | Self::Uncertain(_) => true,
            Self::Refused(failure) => failure.code != FailureCode::Suppressed,
            Self::Waits { .. } => false,
        }
    }
}

/// The result of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was tried: an outcome for each recipient that was due, as (index in the email, outcome).
    Tried {
        /// The provider's id of the message, if it gave one.
        provider_message_id: Option<String>,
        /// One outcome per due recipient.
        recipients: Vec<(usize, RecipientOutcome)>,
    },
    /// It was not tried and does not count as an attempt (circuit open, rate reached): try again after this pause.
    NotTried {
        /// Why.
        reason: String,
        /// How long to wait at least.
        after: Duration,
    },
    /// The lease ran out before the peer was told anything final: nothing is recorded, another worker has it.
    LeaseLost,
}
