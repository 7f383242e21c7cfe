//! Everything this surface says no to: `{"error", "message", "code", "field"?, "timestamp"}`.

use super::time;
use crate::auth::AuthError;
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
use serde_json::json;

/// An error answer in the making.
#[derive(Debug)]
pub(in crate::surfaces) struct AegisError {
    status: StatusCode,
    code: &'static str,
    message: String,
    field: Option<String>,
    retry_after_s: Option<u64>,
    headers: HeaderMap,
}

impl AegisError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, code, message, field: None, retry_after_s: None, headers: HeaderMap::new() }
    }

    /// 400 for a field.
    pub fn field(code: &'static str, field: impl Into<String>, message: impl Into<String>) -> Self {
        let field = Some(field.into());
        Self { field, ..Self::new(StatusCode::BAD_REQUEST, code, message) }
    }

    /// 400 `INVALID_JSON`.
    pub fn json(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_JSON", message)
    }

    /// 400 for a request that names two credentials: they could belong to two clients.
    pub fn ambiguous() -> Self {
        let message = "Give either X-Api-Key or an Authorization bearer token, not both";
        Self::new(StatusCode::BAD_REQUEST, "AMBIGUOUS_CREDENTIALS", message)
    }

    /// 401 for a missing, unknown, revoked or expired key; it names a way to log in (RFC 9110, section 11.6.1).
    pub fn key() -> Self {
        let mut error = Self::new(StatusCode::UNAUTHORIZED, "INVALID_API_KEY", "Invalid or missing API key");
        error.headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        error
    }

    /// Says how the caller stands against a limit.
    pub fn with_figures(mut self, decision: &Decision) -> Self {
        rate_headers::write(&mut self.headers, decision);
        self
    }

    /// 404 `MESSAGE_NOT_FOUND`.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "MESSAGE_NOT_FOUND", "Message not found")
    }

    /// 429 over a limit.
    pub fn too_many(decision: &Decision) -> Self {
        let message = format!("Rate limit of {} requests exceeded", decision.limit);
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMIT_EXCEEDED", message);
        let retry_after_s = Some(u64::from(decision.retry_after_s.max(1)));
        Self { retry_after_s, ..error.with_figures(decision) }
    }

    /// 500: a fault of ours, which is in the log.
    pub fn internal() -> Self {
        let message = "Something went wrong here; it is logged";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", message)
    }

    fn unavailable(message: impl Into<String>, seconds: u64) -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", message);
        error.headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        error
    }

    /// The word of the error.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The heading of an error: the status' own name, but for faults of fields.
    fn heading(&self) -> &'static str {
        if self.field.is_some() && self.status == StatusCode::BAD_REQUEST {
            return "Validation Failed";
        }
        // As documented, and as RFC 9110 no longer names it.
        if self.status == StatusCode::PAYLOAD_TOO_LARGE {
            return "Payload Too Large";
        }
        self.status.canonical_reason().unwrap_or("Error")
    }

    pub fn into_response(self, now: Timestamp) -> Response {
        let mut body = json!({"error": self.heading(), "message": self.message, "code": self.code});
        if let Some(field) = &self.field {
            body["field"] = field.as_str().into();
        }
        if let Some(seconds) = self.retry_after_s {
            body["retry_after"] = seconds.into();
        }
        body["timestamp"] = time::instant(now).into();
        let mut response = answer::json(self.status, &body);
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<StoreError> for AegisError {
    fn from(error: StoreError) -> Self {
        tracing::warn!(error = %error, "the store refused an operation");
        Self::unavailable("The service cannot answer now", 1)
    }
}

impl From<AuthError> for AegisError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Invalid => Self::key(),
            AuthError::Store(error) => error.into(),
        }
    }
}

impl From<Problem> for AegisError {
    /// What no call gets to see.
    fn from(problem: Problem) -> Self {
        let code = match problem.status() {
            StatusCode::BAD_REQUEST => "BAD_REQUEST",
            StatusCode::NOT_FOUND => "NOT_FOUND",
            StatusCode::METHOD_NOT_ALLOWED => "METHOD_NOT_ALLOWED",
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "HEADERS_TOO_LARGE",
            StatusCode::SERVICE_UNAVAILABLE => "SERVICE_UNAVAILABLE",
            _ => return Self::internal(),
        };
        Self::new(problem.status(), code, problem.detail())
    }
}

/// A problem in the words of this surface.
pub(in crate::surfaces) fn say(problem: Problem, _exchange: &Exchange, now: Timestamp) -> Response {
    AegisError::from(problem).into_response(now)
}

impl From<UnsupportedMedia> for AegisError {
    fn from(error: UnsupportedMedia) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", error.to_string())
    }
}

impl From<JsonError> for AegisError {
    fn from(error: JsonError) -> Self {
        Self::json(format!("Invalid JSON: {error}"))
    }
}

impl From<BodyRefusal> for AegisError {
    fn from(refusal: BodyRefusal) -> Self {
        let message = refusal.to_string();
        let (status, code) = match refusal {
            BodyRefusal::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE"),
            BodyRefusal::Encoded => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE"),
            BodyRefusal::TooSlow => (StatusCode::REQUEST_TIMEOUT, "REQUEST_TIMEOUT"),
            BodyRefusal::Broken => (StatusCode::BAD_REQUEST, "INVALID_JSON"),
            BodyRefusal::Overloaded { retry_after_s } => {
                return Self::unavailable(message, retry_after_s.into());
            }
        };
        Self::new(status, code, message)
    }
}

