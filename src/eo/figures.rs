//! What an event's mail came to. The reports themselves name no event and so do not count.

use super::words::shown_code;
use super::{Eo, EoStatus};
use posthaste_model::eo::{EoEvent, ReportFilter};
use posthaste_model::{FailureCode, Status, Timestamp};
use posthaste_store::{EmailFilter, EmailSummary, StoreError};
use std::collections::BTreeMap;

/// Emails read at once.
const PAGE: usize = 1000;
/// Emails of one report at most: a larger one would not fit into an email. What was left out is said.
const ROWS: usize = 50_000;
/// Failures whose reason is looked up.
const FAILURES: usize = 2_000;

/// An email of the event.
pub(super) struct Row {
    pub summary: EmailSummary,
    pub failure: Option<(FailureCode, String)>,
}

/// The figures of a report.
#[derive(Default)]
pub(super) struct Figures {
    /// Newest first.
    pub rows: Vec<Row>,
    /// How many emails of each status.
    pub statuses: BTreeMap<usize, (Status, u64)>,
    /// By day: sent or delivered, failed or bounced, others.
    pub days: BTreeMap<String, [u64; 3]>,
    /// There were more than a report can hold.
    pub is_cut: bool,
}

impl Figures {
    /// All emails.
    pub fn total(&self) -> u64 {
        self.statuses.values().map(|(_, amount)| amount).sum()
    }

    /// How many of a status.
    pub fn of(&self, status: Status) -> u64 {
        self.statuses.values().find(|(known, _)| *known == status).map_or(0, |(_, amount)| *amount)
    }

    /// (sent + delivered) / (all but cancelled), in percent; `None` without any.
    pub fn delivery_rate(&self) -> Option<f64> {
        let counted = self.total() - self.of(Status::Cancelled);
        let arrived = self.of(Status::Sent) + self.of(Status::Delivered);
        (counted > 0).then(|| arrived as f64 * 100.0 / counted as f64)
    }

    fn add(&mut self, eo: &Eo, row: Row) {
        let status = row.summary.status;
        let place = Status::ALL.iter().position(|known| *known == status).unwrap_or(0);
        self.statuses.entry(place).or_insert((status, 0)).1 += 1;
        let column = match status {
            Status::Sent | Status::Delivered | Status::Complained => 0,
            Status::Failed | Status::Bounced => 1,
            Status::Scheduled | Status::Queued | Status::Processing | Status::Cancelled => 2,
        };
        self.days.entry(eo.days.day(row.summary.requested_at)).or_default()[column] += 1;
        self.rows.push(row);
    }
}

/// Reads what the filter finds of the event's emails.
pub(super) async fn collect(eo: &Eo, event: &EoEvent, filter: &ReportFilter) -> Result<Figures, StoreError> {
    let status = filter.status.as_deref().and_then(EoStatus::parse);
    let wanted = EmailFilter {
        statuses: status.map(EoStatus::statuses).unwrap_or_default(),
        date_from: filter.date_from.as_deref().and_then(|day| eo.days.begin(day)),
        date_to: filter.date_to.as_deref().and_then(|day| eo.days.end(day)),
        event_id: Some(event.id),
        ..EmailFilter::default()
    };
    let (mut figures, mut cursor, mut looked_up) = (Figures::default(), None, 0);
    loop {
        let page = eo.store.list(event.client_id, &wanted, cursor, PAGE).await?;
        for summary in page.rows {
            let is_lost = matches!(summary.status, Status::Failed | Status::Bounced);
            let failure = if is_lost && looked_up < FAILURES {
                looked_up += 1;
                eo.store.email(event.client_id, summary.id).await?.and_then(|record| record.failure)
            } else {
                None
            };
            figures.add(eo, Row { summary, failure });
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(figures);
        }
        if figures.rows.len() >= ROWS {
            figures.is_cut = true;
            return Ok(figures);
        }
    }
}

/// The code of a failed email as reports show it, and why it failed.
pub(super) fn failure_of(row: &Row) -> (Option<FailureCode>, Option<&str>) {
    let code = row.failure.as_ref().map(|(code, _)| shown_code(*code)).or(match row.summary.status {
        Status::Bounced => Some(FailureCode::Bounce),
        Status::Failed => Some(FailureCode::Unknown),
        _ => None,
    });
    let message = row.failure.as_ref().map(|(_, message)| message.as_str());
    (code, code.and(message.or(row.summary.error.as_deref())))
}

/// An instant as the CSV and the page's data show it: six decimals.
pub(super) fn micros(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{}000Z", text.trim_end_matches('Z'))
}
