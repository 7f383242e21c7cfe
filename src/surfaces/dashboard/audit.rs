//! `/admin/audit`: who did what.

use super::visit::Visit;
use super::{Dashboard, When};
use crate::surfaces::http::form::Fields;
use crate::surfaces::web::shell::Shell;
use crate::surfaces::web::visitor::escaped;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use posthaste_store::{AuditFilter, StoreError};
use std::collections::HashMap;

/// Entries of a page.
const PAGE: usize = 50;

#[derive(Template)]
#[template(path = "dashboard/audit.html")]
struct AuditPage {
    shell: Shell,
    action: String,
    target: String,
    lines: Vec<Line>,
    older: Option<String>,
}

struct Line {
    at: When,
    who: String,
    address: String,
    action: String,
    target: String,
    detail: String,
}

/// `GET /admin/audit?action=&target=&before=`.
pub(super) async fn page(State(dashboard): State<Dashboard>, visit: Visit) -> Response {
    visit.shown(dashboard.audit_page(visit.shell("audit"), &visit.fields()).await)
}

impl Dashboard {
    async fn audit_page(&self, shell: Shell, fields: &Fields<'_>) -> Result<AuditPage, StoreError> {
        let (action, target) = (fields.given("action"), fields.given("target"));
        let filter = AuditFilter {
            action: action.map(str::to_owned),
            target: target.map(str::to_owned),
            ..AuditFilter::default()
        };
        let before = fields.get("before").and_then(|text| text.parse().ok());
        let entries = self.store.audit(before, PAGE, &filter).await?;
        let users: HashMap<String, String> =
            self.store.users().await?.into_iter().map(|user| (user.id.to_string(), user.email)).collect();
        let (action, target) = (action.unwrap_or_default(), target.unwrap_or_default());
        let older = entries.last().filter(|_| entries.len() == PAGE).map(|last| {
            format!("/admin/audit?action={}&target={}&before={}", escaped(action), escaped(target), last.id)
        });
        let lines = entries.into_iter().map(|entry| {
            let id = entry.actor.id.unwrap_or_default();
            Line {
                at: self.moment(entry.at),
                who: users.get(&id).cloned().unwrap_or_else(|| format!("{} {id}", entry.actor.kind)),
                address: entry.actor.address.unwrap_or_default(),
                action: entry.action,
                target: entry.target,
                detail: entry.detail.unwrap_or_default(),
            }
        });
        let lines = lines.collect();
        Ok(AuditPage { shell, action: action.to_owned(), target: target.to_owned(), lines, older })
    }
}
