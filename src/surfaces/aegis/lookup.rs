//! `GET /send/{messageId}/status`: what became of a message, for whoever knows its id. Tells no address, subject or body.

use super::redact::without_addresses;
use super::{Aegis, AegisError, time};
use crate::live::EmailStatus;
use crate::surfaces::http::answer;
use crate::surfaces::http::form::Fields;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Request, StatusCode};
use posthaste_model::aegis::parse_message_id;
use posthaste_model::event::EventKind;
use posthaste_model::{Status, Timestamp};
use serde_json::json;

/// The handler.
pub(super) async fn status(
    State(aegis): State<Aegis>,
    path: Result<Path<String>, axum::extract::rejection::PathRejection>,
    request: Request<Body>,
) -> Response {
    let query = request.uri().query().unwrap_or_default();
    let found = match path {
        Ok(Path(id)) => find(&aegis, &id, query).await,
        // What is no UTF-8 is no id.
        Err(_) => Err(AegisError::not_found()),
    };
    let mut response = found.unwrap_or_else(|error| error.into_response(aegis.clock.now()));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn find(aegis: &Aegis, id: &str, query: &str) -> Result<Response, AegisError> {
    is_date(query)?;
    let (client, email) = parse_message_id(id).ok_or_else(AegisError::not_found)?;
    let found = aegis.live.status(client, email).await?.ok_or_else(AegisError::not_found)?;
    let (status, message) = shown(found.status);
    let mut body = json!({
        "message_id": id,
        "lookup_date": found.requested_at.date(),
        "timestamp": time::instant(aegis.clock.now()),
        "status": status,
        "message": message,
    });
    if status == "failed" {
        body["details"] = json!({
            "message_id": id,
            "failed_at": time::instant(failed_at(aegis, &found).await?),
            "attempts": found.attempts,
            "last_error": last_error(aegis, &found).await?,
        });
    }
    Ok(answer::json(StatusCode::OK, &body))
}

/// The hint is only looked at: the id itself says where the message is.
fn is_date(query: &str) -> Result<(), AegisError> {
    let bad = |message: &str| AegisError::field("INVALID_DATE", "date", message);
    let fields = Fields::of_query(query).map_err(|_| bad("The query cannot be read"))?;
    let is_plain = |date: &str| {
        date.bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() })
    };
    match fields.get("date") {
        Some(date) if !is_plain(date) || date.parse::<jiff::civil::Date>().is_err() => {
            Err(bad("Invalid date format. Use YYYY-MM-DD"))
        }
        _ => Ok(()),
    }
}

/// The status as Aegis has it, with its words.
fn shown(status: Status) -> (&'static str, &'static str) {
    match status {
        Status::Scheduled | Status::Queued => ("queued", "Email is queued"),
        Status::Processing => ("processing", "Email is being sent"),
        Status::Sent | Status::Delivered | Status::Complained => ("sent", "Email delivered successfully"),
        Status::Bounced | Status::Failed | Status::Cancelled => ("failed", "Email delivery failed"),
    }
}

/// When it failed: news that came later changed it, too.
async fn failed_at(aegis: &Aegis, found: &EmailStatus) -> Result<Timestamp, AegisError> {
    let events = aegis.store.events(found.client_id, found.email_id).await?;
    let ends =
        |kind: EventKind| matches!(kind, EventKind::Failed | EventKind::Bounced | EventKind::Cancelled);
    let end = events.iter().rfind(|one| ends(one.event.kind));
    Ok(end.map_or(found.updated_at, |one| one.event.at))
}

/// Why it failed, without anybody's address.
async fn last_error(aegis: &Aegis, found: &EmailStatus) -> Result<String, AegisError> {
    if found.status == Status::Cancelled {
        return Ok("cancelled".to_owned());
    }
    let said = found.failure.as_ref().map(|(_, message)| message.as_str()).or(found.error.as_deref());
    let Some(said) = said else { return Ok("unknown".to_owned()) };
    let record = aegis.store.email(found.client_id, found.email_id).await?;
    let mut known = Vec::new();
    if let Some(record) = &record {
        known.push(record.email.from.address.as_str());
        known.extend(record.email.recipients.iter().map(|one| one.mailbox.address.as_str()));
    }
    Ok(without_addresses(said, &known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_a_whole_date() {
        for good in ["", "date=2024-08-02", "other=1", "date=2024-02-29"] {
            assert!(is_date(good).is_ok(), "{good}");
        }
        for bad in [
            "date=",
            "date=2024-8-2",
            "date=02.08.2024",
            "date=2023-02-29",
            "date=2024-08-02T00:00:00Z",
            "date=x",
        ] {
            assert_eq!(is_date(bad).map_err(|error| error.code()), Err("INVALID_DATE"), "{bad}");
        }
    }
}
