//! The families behind `Metrics`: their labels, buckets, names and help texts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Seconds, for what answers a caller: 0.5 ms to 30 s.
const REQUEST_SECONDS: [f64; 13] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// Seconds, for a conversation with a relay or provider: 1 ms to 2 min.
const ATTEMPT_SECONDS: [f64; 13] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0];
/// Seconds, from acceptance to `sent`: 5 ms to an hour.
const DELIVERY_SECONDS: [f64; 13] =
    [0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0, 900.0, 3600.0];
/// Seconds, for one commit of the store: 0.1 ms to 5 s.
const COMMIT_SECONDS: [f64; 11] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0];
/// Operations that share one commit.
const COMMIT_SIZES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

type FloatGauge = Gauge<f64, AtomicU64>;
type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

pub(super) struct Numbers {
    pub(super) registry: Registry,
    pub(super) http_requests: Family<RequestLabels, Counter>,
    pub(super) http_seconds: Histograms<RouteLabels>,
    pub(super) accepted: Family<SurfaceLabels, Counter>,
    pub(super) refused: Family<RefusalLabels, Counter>,
    pub(super) rate_limited: Family<ScopeLabels, Counter>,
    pub(super) attempts: Family<OutcomeLabels, Counter>,
    pub(super) attempt_seconds: Histograms<TransportLabels>,
    pub(super) delivery_seconds: Histogram,
    pub(super) retries: Counter,
    pub(super) breaker: Family<TransportLabels, Gauge>,
    pub(super) queued: Gauge,
    pub(super) due: Gauge,
    pub(super) oldest_due_seconds: FloatGauge,
    pub(super) leased: Gauge,
    pub(super) rings: Family<ResultLabels, Counter>,
    pub(super) rings_heard: Counter,
    pub(super) rings_claimed: Counter,
    pub(super) broker_connected: Gauge,
    pub(super) broker_reconnects: Counter,
    pub(super) commit_size: Histogram,
    pub(super) commit_seconds: Histogram,
    pub(super) store_waiting: Gauge,
    pub(super) store_connections: Gauge,
    pub(super) webhooks: Family<ResultLabels, Counter>,
    pub(super) webhook_seconds: Histogram,
    pub(super) webhooks_waiting: Gauge,
    pub(super) webhooks_oldest_seconds: FloatGauge,
    pub(super) inbox_messages: Gauge,
    pub(super) cache_up: Gauge,
    pub(super) cache_missed: Family<CacheLabels, Counter>,
    pub(super) status_cache: Family<ResultLabels, Counter>,
    pub(super) connections: Family<ListenerLabels, Gauge>,
    pub(super) body_bytes: Gauge,
    pub(super) task_panics: Family<TaskLabels, Counter>,
    pub(super) task_restarts: Family<TaskLabels, Counter>,
    pub(super) log_lines_dropped: Counter,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub(super) route: &'static str,
    pub(super) method: &'static str,
    pub(super) status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct RouteLabels {
    pub(super) route: &'static str,
    pub(super) method: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct SurfaceLabels {
    pub(super) surface: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct RefusalLabels {
    pub(super) surface: &'static str,
    pub(super) code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ScopeLabels {
    pub(super) scope: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct OutcomeLabels {
    pub(super) transport: Arc<str>,
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct TransportLabels {
    pub(super) transport: Arc<str>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ResultLabels {
    pub(super) result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct CacheLabels {
    pub(super) what: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ListenerLabels {
    pub(super) listener: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct TaskLabels {
    pub(super) task: &'static str,
}

impl Numbers {
    /// All at zero, registered.
    pub(super) fn new() -> Self {
        let mut numbers = Self {
            registry: Registry::with_prefix("posthaste"),
            http_requests: Family::default(),
            http_seconds: Family::new_with_constructor(|| Histogram::new(REQUEST_SECONDS)),
            accepted: Family::default(),
            refused: Family::default(),
            rate_limited: Family::default(),
            attempts: Family::default(),
            attempt_seconds: Family::new_with_constructor(|| Histogram::new(ATTEMPT_SECONDS)),
            delivery_seconds: Histogram::new(DELIVERY_SECONDS),
            retries: Counter::default(),
            breaker: Family::default(),
            queued: Gauge::default(),
            due: Gauge::default(),
            oldest_due_seconds: FloatGauge::default(),
            leased: Gauge::default(),
            rings: Family::default(),
            rings_heard: Counter::default(),
            rings_claimed: Counter::default(),
            broker_connected: Gauge::default(),
            broker_reconnects: Counter::default(),
            commit_size: Histogram::new(COMMIT_SIZES),
            commit_seconds: Histogram::new(COMMIT_SECONDS),
            store_waiting: Gauge::default(),
            store_connections: Gauge::default(),
            webhooks: Family::default(),
            webhook_seconds: Histogram::new(ATTEMPT_SECONDS),
            webhooks_waiting: Gauge::default(),
            webhooks_oldest_seconds: FloatGauge::default(),
            inbox_messages: Gauge::default(),
            cache_up: Gauge::default(),
            cache_missed: Family::default(),
            status_cache: Family::default(),
            connections: Family::default(),
            body_bytes: Gauge::default(),
            task_panics: Family::default(),
            task_restarts: Family::default(),
            log_lines_dropped: Counter::default(),
        };
        numbers.register_intake();
        numbers.register_delivery();
        numbers.register_broker();
        numbers.register_process();
        numbers
    }

    fn register_intake(&mut self) {
        let r = &mut self.registry;
        r.register(
            "http_requests",
            "HTTP requests answered, by route, method and status",
            self.http_requests.clone(),
        );
        r.register("http_request_seconds", "Time to answer an HTTP request", self.http_seconds.clone());
        r.register("accepted", "Emails accepted and durable, by surface", self.accepted.clone());
        r.register(
            "refused",
            "Requests to send that were refused, by surface and code",
            self.refused.clone(),
        );
        r.register("rate_limited", "Requests turned away by a limit, by scope", self.rate_limited.clone());
        r.register("open_connections", "Connections open now, by listener", self.connections.clone());
        r.register("body_bytes", "Bytes that request bodies hold in memory", self.body_bytes.clone());
    }

    fn register_delivery(&mut self) {
        let r = &mut self.registry;
        r.register("attempts", "Attempts made, by transport and outcome", self.attempts.clone());
        r.register("attempt_seconds", "Time an attempt took, by transport", self.attempt_seconds.clone());
        r.register(
            "delivery_seconds",
            "Time from acceptance until a transport took the email",
            self.delivery_seconds.clone(),
        );
        r.register("retries", "Emails put back for another attempt", self.retries.clone());
        r.register(
            "breaker_state",
            "Circuit breaker by transport: 0 closed, 1 half open, 2 open",
            self.breaker.clone(),
        );
        r.register("queue_queued", "Emails accepted and not yet finished", self.queued.clone());
        r.register("queue_due", "Emails that could be attempted now", self.due.clone());
        r.register(
            "queue_oldest_due_seconds",
            "How long the oldest due email has waited",
            self.oldest_due_seconds.clone(),
        );
        r.register("queue_leased", "Emails a worker holds a lease on", self.leased.clone());
        r.register("webhook_deliveries", "Webhook requests made, by result", self.webhooks.clone());
        r.register("webhooks_waiting", "Webhook deliveries to be made", self.webhooks_waiting.clone());
        r.register(
            "webhooks_oldest_seconds",
            "Age of the oldest webhook delivery to be made",
            self.webhooks_oldest_seconds.clone(),
        );
        r.register("webhook_seconds", "Time a webhook request took", self.webhook_seconds.clone());
        r.register("inbox_messages", "Messages the inbox transport keeps", self.inbox_messages.clone());
    }

    fn register_broker(&mut self) {
        let r = &mut self.registry;
        r.register("rings", "Rings for the broker, by what became of them", self.rings.clone());
        r.register("rings_heard", "Rings that the broker brought", self.rings_heard.clone());
        r.register("rings_claimed", "Emails claimed because of a ring", self.rings_claimed.clone());
        r.register("broker_connected", "Whether the broker is connected", self.broker_connected.clone());
        r.register("broker_reconnects", "Lost brokers connected again", self.broker_reconnects.clone());
    }

    fn register_process(&mut self) {
        let r = &mut self.registry;
        r.register(
            "store_commit_operations",
            "Operations that shared a commit of the store",
            self.commit_size.clone(),
        );
        r.register("store_commit_seconds", "Time a commit of the store took", self.commit_seconds.clone());
        r.register("store_waiting", "Operations that wait for the store", self.store_waiting.clone());
        r.register("store_connections", "Connections the store has open", self.store_connections.clone());
        r.register("cache_up", "Whether the shared cache works: 1, or 0", self.cache_up.clone());
        r.register(
            "cache_missed",
            "Times something was done without the shared cache because it was away",
            self.cache_missed.clone(),
        );
        r.register("status_cache", "Statuses asked for, by result", self.status_cache.clone());
        r.register("task_panics", "Tasks that panicked and were survived", self.task_panics.clone());
        r.register("task_restarts", "Supervised tasks that were started again", self.task_restarts.clone());
        r.register(
            "log_lines_dropped",
            "Log lines dropped because they came faster than they could be written",
            self.log_lines_dropped.clone(),
        );
        r.register("build", "The version that runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    }
}
