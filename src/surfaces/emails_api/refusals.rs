//! Every refusal in this surface's words: problems by RFC 9457.

use super::fields::{pointer, pointer_in};
use crate::surfaces::http::json::Json;
use crate::surfaces::http::json::reader::FieldErrors;
use crate::surfaces::http::problem::{self, Problem};
use posthaste_model::refusal::{Fault, Refusal};
use posthaste_store::StoreError;

/// The problem that tells of a refusal.
pub(super) fn problem(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Invalid(faults) => invalid(&faults),
        Refusal::TooLarge(fault) => Problem::new(problem::PAYLOAD_TOO_LARGE, fault.message.clone())
            .with_code(fault.code.as_str())
            .with_error(pointer(&fault.field), fault.code.as_str(), fault.message),
        Refusal::PermissionDenied(permission) => {
            Problem::new(problem::FORBIDDEN, format!("the key lacks the permission {permission}"))
        }
        Refusal::NotFound => Problem::new(problem::NOT_FOUND, "there is nothing with this id"),
        Refusal::IdempotencyKeyReused => {
            Problem::new(problem::IDEMPOTENCY_KEY_REUSED, "this key was used with another request")
        }
        Refusal::IdempotencyKeyInUse => {
            Problem::new(problem::IDEMPOTENCY_KEY_IN_USE, "the first request with this key is still running")
        }
        Refusal::CannotCancel(status) => {
            Problem::new(problem::CANNOT_CANCEL, format!("the email is {status}"))
        }
        Refusal::Conflict(detail) => Problem::new(problem::CONFLICT, detail),
        Refusal::CredentialGone => unauthorized(),
        Refusal::Unavailable { retry_after, may_be_stored } => {
            let detail = if may_be_stored {
                "the store was lost during the commit: a retry with the same idempotency key settles it"
            } else {
                "the store is unavailable; nothing was accepted"
            };
            let seconds = u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX).max(1);
            Problem::new(problem::STORE_UNAVAILABLE, detail).with_retry_after(seconds)
        }
    }
}

/// The problem that tells of a refusal of what `body` holds.
pub(super) fn problem_in(refusal: Refusal, body: &Json<'_>) -> Problem {
    match refusal {
        Refusal::Invalid(faults) => Problem::validation(errors(&faults, "", Some(body))),
        other => problem(other),
    }
}

/// All faults at once.
pub(super) fn invalid(faults: &[Fault]) -> Problem {
    Problem::validation(errors(faults, "", None))
}

/// Faults as `errors`, their pointers below `place`; `body` is the email's JSON where there is one.
pub(super) fn errors(faults: &[Fault], place: &str, body: Option<&Json<'_>>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for fault in faults {
        let field = body.map_or_else(|| pointer(&fault.field), |body| pointer_in(&fault.field, body));
        errors.push(format!("{place}{field}"), fault.code.as_str(), fault.message.clone());
    }
    errors
}

/// No credential, or one that does not work: the two are told alike.
pub(super) fn unauthorized() -> Problem {
    Problem::new(problem::UNAUTHORIZED, "give a valid API key in X-Api-Key")
}

/// A store that could not be read.
pub(super) fn store(error: &StoreError) -> Problem {
    tracing::warn!(error = %error, "the store refused a read");
    Problem::new(problem::STORE_UNAVAILABLE, "the store is unavailable").with_retry_after(1)
}
