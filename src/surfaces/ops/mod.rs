//! What orchestrators, monitors and load balancers ask: `/livez`, `/readyz`, `/metrics` and `/health`.

use crate::base::clock::Clock;
use crate::base::metrics::{self, Metrics, QueueDepth};
use crate::health::{Finding, Health, Overall, Report, State};
use crate::surfaces::Ground;
use crate::surfaces::http::answer;
use axum::Router;
use axum::extract;
use axum::response::Response;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use posthaste_model::Timestamp;
use posthaste_store::{QueueCounts, Store};
use serde_json::{Value, json};
use std::time::Duration;

/// The version of the APIs whose health this is, as their clients know it; the program's own stands in `/metrics`.
const VERSION: &str = "1.0.0";
/// How long counting what waits and what is kept may take before `/metrics` shows what it knew last.
const COUNT_LIMIT: Duration = Duration::from_secs(1);
/// RFC 6648 aside, the type every probe understands.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The surface.
#[derive(Clone)]
struct Ops {
    /// Asks the parts.
    health: Health,
    /// What is counted.
    metrics: Metrics,
    /// Counts what waits and what the inbox keeps, and says how busy it is.
    store: Store,
    /// The time.
    clock: Clock,
}

impl Ops {
    fn on(ground: &Ground) -> Self {
        Self {
            health: ground.health.clone(),
            metrics: ground.metrics.clone(),
            store: ground.store.clone(),
            clock: ground.clock.clone(),
        }
    }
}

/// `/livez`, `/readyz` and `/metrics`: every node serves them.
pub fn probes(ground: &Ground) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(numbers))
        .with_state(Ops::on(ground))
}

/// `/health`: nodes with the role `api` serve it.
pub fn health(ground: &Ground) -> Router {
    Router::new().route("/health", get(report)).with_state(Ops::on(ground))
}

fn text(status: StatusCode, body: String) -> Response {
    uncached(answer::bytes_as(status, TEXT, body))
}

fn uncached(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// `GET /livez`: the process runs.
async fn livez() -> Response {
    text(StatusCode::OK, "ok".into())
}

/// `GET /readyz`: mail can be accepted.
async fn readyz(extract::State(ops): extract::State<Ops>) -> Response {
    match ops.health.ready().await {
        Ok(()) => text(StatusCode::OK, "ok".into()),
        Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}")),
    }
}

/// `GET /metrics`: OpenMetrics text.
async fn numbers(extract::State(ops): extract::State<Ops>) -> Response {
    let asked = async { tokio::join!(ops.store.queue_counts(ops.clock.now()), ops.store.inbox_count(None)) };
    if let Ok((waiting, kept)) = tokio::time::timeout(COUNT_LIMIT, asked).await {
        if let Ok(waiting) = waiting {
            ops.metrics.queue_depth(depth(&waiting));
        }
        if let Ok(kept) = kept {
            ops.metrics.inbox_messages(usize::try_from(kept).unwrap_or(usize::MAX));
        }
    }
    let load = ops.store.load();
    ops.metrics.store_pool(load.waiting, load.connections);
    let mut response = text(StatusCode::OK, ops.metrics.encode());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
    response
}

/// What waits, as gauges: read where it is asked for, so that every role shows it.
fn depth(counts: &QueueCounts) -> QueueDepth {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    QueueDepth {
        queued: number(counts.pending + counts.processing + counts.scheduled),
        due: number(counts.due),
        oldest_due_seconds: counts.oldest_due_seconds as f64,
        leased: number(counts.processing),
    }
}

/// `GET /health`: the union of two documented shapes.
async fn report(extract::State(ops): extract::State<Ops>) -> Response {
    let report = ops.health.report().await;
    let status = match report.overall() {
        Overall::Healthy => StatusCode::OK,
        Overall::Degraded | Overall::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
    };
    uncached(answer::json(status, &shape(&report, ops.clock.now())))
}

