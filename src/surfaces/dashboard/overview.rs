//! `/admin`: everything at a glance, fresh every few seconds.

use super::{Dashboard, shell, shown};
use crate::dispatch::Phase;
use crate::surfaces::web::shell::Shell;
use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::Request;
use posthaste_model::Status;
use posthaste_store::{EmailFilter, QueueCounts, StatsBy, StoreError};
use std::collections::BTreeMap;
use std::time::Duration;

/// Hours of the chart.
const HOURS: usize = 24;
/// Of so many of a client's newest emails it is told how long they took.
const NEWEST: usize = 50;
/// Height of its bars.
const HEIGHT: u64 = 60;

#[derive(Template)]
#[template(path = "dashboard/overview.html")]
struct OverviewPage {
    shell: Shell,
    statuses: Vec<(Status, u64)>,
    total: u64,
    rate: String,
    /// How long the newest emails took until a transport had them: half of them, and all but a few.
    latency: Option<(String, String)>,
    this_hour: u64,
    queue: QueueCounts,
    workers: usize,
    bars: Vec<Bar>,
    transports: Vec<Transport>,
    clients: Vec<(String, u64)>,
    health: &'static str,
}

struct Bar {
    x: usize,
    y: u64,
    height: u64,
    title: String,
}

struct Transport {
    name: String,
    state: &'static str,
    waiting: usize,
    is_well: bool,
}

/// `GET /admin`.
pub(super) async fn page(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let visitor = match dashboard.enter(&parts).await {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    let page = dashboard.overview(shell(&visitor, "overview")).await;
    shown(&visitor, page)
}

impl Dashboard {
    async fn overview(&self, shell: Shell) -> Result<OverviewPage, StoreError> {
        let now = self.clock.now();
        let from = now.minus(Duration::from_hours(HOURS as u64));
        let mut statuses: BTreeMap<usize, (Status, u64)> = BTreeMap::new();
        let mut hours: BTreeMap<String, u64> = BTreeMap::new();
        let mut clients = Vec::new();
        let mut waits = Vec::new();
        let filter = EmailFilter { date_from: Some(from), ..EmailFilter::default() };
        for client in self.clients().await? {
            let mut total = 0;
            for (word, amount) in self.store.stats(client.id, from, now, StatsBy::Status).await? {
                let Some(status) = Status::parse(&word) else { continue };
                let place = Status::ALL.iter().position(|one| *one == status).unwrap_or(0);
                statuses.entry(place).or_insert((status, 0)).1 += amount;
                total += amount;
            }
            for (hour, amount) in self.store.stats(client.id, from, now, StatsBy::Hour).await? {
                *hours.entry(hour).or_default() += amount;
            }
            if total > 0 {
                let newest = self.store.list(client.id, &filter, None, NEWEST).await?.rows;
                waits.extend(newest.iter().filter_map(|row| Some(row.sent_at?.since(row.requested_at))));
            }
            clients.push((client.name, total));
        }
        clients.retain(|(_, total)| *total > 0);
        clients.sort_by_key(|(_, total)| std::cmp::Reverse(*total));
        clients.truncate(8);
        let statuses: Vec<(Status, u64)> = statuses.into_values().collect();
        let of = |wanted: &[Status]| -> u64 {
            statuses.iter().filter(|(status, _)| wanted.contains(status)).map(|(_, amount)| amount).sum()
        };
        let total: u64 = statuses.iter().map(|(_, amount)| amount).sum();
        let ended = total - of(&[Status::Scheduled, Status::Queued, Status::Processing, Status::Cancelled]);
        let arrived = of(&[Status::Sent, Status::Delivered]);
        let rate = if ended == 0 {
            "–".to_owned()
        } else {
            format!("{:.1}%", arrived as f64 * 100.0 / ended as f64)
        };
        let this_hour = now.to_string();
        let this_hour = this_hour.get(..13).unwrap_or_default();
        let health = match self.health.report().await.overall() {
            crate::health::Overall::Healthy => "healthy",
            crate::health::Overall::Degraded => "degraded",
            crate::health::Overall::Unhealthy => "unhealthy",
        };
        Ok(OverviewPage {
            shell,
            total,
            rate,
            latency: latency(waits),
            this_hour: hours.iter().filter(|(hour, _)| hour.starts_with(this_hour)).map(|(_, n)| n).sum(),
            bars: bars(&hours, now),
            statuses,
            queue: self.store.queue_counts(now).await?,
            workers: crate::health::live_workers(&self.store.workers(now).await?, now),
            transports: self.transports(),
            clients,
            health,
        })
    }

    /// How the ways out are; nothing where this process delivers nothing.
    fn transports(&self) -> Vec<Transport> {
        let states = self.worker.as_ref().map(crate::dispatch::Dispatch::transports).unwrap_or_default();
        let shown = states.into_iter().map(|one| {
            let (state, is_well) = match one.circuit {
                Phase::Closed => ("takes mail", true),
                Phase::Open { .. } => ("resting after failures", false),
                Phase::HalfOpen => ("being tried again", false),
            };
            Transport { name: one.transport.to_string(), state, waiting: one.waiting, is_well }
        });
        shown.collect()
    }
}

/// The median and the 95th percentile; `None` without any.
fn latency(mut waits: Vec<Duration>) -> Option<(String, String)> {
    waits.sort_unstable();
    let at = |percent: usize| waits.get(waits.len() * percent / 100).map(|wait| in_words(*wait));
    Some((at(50)?, at(95)?))
}

fn in_words(wait: Duration) -> String {
    if wait < Duration::from_secs(10) {
        format!("{} ms", wait.as_millis())
    } else {
        format!("{} s", wait.as_secs())
    }
}

fn bars(hours: &BTreeMap<String, u64>, now: posthaste_model::Timestamp) -> Vec<Bar> {
    let most = hours.values().copied().max().unwrap_or(0).max(1);
    let bar = |index: usize| {
        let at = now.minus(Duration::from_hours((HOURS - 1 - index) as u64)).to_string();
        let hour = at.get(..13).unwrap_or_default();
        let amount: u64 = hours.iter().filter(|(known, _)| known.starts_with(hour)).map(|(_, n)| n).sum();
        let height = if amount == 0 { 0 } else { (amount * HEIGHT / most).max(2) };
        let title = format!("{}:00 UTC: {amount}", hour.replace('T', " "));
        Bar { x: index * 12, y: HEIGHT - height, height, title }
    };
    (0..HOURS).map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_is_told_in_words() {
        assert_eq!(latency(Vec::new()), None);
        let waits = [30_000, 7, 40].map(Duration::from_millis).to_vec();
        assert_eq!(latency(waits), Some(("40 ms".to_owned(), "30 s".to_owned())));
    }
}
