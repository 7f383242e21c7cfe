//! What came of a change, where leading back is not enough: a secret that is shown once, or a refusal.

use crate::surfaces::web;
use crate::surfaces::web::shell::Shell;
use crate::surfaces::web::visitor::Visitor;
use askama::Template;
use axum::response::Response;
use http::StatusCode;
use posthaste_model::refusal::Refusal;

#[derive(Template)]
#[template(path = "dashboard/result.html")]
struct ResultPage {
    shell: Shell,
    title: String,
    said: Vec<String>,
    secret: String,
    back: String,
    is_fault: bool,
}

/// A secret, shown this once.
pub(super) fn secret(visitor: &Visitor, title: &str, secret: &str, back: &str) -> Response {
    let page = ResultPage {
        shell: Shell::of(visitor, ""),
        title: title.to_owned(),
        said: vec!["It is shown this once. Keep it now.".into()],
        secret: secret.to_owned(),
        back: back.to_owned(),
        is_fault: false,
    };
    visitor.finish(web::page(StatusCode::OK, &page))
}

/// Why a change was refused.
pub(super) fn refused(visitor: &Visitor, refusal: &Refusal, back: &str) -> Response {
    let (status, said) = match refusal {
        Refusal::Invalid(faults) => {
            (StatusCode::UNPROCESSABLE_ENTITY, faults.iter().map(|fault| fault.message.clone()).collect())
        }
        Refusal::TooLarge(fault) => (StatusCode::PAYLOAD_TOO_LARGE, vec![fault.message.clone()]),
        Refusal::NotFound => (StatusCode::NOT_FOUND, vec!["There is no such thing.".into()]),
        Refusal::Conflict(what) => (StatusCode::CONFLICT, vec![what.clone()]),
        Refusal::CannotCancel(status) => {
            (StatusCode::CONFLICT, vec![format!("It is {status}: it can no longer be cancelled.")])
        }
        Refusal::PermissionDenied(_) | Refusal::CredentialGone => {
            (StatusCode::FORBIDDEN, vec!["That is not allowed.".into()])
        }
        Refusal::IdempotencyKeyReused | Refusal::IdempotencyKeyInUse => {
            (StatusCode::CONFLICT, vec!["The same request runs already.".into()])
        }
        Refusal::Unavailable { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, vec!["The store does not answer. Try again.".into()])
        }
    };
    let page = ResultPage {
        shell: Shell::of(visitor, ""),
        title: "That did not work".into(),
        said,
        secret: String::new(),
        back: back.to_owned(),
        is_fault: true,
    };
    visitor.finish(web::page(status, &page))
}
