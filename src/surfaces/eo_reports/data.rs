//! `GET /eo/email-reports/data`, and the shapes of data and of refusals.

use super::filters::{Faults, Filters, LIMIT};
use super::{Answer, EoReports};
use crate::auth::SignedIn;
use crate::eo::{EoStatus, failure};
use crate::surfaces::http::answer;
use crate::surfaces::web::visitor::{Visitor, unavailable};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use posthaste_model::Timestamp;
use posthaste_model::event::EventKind;
use posthaste_store::{EoDeliveryRecord, StoreError};
use serde_json::{Value, json};

/// `GET /eo/email-reports/data`.
pub(super) async fn data(State(reports): State<EoReports>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let (visitor, who) = match reports.enter(&parts, Answer::Data).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let filters = match Filters::read(parts.uri.query().unwrap_or_default(), &reports.eo.days) {
        Ok(filters) => filters,
        Err(faults) => return invalid(&visitor, &faults),
    };
    match reports.shown(&who, &filters).await {
        Ok(deliveries) => {
            let deliveries: Vec<Value> = deliveries.iter().map(Shown::shape).collect();
            let body = json!({"ok": true, "filters": filters.echo(), "deliveries": deliveries});
            visitor.finish(answer::json(StatusCode::OK, &body))
        }
        Err(error) => visitor.finish(unavailable(&error)),
    }
}

/// A refusal as data.
pub(super) fn refusal(visitor: &Visitor, status: StatusCode, error: &str) -> Response {
    visitor.finish(answer::json(status, &json!({"ok": false, "error": error})))
}

/// What is wrong with a request, as data.
pub(super) fn invalid(visitor: &Visitor, faults: &Faults) -> Response {
    let body = json!({"ok": false, "errors": faults.0});
    visitor.finish(answer::json(StatusCode::UNPROCESSABLE_ENTITY, &body))
}

/// A delivery with the times of its attempts.
pub(super) struct Shown {
    pub record: EoDeliveryRecord,
    pub first_attempt_at: Option<Timestamp>,
    pub last_attempt_at: Option<Timestamp>,
}

impl EoReports {
    /// What the user sees under these filters.
    pub(super) async fn shown(&self, who: &SignedIn, filters: &Filters) -> Result<Vec<Shown>, StoreError> {
        let question = filters.question(who, &self.eo.days);
        let records = self.store.eo_deliveries(&question, filters.limit.unwrap_or(LIMIT)).await?;
        let shown = records.into_iter().map(|record| self.with_attempts(record));
        futures_util::future::try_join_all(shown).await
    }

    async fn with_attempts(&self, record: EoDeliveryRecord) -> Result<Shown, StoreError> {
        let was_tried = record.outcome.as_ref().is_some_and(|outcome| outcome.attempts > 0);
        let (mut first_attempt_at, mut last_attempt_at) = (None, None);
        if was_tried {
            let delivery = &record.delivery;
            for event in self.store.events(delivery.client_id, delivery.email_id).await? {
                if event.event.kind == EventKind::Processing {
                    first_attempt_at.get_or_insert(event.event.at);
                    last_attempt_at = Some(event.event.at);
                }
            }
        }
        Ok(Shown { record, first_attempt_at, last_attempt_at })
    }
}

impl Shown {
    fn shape(&self) -> Value {
        let (delivery, outcome) = (&self.record.delivery, self.record.outcome.as_ref());
        let failure = failure(&self.record);
        json!({
            "id": delivery.id,
            "event_id": delivery.event_id,
            "event_name": self.record.event_name,
            "to_email": delivery.to_email,
            "subject": delivery.subject,
            "status": EoStatus::of_record(&self.record).as_str(),
            "attempts": outcome.map_or(0, |outcome| outcome.attempts),
            "created_at": micros(delivery.created_at),
            "first_attempt_at": self.first_attempt_at.map(micros),
            "last_attempt_at": self.last_attempt_at.map(micros),
            "sent_at": outcome.and_then(|outcome| outcome.sent_at).map(micros),
            "failure_code": failure.as_ref().map(|(code, _)| code.as_str()),
            "failure_message": failure.as_ref().map(|(_, message)| message),
        })
    }
}

/// Six decimals and `Z`.
pub(super) fn micros(at: Timestamp) -> String {
    format!("{}000Z", at.to_string().trim_end_matches('Z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_six_decimals() {
        assert_eq!(micros(Timestamp::from_millis(1_769_853_600_123)), "2026-01-31T10:00:00.123000Z");
    }
}
