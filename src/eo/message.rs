//! A report as a message: HTML, text, the chart and the rows.

use super::figures::{Figures, failure_of};
use super::words::ReportWords;
use super::{Eo, chart, csv};
use askama::Template;
use posthaste_model::Status;
use posthaste_model::eo::{EoDelivery, EoEvent};
use std::fmt::Write as _;

/// The chart's content id.
pub(super) const CHART: &str = "chart";
/// Failures named in the message; all are in the file.
const FAILURES: usize = 50;
/// Days named in the message: the newest.
const DAYS: usize = 31;

/// The parts of a report.
pub(super) struct Message {
    pub html: String,
    pub text: String,
    pub chart: Vec<u8>,
    pub csv: String,
}

#[derive(Template)]
#[template(path = "eo/report.html")]
struct Html<'a> {
    language: &'static str,
    words: &'a ReportWords,
    event: &'a str,
    period: String,
    total: u64,
    rate: String,
    statuses: Vec<(&'static str, u64)>,
    days: Vec<(&'a str, u64)>,
    failures: Vec<(String, String)>,
    has_more: bool,
    is_cut: bool,
    link: Option<String>,
}

impl Message {
    /// The report of a delivery.
    pub(super) fn of(
        event: &EoEvent,
        delivery: &EoDelivery,
        figures: &Figures,
        link: Option<String>,
    ) -> Self {
        let words = ReportWords::of(delivery.language);
        let period = match (&delivery.filter.date_from, &delivery.filter.date_to) {
            (None, None) => words.all_time.to_owned(),
            (from, to) => {
                let day = |day: &Option<String>| day.clone().unwrap_or_else(|| "…".to_owned());
                format!("{} {} {}", day(from), words.to, day(to))
            }
        };
        let days = figures.days.iter().skip(figures.days.len().saturating_sub(DAYS));
        let failures = figures.rows.iter().filter_map(|row| {
            let (code, message) = failure_of(row);
            let message = message.unwrap_or_default();
            Some((row.summary.to.join(", "), format!("{}: {message}", code?)))
        });
        let mut failures: Vec<(String, String)> = failures.take(FAILURES + 1).collect();
        let has_more = failures.len() > FAILURES;
        failures.truncate(FAILURES);
        let page = Html {
            language: delivery.language.as_str(),
            words,
            event: &event.name,
            period,
            total: figures.total(),
            rate: figures.delivery_rate().map_or_else(|| "–".to_owned(), |rate| format!("{rate:.1}%")),
            statuses: figures.statuses.values().map(|(s, n)| (words.status_word(*s), *n)).collect(),
            days: days.map(|(day, amounts)| (day.as_str(), amounts.iter().sum())).collect(),
            failures,
            has_more,
            is_cut: figures.is_cut,
            link,
        };
        let html = page.render().unwrap_or_else(|error| {
            // Templates are compiled; only a `Display` of ours that fails gets here.
            tracing::error!(%error, "a report could not be written");
            String::new()
        });
        let text = page.text();
        Self { html, text, chart: chart::draw(&figures.days), csv: csv::write(figures) }
    }
}

impl Html<'_> {
    fn text(&self) -> String {
        let words = self.words;
        let mut text = format!("{}: {}\n{}: {}\n\n", words.title, self.event, words.period, self.period);
        if self.total == 0 {
            let _ = writeln!(text, "{}", words.nothing);
        }
        for (status, amount) in &self.statuses {
            let _ = writeln!(text, "{status}: {amount}");
        }
        let _ = writeln!(text, "{}: {}\n{}: {}\n", words.total, self.total, words.rate, self.rate);
        for (day, amount) in &self.days {
            let _ = writeln!(text, "{day}: {amount}");
        }
        let _ = writeln!(text, "\n{}", words.failures);
        if self.failures.is_empty() {
            let _ = writeln!(text, "{}", words.no_failures);
        }
        for (recipient, reason) in &self.failures {
            let _ = writeln!(text, "- {recipient}: {reason}");
        }
        if self.has_more {
            let _ = writeln!(text, "{}", words.more);
        }
        let _ = writeln!(text, "\n{}", if self.is_cut { words.cut } else { words.attached });
        if let Some(link) = &self.link {
            let _ = writeln!(text, "{}: {link}", words.open);
        }
        text
    }
}

/// What a notice to an organizer says: HTML and text.
#[derive(Template)]
#[template(path = "eo/notice.html")]
pub(super) struct Notice<'a> {
    pub language: &'static str,
    pub words: &'a ReportWords,
    pub event: &'a str,
    pub subject: &'a str,
    pub to_email: &'a str,
    pub reason: String,
    pub link: Option<String>,
}

impl Notice<'_> {
    pub(super) fn text(&self) -> String {
        let mut text =
            format!("{}\n\n{}: {}\n{}\n", self.words.notice, self.event, self.subject, self.to_email);
        if !self.reason.is_empty() {
            let _ = writeln!(text, "{}: {}", self.words.reason, self.reason);
        }
        if let Some(link) = &self.link {
            let _ = writeln!(text, "\n{}: {link}", self.words.open);
        }
        text
    }
}

impl Eo {
    /// The page of an event's deliveries.
    pub(super) fn page_of(&self, event: &EoEvent, base: Option<&str>) -> Option<String> {
        let base = self.public_url.as_deref().or(base)?;
        Some(format!("{base}/eo/email-reports?event_id={}", event.id))
    }
}

/// Whether a status is one that a person has to look after.
pub(super) const fn needs_attention(status: Status) -> bool {
    !matches!(status, Status::Processing | Status::Sent | Status::Delivered | Status::Complained)
}
