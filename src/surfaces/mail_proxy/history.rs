//! `GET /api/v1/mail/history`: the calling client's own mail, newest first, by number of page.
//!
//! The store pages by cursor, so that a page costs what it shows. A page by number is found by walking to it from the
//! newest; one that lies deep by first leaping over whole hours, whose numbers of mail the store keeps.

use super::MailProxy;
use super::errors::MailProxyError;
use crate::surfaces::http::answer;
use crate::surfaces::http::form::Fields;
use crate::surfaces::outward_status;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use posthaste_model::credential::Permission;
use posthaste_model::{ClientId, Status, Timestamp};
use posthaste_store::{Cursor, EmailFilter, EmailSummary, Store};
use serde_json::{Value, json};

const DEFAULT_LIMIT: usize = 20;
const LARGEST_LIMIT: usize = 100;
/// The longest page the store gives.
const STEP: usize = 1_000;
/// Mail that is walked over at most, to find a page.
const WALK: u64 = 10_000;
const HOUR_MS: i64 = 3_600_000;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    page: u64,
    limit: usize,
    statuses: Vec<Status>,
}

/// The handler.
pub(super) async fn page(
    State(proxy): State<MailProxy>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let found = async {
        let caller = proxy.caller(&headers, Permission::EmailsRead).await?;
        let asked = read(query.as_deref().unwrap_or_default())?;
        let filter = EmailFilter { statuses: asked.statuses, ..EmailFilter::default() };
        let client = caller.client.id;
        let total = proxy.store.count(client, &filter).await?;
        let before = (asked.page - 1).saturating_mul(asked.limit as u64);
        let rows = if before >= total {
            Vec::new()
        } else {
            rows(&proxy.store, client, filter, (before, asked.limit), proxy.clock.now()).await?
        };
        let data: Vec<Value> = rows.iter().map(shape).collect();
        let body = json!({"total": total, "page": asked.page, "limit": asked.limit, "data": data});
        Ok::<_, MailProxyError>(answer::json(StatusCode::OK, &body))
    };
    found.await.unwrap_or_else(MailProxyError::into_response)
}

fn read(query: &str) -> Result<Asked, MailProxyError> {
    let fields = Fields::of_query(query).map_err(|error| MailProxyError::request(error.to_string()))?;
    if let Some(name) = fields.repeated() {
        return Err(MailProxyError::request(format!("{name} stands more than once")));
    }
    let number = |name: &str, default: u64, most: u64| match fields.get(name) {
        None | Some("") => Ok(default),
        Some(text) => text
            .parse()
            .ok()
            .filter(|number| (1..=most).contains(number))
            .ok_or_else(|| MailProxyError::request(format!("{name} is a whole number from 1 to {most}"))),
    };
    let limit = number("limit", DEFAULT_LIMIT as u64, LARGEST_LIMIT as u64)?;
    let statuses = match fields.get("status") {
        None | Some("") => Vec::new(),
        Some(word) => {
            let shown_so = |status: &Status| outward_status::mail_proxy(*status) == word;
            let found: Vec<Status> = Status::ALL.iter().copied().filter(shown_so).collect();
            if found.is_empty() {
                let message = "status is queued, processing, sent, failed or cancelled";
                return Err(MailProxyError::request(message));
            }
            found
        }
    };
    let page = number("page", 1, u32::MAX.into())?;
    Ok(Asked { page, limit: usize::try_from(limit).unwrap_or(LARGEST_LIMIT), statuses })
}

/// `limit` mails behind the newest `before`.
async fn rows(
    store: &Store,
    client: ClientId,
    mut filter: EmailFilter,
    (before, limit): (u64, usize),
    now: Timestamp,
) -> Result<Vec<EmailSummary>, MailProxyError> {
    let mut left = before;
    if left > WALK {
        let (end, newer) = leap(store, client, &filter, left, now).await?;
        filter.date_to = Some(end);
        left -= newer;
        if left > WALK {
            let message = format!("page lies too deep: more than {WALK} mails of one hour stand before it");
            return Err(MailProxyError::request(message));
        }
    }
    let mut cursor: Option<Cursor> = None;
    while left > 0 {
        let step = usize::try_from(left).map_or(STEP, |left| left.min(STEP));
        let passed = store.list(client, &filter, cursor, step).await?;
        if passed.next.is_none() {
            return Ok(Vec::new());
        }
        cursor = passed.next;
        left -= step as u64;
    }
    Ok(store.list(client, &filter, cursor, limit).await?.rows)
}

/// The earliest full hour since which no more than `before` mails were accepted, and how many were.
async fn leap(
    store: &Store,
    client: ClientId,
    filter: &EmailFilter,
    before: u64,
    now: Timestamp,
) -> Result<(Timestamp, u64), MailProxyError> {
    // Mail accepted while this runs, or by a clock ahead of ours, is newer than any hour asked about.
    let (mut low, mut high) = (0, now.millis().div_euclid(HOUR_MS) + 2);
    let mut newer = 0;
    while low < high {
        let middle = low + (high - low) / 2;
        let since =
            EmailFilter { date_from: Some(Timestamp::from_millis(middle * HOUR_MS)), ..filter.clone() };
        let count = store.count(client, &since).await?;
        if count <= before {
            (high, newer) = (middle, count);
        } else {
            low = middle + 1;
        }
    }
    Ok((Timestamp::from_millis(high * HOUR_MS), newer))
}

fn shape(row: &EmailSummary) -> Value {
    json!({
        "id": row.id,
        "from": row.from,
        "to": row.to,
        "subject": row.subject,
        "status": outward_status::mail_proxy(row.status),
        "created_at": row.requested_at,
        "sent_at": row.sent_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_strictly() {
        let asked = |page, limit, statuses| Ok(Asked { page, limit, statuses });
        let read = |query: &str| read(query).map_err(|error| error.code());
        assert_eq!(read(""), asked(1, 20, vec![]));
        assert_eq!(read("page=2&limit=100&other=x"), asked(2, 100, vec![]));
        let sent = [Status::Sent, Status::Delivered, Status::Complained];
        let Ok(found) = read("status=sent") else { panic!("refused") };
        assert!(found.statuses.len() == 3 && sent.iter().all(|one| found.statuses.contains(one)));
        assert_eq!(read("status=cancelled"), asked(1, 20, vec![Status::Cancelled]));
        for bad in [
            "page=0",
            "page=-1",
            "page=x",
            "page=1.5",
            "limit=0",
            "limit=101",
            "status=bounced",
            "status=Sent",
            "page=1&page=2",
            "page=%zz",
            "page=99999999999999999999",
        ] {
            assert_eq!(read(bad), Err("invalid_request"), "{bad}");
        }
    }
}
