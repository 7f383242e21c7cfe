//! Everything this surface says no to: `{"success": false, "error", "message"}`.

use crate::auth::TokenError;
use crate::limits::Decision;
use crate::surfaces::http::answer;
use crate::surfaces::http::body::BodyRefusal;
use crate::surfaces::http::exchange::Exchange;
use crate::surfaces::http::json::JsonError;
use crate::surfaces::http::media::UnsupportedMedia;
use crate::surfaces::http::problem::Problem;
use crate::surfaces::http::rate_headers;
use axum::response::Response;
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use posthaste_model::Timestamp;
use posthaste_model::draft::{AttachmentField, Field};
use posthaste_model::refusal::{Fault, FaultCode, Refusal};
use posthaste_store::StoreError;
use serde_json::{Value, json};

/// An error answer in the making.
#[derive(Debug)]
pub(super) struct MailProxyError {
    status: StatusCode,
    error: &'static str,
    message: String,
    headers: HeaderMap,
}

impl MailProxyError {
    pub fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        Self { status, error, message: message.into(), headers: HeaderMap::new() }
    }

    /// 400 with this code.
    pub fn bad(error: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, message)
    }

    /// 400 `invalid_request`: malformed, or of the wrong type.
    pub fn request(message: impl Into<String>) -> Self {
        Self::bad("invalid_request", message)
    }

    /// 400 `missing_field`.
    pub fn missing(name: &str) -> Self {
        Self::bad("missing_field", format!("{name} is required"))
    }

    /// 401, with the challenge of RFC 6750, section 3.
    pub fn unauthorized(error: &'static str, message: &str) -> Self {
        let mut refused = Self::new(StatusCode::UNAUTHORIZED, error, message);
        refused.headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        refused
    }

    /// 403 `permission_denied`; `word` as this API spells it.
    pub fn permission(word: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "permission_denied",
            format!("the token lacks the permission {word}"),
        )
    }

    /// 404 for a mail that is not there, or another client's.
    pub fn mail_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "mail_not_found", "Mail not found")
    }

    /// 429 over a limit.
    pub fn too_many(decision: &Decision) -> Self {
        let message = format!("the limit of {} requests is used up", decision.limit);
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", message);
        rate_headers::write(&mut error.headers, decision);
        error
    }

    /// 500: a fault of ours, which is in the log.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "something went wrong here; it is logged",
        )
    }

    fn unavailable(message: &str, seconds: u64) -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", message);
        error.headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        error
    }

    /// The word of the error.
    pub fn code(&self) -> &'static str {
        self.error
    }

    /// The error as one of a batch's results.
    pub fn as_result(&self) -> Value {
        json!({"status": "rejected", "error": self.error, "message": self.message})
    }

    pub fn into_response(self) -> Response {
        let body = json!({"success": false, "error": self.error, "message": self.message});
        let mut response = answer::json(self.status, &body);
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<StoreError> for MailProxyError {
    fn from(error: StoreError) -> Self {
        tracing::warn!(error = %error, "the store refused an operation");
        Self::unavailable("the service cannot answer now", 1)
    }
}

impl From<TokenError> for MailProxyError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid => {
                Self::unauthorized("invalid_token", "the token is invalid, expired or unknown")
            }
            TokenError::Revoked => Self::unauthorized("token_revoked", "the token was revoked"),
            TokenError::Signing => Self::internal(),
            TokenError::Store(error) => error.into(),
        }
    }
}

impl From<Problem> for MailProxyError {
    /// What no call gets to see.
    fn from(problem: Problem) -> Self {
        let code = match problem.status() {
            StatusCode::BAD_REQUEST => "invalid_request",
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "headers_too_large",
            StatusCode::SERVICE_UNAVAILABLE => "service_unavailable",
            _ => return Self::internal(),
        };
        Self::new(problem.status(), code, problem.detail())
    }
}

/// A problem in the words of this surface.
pub(in crate::surfaces) fn say(problem: Problem, _exchange: &Exchange, _now: Timestamp) -> Response {
    MailProxyError::from(problem).into_response()
}

impl From<UnsupportedMedia> for MailProxyError {
    fn from(error: UnsupportedMedia) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", error.to_string())
    }
}

impl From<JsonError> for MailProxyError {
    fn from(error: JsonError) -> Self {
        Self::request(error.to_string())
    }
}

impl From<BodyRefusal> for MailProxyError {
    fn from(refusal: BodyRefusal) -> Self {
        let message = refusal.to_string();
        let (status, error) = match refusal {
            BodyRefusal::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
            BodyRefusal::Encoded => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            BodyRefusal::TooSlow => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
            BodyRefusal::Broken => (StatusCode::BAD_REQUEST, "invalid_request"),
            BodyRefusal::Overloaded { retry_after_s } => {
                return Self::unavailable(&message, retry_after_s.into());
            }
        };
        Self::new(status, error, message)
    }
}

