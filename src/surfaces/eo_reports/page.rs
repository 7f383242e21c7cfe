//! The pages of reports: the list, and the question before a report is sent again (which a script shows as a dialog).

use super::filters::{Faults, Filters, LIMIT};
use super::{Answer, EoReports};
use crate::auth::SignedIn;
use crate::eo::{EoStatus, failure};
use crate::surfaces::web;
use crate::surfaces::web::shell::Shell;
use crate::surfaces::web::visitor::Visitor;
use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{Request, StatusCode};
use posthaste_model::eo::EoEvent;
use posthaste_model::user::{Language, Role};
use posthaste_model::{FailureCode, UserId};
use posthaste_store::{EoDeliveryRecord, EoFilter, EoTally, StoreError};
use std::collections::HashMap;
use std::time::Duration;

/// Days of the chart.
const DAYS: usize = 30;
/// The chart counts by periods of this length: days of every time zone begin with one.
const PERIOD: Duration = Duration::from_mins(15);
/// Notices shown at once, all but the first folded up.
const NOTICES: usize = 20;
/// Height of the chart's bars.
const HEIGHT: u64 = 60;

#[derive(Template)]
#[template(path = "eo/list.html")]
struct ListPage {
    shell: Shell,
    /// Number, name, and whether it is the one that is filtered for.
    events: Vec<(i64, String, bool)>,
    filters: Filters,
    faults: Vec<String>,
    said: &'static str,
    is_fault: bool,
    counters: Vec<Counter>,
    bars: Vec<Bar>,
    chart: String,
    notices: Vec<Line>,
    /// How many more notices there are than the first, in words.
    more: String,
    lines: Vec<Line>,
    older: Option<String>,
    first: Option<String>,
    zone: String,
}

/// How many deliveries of a status, and the address that shows them.
struct Counter {
    word: &'static str,
    title: String,
    amount: u64,
    address: String,
    is_current: bool,
}

/// A day of the chart.
struct Bar {
    x: usize,
    title: String,
    sent: Part,
    failed: Part,
    other: Part,
}

struct Part {
    y: u64,
    height: u64,
}

/// A delivery of the list.
struct Line {
    id: i64,
    event: String,
    to: String,
    subject: String,
    word: &'static str,
    status: String,
    attempts: u32,
    created: String,
    machine: String,
    sent: Option<String>,
    reason: Option<String>,
    resent_from: Option<i64>,
}

#[derive(Template)]
#[template(path = "eo/resend.html")]
struct ResendPage {
    shell: Shell,
    line: Line,
}

/// `GET /eo/email-reports`.
pub(super) async fn list(State(reports): State<EoReports>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let (visitor, who) = match reports.enter(&parts, Answer::Page).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let query = parts.uri.query().unwrap_or_default();
    let (filters, faults) = match Filters::read(query, &reports.eo.days) {
        Ok(filters) => (filters, Vec::new()),
        Err(faults) => (Filters::default(), told(faults, visitor.language)),
    };
    let fields = web_fields(query);
    match reports.list_page(&visitor, &who, filters, faults, fields.as_deref()).await {
        Ok(page) => {
            let status =
                if page.faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
            visitor.finish(web::page(status, &page))
        }
        Err(error) => visitor.unavailable(&error),
    }
}

/// `GET /eo/email-reports/{delivery}/resend`.
pub(super) async fn resend(
    State(reports): State<EoReports>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    let (visitor, who) = match reports.enter(&parts, Answer::Page).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let found = match id.parse::<i64>() {
        Ok(id) => reports.eo.delivery(&who.user, id).await,
        Err(_) => Ok(None),
    };
    match found {
        Ok(Some(record)) => {
            let shell = Shell::of(&visitor, "reports");
            let line = Line::of(&reports, &shell, &record);
            visitor.finish(web::page(StatusCode::OK, &ResendPage { shell, line }))
        }
        Ok(None) => visitor.refuse(StatusCode::NOT_FOUND, "not_found"),
        Err(error) => visitor.unavailable(&error),
    }
}

/// What is wrong with the filters, in the page's language; data are told in English.
fn told(faults: Faults, language: Language) -> Vec<String> {
    if language == Language::En {
        return faults.0.into_values().flatten().collect();
    }
    let words = |field: &str| match field {
        "date_from" => "Tanggal awal ditulis seperti 2026-01-31, dan tidak setelah tanggal akhir.",
        "date_to" => "Tanggal akhir ditulis seperti 2026-01-31.",
        "event_id" => "Event itu tidak dikenal.",
        "status" => "Status itu tidak dikenal.",
        _ => "Saringan itu tidak bisa dipakai.",
    };
    faults.0.into_keys().map(|field| words(field).to_owned()).collect()
}

