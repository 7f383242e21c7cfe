//! `GET /api/openapi.json` and `GET /api/docs`: open to everyone, the same on every server of a version.

use super::openapi;
use crate::surfaces::http::answer;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use http::{HeaderValue, StatusCode};
use std::sync::LazyLock;

static DOCUMENT: LazyLock<String> = LazyLock::new(|| openapi::document().to_string());
static PAGE: LazyLock<String> = LazyLock::new(|| openapi::page("/api/docs.css"));

/// `GET /api/openapi.json`.
pub(super) async fn document() -> Response {
    answer::bytes_as(StatusCode::OK, answer::JSON, DOCUMENT.as_str())
}

/// `GET /api/docs`.
pub(super) async fn page() -> Response {
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    let mut response = answer::bytes_as(StatusCode::OK, html, PAGE.as_str());
    let policy =
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

/// The page's style.
pub(super) async fn style() -> Response {
    let css = HeaderValue::from_static("text/css; charset=utf-8");
    let mut response = answer::bytes_as(StatusCode::OK, css, openapi::STYLE);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}
