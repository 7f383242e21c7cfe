//! Problem details (RFC 9457): the one shape of an error on the Emails API, and what the edge itself answers. The
//! table of kinds is read by the OpenAPI document and the manual.

use super::answer;
use super::body::BodyRefusal;
use super::exchange::Exchange;
use super::json::JsonError;
use super::json::reader::{FieldError, FieldErrors};
use super::media::UnsupportedMedia;
use axum::response::Response;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

/// The media type of problems.
pub const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What kind of problem it is: its stable code, its status and its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// A stable word in snake_case.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// A short title; the same for every problem of the kind.
    pub title: &'static str,
    /// When it is answered, for the manual.
    pub meaning: &'static str,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal $status:literal $title:literal $meaning:literal;)+) => {
        $($(#[$doc])* pub const $name: Kind =
            Kind { code: $code, status: $status, title: $title, meaning: $meaning };)+

        /// Every kind, in the order of its status.
        pub const KINDS: &[Kind] = &[$($name),+];
    };
}

kinds! {
    /// The body is no JSON.
    MALFORMED_JSON = "malformed_json" 400 "The body is not valid JSON"
        "The body is not strict JSON (RFC 8259): a syntax fault, a duplicate key, a byte order mark, bytes that are \
         not UTF-8, a number out of range, a lone surrogate, or nesting deeper than 32. `detail` has line and column.";
    /// Any other malformed request.
    BAD_REQUEST = "bad_request" 400 "The request is malformed"
        "The request cannot be understood: a parameter in the address, or a body that ended too early.";
    /// No credential, or a wrong one.
    UNAUTHORIZED = "unauthorized" 401 "A valid credential is needed"
        "The credential is missing, unknown, expired or revoked.";
    /// The credential lacks a permission.
    FORBIDDEN = "forbidden" 403 "The credential lacks the permission"
        "The credential is valid but was not given the permission that `detail` names.";
    /// No such thing, or another client's.
    NOT_FOUND = "not_found" 404 "Not found"
        "There is no such path, or nothing of this client with that id.";
    /// No such method on the path.
    METHOD_NOT_ALLOWED = "method_not_allowed" 405 "The method is not allowed here"
        "The path exists, but not with this method; `Allow` names those that do.";
    /// The body came too slowly.
    REQUEST_TIMEOUT = "request_timeout" 408 "The body came too slowly"
        "The body did not arrive in time; nothing was accepted.";
    /// What was asked does not fit the present state.
    CONFLICT = "conflict" 409 "In conflict with the present state"
        "What was asked does not fit what is there, such as a name that exists already.";
    /// The email is on its way or done.
    CANNOT_CANCEL = "cannot_cancel" 409 "The email cannot be cancelled"
        "Only an email that is `scheduled` or `queued` can be cancelled.";
    /// The first request with the key still runs.
    IDEMPOTENCY_KEY_IN_USE = "idempotency_key_in_use" 409 "The idempotency key is in use right now"
        "A request with this idempotency key is still running; try again in a moment.";
    /// Too large.
    PAYLOAD_TOO_LARGE = "payload_too_large" 413 "The request is too large"
        "The body, an attachment or all of them together are larger than allowed.";
    /// Not a media type or encoding that is read.
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type" 415 "The body's type is not supported"
        "`Content-Type` must be `application/json` in UTF-8, without `Content-Encoding`.";
    /// Faults in the fields.
    VALIDATION_FAILED = "validation_failed" 422 "The request has faults"
        "`errors` lists all faults. When they share one code, that code stands as the problem's own.";
    /// The key was used with another body.
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused" 422 "The idempotency key was used with another request"
        "An idempotency key stands for one request; this one differs from the first.";
    /// Over the limit.
    RATE_LIMITED = "rate_limited" 429 "Too many requests"
        "The limit of the key or the address is used up; `Retry-After` says for how long.";
    /// Too many or too large header fields.
    HEADERS_TOO_LARGE = "headers_too_large" 431 "The header fields are too large"
        "At most 100 header fields and 32 KB of them are read.";
    /// Our fault.
    INTERNAL_ERROR = "internal_error" 500 "Something went wrong here"
        "A fault of the service. It is logged under the correlation id.";
    /// No room for the body, or no connection to spare.
    OVERLOADED = "overloaded" 503 "Too much at once"
        "There is no room for the request now; nothing was accepted, try again after `Retry-After`.";
    /// The store cannot take it.
    STORE_UNAVAILABLE = "store_unavailable" 503 "Mail cannot be accepted now"
        "The store is unavailable; nothing was accepted, or, if `detail` says so, it is unknown: a retry with the \
         same idempotency key settles it.";
}

/// An error answer in the making.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: Kind,
    code: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    headers: HeaderMap,
}

#[derive(Serialize)]
struct Shape<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    errors: &'a [FieldError],
    correlation_id: &'a str,
}

