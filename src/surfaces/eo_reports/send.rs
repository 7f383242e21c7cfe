//! `POST /eo/email-reports/send`, `.../resend` and `.../dismiss`. Each answers data to a script, and leads a form back to
//! its page with a message.

use super::filters::{Faults, broken_field, number, report_filter};
use super::{Answer, EoReports, SURFACE, data};
use crate::auth::SignedIn;
use crate::eo::{Asked, NewReport, Request as ReportRequest};
use crate::limits::{LimitKey, Scope};
use crate::surfaces::http::answer;
use crate::surfaces::http::form::Fields;
use crate::surfaces::http::idempotency::{Kept, key_of};
use crate::surfaces::http::multipart;
use crate::surfaces::web::visitor::{Form, Visitor, redirect, unavailable};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::header::{CONTENT_TYPE, REFERER, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode};
use posthaste_model::Rate;
use posthaste_model::draft::Field;
use posthaste_model::eo::{EoDelivery, ReportKey};
use posthaste_model::refusal::{FaultCode, Refusal};
use serde_json::json;

/// Reports of one user, those sent again included.
const PER_USER: Rate = Rate::per_seconds(30, 60);

/// The fields of the forms.
const FIELDS: [&str; 6] = ["event_id", "to_email", "subject", "date_from", "date_to", "status"];

/// What came of a form, before it is an answer.
enum Done {
    /// This delivery was made.
    Delivery(i64),
    /// The first answer of the same request.
    Replayed(Vec<u8>),
    /// Nothing was to be said.
    Nothing,
    /// Something is wrong with the fields.
    Invalid(Faults),
    /// It was refused.
    Refused(StatusCode, &'static str),
    /// The store did not answer.
    Unavailable,
}

/// `POST /eo/email-reports/send`.
pub(super) async fn send(State(reports): State<EoReports>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    reports
        .work(parts, body, true, async |reports, visitor, who, form, key| {
            let fields = form.fields().unwrap_or_default();
            let mut faults = Faults::default();
            let event_id = number(fields.given("event_id"), "event_id", &mut faults);
            if fields.given("event_id").is_none() {
                faults.add("event_id", "event_id is required");
            }
            let to_email = address(&fields);
            if to_email.is_none() {
                faults.add("to_email", "to_email is required");
            }
            let filter = report_filter(&fields, &reports.eo.days, &mut faults);
            let to_email = to_email.unwrap_or_default().to_owned();
            let subject = fields.get("subject").map(str::to_owned);
            let report = NewReport { event_id: event_id.unwrap_or(0), to_email, subject, filter };
            if !faults.is_empty() {
                reports.add_own_faults(who, &report, &mut faults).await;
                return Done::Invalid(faults);
            }
            let asked = reports.eo.send(report, request_of(visitor, who, key)).await;
            done(asked)
        })
        .await
}

/// `POST /eo/email-reports/{delivery}/resend`.
pub(super) async fn resend(
    State(reports): State<EoReports>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    reports
        .work(parts, body, true, async |reports, visitor, who, form, key| {
            let old = match reports.delivery(who, &id).await {
                Ok(old) => old,
                Err(refused) => return refused,
            };
            let fields = form.fields().unwrap_or_default();
            let to = address(&fields);
            let asked = reports.eo.resend(&old, to, request_of(visitor, who, key)).await;
            done(asked)
        })
        .await
}

/// `POST /eo/email-reports/{delivery}/dismiss`: the notice was read.
pub(super) async fn dismiss(
    State(reports): State<EoReports>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    reports
        .work(parts, body, false, async |reports, _, who, _, _| {
            let delivery = match reports.delivery(who, &id).await {
                Ok(delivery) => delivery,
                Err(refused) => return refused,
            };
            match reports.store.dismiss_eo_notice(delivery.id, reports.clock.now()).await {
                Ok(()) => Done::Nothing,
                Err(_) => Done::Unavailable,
            }
        })
        .await
}

/// The answer for a delivery of this number, as it is kept for replays.
pub(crate) fn answer_of(id: i64) -> Vec<u8> {
    Kept::json(StatusCode::OK, &json!({"ok": true, "delivery_id": id})).to_bytes()
}

fn request_of<'a>(visitor: &Visitor, who: &'a SignedIn, key: Option<ReportKey>) -> ReportRequest<'a> {
    ReportRequest {
        user: &who.user,
        language: visitor.language,
        base: visitor.base(),
        correlation: visitor.exchange.correlation_id().clone(),
        key,
    }
}

