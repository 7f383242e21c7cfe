//! `/admin/system`: how each part of the installation is.

use super::Dashboard;
use super::visit::Visit;
use crate::health::{Finding, State as Condition};
use crate::surfaces::web::shell::Shell;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use posthaste_store::StoreError;

#[derive(Template)]
#[template(path = "dashboard/system.html")]
struct SystemPage {
    shell: Shell,
    version: &'static str,
    store: String,
    parts: Vec<Part>,
    workers: Vec<(String, String, String)>,
}

struct Part {
    name: &'static str,
    word: &'static str,
    message: String,
}

/// `GET /admin/system`.
pub(super) async fn page(State(dashboard): State<Dashboard>, visit: Visit) -> Response {
    visit.shown(dashboard.system(visit.shell("system")).await)
}

impl Dashboard {
    async fn system(&self, shell: Shell) -> Result<SystemPage, StoreError> {
        let report = self.health.report().await;
        let findings = [
            ("Store", Some(&report.store)),
            ("Attachments", Some(&report.blobs)),
            ("Queue", Some(&report.queue)),
            ("Broker", report.broker.as_ref()),
            ("Shared cache", report.cache.as_ref()),
            ("Configuration", Some(&report.config)),
            ("Transports", Some(&report.transports)),
            ("Provider reports", report.reports.as_ref()),
            ("Logs", Some(&report.logs)),
        ];
        let parts = findings.into_iter().filter_map(|(name, found)| Some(part(name, found?)));
        let now = self.clock.now();
        let workers = self.store.workers(now).await?.into_iter().map(|(worker, seen)| {
            (worker.host, worker.roles, format!("heard of {} s ago", now.since(seen).as_secs()))
        });
        Ok(SystemPage {
            shell,
            version: env!("CARGO_PKG_VERSION"),
            store: format!("{} {}", self.store.engine_name(), self.store.engine_version()),
            parts: parts.collect(),
            workers: workers.collect(),
        })
    }
}

fn part(name: &'static str, found: &Finding) -> Part {
    let word = match found.state {
        Condition::Ok => "ok",
        Condition::Warning => "degraded",
        Condition::Failed => "error",
    };
    Part { name, word, message: found.message.clone() }
}
