//! `GET /api/openapi.json` and `GET /api/docs`: open to everyone, the same on every server of a version.

use super::{EmailsApi, entry, openapi};
use crate::surfaces::http::{answer, exchange};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use http::{HeaderValue, Request, StatusCode};
use std::sync::LazyLock;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| openapi::document().to_string());
static PAGE: LazyLock<String> = LazyLock::new(|| openapi::page("/api/docs.css"));

/// `GET /api/openapi.json`.
pub(super) async fn document(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let answer = answer::bytes_as(StatusCode::OK, answer::JSON, DOCUMENT.as_str());
    entry::open(&api, &exchange::of(&parts), answer).await
}

/// `GET /api/docs`.
pub(super) async fn page(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    let mut response = answer::bytes_as(StatusCode::OK, html, PAGE.as_str());
    let policy =
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    entry::open(&api, &exchange::of(&parts), response).await
}

/// The page's style.
pub(super) async fn style() -> Response {
    let css = HeaderValue::from_static("text/css; charset=utf-8");
    let mut response = answer::bytes_as(StatusCode::OK, css, openapi::STYLE);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}