/// The word of the message that a form leads back with.
fn web_fields(query: &str) -> Option<String> {
    let fields = crate::surfaces::http::form::Fields::of_query(query).ok()?;
    fields.get("said").map(str::to_owned)
}

fn said(shell: &Shell, word: Option<&str>) -> (&'static str, bool) {
    let is_indonesian = shell.language() == "id";
    let pick =
        |english: &'static str, indonesian: &'static str| if is_indonesian { indonesian } else { english };
    match word {
        Some("sent") => (pick("The report is on its way.", "Laporan sedang dikirim."), false),
        Some("bad_to_email") => (pick("That is not an email address.", "Alamat email tidak valid."), true),
        Some("bad_dates") => (pick("The dates do not fit.", "Tanggal tidak sesuai."), true),
        Some("bad_subject") => (pick("The subject cannot be used.", "Subjek tidak bisa dipakai."), true),
        Some("bad_event") => (pick("Choose one of your events.", "Pilih salah satu event Anda."), true),
        Some("unavailable") => {
            (pick("That did not work just now. Try again.", "Belum berhasil. Coba lagi."), true)
        }
        _ => ("", false),
    }
}

/// A status in the page's language.
fn title(shell: &Shell, status: EoStatus) -> String {
    match status {
        EoStatus::Pending => shell.say("Pending", "Menunggu"),
        EoStatus::Processing => shell.say("Processing", "Diproses"),
        EoStatus::Sent => shell.say("Sent", "Terkirim"),
        EoStatus::Failed => shell.say("Failed", "Gagal"),
    }
    .to_owned()
}

/// What kind of failure it was, in the page's language.
fn cause(shell: &Shell, code: FailureCode) -> String {
    match code {
        FailureCode::InvalidEmail => shell.say("The address is wrong", "Alamat salah"),
        FailureCode::TransportError => shell.say("The connection failed", "Koneksi gagal"),
        FailureCode::ServerError => shell.say("The server refused", "Server menolak"),
        FailureCode::Bounce => shell.say("It was returned", "Email dikembalikan"),
        FailureCode::Unknown | FailureCode::Suppressed => shell.say("It was not sent", "Tidak terkirim"),
    }
    .to_owned()
}

impl EoReports {
    async fn list_page(
        &self,
        visitor: &Visitor,
        who: &SignedIn,
        filters: Filters,
        faults: Vec<String>,
        said_word: Option<&str>,
    ) -> Result<ListPage, StoreError> {
        let shell = Shell::of(visitor, "reports");
        let question = filters.question(who, &self.eo.days);
        let records = self.store.eo_deliveries(&question, filters.limit.unwrap_or(LIMIT)).await?;
        let lines: Vec<Line> = records.iter().map(|record| Line::of(self, &shell, record)).collect();
        let is_full = lines.len() >= filters.limit.unwrap_or(LIMIT);
        let older = lines
            .last()
            .filter(|_| is_full)
            .map(|last| Filters { before_id: Some(last.id), ..filters.clone() }.address());
        let first = filters.before_id.map(|_| Filters { before_id: None, ..filters.clone() }.address());
        let any = Filters { status: None, before_id: None, ..filters.clone() };
        let tally = self.store.eo_tally(&any.question(who, &self.eo.days), Duration::MAX).await?;
        let (bars, chart) = self.chart(&shell, who, filters.event_id).await?;
        let (notices, more) = self.notices(&shell, who).await?;
        let (said, is_fault) = said(&shell, said_word);
        Ok(ListPage {
            events: self.choices(who, &filters).await?,
            counters: counters(&shell, &filters, &any, &tally),
            zone: self.eo.days.zone(),
            shell,
            faults,
            said,
            is_fault,
            bars,
            chart,
            notices,
            more,
            lines,
            older,
            first,
            filters,
        })
    }

    /// The newest deliveries that need attention, and how many there are behind the first, in words.
    async fn notices(&self, shell: &Shell, who: &SignedIn) -> Result<(Vec<Line>, String), StoreError> {
        let noticed = EoFilter { owner_id: owner_of(who), is_noticed: true, ..EoFilter::default() };
        let found = self.store.eo_deliveries(&noticed, NOTICES).await?;
        let all = if found.len() < NOTICES {
            found.len() as u64
        } else {
            self.store.eo_tally(&noticed, Duration::MAX).await?.iter().map(|one| one.count).sum()
        };
        let more = shell.say("{n} more need attention", "{n} lagi perlu perhatian");
        let more = more.replace("{n}", &all.saturating_sub(1).to_string());
        Ok((found.iter().map(|record| Line::of(self, shell, record)).collect(), more))
    }

