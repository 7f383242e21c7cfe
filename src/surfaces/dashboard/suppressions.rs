//! `/admin/suppressions`: the addresses that a client does not write to.

use super::visit::{Change, Visit, id_of};
use super::{Dashboard, When};
use crate::admin::NewSuppression;
use crate::surfaces::http::form::Fields;
use crate::surfaces::web::shell::Shell;
use crate::surfaces::web::visitor::escaped;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use posthaste_model::ClientId;
use posthaste_model::refusal::Refusal;
use posthaste_store::{StoreError, SuppressionFilter};

/// Entries shown: the newest.
const PAGE: usize = 100;

#[derive(Template)]
#[template(path = "dashboard/suppressions.html")]
struct SuppressionsPage {
    shell: Shell,
    clients: Vec<(ClientId, String, bool)>,
    client: String,
    email: String,
    fault: &'static str,
    lines: Vec<Line>,
}

struct Line {
    email: String,
    stream: String,
    reason: String,
    evidence: String,
    at: When,
    can_remove: bool,
}

/// `GET /admin/suppressions?client=&email=`.
pub(super) async fn page(State(dashboard): State<Dashboard>, visit: Visit) -> Response {
    visit.shown(dashboard.suppressions_page(visit.shell("suppressions"), &visit.fields()).await)
}

/// `POST /admin/suppressions/{client}`.
pub(super) async fn add(
    State(dashboard): State<Dashboard>,
    Path(client): Path<String>,
    change: Change,
) -> Response {
    let fields = change.fields();
    let new = NewSuppression {
        email: fields.get("email").unwrap_or_default().trim().to_owned(),
        reason: None,
        stream: fields.get("stream").filter(|given| !given.is_empty()).map(str::to_owned),
        expires_at: None,
    };
    let added = async { dashboard.admin.suppress(id_of(&client)?, &new, &change.actor()).await };
    change.answer(added.await, &list_of(&client))
}

/// `POST /admin/suppressions/{client}/remove`.
pub(super) async fn remove(
    State(dashboard): State<Dashboard>,
    Path(client): Path<String>,
    change: Change,
) -> Response {
    let fields = change.fields();
    let stream = fields.get("stream").filter(|given| !given.is_empty());
    let email = fields.get("email").unwrap_or_default();
    let removed = async { dashboard.admin.unsuppress(id_of(&client)?, email, stream, &change.actor()).await };
    change.answer(removed.await, &list_of(&client))
}

/// Where a client's list is shown.
fn list_of(client: &str) -> String {
    format!("/admin/suppressions?client={}", escaped(client))
}

impl Dashboard {
    async fn suppressions_page(
        &self,
        shell: Shell,
        fields: &Fields<'_>,
    ) -> Result<SuppressionsPage, StoreError> {
        let (clients, chosen) = self.choice(fields.get("client")).await?;
        let email = fields.given("email");
        let found = self.admin.suppressions(chosen, email, SuppressionFilter::default(), PAGE).await;
        let (entries, fault) = match found {
            Ok(entries) => (entries, ""),
            Err(Refusal::Invalid(_)) => (Vec::new(), "That is not an email address."),
            Err(_) => return Err(StoreError::Unavailable("the suppressions".into())),
        };
        let lines = entries.into_iter().map(|(_, entry)| Line {
            can_remove: entry.email.is_some(),
            email: entry.email.unwrap_or_else(|| "(erased)".into()),
            stream: entry.stream.unwrap_or_default(),
            reason: entry.reason,
            evidence: entry.evidence.unwrap_or_default(),
            at: self.moment(entry.created_at),
        });
        Ok(SuppressionsPage {
            shell,
            clients,
            client: chosen.to_string(),
            email: email.unwrap_or_default().to_owned(),
            fault,
            lines: lines.collect(),
        })
    }
}