impl From<Refusal> for AegisError {
    fn from(refusal: Refusal) -> Self {
        let conflict = |code, message: &str| Self::new(StatusCode::CONFLICT, code, message);
        match refusal {
            Refusal::Invalid(faults) => faults.first().map_or_else(Self::internal, fault),
            Refusal::TooLarge(found) => {
                let error = Self::new(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", found.message);
                Self { field: Some(name_of(&found.field, found.code)), ..error }
            }
            Refusal::PermissionDenied(permission) => Self::new(
                StatusCode::FORBIDDEN,
                "PERMISSION_DENIED",
                format!("The API key lacks the permission {permission}"),
            ),
            Refusal::NotFound => Self::not_found(),
            Refusal::IdempotencyKeyReused => {
                conflict("IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key was used with another request")
            }
            Refusal::IdempotencyKeyInUse => conflict(
                "IDEMPOTENCY_KEY_IN_USE",
                "The first request with this Idempotency-Key is still running",
            ),
            Refusal::CannotCancel(_) => conflict("CONFLICT", "The message is on its way or done"),
            Refusal::Conflict(message) => conflict("CONFLICT", &message),
            Refusal::CredentialGone => Self::key(),
            Refusal::Unavailable { retry_after, may_be_stored } => {
                let message = if may_be_stored {
                    "The store was lost during the commit: a retry with the same Idempotency-Key settles it"
                } else {
                    "The service cannot take this now; nothing was stored"
                };
                Self::unavailable(message, retry_after.as_secs())
            }
        }
    }
}

/// A fault in this surface's words.
fn fault(fault: &Fault) -> AegisError {
    let (code, name) = (code(fault), name_of(&fault.field, fault.code));
    let message = match code {
        "INVALID_EMAIL" => "Invalid email address".to_owned(),
        "MISSING_FIELD" => format!("Missing required field: {name}"),
        _ => fault.message.clone(),
    };
    if fault.field == Field::Request {
        return AegisError::json(message);
    }
    AegisError::field(code, name, message)
}

fn code(fault: &Fault) -> &'static str {
    match fault.code {
        FaultCode::Required | FaultCode::MissingBody => "MISSING_FIELD",
        FaultCode::InvalidEmail => "INVALID_EMAIL",
        FaultCode::AttachmentTooLarge
        | FaultCode::InvalidBase64
        | FaultCode::AttachmentType
        | FaultCode::AttachmentMismatch
        | FaultCode::InvalidFilename => "INVALID_ATTACHMENT",
        FaultCode::InvalidHeader | FaultCode::ReservedHeader => "INVALID_HEADER",
        FaultCode::ControlCharacter
        | FaultCode::InvalidType
        | FaultCode::OutOfRange
        | FaultCode::TooLong
        | FaultCode::InvalidValue => match fault.field {
            Field::Attachment(..) | Field::Attachments => "INVALID_ATTACHMENT",
            Field::Header(_) | Field::Headers => "INVALID_HEADER",
            _ => "INVALID_FIELD",
        },
        FaultCode::UnknownField
        | FaultCode::InvalidDomain
        | FaultCode::UnknownDomain
        | FaultCode::FromDomainMismatch
        | FaultCode::SenderNotConfigured
        | FaultCode::TooManyRecipients
        | FaultCode::DuplicateRecipient
        | FaultCode::TemplateNotFound
        | FaultCode::TemplateSyntax
        | FaultCode::TemplateError
        | FaultCode::MissingVariable
        | FaultCode::InvalidVariable
        | FaultCode::InvalidSchema
        | FaultCode::InvalidSendAt
        | FaultCode::UnknownEvent
        | FaultCode::InvalidIdempotencyKey
        | FaultCode::AlreadyExists => "INVALID_FIELD",
    }
}

/// The field as this surface spells it.
fn name_of(field: &Field, code: FaultCode) -> String {
    // What is wrong with a name is no fault of the address beside it.
    let is_name = matches!(code, FaultCode::ControlCharacter | FaultCode::TooLong);
    let copy = |list: &str, index: &Option<usize>| match index {
        Some(index) if code == FaultCode::InvalidType => format!("{list}.{index}"),
        Some(index) if is_name => format!("{list}.{index}.name"),
        Some(index) => format!("{list}.{index}.email"),
        None => list.to_owned(),
    };
    match field {
        Field::Request => String::new(),
        Field::From | Field::FromName | Field::Domain => "from".into(),
        Field::To(_) if is_name => "toName".into(),
        Field::To(_) => "to".into(),
        Field::Cc(index) => copy("cc", index),
        Field::Bcc(index) => copy("bcc", index),
        Field::ReplyTo(_) => "replyTo".into(),
        Field::Subject => "subject".into(),
        Field::Html | Field::Text | Field::TemplateCode => "body".into(),
        Field::Variables(_) => "variables".into(),
        Field::Attachments => "attachments".into(),
        Field::Attachment(index, part) => match part {
            AttachmentField::Filename => format!("attachments.{index}.name"),
            AttachmentField::Content => format!("attachments.{index}.content"),
            AttachmentField::Whole
            | AttachmentField::Mime
            | AttachmentField::ContentId
            | AttachmentField::Disposition => format!("attachments.{index}"),
        },
        Field::Header(name) => format!("headers.{name}"),
        Field::Headers => "headers".into(),
        Field::Tag(_) => "tags".into(),
        Field::Metadata(_) => "metadata".into(),
        Field::EventId => "event_id".into(),
        Field::Priority => "priority".into(),
        Field::SendAt => "send_at".into(),
        Field::IdempotencyKey => "Idempotency-Key".into(),
        Field::Other(name) => name.clone(),
    }
}
