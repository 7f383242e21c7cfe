//! The filters of the list, as they stand in its address, and what is wrong with them.

use crate::auth::SignedIn;
use crate::eo::{Days, EoStatus};
use crate::surfaces::http::form::Fields;
use crate::surfaces::web::visitor::escaped;
use posthaste_model::eo::ReportFilter;
use posthaste_model::user::Role;
use posthaste_store::EoFilter;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Deliveries of a page unless it asks for another number.
pub(super) const LIMIT: usize = 50;
const LIMIT_MAX: usize = 200;
/// The fields of the address.
const FIELDS: [&str; 6] = ["event_id", "status", "date_from", "date_to", "limit", "before_id"];

/// What is wrong, by field.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Faults(pub BTreeMap<&'static str, Vec<String>>);

impl Faults {
    pub(super) fn add(&mut self, field: &'static str, message: impl Into<String>) {
        self.0.entry(field).or_default().push(message.into());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The filters that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filters {
    pub event_id: Option<i64>,
    pub status: Option<EoStatus>,
    pub date_from: Option<String>,
    pub date_to: Option<String>,
    pub limit: Option<usize>,
    pub before_id: Option<i64>,
}

impl Filters {
    /// Reads them; an empty value is none.
    pub(super) fn read(query: &str, days: &Days) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let fields = Fields::of_query(query).unwrap_or_else(|error| {
            faults.add(broken_field(query.as_bytes(), FIELDS).unwrap_or("query"), error.to_string());
            Fields::default()
        });
        let mut filters = Self {
            event_id: number(fields.given("event_id"), "event_id", &mut faults),
            before_id: number(fields.given("before_id"), "before_id", &mut faults),
            ..Self::default()
        };
        if let Some(word) = fields.given("status") {
            filters.status = EoStatus::parse(word);
            if filters.status.is_none() {
                faults.add("status", "status is pending, processing, sent or failed");
            }
        }
        (filters.date_from, filters.date_to) =
            dates(fields.given("date_from"), fields.given("date_to"), days, &mut faults);
        if let Some(limit) = fields.given("limit") {
            filters.limit = limit.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
            if filters.limit.is_none() {
                faults.add("limit", "limit is 1 to 200");
            }
        }
        if faults.is_empty() { Ok(filters) } else { Err(faults) }
    }

    /// The question to the store, within what the user may see.
    pub(super) fn question(&self, who: &SignedIn, days: &Days) -> EoFilter {
        EoFilter {
            owner_id: (who.user.role != Role::Admin).then_some(who.user.id),
            event_id: self.event_id,
            statuses: self.status.map(EoStatus::statuses).unwrap_or_default(),
            from: self.date_from.as_deref().and_then(|day| days.begin(day)),
            to: self.date_to.as_deref().and_then(|day| days.end(day)),
            before_id: self.before_id,
            is_noticed: false,
        }
    }

    /// What was applied, as data.
    pub(super) fn echo(&self) -> Value {
        json!({
            "event_id": self.event_id,
            "status": self.status.map(EoStatus::as_str),
            "date_from": self.date_from,
            "date_to": self.date_to,
        })
    }

    /// The page's address with these filters.
    pub(super) fn address(&self) -> String {
        let event_id = self.event_id.map(|id| id.to_string());
        let before_id = self.before_id.map(|id| id.to_string());
        let status = self.status.map(|status| status.as_str().to_owned());
        let given = [
            ("event_id", event_id),
            ("status", status),
            ("date_from", self.date_from.clone()),
            ("date_to", self.date_to.clone()),
            ("before_id", before_id),
        ];
        let pairs =
            given.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", escaped(&value?))));
        let pairs: Vec<String> = pairs.collect();
        format!("/eo/email-reports?{}", pairs.join("&")).trim_end_matches('?').to_owned()
    }
}

/// The field of these that makes a form or an address unreadable, where that can be told.
pub(super) fn broken_field(bytes: &[u8], fields: [&'static str; 6]) -> Option<&'static str> {
    let broken = bytes.split(|byte| *byte == b'&').find(|field| Fields::parse(field).is_err())?;
    let name = broken.split(|byte| *byte == b'=').next().unwrap_or_default();
    let name = Fields::parse(name).unwrap_or_default();
    fields.into_iter().find(|field| name.get(field).is_some())
}

/// A number of ours: digits only.
pub(super) fn number(given: Option<&str>, field: &'static str, faults: &mut Faults) -> Option<i64> {
    let given = given?;
    let found = given.parse::<i64>().ok().filter(|_| given.bytes().all(|byte| byte.is_ascii_digit()));
    if found.is_none() {
        faults.add(field, format!("{field} is an integer"));
    }
    found
}

/// Two days, the first not after the second.
pub(super) fn dates(
    from: Option<&str>,
    to: Option<&str>,
    days: &Days,
    faults: &mut Faults,
) -> (Option<String>, Option<String>) {
    let mut day = |given: Option<&str>, field: &'static str| {
        let given = given?;
        if days.begin(given).is_none() || days.end(given).is_none() {
            faults.add(field, format!("{field} is a date such as 2026-01-31"));
            return None;
        }
        Some(given.to_owned())
    };
    let (from, to) = (day(from, "date_from"), day(to, "date_to"));
    if let (Some(first), Some(last)) = (&from, &to)
        && first > last
    {
        faults.add("date_to", "date_to is not before date_from");
    }
    (from, to)
}

/// What a report is to tell of, as its form says.
pub(super) fn report_filter(fields: &Fields<'_>, days: &Days, faults: &mut Faults) -> ReportFilter {
    let (date_from, date_to) = dates(fields.given("date_from"), fields.given("date_to"), days, faults);
    let status = fields.given("status").map(str::to_owned);
    if status.as_deref().is_some_and(|word| EoStatus::parse(word).is_none()) {
        faults.add("status", "status is pending, processing, sent or failed");
    }
    ReportFilter { date_from, date_to, status }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_stay_in_the_address() {
        let days = Days::of("Asia/Jakarta");
        let query = "event_id=7&status=failed&date_from=2026-01-01&date_to=&before_id=9&lang=en";
        let filters = Filters::read(query, &days).unwrap();
        let address = "/eo/email-reports?event_id=7&status=failed&date_from=2026-01-01&before_id=9";
        assert_eq!(filters.address(), address);
        assert_eq!(
            filters.echo(),
            json!({"event_id": 7, "status": "failed", "date_from": "2026-01-01", "date_to": null})
        );
        assert_eq!(Filters::default().address(), "/eo/email-reports");
    }

    #[test]
    fn each_fault_is_named() {
        let days = Days::of("UTC");
        for (query, field) in [
            ("event_id=x", "event_id"),
            ("event_id=-1", "event_id"),
            ("event_id=1.5", "event_id"),
            ("event_id=99999999999999999999", "event_id"),
            ("status=delivered", "status"),
            ("date_from=2026-02-30", "date_from"),
            ("date_to=31-01-2026", "date_to"),
            ("date_from=2026-02-02&date_to=2026-02-01", "date_to"),
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=x", "limit"),
            ("before_id=a", "before_id"),
            ("a=%zz", "query"),
            ("limit=9&date%5ffrom=2026-01-01%00", "date_from"),
            ("status=%zz", "status"),
            ("status=%ff", "status"),
        ] {
            let faults = Filters::read(query, &days).unwrap_err();
            assert_eq!(faults.0.keys().collect::<Vec<_>>(), [&field], "{query}");
        }
    }
}
