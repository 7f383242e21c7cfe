//! Everything this surface says no to: `{error, error_description}` (RFC 6749, section 5.2; RFC 6750, section 3).

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
use http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use posthaste_model::Timestamp;
use posthaste_model::draft::Field;
use posthaste_model::refusal::{Fault, FaultCode, Refusal};
use posthaste_store::StoreError;
use serde_json::json;

/// An error answer in the making.
#[derive(Debug)]
pub(super) struct OauthError {
    status: StatusCode,
    error: &'static str,
    description: String,
    field: Option<String>,
    headers: HeaderMap,
}

impl OauthError {
    pub fn new(status: StatusCode, error: &'static str, description: impl Into<String>) -> Self {
        Self { status, error, description: description.into(), field: None, headers: HeaderMap::new() }
    }

    /// 400 `invalid_request`.
    pub fn request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// 401 `invalid_client`; `by_basic`: the client used the `Authorization` header, and is told so in the same words.
    pub fn client(by_basic: bool) -> Self {
        let mut error = Self::new(StatusCode::UNAUTHORIZED, "invalid_client", "client authentication failed");
        if by_basic {
            let challenge = HeaderValue::from_static("Basic realm=\"posthaste\", charset=\"UTF-8\"");
            error.headers.insert(WWW_AUTHENTICATE, challenge);
        }
        error
    }

    /// 401 `invalid_token`.
    pub fn token() -> Self {
        let description = "the access token is missing, invalid, expired or revoked";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_token", description).with_challenge(
            "Bearer error=\"invalid_token\", error_description=\"the access token is invalid, expired or revoked\"",
        )
    }

    /// 403 `insufficient_scope`.
    pub fn scope() -> Self {
        let description = "the access token lacks the scope email";
        Self::new(StatusCode::FORBIDDEN, "insufficient_scope", description).with_challenge(
            "Bearer error=\"insufficient_scope\", error_description=\"the scope email is needed\", scope=\"email\"",
        )
    }

    /// 404 for what is not there, or another client's.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing with this id")
    }

    /// 429 over a limit.
    pub fn too_many(decision: &Decision) -> Self {
        let description = "too many requests; Retry-After says when to try again";
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", description);
        rate_headers::write(&mut error.headers, decision);
        error
    }

    /// 422 for bad input.
    pub fn input(field: impl Into<String>, description: impl Into<String>) -> Self {
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", description);
        error.field = Some(field.into());
        error
    }

    fn unavailable(description: &str, seconds: u64) -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", description);
        error.headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        error
    }

    fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            "something went wrong here; it is logged",
        )
    }

    fn with_challenge(mut self, challenge: &'static str) -> Self {
        self.headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        self
    }

    /// The word of the error.
    pub fn code(&self) -> &'static str {
        self.error
    }

    pub fn into_response(self) -> Response {
        let mut body = json!({"error": self.error, "error_description": self.description});
        if let Some(field) = self.field {
            body["field"] = field.into();
        }
        let mut response = answer::json(self.status, &body);
        response.headers_mut().extend(self.headers);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl From<StoreError> for OauthError {
    fn from(error: StoreError) -> Self {
        tracing::warn!(error = %error, "the store refused an operation");
        Self::unavailable("the service cannot answer now; nothing was accepted", 1)
    }
}

impl From<TokenError> for OauthError {
    /// As the bearer of a token is told.
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid | TokenError::Revoked => Self::token(),
            TokenError::Signing => Self::internal(),
            TokenError::Store(error) => error.into(),
        }
    }
}

impl From<Problem> for OauthError {
    /// What no call gets to see.
    fn from(problem: Problem) -> Self {
        let error = match problem.status() {
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
            status if status.is_client_error() => "invalid_request",
            _ => return Self::internal(),
        };
        Self::new(problem.status(), error, problem.detail())
    }
}

/// A problem in the words of this surface.
pub(in crate::surfaces) fn say(problem: Problem, _exchange: &Exchange, _now: Timestamp) -> Response {
    OauthError::from(problem).into_response()
}

impl From<UnsupportedMedia> for OauthError {
    fn from(_: UnsupportedMedia) -> Self {
        let description = "Content-Type must be application/json or application/x-www-form-urlencoded";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request", description)
    }
}