/// The refusals of reports in the words of this surface.
fn done(asked: Result<Asked, Refusal>) -> Done {
    let refusal = match asked {
        Ok(Asked::New(id)) => return Done::Delivery(id),
        Ok(Asked::Replayed(answer)) => return Done::Replayed(answer),
        Err(refusal) => refusal,
    };
    match refusal {
        Refusal::Invalid(found) => {
            let mut faults = Faults::default();
            for fault in found {
                let field = match fault.field {
                    Field::Subject => "subject",
                    Field::EventId | Field::From | Field::FromName | Field::Domain => "event_id",
                    _ => "to_email",
                };
                let message = match fault.code {
                    FaultCode::UnknownEvent => "event_id is not one of your events".to_owned(),
                    FaultCode::InvalidEmail => "to_email is not an email address".to_owned(),
                    _ => fault.message,
                };
                faults.add(field, message);
            }
            Done::Invalid(faults)
        }
        Refusal::TooLarge(fault) => {
            let mut faults = Faults::default();
            faults.add("event_id", fault.message);
            Done::Invalid(faults)
        }
        Refusal::NotFound => Done::Refused(StatusCode::NOT_FOUND, "not_found"),
        Refusal::IdempotencyKeyReused => Done::Refused(StatusCode::CONFLICT, "idempotency_key_reused"),
        Refusal::IdempotencyKeyInUse => Done::Refused(StatusCode::CONFLICT, "idempotency_key_in_use"),
        Refusal::PermissionDenied(_) | Refusal::CredentialGone => {
            Done::Refused(StatusCode::FORBIDDEN, "forbidden")
        }
        Refusal::Conflict(_) | Refusal::CannotCancel(_) => Done::Refused(StatusCode::CONFLICT, "conflict"),
        Refusal::Unavailable { .. } => Done::Unavailable,
    }
}

impl EoReports {
    /// Session, role, token, limit, then the work, then the answer in the shape that was asked for.
    async fn work<F>(&self, parts: Parts, body: Body, is_limited: bool, work: F) -> Response
    where
        F: AsyncFnOnce(&Self, &Visitor, &SignedIn, &Form, Option<ReportKey>) -> Done,
    {
        let (visitor, who) = match self.enter(&parts, Answer::Page).await {
            Ok(found) => found,
            Err(refused) => return refused,
        };
        let form = match self.visitors.form(&visitor, &parts, body).await {
            Ok(form) => form,
            Err(refused) => return refused,
        };
        if is_limited {
            let key = LimitKey::number(Scope::User, who.user.id.as_u128());
            let stand = self.limits.check(key, PER_USER, self.clock.now()).await;
            if !stand.allowed {
                let mut response = visitor.refuse(StatusCode::TOO_MANY_REQUESTS, "too_many_requests");
                let wait = HeaderValue::from(stand.retry_after_s.max(1));
                response.headers_mut().insert(RETRY_AFTER, wait);
                return response;
            }
        }
        let Ok(key) = key_of(&parts.headers) else {
            let mut faults = Faults::default();
            faults.add("idempotency_key", "Idempotency-Key is 1 to 255 visible characters, once");
            return data::invalid(&visitor, &faults);
        };
        let path = parts.uri.path();
        let key = key.map(|key| ReportKey {
            key: format!("{} {path} {key}", who.user.id),
            fingerprint: fingerprint(&form),
        });
        let done = match unreadable(&parts, &form) {
            Some(refused) => refused,
            None => work(self, &visitor, &who, &form, key).await,
        };
        if matches!(done, Done::Delivery(_)) {
            self.metrics.accepted(SURFACE);
        }
        answered(&visitor, &parts, done)
    }

    /// The delivery in a path, of an event that the user may see.
    async fn delivery(&self, who: &SignedIn, id: &str) -> Result<EoDelivery, Done> {
        let found = match id.parse() {
            Ok(id) => self.eo.delivery(&who.user, id).await,
            Err(_) => Ok(None),
        };
        match found {
            Ok(Some(record)) => Ok(record.delivery),
            Ok(None) => Err(Done::Refused(StatusCode::NOT_FOUND, "not_found")),
            Err(_) => Err(Done::Unavailable),
        }
    }

