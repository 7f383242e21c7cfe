//! The span of a commit: between the request that brought the emails and the attempts to deliver them.

use super::{Intake, Submission};
use crate::base::trace::{self, Open, SpanKind};
use posthaste_model::email::Email;
use posthaste_store::{AcceptResult, StoreError};
use std::sync::Arc;

impl Intake {
    /// Begins the span of a commit, which the attempts of its emails will stand under.
    pub(super) fn begin_span(&self, emails: &[Arc<Email>], submission: &Submission<'_>) -> Option<Open> {
        let parent = trace::current();
        // Of a request that is not recorded no part is, whatever the sampler would say of the part alone.
        if parent.is_some_and(|parent| !parent.sampled) {
            return None;
        }
        let mut span = self.traces.begin(SpanKind::Internal, parent)?;
        span.text("posthaste.correlation_id", submission.correlation.as_str());
        span.number("posthaste.emails", emails.len());
        if let [email] = emails {
            span.text("posthaste.email.id", email.id.to_string());
        }
        self.traces.remember(emails.iter().map(|email| email.id), span.context());
        Some(span)
    }
}

/// Ends it with what the store said; `E` is how a commit ends that nobody hears of.
pub(super) fn end<E>(span: Option<Open>, stored: &Result<Result<AcceptResult, StoreError>, E>) {
    let Some(mut span) = span else { return };
    let outcome = match stored {
        Ok(Ok(AcceptResult::Accepted { .. })) => "accepted",
        Ok(Ok(AcceptResult::Replayed(_))) => "replayed",
        Ok(Ok(AcceptResult::KeyReused)) => "key_reused",
        Ok(Ok(AcceptResult::StaleRevision)) => "stale_revision",
        Ok(Err(_)) | Err(_) => {
            span.failed();
            "unavailable"
        }
    };
    span.text("posthaste.outcome", outcome);
    span.end("intake.commit");
}
