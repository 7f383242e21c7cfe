//! What became of each recipient.

use crate::classify::{Disposition, Verdict};
use crate::failure::{Failure, Stage};
use crate::reply::Reply;

/// The end of one message for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecipientOutcome {
    /// The relay has taken responsibility.
    Accepted {
        /// What it said to the whole message.
        reply: Reply,
    },
    /// Certainly not taken; try again later.
    Later {
        /// Why.
        failure: Failure,
    },
    /// Certainly not taken; trying again is no use.
    Refused {
        /// Why.
        failure: Failure,
    },
    /// The whole message was sent and no answer came: it may have been taken.
    Uncertain {
        /// Why.
        failure: Failure,
    },
}

impl RecipientOutcome {
    /// The failure, unless accepted.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Accepted { .. } => None,
            Self::Later { failure } | Self::Refused { failure } | Self::Uncertain { failure } => {
                Some(failure)
            }
        }
    }
}

impl From<Verdict> for RecipientOutcome {
    fn from(verdict: Verdict) -> Self {
        match verdict.disposition {
            Disposition::Later => Self::Later { failure: verdict.failure },
            Disposition::Refused => Self::Refused { failure: verdict.failure },
        }
    }
}

/// The end of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendResult {
    /// One per recipient, in the envelope's order; empty when aborted.
    pub outcomes: Vec<RecipientOutcome>,
    /// The caller's `Watch` said no: nothing was accepted, and nothing is to be recorded.
    pub aborted: bool,
    /// The session was found dead before the relay took any notice of the message, so that a fresh session may
    /// start over.
    pub(super) untouched: bool,
}

impl SendResult {
    pub(super) fn aborted() -> Self {
        Self { outcomes: Vec::new(), aborted: true, untouched: false }
    }

    /// The same end for every recipient.
    pub(super) fn all(recipients: usize, outcome: RecipientOutcome) -> Self {
        Self { outcomes: vec![outcome; recipients], aborted: false, untouched: false }
    }
}

/// No session could be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct SmtpError {
    /// For now or for good.
    pub disposition: Disposition,
    /// Why.
    pub failure: Failure,
}

impl SmtpError {
    pub(super) fn later(failure: Failure) -> Self {
        Self { disposition: Disposition::Later, failure }
    }

    /// What it means for a message that waited for the session.
    pub fn into_outcome(self) -> RecipientOutcome {
        match self.disposition {
            Disposition::Later => RecipientOutcome::Later { failure: self.failure },
            Disposition::Refused => RecipientOutcome::Refused { failure: self.failure },
        }
    }
}

impl From<Verdict> for SmtpError {
    fn from(verdict: Verdict) -> Self {
        Self { disposition: verdict.disposition, failure: verdict.failure }
    }
}

/// What is known of one recipient while the transaction runs.
#[derive(Debug)]
enum Slot {
    /// No reply to its RCPT yet.
    Open,
    /// RCPT answered 250.
    Taken,
    /// Settled.
    Done(RecipientOutcome),
}

/// All recipients of the message under way.
#[derive(Debug)]
pub(super) struct Progress {
    slots: Vec<Slot>,
    /// The relay said something about this message.
    pub answered: bool,
    /// All of the content, its end included, was handed to the connection, and nothing proves yet that the relay
    /// cannot have taken it.
    pub may_be_taken: bool,
}

impl Progress {
    pub fn new(recipients: usize) -> Self {
        Self { slots: (0..recipients).map(|_| Slot::Open).collect(), answered: false, may_be_taken: false }
    }

    /// The recipients that still need an answer, in order.
    pub fn open(&self) -> Vec<usize> {
        let open = |(index, slot): (usize, &Slot)| matches!(slot, Slot::Open).then_some(index);
        self.slots.iter().enumerate().filter_map(open).collect()
    }

    pub fn has_taken(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot, Slot::Taken))
    }

    pub fn take(&mut self, index: usize) {
        if let Some(slot @ Slot::Open) = self.slots.get_mut(index) {
            *slot = Slot::Taken;
        }
    }

    pub fn settle(&mut self, index: usize, outcome: RecipientOutcome) {
        if let Some(slot @ (Slot::Open | Slot::Taken)) = self.slots.get_mut(index) {
            *slot = Slot::Done(outcome);
        }
    }

    /// Settles everyone who is not settled yet.
    pub fn settle_rest(&mut self, outcome: &RecipientOutcome) {
        for slot in &mut self.slots {
            if !matches!(slot, Slot::Done(_)) {
                *slot = Slot::Done(outcome.clone());
            }
        }
    }

    /// The session was lost: whoever is not settled may have been served once all of the content was out.
    pub fn settle_lost(&mut self, mut failure: Failure) {
        if self.may_be_taken {
            failure.message = format!("{} after the message was sent", failure.message);
            self.settle_rest(&RecipientOutcome::Uncertain { failure });
        } else {
            self.settle_rest(&RecipientOutcome::Later { failure });
        }
    }

    /// The result; nobody is left open by then.
    pub fn finish(self) -> SendResult {
        let settled = |slot| match slot {
            Slot::Done(outcome) => outcome,
            // No path leaves a recipient open; were there one, the safe answer is to try again.
            Slot::Open | Slot::Taken => RecipientOutcome::Later {
                failure: Failure::transport(Stage::Data, "the transaction ended without an answer"),
            },
        };
        SendResult {
            outcomes: self.slots.into_iter().map(settled).collect(),
            aborted: false,
            untouched: false,
        }
    }
}