    async fn choices(
        &self,
        who: &SignedIn,
        filters: &Filters,
    ) -> Result<Vec<(i64, String, bool)>, StoreError> {
        let events: Vec<EoEvent> = self.eo.events(&who.user).await?;
        Ok(events
            .into_iter()
            .map(|event| (event.id, event.name, filters.event_id == Some(event.id)))
            .collect())
    }

    /// The last 30 days as bars, and the same in words.
    async fn chart(
        &self,
        shell: &Shell,
        who: &SignedIn,
        event_id: Option<i64>,
    ) -> Result<(Vec<Bar>, String), StoreError> {
        let days = self.eo.days.last(DAYS, self.clock.now());
        let from = days.first().and_then(|day| self.eo.days.begin(day));
        let recent = EoFilter { owner_id: owner_of(who), event_id, from, ..EoFilter::default() };
        let mut amounts: HashMap<String, [u64; 3]> = HashMap::new();
        for one in self.store.eo_tally(&recent, PERIOD).await? {
            let column = match EoStatus::of(one.status) {
                EoStatus::Sent => 0,
                EoStatus::Failed => 1,
                EoStatus::Pending | EoStatus::Processing => 2,
            };
            amounts.entry(self.eo.days.day(one.begin)).or_default()[column] += one.count;
        }
        let most = amounts.values().map(|day| day.iter().sum::<u64>()).max().unwrap_or(0).max(1);
        let bars = days.iter().enumerate().map(|(index, day)| {
            let amount = amounts.get(day).copied().unwrap_or_default();
            let mut y = HEIGHT;
            let mut part = |amount: u64| {
                let height = if amount == 0 { 0 } else { (amount * HEIGHT / most).max(2).min(y) };
                y -= height;
                Part { y, height }
            };
            let title = format!("{day}: {}", amount.iter().sum::<u64>());
            Bar {
                x: index * 10,
                title,
                sent: part(amount[0]),
                failed: part(amount[1]),
                other: part(amount[2]),
            }
        });
        let bars = bars.collect();
        let sum = |column: usize| amounts.values().map(|day| day[column]).sum::<u64>().to_string();
        let chart = shell
            .say(
                "Last 30 days: {sent} sent, {failed} failed, {other} others",
                "30 hari terakhir: {sent} terkirim, {failed} gagal, {other} lainnya",
            )
            .replace("{sent}", &sum(0))
            .replace("{failed}", &sum(1))
            .replace("{other}", &sum(2));
        Ok((bars, chart))
    }
}

/// Whose events' deliveries somebody sees: an admin those of all.
fn owner_of(who: &SignedIn) -> Option<UserId> {
    (who.user.role != Role::Admin).then_some(who.user.id)
}

/// How many deliveries of each status there are among those that the other filters find.
fn counters(shell: &Shell, filters: &Filters, any: &Filters, tally: &[EoTally]) -> Vec<Counter> {
    let counter = |status: Option<EoStatus>| Counter {
        word: status.map_or("all", EoStatus::as_str),
        title: status.map_or_else(|| shell.say("All", "Semua").to_owned(), |one| title(shell, one)),
        amount: tally
            .iter()
            .filter(|one| status.is_none_or(|status| EoStatus::of(one.status) == status))
            .map(|one| one.count)
            .sum(),
        address: Filters { status, ..any.clone() }.address(),
        is_current: filters.status == status,
    };
    [None].into_iter().chain(EoStatus::ALL.map(Some)).map(counter).collect()
}

impl Line {
    fn of(reports: &EoReports, shell: &Shell, record: &EoDeliveryRecord) -> Self {
        let days = &reports.eo.days;
        let (delivery, outcome) = (&record.delivery, record.outcome.as_ref());
        let status = EoStatus::of_record(record);
        Self {
            id: delivery.id,
            event: record.event_name.clone(),
            to: delivery.to_email.clone(),
            subject: delivery.subject.clone(),
            word: status.as_str(),
            status: title(shell, status),
            attempts: outcome.map_or(0, |outcome| outcome.attempts),
            created: days.moment(delivery.created_at),
            machine: delivery.created_at.to_string(),
            sent: outcome.and_then(|outcome| outcome.sent_at).map(|at| days.moment(at)),
            reason: failure(record).map(|(code, message)| format!("{}: {message}", cause(shell, code))),
            resent_from: delivery.resent_from,
        }
    }
}