fn shape(report: &Report, now: Timestamp) -> Value {
    let status = match report.overall() {
        Overall::Healthy => "healthy",
        Overall::Degraded => "degraded",
        Overall::Unhealthy => "unhealthy",
    };
    let mut services = json!({report.store_name: service(&report.store)});
    if let Some(broker) = &report.broker {
        services["rabbitmq"] = service(broker).into();
    }
    if let Some(cache) = &report.cache {
        // The name that monitors of the Mail Proxy know, whichever program it is.
        services["keydb"] = service(cache).into();
    }
    let mut shape = json!({
        "status": status,
        "timestamp": now,
        "version": VERSION,
        "checks": {
            "queue": check(queue(report)),
            "config": check(&report.config),
            "smtp_config": check(&report.transports),
            "logging": check(&report.logs),
            "queue_storage": check(storage(report)),
        },
        "services": services,
    });
    if let Some(cache) = &report.cache {
        shape["checks"]["cache"] = check(cache);
    }
    if let Some(reports) = &report.reports {
        shape["checks"]["provider_reports"] = check(reports);
    }
    shape
}

fn service(found: &Finding) -> &'static str {
    if found.state == State::Failed { "error" } else { "ok" }
}

/// Whether mail is worked off, and else whether the bell that calls for it is heard.
fn queue(report: &Report) -> &Finding {
    match &report.broker {
        Some(broker) if broker.state == State::Failed && report.queue.state != State::Failed => broker,
        _ => &report.queue,
    }
}

/// What the queue is kept in: the store, and the storage of attachments beside it.
fn storage(report: &Report) -> &Finding {
    let blobs_are_the_trouble = report.store.state != State::Failed && report.blobs.state == State::Failed;
    if blobs_are_the_trouble { &report.blobs } else { &report.store }
}

fn check(found: &Finding) -> Value {
    let status = match found.state {
        State::Ok => "healthy",
        State::Warning => "warning",
        State::Failed => "unhealthy",
    };
    json!({"status": status, "message": found.message})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            store_name: "embedded",
            store: Finding::ok("the store takes reads and writes"),
            blobs: Finding::ok("the attachments' storage takes writes"),
            queue: Finding::ok("0 emails wait, 1 workers are alive"),
            broker: None,
            cache: None,
            config: Finding::ok("the configuration is complete"),
            transports: Finding::warning("no transport is configured: mail stays in the inbox"),
            reports: None,
            logs: Finding::ok("the log directory takes writes"),
        }
    }

    #[test]
    fn the_shape_is_the_union_of_both_documents() {
        let shape = shape(&report(), Timestamp::from_millis(0));
        assert_eq!(
            shape,
            json!({
                "status": "healthy",
                "timestamp": "1970-01-01T00:00:00.000Z",
                "version": "1.0.0",
                "checks": {
                    "queue": {"status": "healthy", "message": "0 emails wait, 1 workers are alive"},
                    "config": {"status": "healthy", "message": "the configuration is complete"},
                    "smtp_config": {
                        "status": "warning",
                        "message": "no transport is configured: mail stays in the inbox",
                    },
                    "logging": {"status": "healthy", "message": "the log directory takes writes"},
                    "queue_storage": {"status": "healthy", "message": "the store takes reads and writes"},
                },
                "services": {"embedded": "ok"},
            })
        );
    }

    #[test]
    fn a_cache_stands_under_the_name_that_monitors_know() {
        let cache = Some(Finding::failed("the shared cache does not work", Some("refused".into())));
        let shape = shape(&Report { cache, ..report() }, Timestamp::from_millis(0));
        assert_eq!(shape["status"], "degraded");
        assert_eq!(shape["services"], json!({"embedded": "ok", "keydb": "error"}));
        assert_eq!(shape["checks"]["cache"]["status"], "unhealthy");
    }

    #[test]
    fn a_silent_provider_is_a_notice() {
        let reports = Some(Finding::warning("mail went out by ses, and nothing was reported of it"));
        let shape = shape(&Report { reports, ..report() }, Timestamp::from_millis(0));
        assert_eq!(shape["status"], "healthy");
        assert_eq!(shape["checks"]["provider_reports"]["status"], "warning");
    }

    #[test]
    fn a_failed_part_is_named_without_what_it_said() {
        let cause = Some("/srv/data/secret: permission denied".to_owned());
        let blobs = Finding::failed("the attachments' storage does not take writes", cause);
        let shape = shape(&Report { blobs, ..report() }, Timestamp::from_millis(0));
        // Mail without attachments is still taken.
        assert_eq!(shape["status"], "degraded");
        assert_eq!(shape["checks"]["queue_storage"]["status"], "unhealthy");
        assert_eq!(shape["services"]["embedded"], "ok");
        assert!(!shape.to_string().contains("/srv"), "{shape}");
    }
}
