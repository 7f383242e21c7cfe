//! What the service counts about itself, for `GET /metrics`. Each number has one typed method here, so that a name
//! and its labels stand in one place; the label values are closed sets or configured names, never a client's input.

mod numbers;

use numbers::{
    CacheLabels, ListenerLabels, Numbers, OutcomeLabels, RefusalLabels, RequestLabels, ResultLabels,
    RouteLabels, ScopeLabels, SurfaceLabels, TaskLabels, TransportLabels,
};
use prometheus_client::metrics::gauge::Gauge;
use std::fmt;
use std::sync::Arc;

/// The media type of what `Metrics::encode` gives (OpenMetrics 1.0).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of one server. Clones count into the same numbers.
#[derive(Clone)]
pub struct Metrics(Arc<Numbers>);

/// How the queue stands at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QueueDepth {
    /// Emails accepted and not yet finished, due or not.
    pub queued: i64,
    /// Emails that could be attempted now.
    pub due: i64,
    /// How long the oldest due email has waited, in seconds.
    pub oldest_due_seconds: f64,
    /// Emails a worker holds a lease on.
    pub leased: i64,
}

/// The state of a transport's circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Attempts go through.
    Closed,
    /// One attempt is let through to see whether the transport is back.
    HalfOpen,
    /// No attempt is made.
    Open,
}

/// What became of a ring that was to leave for the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingFate {
    /// It was written to the broker.
    Published,
    /// The broker has it for good.
    Confirmed,
    /// No queue was there to take it.
    Returned,
    /// The broker did not take it: its queue is full.
    Refused,
    /// It never left: the buffer was full.
    Dropped,
}

impl Metrics {
    /// Fresh metrics, all at zero.
    pub fn new() -> Self {
        Self(Arc::new(Numbers::new()))
    }

    /// A request was answered. `route` is the route's pattern, never the path; `seconds` from the request's first
    /// line to the answer's head.
    pub fn http_request(&self, route: &'static str, method: &'static str, status: u16, seconds: f64) {
        self.0.http_requests.get_or_create(&RequestLabels { route, method, status }).inc();
        self.0.http_seconds.get_or_create(&RouteLabels { route, method }).observe(seconds);
    }

    /// An email was accepted and is durable.
    pub fn accepted(&self, surface: &'static str) {
        self.0.accepted.get_or_create(&SurfaceLabels { surface }).inc();
    }

    /// A request to send was refused, for the reason `code`.
    pub fn refused(&self, surface: &'static str, code: &'static str) {
        self.0.refused.get_or_create(&RefusalLabels { surface, code }).inc();
    }

    /// A request was turned away by a limit: `scope` says which (`key`, `ip`, `aegis`, `login`, ...).
    pub fn rate_limited(&self, scope: &'static str) {
        self.0.rate_limited.get_or_create(&ScopeLabels { scope }).inc();
    }

    /// A transport was tried: its configured name, what came of it, and how long it took in seconds.
    pub fn attempt(&self, transport: &str, outcome: &'static str, seconds: f64) {
        let transport: Arc<str> = transport.into();
        self.0
            .attempt_seconds
            .get_or_create(&TransportLabels { transport: transport.clone() })
            .observe(seconds);
        self.0.attempts.get_or_create(&OutcomeLabels { transport, outcome }).inc();
    }

    /// An email was taken by a transport, `seconds` after it was accepted (or became due).
    pub fn delivered_after(&self, seconds: f64) {
        self.0.delivery_seconds.observe(seconds);
    }

    /// An email was put back for another attempt.
    pub fn retried(&self) {
        self.0.retries.inc();
    }

    /// A transport's circuit breaker changed its state.
    pub fn breaker(&self, transport: &str, state: BreakerState) {
        let number = match state {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        };
        self.0.breaker.get_or_create(&TransportLabels { transport: transport.into() }).set(number);
    }

