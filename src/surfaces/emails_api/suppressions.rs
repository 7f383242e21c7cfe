//! `/api/suppressions`: the addresses a client does not write to. Its own keys keep the list: whoever may read email may
//! read it, whoever may send may change it.

use super::emails::call;
use super::list::query;
use super::paths::Segment;
use super::{EmailsApi, refusals};
use crate::admin::NewSuppression;
use crate::surfaces::http::json::reader::{FieldErrors, ObjectReader};
use crate::surfaces::http::problem::Problem;
use crate::surfaces::http::{answer, json, media};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use posthaste_model::Timestamp;
use posthaste_model::credential::Permission;
use posthaste_model::suppression::Suppression;
use posthaste_store::SuppressionFilter;
use serde_json::{Value, json};

const DEFAULT_PAGE: usize = 20;
const LARGEST_PAGE: usize = 100;

/// An entry of the list.
pub fn suppression_shape(entry: &Suppression) -> Value {
    json!({
        "email": entry.email,
        "reason": entry.reason,
        "stream": entry.stream,
        "evidence": entry.evidence,
        "created_at": entry.created_at,
        "expires_at": entry.expires_at,
    })
}

/// What a page of the list asks for.
struct Asked {
    email: Option<String>,
    filter: SuppressionFilter,
    limit: usize,
}

/// `GET /api/suppressions`.
pub(super) async fn list(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    call(&api, &parts, Permission::EmailsRead, async |caller, _| {
        let asked = asked(query(&parts)?)?;
        let (limit, filter) = (asked.limit, asked.filter);
        // One more than is shown tells whether there is a next page.
        let found = api.admin.suppressions(caller.client.id, asked.email.as_deref(), filter, limit + 1).await;
        let mut found = found.map_err(refusals::problem)?;
        let is_more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| is_more).map(|(number, _)| format!("s{number:x}"));
        let data: Vec<_> = found.iter().map(|(_, entry)| suppression_shape(entry)).collect();
        Ok(answer::json(StatusCode::OK, &json!({"data": data, "next_cursor": next})))
    })
    .await
}

fn asked(pairs: Vec<(String, String)>) -> Result<Asked, Problem> {
    let mut asked = Asked { email: None, filter: SuppressionFilter::default(), limit: DEFAULT_PAGE };
    let mut errors = FieldErrors::new();
    for (key, text) in pairs {
        match key.as_str() {
            "email" => asked.email = Some(text),
            "reason" => asked.filter.reason = Some(text),
            "limit" => match text.parse() {
                Ok(limit) if (1..=LARGEST_PAGE).contains(&limit) => asked.limit = limit,
                _ => errors.push("/limit", "out_of_range", format!("must be 1 to {LARGEST_PAGE}")),
            },
            "cursor" => match text.strip_prefix('s').and_then(|hex| i64::from_str_radix(hex, 16).ok()) {
                Some(before) => asked.filter.before = Some(before),
                None => errors.push("/cursor", "invalid_value", "is not a cursor of this list"),
            },
            _ => errors.push(format!("/{key}"), "unknown_field", "is not a parameter of this list"),
        }
    }
    if errors.is_empty() { Ok(asked) } else { Err(Problem::validation(errors)) }
}

/// `POST /api/suppressions`: 201 for an address that was not on the list, 200 for one that was.
pub(super) async fn add(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    call(&api, &parts, Permission::EmailsSend, async |caller, exchange| {
        media::require_json(&parts.headers)?;
        let held = api.bodies.read(&parts, body).await?;
        let new = read(held.bytes())?;
        let actor = super::admin_calls::actor(&caller, &exchange);
        let entered = api.admin.suppress(caller.client.id, &new, &actor).await;
        let (entry, is_new) = entered.map_err(refusals::problem)?;
        let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        Ok(answer::json(status, &suppression_shape(&entry)))
    })
    .await
}

fn read(bytes: &[u8]) -> Result<NewSuppression, Problem> {
    let json = json::parse_body(bytes)?;
    let mut errors = FieldErrors::new();
    let mut new = NewSuppression::default();
    if let Some(mut body) = ObjectReader::new(&json, "", &mut errors) {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        new.email = owned(body.required_text("email")).unwrap_or_default();
        new.reason = owned(body.text("reason"));
        new.stream = owned(body.text("stream"));
        if let Some(text) = body.text("expires_at") {
            match Timestamp::parse(text) {
                Ok(at) => new.expires_at = Some(at),
                Err(_) => body.fault("expires_at", "invalid_value", "must be an RFC 3339 timestamp"),
            }
        }
        body.finish();
    }
    if errors.is_empty() { Ok(new) } else { Err(Problem::validation(errors)) }
}

/// `DELETE /api/suppressions/{email}`, of all streams, or of the one in `?stream=`.
pub(super) async fn remove(
    State(api): State<EmailsApi>,
    Segment(email): Segment,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    call(&api, &parts, Permission::EmailsSend, async |caller, exchange| {
        let pairs = query(&parts)?;
        let stream = pairs.iter().find(|(key, _)| key == "stream").map(|(_, value)| value.as_str());
        let actor = super::admin_calls::actor(&caller, &exchange);
        let removed = api.admin.unsuppress(caller.client.id, &email, stream, &actor).await;
        removed.map_err(refusals::problem)?;
        Ok(answer::empty(StatusCode::NO_CONTENT))
    })
    .await
}