impl From<JsonError> for OauthError {
    fn from(error: JsonError) -> Self {
        Self::request(error.to_string())
    }
}

impl From<BodyRefusal> for OauthError {
    fn from(refusal: BodyRefusal) -> Self {
        let description = refusal.to_string();
        let status = match refusal {
            BodyRefusal::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            BodyRefusal::Encoded => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            BodyRefusal::TooSlow => StatusCode::REQUEST_TIMEOUT,
            BodyRefusal::Broken => StatusCode::BAD_REQUEST,
            BodyRefusal::Overloaded { retry_after_s } => {
                return Self::unavailable(&description, retry_after_s.into());
            }
        };
        Self::new(status, "invalid_request", description)
    }
}

impl From<Refusal> for OauthError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(faults) => match faults.first() {
                Some(first) => fault(first),
                None => Self::internal(),
            },
            Refusal::TooLarge(fault) => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", fault.message)
            }
            Refusal::PermissionDenied(_) => Self::scope(),
            Refusal::NotFound => Self::not_found(),
            Refusal::IdempotencyKeyReused => Self::new(
                StatusCode::CONFLICT,
                "idempotency_key_reused",
                "this Idempotency-Key was used with another request",
            ),
            Refusal::IdempotencyKeyInUse => Self::new(
                StatusCode::CONFLICT,
                "idempotency_key_in_use",
                "the first request with this Idempotency-Key is still running",
            ),
            Refusal::CannotCancel(status) => {
                Self::new(StatusCode::CONFLICT, "invalid_request", format!("the email is {status}"))
            }
            Refusal::Conflict(detail) => Self::new(StatusCode::CONFLICT, "invalid_request", detail),
            Refusal::CredentialGone => Self::token(),
            Refusal::Unavailable { retry_after, may_be_stored } => {
                let description = if may_be_stored {
                    "the store was lost during the commit: a retry with the same Idempotency-Key settles it"
                } else {
                    "the service cannot accept mail now; nothing was accepted"
                };
                Self::unavailable(description, retry_after.as_secs())
            }
        }
    }
}

/// A fault of intake in this surface's names of fields.
fn fault(fault: &Fault) -> OauthError {
    // What is wrong with a name is no fault of the address beside it.
    let is_name = matches!(fault.code, FaultCode::ControlCharacter | FaultCode::TooLong);
    let field = match &fault.field {
        Field::From if is_name => "name",
        Field::To(_) if is_name => "to_name",
        Field::From | Field::Domain => "email",
        Field::FromName => "name",
        Field::To(_) => "to_email",
        Field::Subject => "subject",
        Field::Html => "html",
        Field::Text => "body",
        Field::TemplateCode => "template_code",
        Field::Variables(_) => "variables",
        Field::IdempotencyKey => "Idempotency-Key",
        Field::Other(name) => name,
        Field::Request
        | Field::Cc(_)
        | Field::Bcc(_)
        | Field::ReplyTo(_)
        | Field::Attachment(..)
        | Field::Attachments
        | Field::Header(_)
        | Field::Headers
        | Field::Tag(_)
        | Field::Metadata(_)
        | Field::EventId
        | Field::Priority
        | Field::SendAt => "request",
    };
    let description = match &fault.field {
        // The field is all of them; which one is meant, only this can say.
        Field::Variables(below) if !below.is_empty() => format!("variables{below}: {}", fault.message),
        _ => fault.message.clone(),
    };
    OauthError::input(field, description)
}

/// A known path with a method it does not have; the router adds `Allow`.
pub(super) async fn method_not_allowed() -> Response {
    let description = "this path does not have this method";
    OauthError::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", description).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_one_variable_names_it() {
        let told = |below: &str| {
            let field = Field::Variables(below.to_owned());
            fault(&Fault::new(field, FaultCode::MissingVariable, "text names it, and it is missing"))
        };
        let error = told("/name");
        assert_eq!((error.field.as_deref(), error.code()), (Some("variables"), "invalid_request"));
        assert_eq!(error.description, "variables/name: text names it, and it is missing");
        assert_eq!(told("").description, "text names it, and it is missing");
    }
}