    /// The faults that only the event and the address themselves can have, so that a form is told all at once.
    async fn add_own_faults(&self, who: &SignedIn, report: &NewReport, faults: &mut Faults) {
        if !faults.0.contains_key("event_id") {
            let events = self.eo.events(&who.user).await.unwrap_or_default();
            if !events.iter().any(|event| event.id == report.event_id) {
                faults.add("event_id", "event_id is not one of your events");
            }
        }
        if !faults.0.contains_key("to_email") && posthaste_model::Address::parse(&report.to_email).is_err() {
            faults.add("to_email", "to_email is not an email address");
        }
    }
}

/// The address of a form. Spaces around it are forgiven; a line break is refused, as in any field of a header.
fn address<'f>(fields: &'f Fields<'_>) -> Option<&'f str> {
    fields.get("to_email").map(|given| given.trim_matches(' ')).filter(|given| !given.is_empty())
}

/// The refusal of a body that cannot be read as a form. Taken for an empty form it would send a report again to the old
/// address, though another one was given.
fn unreadable(parts: &Parts, form: &Form) -> Option<Done> {
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !form.bytes().is_empty() && kind.is_some_and(|kind| !is_form(kind)) {
        return Some(Done::Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"));
    }
    let error = form.read().err()?;
    let mut faults = Faults::default();
    faults.add(broken_field(form.bytes(), FIELDS).unwrap_or("form"), error.to_string());
    Some(Done::Invalid(faults))
}

fn is_form(content_type: &str) -> bool {
    let name = content_type.split(';').next().unwrap_or_default().trim();
    name.eq_ignore_ascii_case("application/x-www-form-urlencoded")
        || multipart::boundary_of(content_type).is_some()
}

/// SHA-256 of the fields by name, whatever their order and coding; the token changes with each login.
fn fingerprint(form: &Form) -> [u8; 32] {
    let fields = form.fields().unwrap_or_default();
    let mut pairs: Vec<(&str, &str)> = fields.iter().filter(|(name, _)| *name != "_token").collect();
    pairs.sort_unstable();
    let text = serde_json::to_vec(&pairs).unwrap_or_default();
    posthaste_model::email::BlobHash::of(&text).0
}

fn answered(visitor: &Visitor, parts: &Parts, done: Done) -> Response {
    if !visitor.wants_json() {
        return back(visitor, parts, &done);
    }
    match done {
        Done::Delivery(id) => {
            visitor.finish(answer::json(StatusCode::OK, &json!({"ok": true, "delivery_id": id})))
        }
        Done::Replayed(kept) => match Kept::replay(&kept) {
            Some(response) => visitor.finish(response),
            None => unavailable(&posthaste_store::StoreError::Corrupt("an answer".into())),
        },
        Done::Nothing => visitor.finish(answer::json(StatusCode::OK, &json!({"ok": true}))),
        Done::Invalid(faults) => data::invalid(visitor, &faults),
        Done::Refused(status, error) => data::refusal(visitor, status, error),
        Done::Unavailable => unavailable(&posthaste_store::StoreError::Unavailable("a report".into())),
    }
}

/// Back to the page that the form stood on, with a message.
fn back(visitor: &Visitor, parts: &Parts, done: &Done) -> Response {
    let said = match done {
        Done::Delivery(_) | Done::Replayed(_) => "sent",
        Done::Nothing => "",
        Done::Invalid(faults) => match faults.0.keys().next() {
            Some(&"to_email") => "bad_to_email",
            Some(&("date_from" | "date_to")) => "bad_dates",
            Some(&"subject") => "bad_subject",
            _ => "bad_event",
        },
        Done::Refused(status, error) => return visitor.refuse(*status, error),
        Done::Unavailable => "unavailable",
    };
    let referer = parts.headers.get(REFERER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let query = referer.parse::<http::Uri>().ok().filter(|uri| uri.path() == "/eo/email-reports");
    let query = query.and_then(|uri| uri.query().map(str::to_owned)).unwrap_or_default();
    let kept = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("said="));
    let mut pairs: Vec<String> = kept.map(str::to_owned).collect();
    if !said.is_empty() {
        pairs.push(format!("said={said}"));
    }
    let to = format!("/eo/email-reports?{}", pairs.join("&"));
    visitor.finish(redirect(to.trim_end_matches('?')))
}
