//! `/api/v1/auth/token*`: an administrator makes, lists, shows and revokes tokens.

use super::MailProxy;
use super::errors::MailProxyError;
use super::given::Given;
use super::language::Said;
use super::mails::Segment;
use crate::admin::{MailToken, NewMailToken, mail_permission};
use crate::surfaces::http::{answer, json};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use posthaste_model::Timestamp;
use posthaste_model::credential::Permission;
use posthaste_model::refusal::Refusal;
use serde_json::{Value, json};
use std::time::Duration;

/// `POST /api/v1/auth/token`.
pub(super) async fn create(State(proxy): State<MailProxy>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    made(&proxy, &parts, body).await.unwrap_or_else(MailProxyError::into_response)
}

async fn made(proxy: &MailProxy, parts: &Parts, body: Body) -> Result<Response, MailProxyError> {
    let (_, actor) = proxy.administrator(parts).await?;
    let held = proxy.small_body(parts, body).await?;
    let new = new_token(&Given::new(&json::parse(&held)?)?)?;
    let (made, token) = proxy.admin.create_mail_token(new, &actor).await?;
    let created_at = made.credential.created_at;
    let body = json!({"token": token, "client_id": made.client_id(), "created_at": created_at});
    let mut response = answer::json(StatusCode::CREATED, &body);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn new_token(given: &Given<'_, '_>) -> Result<NewMailToken, MailProxyError> {
    let client_name = given.required("client_name")?.to_owned();
    let department = given.text("department")?.filter(|text| !text.trim().is_empty()).map(str::to_owned);
    let words = given.list("permissions")?.ok_or_else(|| MailProxyError::missing("permissions"))?;
    let mut permissions = Vec::with_capacity(words.len().min(Permission::ALL.len()));
    for word in words {
        let word = word.as_str().ok_or_else(|| MailProxyError::request("permissions must be strings"))?;
        let permission = mail_permission(word).ok_or_else(|| {
            MailProxyError::request("permissions are mail:send, mail:read, mail:cancel and admin")
        })?;
        if !permissions.contains(&permission) {
            permissions.push(permission);
        }
    }
    let seconds = given.integer("expires_in")?;
    let out_of_range = |_| MailProxyError::request("expires_in is a number of seconds, at least 1");
    let expires_in = seconds.map(u64::try_from).transpose().map_err(out_of_range)?;
    Ok(NewMailToken { client_name, department, permissions, expires_in: expires_in.map(Duration::from_secs) })
}

/// `GET /api/v1/auth/tokens`.
pub(super) async fn list(State(proxy): State<MailProxy>, headers: HeaderMap) -> Response {
    let found = async {
        proxy.caller(&headers, Permission::Admin).await?;
        let (tokens, now) = (proxy.admin.mail_tokens().await?, proxy.clock.now());
        let data: Vec<Value> = tokens.iter().map(|token| shape(token, now)).collect();
        Ok::<_, MailProxyError>(answer::json(StatusCode::OK, &json!({"total": data.len(), "data": data})))
    };
    found.await.unwrap_or_else(MailProxyError::into_response)
}

/// `GET /api/v1/auth/token/{id}`.
pub(super) async fn show(State(proxy): State<MailProxy>, given: Segment, headers: HeaderMap) -> Response {
    let found = async {
        proxy.caller(&headers, Permission::Admin).await?;
        let tokens = proxy.admin.mail_tokens_named(name_of(&given)).await.map_err(refused)?;
        let token = tokens.first().ok_or_else(token_not_found)?;
        Ok::<_, MailProxyError>(answer::json(StatusCode::OK, &shape(token, proxy.clock.now())))
    };
    found.await.unwrap_or_else(MailProxyError::into_response)
}

/// `DELETE /api/v1/auth/token/{id}`.
pub(super) async fn revoke(
    State(proxy): State<MailProxy>,
    given: Segment,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    let revoked = async {
        let (_, actor) = proxy.administrator(&parts).await?;
        proxy.admin.revoke_mail_tokens(name_of(&given), &actor).await.map_err(refused)?;
        let said = Said::TokenRevoked.in_language_of(&parts.headers);
        Ok::<_, MailProxyError>(answer::json(StatusCode::OK, &json!({"success": true, "message": said})))
    };
    revoked.await.unwrap_or_else(MailProxyError::into_response)
}

fn name_of(given: &Segment) -> &str {
    given.as_ref().map(|Path(text)| text.as_str()).unwrap_or_default()
}

fn token_not_found() -> MailProxyError {
    MailProxyError::new(StatusCode::NOT_FOUND, "token_not_found", "Token not found")
}

fn refused(refusal: Refusal) -> MailProxyError {
    match refusal {
        Refusal::NotFound => token_not_found(),
        other => other.into(),
    }
}

fn shape(token: &MailToken, now: Timestamp) -> Value {
    json!({
        "id": token.credential.id,
        "client_id": token.client_id(),
        "client_name": token.client.name,
        "department": token.client.department,
        "permissions": token.permissions(),
        "is_active": token.credential.is_usable(now),
        "created_at": token.credential.created_at,
        "revoked_at": token.credential.revoked_at,
    })
}
