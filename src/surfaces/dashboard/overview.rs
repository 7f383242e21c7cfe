//! `/admin`: everything at a glance, fresh every few seconds.

use super::Dashboard;
use super::visit::Visit;
use crate::dispatch::Phase;
use crate::surfaces::web::shell::Shell;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use posthaste_model::{ClientId, Status, Timestamp};
use posthaste_store::{EmailFilter, HourCount, QueueCounts, StoreError};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Hours of the chart.
const HOURS: u64 = 24;
const HOUR_MS: i64 = 3_600_000;
/// Clients shown: those that sent most.
const CLIENTS: usize = 8;
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

/// What was accepted in the hours shown.
#[derive(Default)]
struct Traffic {
    total: u64,
    /// By the place of the status in its order.
    statuses: BTreeMap<usize, (Status, u64)>,
    hours: BTreeMap<Timestamp, u64>,
    clients: HashMap<ClientId, u64>,
}

impl Traffic {
    fn of(counts: Vec<HourCount>) -> Self {
        let mut all = Self::default();
        for HourCount { client_id, hour, status, amount } in counts {
            let place = Status::ALL.iter().position(|one| *one == status).unwrap_or(0);
            all.total += amount;
            all.statuses.entry(place).or_insert((status, 0)).1 += amount;
            *all.hours.entry(hour).or_default() += amount;
            *all.clients.entry(client_id).or_default() += amount;
        }
        all
    }

    fn of_statuses(&self, wanted: &[Status]) -> u64 {
        let found = self.statuses.values().filter(|(status, _)| wanted.contains(status));
        found.map(|(_, amount)| amount).sum()
    }

    /// The clients that sent most, with how much.
    fn busiest(&self) -> Vec<(ClientId, u64)> {
        let mut clients: Vec<(ClientId, u64)> =
            self.clients.iter().map(|(id, amount)| (*id, *amount)).collect();
        clients.sort_unstable_by_key(|(id, amount)| (std::cmp::Reverse(*amount), *id));
        clients.truncate(CLIENTS);
        clients
    }
}

/// `GET /admin`.
pub(super) async fn page(State(dashboard): State<Dashboard>, visit: Visit) -> Response {
    visit.shown(dashboard.overview(visit.shell("overview")).await)
}

impl Dashboard {
    async fn overview(&self, shell: Shell) -> Result<OverviewPage, StoreError> {
        let now = self.clock.now();
        let shown = hours(now);
        let asked = async {
            tokio::try_join!(
                self.store.hour_counts(shown[0], now),
                self.clients(),
                self.store.queue_counts(now),
                self.store.workers(now),
            )
        };
        let (asked, report) = tokio::join!(asked, self.health.report());
        let (counts, clients, queue, workers) = asked?;
        let traffic = Traffic::of(counts);
        let busiest = traffic.busiest();
        let waits = self.waits(&busiest, shown[0]).await?;
        let name = |id: ClientId| clients.iter().find(|one| one.id == id).map(|one| one.name.clone());
        let ended = traffic.total
            - traffic.of_statuses(&[
                Status::Scheduled,
                Status::Queued,
                Status::Processing,
                Status::Cancelled,
            ]);
        let arrived = traffic.of_statuses(&[Status::Sent, Status::Delivered]);
        let rate = if ended == 0 {
            "–".to_owned()
        } else {
            format!("{:.1}%", arrived as f64 * 100.0 / ended as f64)
        };
        let health = match report.overall() {
            crate::health::Overall::Healthy => "healthy",
            crate::health::Overall::Degraded => "degraded",
            crate::health::Overall::Unhealthy => "unhealthy",
        };
        Ok(OverviewPage {
            shell,
            total: traffic.total,
            rate,
            latency: latency(waits),
            this_hour: shown.last().and_then(|hour| traffic.hours.get(hour)).copied().unwrap_or(0),
            bars: bars(&traffic.hours, &shown),
            queue,
            workers: crate::health::live_workers(&workers, now),
            transports: self.transports(),
            clients: busiest.iter().filter_map(|(id, amount)| Some((name(*id)?, *amount))).collect(),
            statuses: traffic.statuses.into_values().collect(),
            health,
        })
    }

    /// How long the newest emails of these clients took until a transport had them.
    async fn waits(&self, clients: &[(ClientId, u64)], from: Timestamp) -> Result<Vec<Duration>, StoreError> {
        let filter = EmailFilter { date_from: Some(from), ..EmailFilter::default() };
        let mut waits = Vec::new();
        for (client, _) in clients {
            let newest = self.store.list(*client, &filter, None, NEWEST).await?.rows;
            waits.extend(newest.iter().filter_map(|row| Some(row.sent_at?.since(row.requested_at))));
        }
        Ok(waits)
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

/// When the hours of the chart began, oldest first; the last one is not over.
fn hours(now: Timestamp) -> Vec<Timestamp> {
    let began =
        now.minus(Duration::from_millis(u64::try_from(now.millis().rem_euclid(HOUR_MS)).unwrap_or(0)));
    (0..HOURS).rev().map(|ago| began.minus(Duration::from_hours(ago))).collect()
}

fn bars(amounts: &BTreeMap<Timestamp, u64>, shown: &[Timestamp]) -> Vec<Bar> {
    let most = amounts.values().copied().max().unwrap_or(0).max(1);
    let bar = |(index, hour): (usize, &Timestamp)| {
        let amount = amounts.get(hour).copied().unwrap_or(0);
        let height = if amount == 0 { 0 } else { (amount * HEIGHT / most).max(2) };
        let at = hour.to_string();
        let title = format!("{}:00 UTC: {amount}", at.get(..13).unwrap_or_default().replace('T', " "));
        Bar { x: index * 12, y: HEIGHT - height, height, title }
    };
    shown.iter().enumerate().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_ends_with_the_hour_under_way() {
        let now = Timestamp::from_millis(1_800_001_200_000);
        let shown = hours(now);
        assert_eq!(shown.len(), 24);
        assert_eq!(shown[23].to_string(), "2027-01-15T08:00:00.000Z");
        assert_eq!(shown[0].to_string(), "2027-01-14T09:00:00.000Z");
        let all = bars(&BTreeMap::from([(shown[23], 10), (shown[0], 1)]), &shown);
        assert_eq!((all[23].height, all[0].height, all[1].height), (HEIGHT, 6, 0));
        assert_eq!(all[23].title, "2027-01-15 08:00 UTC: 10");
    }

    #[test]
    fn traffic_is_summed_by_status_hour_and_client() {
        let client = |n| ClientId::from_bytes([n; 16]);
        let count = |n, status, amount| HourCount {
            client_id: client(n),
            hour: Timestamp::default(),
            status,
            amount,
        };
        let all = Traffic::of(vec![
            count(1, Status::Sent, 3),
            count(2, Status::Sent, 4),
            count(1, Status::Failed, 2),
        ]);
        assert_eq!((all.total, all.of_statuses(&[Status::Sent])), (9, 7));
        assert_eq!(all.busiest(), [(client(1), 5), (client(2), 4)]);
        assert_eq!(all.hours.into_values().collect::<Vec<_>>(), [9]);
    }

    #[test]
    fn latency_is_told_in_words() {
        assert_eq!(latency(Vec::new()), None);
        let waits = [30_000, 7, 40].map(Duration::from_millis).to_vec();
        assert_eq!(latency(waits), Some(("40 ms".to_owned(), "30 s".to_owned())));
    }
}