    /// How the queue stands now.
    pub fn queue_depth(&self, depth: QueueDepth) {
        self.0.queued.set(depth.queued);
        self.0.due.set(depth.due);
        self.0.oldest_due_seconds.set(depth.oldest_due_seconds);
        self.0.leased.set(depth.leased);
    }

    /// Rings met this fate.
    pub fn rings(&self, fate: RingFate, count: usize) {
        let result = match fate {
            RingFate::Published => "published",
            RingFate::Confirmed => "confirmed",
            RingFate::Returned => "returned",
            RingFate::Refused => "refused",
            RingFate::Dropped => "dropped",
        };
        self.0.rings.get_or_create(&ResultLabels { result }).inc_by(count as u64);
    }

    /// Rings were heard, and so many of their emails claimed.
    pub fn rings_heard(&self, heard: usize, claimed: usize) {
        self.0.rings_heard.inc_by(heard as u64);
        self.0.rings_claimed.inc_by(claimed as u64);
    }

    /// Whether the broker is connected.
    pub fn broker_connected(&self, is_connected: bool) {
        self.0.broker_connected.set(i64::from(is_connected));
    }

    /// The broker was connected again.
    pub fn broker_reconnected(&self) {
        self.0.broker_reconnects.inc();
    }

    /// The store committed `operations` together, in `seconds`.
    pub fn store_commit(&self, operations: usize, seconds: f64) {
        self.0.commit_size.observe(operations as f64);
        self.0.commit_seconds.observe(seconds);
    }

    /// Operations that wait for the store, and connections it has open.
    pub fn store_pool(&self, waiting: usize, connections: usize) {
        self.0.store_waiting.set(waiting as i64);
        self.0.store_connections.set(connections as i64);
    }

    /// A webhook was delivered (`ok`), will be tried again (`retry`) or was given up (`gave_up`).
    pub fn webhook_delivery(&self, result: &'static str, seconds: f64) {
        self.0.webhooks.get_or_create(&ResultLabels { result }).inc();
        self.0.webhook_seconds.observe(seconds);
    }

    /// Webhook deliveries that wait, and the age of the oldest of them.
    pub fn webhooks_waiting(&self, waiting: u64, oldest_seconds: f64) {
        self.0.webhooks_waiting.set(waiting as i64);
        self.0.webhooks_oldest_seconds.set(oldest_seconds);
    }

    /// Whether the shared cache works.
    pub fn cache_up(&self, is_up: bool) {
        self.0.cache_up.set(i64::from(is_up));
    }

    /// Something was done without the shared cache because it was away: `limits`, `status`, `news`.
    pub fn cache_missed(&self, what: &'static str) {
        self.0.cache_missed.get_or_create(&CacheLabels { what }).inc();
    }

    /// A status was asked for, and was found in the cache or not.
    pub fn status_cache(&self, result: &'static str) {
        self.0.status_cache.get_or_create(&ResultLabels { result }).inc();
    }

    /// Messages the inbox transport keeps.
    pub fn inbox_messages(&self, count: usize) {
        self.0.inbox_messages.set(count as i64);
    }

    /// The gauge of open connections of a listener (`http`, `smtp`); count a connection with `inc` and `dec`.
    pub fn connections(&self, listener: &'static str) -> Gauge {
        self.0.connections.get_or_create_owned(&ListenerLabels { listener })
    }

    /// The gauge of bytes that request bodies hold in memory.
    pub fn body_bytes(&self) -> &Gauge {
        &self.0.body_bytes
    }

    /// A task panicked and was survived.
    pub fn task_panicked(&self, task: &'static str) {
        self.0.task_panics.get_or_create(&TaskLabels { task }).inc();
    }

    /// A supervised task was started again.
    pub fn task_restarted(&self, task: &'static str) {
        self.0.task_restarts.get_or_create(&TaskLabels { task }).inc();
    }

    /// Log lines were dropped because they came faster than they could be written; `total` since the start.
    pub fn log_lines_dropped(&self, total: usize) {
        let more = (total as u64).saturating_sub(self.0.log_lines_dropped.get());
        self.0.log_lines_dropped.inc_by(more);
    }