impl Problem {
    /// A problem of `kind`; `detail` says what is wrong with this very request, and what would be right.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, code: kind.code, detail: detail.into(), errors: Vec::new(), headers: HeaderMap::new() }
    }

    /// Faults in the fields: 422. When all faults share one code, it becomes the problem's own.
    pub fn validation(errors: FieldErrors) -> Self {
        let errors = errors.into_vec();
        let mut problem = Self::new(VALIDATION_FAILED, describe(&errors));
        if let Some(first) = errors.first()
            && errors.iter().all(|error| error.code == first.code)
        {
            problem.code = first.code;
        }
        problem.errors = errors;
        problem
    }

    /// Names a code more exact than the kind's.
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.code = code;
        self
    }

    /// Adds a fault of a field.
    pub fn with_error(
        mut self,
        field: impl Into<String>,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        self.errors.push(FieldError { field: field.into(), code, message: message.into() });
        self
    }

    /// Says after how many seconds it is worth trying again.
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        self
    }

    /// The headers the answer will carry besides its own.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// The problem's code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What is wrong with this very request.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The problem's status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The problem as a JSON value, for a list of results.
    pub fn to_value(&self, exchange: &Exchange) -> serde_json::Value {
        serde_json::to_value(self.shape(exchange)).unwrap_or_default()
    }

    /// The answer.
    pub fn into_response(self, exchange: &Exchange) -> Response {
        let mut response = answer::json_as(self.status(), MEDIA_TYPE, &self.shape(exchange));
        response.headers_mut().extend(self.headers);
        response
    }

    fn shape<'a>(&'a self, exchange: &'a Exchange) -> Shape<'a> {
        Shape {
            r#type: format!("/api/docs#problem-{}", self.kind.code),
            title: self.kind.title,
            status: self.kind.status,
            detail: &self.detail,
            code: self.code,
            errors: &self.errors,
            correlation_id: exchange.correlation_id().as_str(),
        }
    }
}

/// One sentence for people who read only `detail`.
fn describe(errors: &[FieldError]) -> String {
    match errors {
        [] => "the request has faults".into(),
        [one] if one.field.is_empty() => one.message.clone(),
        [one] => format!("{}: {}", one.field, one.message),
        [first, ..] => format!("{} faults; the first: {}: {}", errors.len(), first.field, first.message),
    }
}

impl From<JsonError> for Problem {
    fn from(error: JsonError) -> Self {
        Self::new(MALFORMED_JSON, error.to_string())
    }
}

impl From<UnsupportedMedia> for Problem {
    fn from(error: UnsupportedMedia) -> Self {
        Self::new(UNSUPPORTED_MEDIA_TYPE, error.to_string())
    }
}

impl From<BodyRefusal> for Problem {
    fn from(refusal: BodyRefusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            BodyRefusal::TooLarge { .. } => Self::new(PAYLOAD_TOO_LARGE, detail),
            BodyRefusal::Encoded => Self::new(UNSUPPORTED_MEDIA_TYPE, detail),
            BodyRefusal::TooSlow => Self::new(REQUEST_TIMEOUT, detail),
            BodyRefusal::Broken => Self::new(BAD_REQUEST, detail),
            BodyRefusal::Overloaded { retry_after_s } => {
                Self::new(OVERLOADED, detail).with_retry_after(retry_after_s)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(list: &[(&str, &'static str)]) -> FieldErrors {
        let mut errors = FieldErrors::new();
        for (field, code) in list {
            errors.push(*field, code, "is wrong");
        }
        errors
    }

    #[test]
    fn the_shape_is_rfc_9457_with_all_faults() {
        let exchange = super::super::exchange::of(&http::Request::new(()).into_parts().0);
        let problem = Problem::validation(errors(&[("/to/1", "invalid_email"), ("/subject", "required")]));
        assert_eq!(
            problem.to_value(&exchange),
            serde_json::json!({
                "type": "/api/docs#problem-validation_failed",
                "title": "The request has faults",
                "status": 422,
                "detail": "2 faults; the first: /to/1: is wrong",
                "code": "validation_failed",
                "errors": [
                    {"field": "/to/1", "code": "invalid_email", "message": "is wrong"},
                    {"field": "/subject", "code": "required", "message": "is wrong"},
                ],
                "correlation_id": "-",
            })
        );
        let response = Problem::new(OVERLOADED, "full").with_retry_after(5).into_response(&exchange);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["retry-after"], "5");
        let bare = Problem::new(NOT_FOUND, "nothing").to_value(&exchange);
        assert_eq!(bare["errors"], serde_json::json!([]), "one shape, with or without faults of fields");
    }

    #[test]
    fn one_kind_of_fault_names_the_problem() {
        let problem = Problem::validation(errors(&[("/from", "from_domain_mismatch")]));
        assert_eq!(problem.code(), "from_domain_mismatch");
        let problem = Problem::validation(errors(&[("/a", "unknown_field"), ("/b", "unknown_field")]));
        assert_eq!(problem.code(), "unknown_field");
    }

    #[test]
    fn codes_are_unique_words() {
        let mut codes: Vec<&str> = KINDS.iter().map(|kind| kind.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), KINDS.len());
        assert!(codes.iter().all(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        assert!(KINDS.iter().all(|kind| StatusCode::from_u16(kind.status).is_ok()));
    }
}
