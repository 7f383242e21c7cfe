//! Explain: each decision on an email's way, recorded where it is taken.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One decision: which question, what was decided, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The question: `credential`, `sender`, `limits`, `suppression`, `template`, `route`, `breaker`, `schedule`...
    pub step: Cow<'static, str>,
    /// The answer in one or a few words.
    pub outcome: Cow<'static, str>,
    /// Why, and what would change it.
    pub reason: Cow<'static, str>,
}

impl Decision {
    /// A decision on `step`.
    pub fn new(
        step: impl Into<Cow<'static, str>>,
        outcome: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { step: step.into(), outcome: outcome.into(), reason: reason.into() }
    }
}