    /// All numbers as OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        prometheus_client::encoding::text::encode(&mut text, &self.0.registry)
            .expect("writing to a string does not fail");
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_encoded_with_its_labels() {
        let metrics = Metrics::new();
        metrics.http_request("/send", "POST", 202, 0.003);
        metrics.accepted("aegis");
        metrics.refused("emails_api", "invalid_address");
        metrics.rate_limited("key");
        metrics.attempt("smtp", "sent", 0.02);
        metrics.delivered_after(0.04);
        metrics.retried();
        metrics.breaker("smtp", BreakerState::Open);
        metrics.queue_depth(QueueDepth { queued: 9, due: 3, oldest_due_seconds: 1.5, leased: 2 });
        metrics.rings(RingFate::Published, 8);
        metrics.rings(RingFate::Returned, 1);
        metrics.rings_heard(7, 5);
        metrics.broker_connected(true);
        metrics.broker_reconnected();
        metrics.store_commit(17, 0.004);
        metrics.store_pool(5, 4);
        metrics.webhook_delivery("ok", 0.1);
        metrics.webhooks_waiting(4, 2.5);
        metrics.inbox_messages(6);
        metrics.cache_up(true);
        metrics.cache_missed("limits");
        metrics.status_cache("hit");
        metrics.connections("http").inc();
        metrics.body_bytes().inc_by(4096);
        metrics.log_lines_dropped(3);
        metrics.log_lines_dropped(3);
        let text = metrics.encode();
        for line in [
            "posthaste_http_requests_total{route=\"/send\",method=\"POST\",status=\"202\"} 1",
            "posthaste_http_request_seconds_bucket{le=\"0.005\",route=\"/send\",method=\"POST\"} 1",
            "posthaste_accepted_total{surface=\"aegis\"} 1",
            "posthaste_refused_total{surface=\"emails_api\",code=\"invalid_address\"} 1",
            "posthaste_rate_limited_total{scope=\"key\"} 1",
            "posthaste_attempts_total{transport=\"smtp\",outcome=\"sent\"} 1",
            "posthaste_attempt_seconds_count{transport=\"smtp\"} 1",
            "posthaste_delivery_seconds_count 1",
            "posthaste_retries_total 1",
            "posthaste_breaker_state{transport=\"smtp\"} 2",
            "posthaste_queue_queued 9",
            "posthaste_queue_due 3",
            "posthaste_queue_oldest_due_seconds 1.5",
            "posthaste_queue_leased 2",
            "posthaste_rings_total{result=\"published\"} 8",
            "posthaste_rings_total{result=\"returned\"} 1",
            "posthaste_rings_heard_total 7",
            "posthaste_rings_claimed_total 5",
            "posthaste_broker_connected 1",
            "posthaste_broker_reconnects_total 1",
            "posthaste_store_commit_operations_sum 17.0",
            "posthaste_store_commit_seconds_count 1",
            "posthaste_store_waiting 5",
            "posthaste_store_connections 4",
            "posthaste_webhook_deliveries_total{result=\"ok\"} 1",
            "posthaste_webhooks_waiting 4",
            "posthaste_webhooks_oldest_seconds 2.5",
            "posthaste_inbox_messages 6",
            "posthaste_cache_up 1",
            "posthaste_cache_missed_total{what=\"limits\"} 1",
            "posthaste_status_cache_total{result=\"hit\"} 1",
            "posthaste_open_connections{listener=\"http\"} 1",
            "posthaste_body_bytes 4096",
            "posthaste_log_lines_dropped_total 3",
            &format!("posthaste_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn two_servers_count_apart() {
        let (one, two) = (Metrics::new(), Metrics::new());
        one.retried();
        one.clone().retried();
        assert!(one.encode().contains("posthaste_retries_total 2"));
        assert!(two.encode().contains("posthaste_retries_total 0"));
    }
}
