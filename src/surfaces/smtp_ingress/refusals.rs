//! Every refusal in SMTP's words: RFC 5321 section 4.2, with the codes of RFC 3463.

use crate::limits::Decision;
use posthaste_mail::raw::HeaderTooLong;
use posthaste_model::refusal::{Fault, FaultCode, Refusal};
use posthaste_smtp::reply::Reply;
use posthaste_smtp::server::reply;
use posthaste_store::StoreError;

/// The reply that tells of a refusal.
pub(super) fn reply_to(refusal: &Refusal) -> Reply {
    match refusal {
        Refusal::Invalid(faults) => faults.first().map_or_else(unknown, invalid),
        Refusal::TooLarge(fault) => reply(552, (5, 3, 4), said(&fault.message)),
        Refusal::PermissionDenied(permission) => {
            reply(550, (5, 7, 1), format!("The key lacks the permission {permission}"))
        }
        Refusal::IdempotencyKeyReused => {
            reply(554, (5, 5, 0), "This X-Idempotency-Key was used with another message")
        }
        Refusal::IdempotencyKeyInUse => {
            reply(451, (4, 5, 0), "The first message with this X-Idempotency-Key is still under way")
        }
        Refusal::CredentialGone => {
            reply(535, (5, 7, 8), "The login was revoked while the message was under way")
        }
        Refusal::Unavailable { .. } => unavailable(),
        Refusal::NotFound | Refusal::CannotCancel(_) | Refusal::Conflict(_) => unknown(),
    }
}

/// The word under which a refusal is counted.
pub(super) fn code(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Invalid(faults) => faults.first().map_or("invalid", |fault| fault.code.as_str()),
        Refusal::TooLarge(_) => "too_large",
        Refusal::PermissionDenied(_) => "forbidden",
        Refusal::IdempotencyKeyReused => "idempotency_key_reused",
        Refusal::IdempotencyKeyInUse => "idempotency_key_in_use",
        Refusal::CredentialGone => "unauthorized",
        Refusal::Unavailable { .. } => "unavailable",
        Refusal::NotFound | Refusal::CannotCancel(_) | Refusal::Conflict(_) => "conflict",
    }
}

fn invalid(fault: &Fault) -> Reply {
    match fault.code {
        FaultCode::FromDomainMismatch | FaultCode::UnknownDomain => {
            reply(550, (5, 7, 1), said(&fault.message))
        }
        FaultCode::InvalidEmail | FaultCode::InvalidDomain => reply(553, (5, 1, 3), said(&fault.message)),
        FaultCode::TooManyRecipients => reply(452, (4, 5, 3), said(&fault.message)),
        _ => reply(554, (5, 6, 0), said(&fault.message)),
    }
}

/// A message of ours may quote what the peer sent: on one line, and not without end.
fn said(message: &str) -> String {
    message.chars().map(|c| if c.is_control() { '?' } else { c }).take(300).collect()
}

fn unknown() -> Reply {
    reply(554, (5, 0, 0), "The message cannot be taken")
}

/// 530 5.7.0 (RFC 4954 section 6): no relaying for strangers.
pub(super) fn login_required() -> Reply {
    reply(530, (5, 7, 0), "Authentication required")
}

/// Bounces are taken for our return paths only.
pub(super) fn null_sender() -> Reply {
    reply(550, (5, 7, 1), "The null sender is taken for return paths only")
}

/// A header without end.
pub(super) fn header(error: HeaderTooLong) -> Reply {
    reply(552, (5, 3, 4), error.to_string())
}

/// A key that is none.
pub(super) fn idempotency_key() -> Reply {
    reply(554, (5, 5, 0), "X-Idempotency-Key stands once and has 1 to 255 visible ASCII characters")
}

/// Over a limit.
pub(super) fn too_many(decision: &Decision) -> Reply {
    let text = format!(
        "The limit of {} messages is used up, try again in {} s",
        decision.limit, decision.retry_after_s
    );
    reply(451, (4, 7, 1), text)
}

/// No memory for the content now.
pub(super) fn no_room() -> Reply {
    reply(452, (4, 3, 1), "Too much at once, try again later")
}

/// A store that could not be read.
pub(super) fn store(error: &StoreError) -> Reply {
    tracing::warn!(error = %error, "the store refused a read");
    unavailable()
}

fn unavailable() -> Reply {
    reply(451, (4, 3, 0), "The message cannot be stored now, try again later")
}
