//! `/api/clients`, `/api/keys`, `/api/domains`, `/api/audit` and the erasure of a recipient: the operator's calls, all
//! under the permission `admin`, which no other permission includes.

mod eo_events;
mod shapes;

pub use shapes::{domain as domain_shape, domain_dns as domain_dns_shape, key as key_shape};

use super::emails::{call, not_found};
use super::list::query;
use super::paths::Segment;
use super::{EmailsApi, refusals};
use crate::admin::{Actor, AuditFilter, ClientChange, DomainChange, NewClient, NewDomain, NewKey};
use crate::auth::Caller;
use crate::config::parse_duration;
use crate::surfaces::http::exchange::Exchange;
use crate::surfaces::http::json::reader::{FieldErrors, ObjectReader};
use crate::surfaces::http::problem::Problem;
use crate::surfaces::http::{answer, json, media};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{delete, get, patch, post};
use http::{Request, StatusCode};
use posthaste_model::client::Retention;
use posthaste_model::credential::{KeyMode, Permission};
use posthaste_model::refusal::Refusal;
use posthaste_model::{CredentialId, Rate, Timestamp};
use serde_json::json;
use std::time::Duration;

/// How long a rotated key goes on working unless told otherwise.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// Audit entries in an answer.
const DEFAULT_PAGE: usize = 20;
const LARGEST_PAGE: usize = 100;

/// The routes of these calls.
pub(super) fn routes() -> Router<EmailsApi> {
    Router::new()
        .route("/api/clients", get(clients).post(create_client))
        .route("/api/clients/{client}", patch(change_client))
        .route("/api/keys", get(keys).post(create_key))
        .route("/api/keys/{id}", delete(revoke_key))
        .route("/api/keys/{id}/rotate", post(rotate_key))
        .route("/api/domains", get(domains).post(create_domain))
        .route("/api/domains/{name}", patch(change_domain))
        .route("/api/eo-events", get(eo_events::list).post(eo_events::create))
        .route("/api/domains/{name}/dns", get(domain_dns))
        .route("/api/audit", get(audit))
        .route("/api/recipients/{address}", delete(erase_recipient))
}

/// Who makes a change, for the audit.
pub(super) fn actor(caller: &Caller, exchange: &Exchange) -> Actor {
    Actor {
        kind: "api".to_owned(),
        id: Some(caller.credential.id.to_string()),
        address: Some(exchange.client_address().to_string()),
    }
}

