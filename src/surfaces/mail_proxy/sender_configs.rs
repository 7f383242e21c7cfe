//! `/api/v1/auth/sender-config*`: the Microsoft credentials with which the calling client sends as its addresses.

use super::MailProxy;
use super::errors::MailProxyError;
use super::given::Given;
use super::language::Said;
use super::mails::Segment;
use crate::admin::{NewSenderConfig, SenderConfigPatch, ShownSenderConfig};
use crate::surfaces::http::{answer, json};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, Request, StatusCode};
use posthaste_model::credential::Permission;
use posthaste_model::refusal::{FaultCode, Refusal};
use posthaste_model::{Secret, SenderConfigId};
use serde_json::{Value, json};

/// `POST /api/v1/auth/sender-config`.
pub(super) async fn create(State(proxy): State<MailProxy>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    made(&proxy, &parts, body).await.unwrap_or_else(MailProxyError::into_response)
}

async fn made(proxy: &MailProxy, parts: &Parts, body: Body) -> Result<Response, MailProxyError> {
    let (caller, actor) = proxy.administrator(parts).await?;
    let held = proxy.small_body(parts, body).await?;
    let json = json::parse(&held)?;
    let given = Given::new(&json)?;
    let new = NewSenderConfig {
        sender_email: given.required("sender_email")?.to_owned(),
        ms_tenant_id: given.required("ms_tenant_id")?.to_owned(),
        ms_client_id: given.required("ms_client_id")?.to_owned(),
        ms_client_secret: Secret::new(given.required("ms_client_secret")?),
    };
    let made = proxy.admin.create_sender_config(caller.client.id, &proxy.organization, new, &actor).await;
    let made = made.map_err(refused)?;
    Ok(answer::json(StatusCode::CREATED, &json!({"success": true, "data": shape(&made)})))
}

/// `GET /api/v1/auth/sender-configs`.
pub(super) async fn list(State(proxy): State<MailProxy>, headers: HeaderMap) -> Response {
    let found = async {
        let caller = proxy.caller(&headers, Permission::Admin).await?;
        let configs = proxy.admin.sender_configs(caller.client.id).await?;
        let data: Vec<Value> = configs.iter().map(shape).collect();
        let body = json!({"success": true, "total": data.len(), "data": data});
        Ok::<_, MailProxyError>(answer::json(StatusCode::OK, &body))
    };
    found.await.unwrap_or_else(MailProxyError::into_response)
}

/// `GET /api/v1/auth/sender-config/{id}`.
pub(super) async fn show(State(proxy): State<MailProxy>, given: Segment, headers: HeaderMap) -> Response {
    let found = async {
        let caller = proxy.caller(&headers, Permission::Admin).await?;
        let config = proxy.admin.sender_config(caller.client.id, id_of(&given)?).await.map_err(refused)?;
        Ok::<_, MailProxyError>(one(&config))
    };
    found.await.unwrap_or_else(MailProxyError::into_response)
}

/// `PUT /api/v1/auth/sender-config/{id}`.
pub(super) async fn update(
    State(proxy): State<MailProxy>,
    given: Segment,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    changed(&proxy, &given, &parts, body).await.unwrap_or_else(MailProxyError::into_response)
}

async fn changed(
    proxy: &MailProxy,
    given: &Segment,
    parts: &Parts,
    body: Body,
) -> Result<Response, MailProxyError> {
    let (caller, actor) = proxy.administrator(parts).await?;
    let held = proxy.small_body(parts, body).await?;
    let json = json::parse(&held)?;
    let fields = Given::new(&json)?;
    let id = id_of(given)?;
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let patch = SenderConfigPatch {
        ms_tenant_id: owned(fields.text("ms_tenant_id")?),
        ms_client_id: owned(fields.text("ms_client_id")?),
        ms_client_secret: fields.text("ms_client_secret")?.map(Secret::new),
        is_active: fields.flag("is_active")?,
    };
    let changed = proxy.admin.update_sender_config(caller.client.id, id, patch, &actor).await;
    Ok(one(&changed.map_err(refused)?))
}

/// `DELETE /api/v1/auth/sender-config/{id}`.
pub(super) async fn remove(
    State(proxy): State<MailProxy>,
    given: Segment,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    let removed = async {
        let (caller, actor) = proxy.administrator(&parts).await?;
        let removed = proxy.admin.delete_sender_config(caller.client.id, id_of(&given)?, &actor).await;
        removed.map_err(refused)?;
        let said = Said::ConfigDeleted.in_language_of(&parts.headers);
        Ok::<_, MailProxyError>(answer::json(StatusCode::OK, &json!({"success": true, "message": said})))
    };
    removed.await.unwrap_or_else(MailProxyError::into_response)
}

fn id_of(given: &Segment) -> Result<SenderConfigId, MailProxyError> {
    let text = given.as_ref().map(|Path(text)| text.as_str()).unwrap_or_default();
    text.parse().map_err(|_| not_found())
}

fn not_found() -> MailProxyError {
    MailProxyError::new(StatusCode::NOT_FOUND, "sender_config_not_found", "Sender config not found")
}

fn refused(refusal: Refusal) -> MailProxyError {
    match refusal {
        Refusal::NotFound => not_found(),
        Refusal::Conflict(message) => {
            MailProxyError::new(StatusCode::CONFLICT, "sender_config_exists", message)
        }
        Refusal::Invalid(faults) => match faults.first() {
            Some(fault) if fault.code == FaultCode::InvalidDomain => {
                MailProxyError::bad("invalid_sender_domain", fault.message.clone())
            }
            _ => Refusal::Invalid(faults).into(),
        },
        other => other.into(),
    }
}

fn one(config: &ShownSenderConfig) -> Response {
    answer::json(StatusCode::OK, &json!({"success": true, "data": shape(config)}))
}

fn shape(shown: &ShownSenderConfig) -> Value {
    let config = &shown.config;
    json!({
        "id": config.id,
        "sender_email": config.sender_email,
        "ms_tenant_id": config.ms_tenant_id,
        "ms_client_id": config.ms_client_id,
        "ms_client_secret_masked": shown.masked,
        "is_active": config.is_active,
        "created_at": config.created_at,
    })
}
