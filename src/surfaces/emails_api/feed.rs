//! `GET /api/events`: the client's email events to be fetched behind a cursor, for those who cannot be called.

use super::emails::call;
use super::list::query;
use super::{EmailsApi, refusals};
use crate::surfaces::http::answer;
use crate::surfaces::http::json::reader::FieldErrors;
use crate::surfaces::http::problem::Problem;
use crate::webhooks::message::{body, public_name};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use posthaste_model::credential::Permission;
use posthaste_store::ClientEvent;
use serde_json::{Value, json};

/// Events in an answer.
const DEFAULT_PAGE: usize = 100;
const LARGEST_PAGE: usize = 500;
/// Pages of the store that one request may look through for events of interest.
const PAGES: usize = 20;

/// `GET /api/events?after&limit`: `next_after` is where the next request goes on; it comes with an empty page too.
pub(super) async fn read(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    call(&api, &parts, Permission::EmailsRead, async |caller, _| {
        let (mut after, limit) = asked(&parts)?;
        let mut data: Vec<Value> = Vec::new();
        for _ in 0..PAGES {
            let room = limit - data.len();
            let page = api.store.events_after(caller.client.id, after, room).await;
            let page = page.map_err(|error| refusals::store(&error))?;
            let is_end = page.after == after;
            after = page.after;
            data.extend(page.events.iter().filter_map(shown));
            if is_end || data.len() >= limit {
                break;
            }
        }
        Ok(answer::json(StatusCode::OK, &json!({"data": data, "next_after": after})))
    })
    .await
}

fn shown(found: &ClientEvent) -> Option<Value> {
    let mut shown = body(found, public_name(found.event.event.kind)?);
    shown["id"] = found.event.id.into();
    Some(shown)
}

fn asked(parts: &http::request::Parts) -> Result<(i64, usize), Problem> {
    let (mut after, mut limit) = (0, DEFAULT_PAGE);
    let mut errors = FieldErrors::new();
    for (key, text) in query(parts)? {
        match (key.as_str(), text.parse::<i64>()) {
            // Empty as a reader has it that has read nothing yet.
            ("after", _) if text.is_empty() => {}
            ("after", Ok(number)) if number >= 0 => after = number,
            ("limit", Ok(given)) if (1..=LARGEST_PAGE as i64).contains(&given) => limit = given as usize,
            ("after", _) => errors.push("/after", "invalid_value", "must be the id of an event, or 0"),
            ("limit", _) => errors.push("/limit", "out_of_range", "must be 1 to 500"),
            _ => errors.push(format!("/{key}"), "unknown_field", "is not a parameter of this request"),
        }
    }
    if errors.is_empty() { Ok((after, limit)) } else { Err(Problem::validation(errors)) }
}