/// Reads the body as one JSON object; `read` takes its fields, all faults are told at once.
pub(super) async fn object<T>(
    api: &EmailsApi,
    parts: &http::request::Parts,
    body: Body,
    read: impl FnOnce(&mut ObjectReader<'_, '_, '_>) -> T,
) -> Result<T, Problem> {
    media::require_json(&parts.headers)?;
    let held = api.bodies.read(parts, body).await?;
    fields(held.bytes(), read)
}

/// The fields of one JSON object.
fn fields<T>(bytes: &[u8], read: impl FnOnce(&mut ObjectReader<'_, '_, '_>) -> T) -> Result<T, Problem> {
    let json = json::parse_body(bytes)?;
    let mut errors = FieldErrors::new();
    let mut value = None;
    if let Some(mut reader) = ObjectReader::new(&json, "", &mut errors) {
        value = Some(read(&mut reader));
        reader.finish();
    }
    value.filter(|_| errors.is_empty()).ok_or_else(|| Problem::validation(errors))
}

/// Reads a member with `parse`; what it cannot read is a fault with `right` as its message.
fn parsed<T>(
    reader: &mut ObjectReader<'_, '_, '_>,
    name: &str,
    right: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let text = reader.text(name)?;
    let value = parse(text);
    if value.is_none() {
        reader.fault(name, "invalid_value", right);
    }
    value
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

/// `GET /api/clients`.
async fn clients(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    call(&api, &parts, Permission::Admin, async |_, _| {
        let clients = api.admin.clients().await.map_err(refusals::problem)?;
        let data: Vec<_> = clients.iter().map(shapes::client).collect();
        Ok(answer::json(StatusCode::OK, &json!({ "data": data })))
    })
    .await
}

/// `POST /api/clients`.
async fn create_client(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    call(&api, &parts, Permission::Admin, async |caller, exchange| {
        let new = object(&api, &parts, body, |reader| NewClient {
            name: owned(reader.required_text("name")).unwrap_or_default(),
            department: owned(reader.text("department")),
            retention: Retention {
                bodies: kept(reader, "retain_bodies"),
                records: kept(reader, "retain_records"),
            },
        })
        .await?;
        let client = api.admin.create_client(new, &actor(&caller, &exchange)).await;
        Ok(answer::json(StatusCode::CREATED, &shapes::client(&client.map_err(refusals::problem)?)))
    })
    .await
}

/// `PATCH /api/clients/{client}`: what is left out stays; `null` means as long as the installation says.
async fn change_client(
    State(api): State<EmailsApi>,
    Segment(client): Segment,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    call(&api, &parts, Permission::Admin, async |caller, exchange| {
        let change = object(&api, &parts, body, |reader| ClientChange {
            retain_bodies: reader.has("retain_bodies").then(|| kept(reader, "retain_bodies")),
            retain_records: reader.has("retain_records").then(|| kept(reader, "retain_records")),
            is_active: reader.boolean("is_active"),
        })
        .await?;
        if change.is_active == Some(false) {
            let meant = api.admin.client(&client).await.map_err(refusals::problem)?;
            if meant.id == caller.client.id {
                let why = "the client that asks cannot switch itself off".to_owned();
                return Err(refusals::problem(Refusal::Conflict(why)));
            }
        }
        let changed = api.admin.change_client(&client, change, &actor(&caller, &exchange)).await;
        Ok(answer::json(StatusCode::OK, &shapes::client(&changed.map_err(refusals::problem)?)))
    })
    .await
}

fn kept(reader: &mut ObjectReader<'_, '_, '_>, name: &str) -> Option<Duration> {
    parsed(reader, name, "must be a duration such as 30d", parse_duration)
}

/// `GET /api/keys`.
async fn keys(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    call(&api, &parts, Permission::Admin, async |_, _| {
        let keys = api.admin.keys(None).await.map_err(refusals::problem)?;
        let data: Vec<_> = keys.iter().map(shapes::key).collect();
        Ok(answer::json(StatusCode::OK, &json!({ "data": data })))
    })
    .await
}

/// `POST /api/keys`: the key itself stands in this answer and nowhere else.
async fn create_key(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    call(&api, &parts, Permission::Admin, async |caller, exchange| {
        let new = object(&api, &parts, body, new_key).await?;
        let made = api.admin.create_key(new, &actor(&caller, &exchange)).await.map_err(refusals::problem)?;
        Ok(answer::json(StatusCode::CREATED, &shapes::created_key(&made)))
    })
    .await
}

fn new_key(reader: &mut ObjectReader<'_, '_, '_>) -> NewKey {
    let mut new = NewKey::new(reader.required_text("client").unwrap_or_default());
    new.name = owned(reader.text("name"));
    if let Some(mode) = parsed(reader, "mode", "must be live or test", KeyMode::parse) {
        new.mode = mode;
    }
    if let Some(words) = reader.array("permissions") {
        if words.is_empty() {
            // An empty list would read like "none" and be taken for "the usual ones".
            reader.fault("permissions", "invalid_value", "must name at least one permission, or be left out");
        }
        for (index, word) in words.iter().enumerate() {
            match word.as_str().map(Permission::parse) {
                Some(Some(permission)) => new.permissions.push(permission),
                Some(None) => {
                    let message = "names a permission that does not exist";
                    reader.fault_at("permissions", index, "invalid_value", message);
                }
                None => reader.wrong_element("permissions", index, "a string", word),
            }
        }
    }
    new.domain = owned(reader.text("domain"));
    new.rate_limit =
        parsed(reader, "rate_limit", "must be a rate such as 60/min", |text| Rate::parse(text).ok());
    let right = "must be an RFC 3339 timestamp";
    new.expires_at = parsed(reader, "expires_at", right, |text| Timestamp::parse(text).ok());
    new
}

fn key_id(text: &str) -> Result<CredentialId, Problem> {
    text.parse().map_err(|_| not_found())
}

/// The overlap that a rotation asks for, if it asks.
pub(super) async fn overlap(
    api: &EmailsApi,
    parts: &http::request::Parts,
    body: Body,
) -> Result<Option<Duration>, Problem> {
    let held = api.bodies.read(parts, body).await?;
    if held.is_empty() {
        return Ok(None);
    }
    media::require_json(&parts.headers)?;
    fields(held.bytes(), |reader| parsed(reader, "overlap", "must be a duration such as 24h", parse_duration))
}

/// `POST /api/keys/{id}/rotate`.
async fn rotate_key(State(api): State<EmailsApi>, Segment(id): Segment, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    call(&api, &parts, Permission::Admin, async |caller, exchange| {
        let id = key_id(&id)?;
        let overlap = overlap(&api, &parts, body).await?.unwrap_or(OVERLAP);
        let made = api.admin.rotate_key(id, overlap, &actor(&caller, &exchange)).await;
        let made = made.map_err(refusals::problem)?;
        Ok(answer::json(StatusCode::CREATED, &shapes::created_key(&made)))
    })
    .await
}

/// `DELETE /api/keys/{id}`.
async fn revoke_key(State(api): State<EmailsApi>, Segment(id): Segment, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    call(&api, &parts, Permission::Admin, async |caller, exchange| {
        let revoked = api.admin.revoke_key(key_id(&id)?, &actor(&caller, &exchange)).await;
        revoked.map_err(refusals::problem)?;
        Ok(answer::empty(StatusCode::NO_CONTENT))
    })
    .await
}

/// `GET /api/domains`.
async fn domains(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    call(&api, &parts, Permission::Admin, async |_, _| {
        let domains = api.admin.domains().await.map_err(refusals::problem)?;
        let data: Vec<_> = domains.iter().map(shapes::domain).collect();
        Ok(answer::json(StatusCode::OK, &json!({ "data": data })))
    })
    .await
}

/// `POST /api/domains`.
async fn create_domain(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    call(&api, &parts, Permission::Admin, async |caller, exchange| {
        let (name, client, default_from) = object(&api, &parts, body, |reader| {
            let name = owned(reader.required_text("name")).unwrap_or_default();
            (name, owned(reader.text("client")), owned(reader.text("default_from")))
        })
        .await?;
        let new = NewDomain { name, client, default_from };
        let made = api.admin.create_domain(new, &actor(&caller, &exchange)).await;
        Ok(answer::json(StatusCode::CREATED, &shapes::domain(&made.map_err(refusals::problem)?)))
    })
    .await
}

/// `PATCH /api/domains/{name}`: what is left out stays; `"default_from": null` takes the default sender away.
async fn change_domain(
    State(api): State<EmailsApi>,
    Segment(name): Segment,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    call(&api, &parts, Permission::Admin, async |caller, exchange| {
        let change = object(&api, &parts, body, |reader| DomainChange {
            default_from: reader.has("default_from").then(|| owned(reader.text("default_from"))),
            bounce_webhook_enabled: reader.boolean("bounce_webhook_enabled"),
        })
        .await?;
        let changed = api.admin.update_domain(&name, change, &actor(&caller, &exchange)).await;
        Ok(answer::json(StatusCode::OK, &shapes::domain(&changed.map_err(refusals::problem)?)))
    })
    .await
}

/// `GET /api/domains/{name}/dns`: the records to publish, and what DNS answers now.
async fn domain_dns(
    State(api): State<EmailsApi>,
    Segment(name): Segment,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    call(&api, &parts, Permission::Admin, async |_, _| {
        let found = api.admin.domain_dns(&name).await.map_err(refusals::problem)?;
        Ok(answer::json(StatusCode::OK, &shapes::domain_dns(&found)))
    })
    .await
}

/// `GET /api/audit?before&limit`.
async fn audit(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    call(&api, &parts, Permission::Admin, async |_, _| {
        let (mut before, mut limit) = (None, DEFAULT_PAGE);
        let mut errors = FieldErrors::new();
        for (key, text) in query(&parts)? {
            match (key.as_str(), text.parse::<i64>()) {
                ("before", Ok(id)) if id > 0 => before = Some(id),
                ("limit", Ok(given)) if (1..=LARGEST_PAGE as i64).contains(&given) => limit = given as usize,
                ("before", _) => errors.push("/before", "invalid_value", "must be an entry's id"),
                ("limit", _) => errors.push("/limit", "out_of_range", "must be 1 to 100"),
                _ => errors.push(format!("/{key}"), "unknown_field", "is not a parameter of this request"),
            }
        }
        if !errors.is_empty() {
            return Err(Problem::validation(errors));
        }
        // One more than asked for tells whether there is a next page.
        let found = api.admin.audit(before, limit + 1, &AuditFilter::default()).await;
        let mut entries = found.map_err(refusals::problem)?;
        let has_more = entries.len() > limit;
        entries.truncate(limit);
        let next_before = entries.last().filter(|_| has_more).map(|entry| entry.id);
        let data: Vec<_> = entries.iter().map(shapes::audit_entry).collect();
        Ok(answer::json(StatusCode::OK, &json!({"data": data, "next_before": next_before})))
    })
    .await
}

/// `DELETE /api/recipients/{address}`.
async fn erase_recipient(
    State(api): State<EmailsApi>,
    Segment(address): Segment,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    call(&api, &parts, Permission::Admin, async |caller, exchange| {
        let erased = api.admin.erase_recipient(&address).await.map_err(refusals::problem)?;
        // Who asked is logged; whom it was about is not, or it would not be erased.
        tracing::info!(
            credential.id = %caller.credential.id,
            correlation.id = exchange.correlation_id().as_str(),
            emails = erased.emails,
            "a recipient was erased"
        );
        Ok(answer::json(StatusCode::OK, &shapes::erased(&erased)))
    })
    .await
}