impl From<Refusal> for MailProxyError {
    fn from(refusal: Refusal) -> Self {
        let conflict = |error, message: &str| Self::new(StatusCode::CONFLICT, error, message);
        match refusal {
            Refusal::Invalid(faults) => faults.first().map_or_else(Self::internal, fault),
            Refusal::TooLarge(found) => fault(&found),
            Refusal::PermissionDenied(word) => Self::permission(word),
            Refusal::NotFound => Self::mail_not_found(),
            Refusal::IdempotencyKeyReused => {
                conflict("idempotency_key_reused", "this Idempotency-Key was used with another request")
            }
            Refusal::IdempotencyKeyInUse => conflict(
                "idempotency_key_in_use",
                "the first request with this Idempotency-Key is still running",
            ),
            Refusal::CannotCancel(_) => Self::bad("cannot_cancel", "Only queued mails can be cancelled"),
            Refusal::Conflict(message) => conflict("conflict", &message),
            Refusal::CredentialGone => Self::from(TokenError::Revoked),
            Refusal::Unavailable { retry_after, may_be_stored } => {
                let message = if may_be_stored {
                    "the store was lost during the commit: a retry with the same Idempotency-Key settles it"
                } else {
                    "the service cannot take this now; nothing was stored"
                };
                Self::unavailable(message, retry_after.as_secs())
            }
        }
    }
}

/// A fault in this surface's words.
fn fault(fault: &Fault) -> MailProxyError {
    let name = field(&fault.field);
    let message = if name.is_empty() || fault.message.contains(&name) {
        fault.message.clone()
    } else {
        format!("{name}: {}", fault.message)
    };
    if fault.code == FaultCode::AttachmentTooLarge && fault.field == Field::Attachments {
        // None of them is too large by itself.
        return MailProxyError::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message);
    }
    MailProxyError::bad(code(fault), message)
}

fn code(fault: &Fault) -> &'static str {
    match fault.code {
        FaultCode::Required | FaultCode::MissingBody => "missing_field",
        FaultCode::InvalidEmail | FaultCode::InvalidDomain => "invalid_email",
        FaultCode::SenderNotConfigured | FaultCode::UnknownDomain | FaultCode::FromDomainMismatch => {
            "sender_not_configured"
        }
        FaultCode::AttachmentTooLarge => "attachment_too_large",
        FaultCode::InvalidBase64
        | FaultCode::AttachmentType
        | FaultCode::AttachmentMismatch
        | FaultCode::InvalidFilename => "invalid_attachment",
        FaultCode::ControlCharacter | FaultCode::TooLong => match fault.field {
            Field::From | Field::To(_) | Field::Cc(_) | Field::Bcc(_) => "invalid_email",
            Field::Attachment(..) => "invalid_attachment",
            _ => "invalid_request",
        },
        FaultCode::OutOfRange | FaultCode::InvalidValue => match fault.field {
            Field::Attachment(..) | Field::Attachments => "invalid_attachment",
            _ => "invalid_request",
        },
        FaultCode::InvalidType
        | FaultCode::UnknownField
        | FaultCode::TooManyRecipients
        | FaultCode::DuplicateRecipient
        | FaultCode::TemplateNotFound
        | FaultCode::TemplateSyntax
        | FaultCode::TemplateError
        | FaultCode::MissingVariable
        | FaultCode::InvalidVariable
        | FaultCode::InvalidSchema
        | FaultCode::InvalidHeader
        | FaultCode::ReservedHeader
        | FaultCode::InvalidSendAt
        | FaultCode::UnknownEvent
        | FaultCode::InvalidIdempotencyKey
        | FaultCode::AlreadyExists => "invalid_request",
    }
}

/// The field as this surface spells it.
fn field(field: &Field) -> String {
    let list = |name: &str, index: &Option<usize>| match index {
        Some(index) => format!("{name}[{index}]"),
        None => name.to_owned(),
    };
    match field {
        Field::Request => String::new(),
        Field::From | Field::FromName | Field::Domain => "from".into(),
        Field::To(index) => list("to", index),
        Field::Cc(index) => list("cc", index),
        Field::Bcc(index) => list("bcc", index),
        Field::ReplyTo(index) => list("reply_to", index),
        Field::Subject => "subject".into(),
        Field::Html => "html".into(),
        Field::Text => "body".into(),
        Field::TemplateCode => "template_code".into(),
        Field::Variables(_) => "variables".into(),
        Field::Attachments => "attachments".into(),
        Field::Attachment(index, part) => match part {
            AttachmentField::Filename => format!("attachments[{index}].filename"),
            AttachmentField::Mime => format!("attachments[{index}].content_type"),
            AttachmentField::Content => format!("attachments[{index}].content"),
            AttachmentField::Whole | AttachmentField::ContentId | AttachmentField::Disposition => {
                format!("attachments[{index}]")
            }
        },
        Field::Header(_) | Field::Headers => "headers".into(),
        Field::Tag(_) => "tags".into(),
        Field::Metadata(Some(key)) => format!("metadata.{key}"),
        Field::Metadata(None) => "metadata".into(),
        Field::EventId => "event_id".into(),
        Field::Priority => "priority".into(),
        Field::SendAt => "send_at".into(),
        Field::IdempotencyKey => "Idempotency-Key".into(),
        Field::Other(name) => name.clone(),
    }
}

/// No such path below `/api/v1`.
pub(super) async fn not_found() -> Response {
    MailProxyError::new(StatusCode::NOT_FOUND, "not_found", "there is no such path").into_response()
}

/// A known path with a method it does not have; the router adds `Allow`.
pub(super) async fn method_not_allowed() -> Response {
    let message = "this path does not have this method";
    MailProxyError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message).into_response()
}
