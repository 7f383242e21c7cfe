//! `/admin/suppressions`: the addresses that a client does not write to.

use super::{Dashboard, When, changed, client_id, shell, shown};
use crate::admin::NewSuppression;
use crate::surfaces::http::form::Fields;
use crate::surfaces::web::shell::Shell;
use crate::surfaces::web::visitor::escaped;
use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::Request;
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
pub(super) async fn page(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let visitor = match dashboard.enter(&parts).await {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    let fields = Fields::of_query(parts.uri.query().unwrap_or_default()).unwrap_or_default();
    let page = dashboard.suppressions_page(shell(&visitor, "suppressions"), &fields).await;
    shown(&visitor, page)
}

/// `POST /admin/suppressions/{client}`.
pub(super) async fn add(
    State(dashboard): State<Dashboard>,
    Path(client): Path<String>,
    request: Request<Body>,
) -> Response {
    let (visitor, form) = match dashboard.change(request).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let back = format!("/admin/suppressions?client={}", escaped(&client));
    let Ok(id) = client_id(&client) else { return changed::<()>(&visitor, Err(Refusal::NotFound), &back) };
    let fields = form.fields().unwrap_or_default();
    let new = NewSuppression {
        email: fields.get("email").unwrap_or_default().trim().to_owned(),
        reason: None,
        stream: fields.get("stream").filter(|given| !given.is_empty()).map(str::to_owned),
        expires_at: None,
    };
    changed(&visitor, dashboard.admin.suppress(id, &new, &visitor.actor()).await, &back)
}

/// `POST /admin/suppressions/{client}/remove`.
pub(super) async fn remove(
    State(dashboard): State<Dashboard>,
    Path(client): Path<String>,
    request: Request<Body>,
) -> Response {
    let (visitor, form) = match dashboard.change(request).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let back = format!("/admin/suppressions?client={}", escaped(&client));
    let Ok(id) = client_id(&client) else { return changed::<()>(&visitor, Err(Refusal::NotFound), &back) };
    let fields = form.fields().unwrap_or_default();
    let stream = fields.get("stream").filter(|given| !given.is_empty());
    let email = fields.get("email").unwrap_or_default();
    changed(&visitor, dashboard.admin.unsuppress(id, email, stream, &visitor.actor()).await, &back)
}

impl Dashboard {
    async fn suppressions_page(
        &self,
        shell: Shell,
        fields: &Fields<'_>,
    ) -> Result<SuppressionsPage, StoreError> {
        let (clients, chosen) = self.choice(fields.get("client")).await?;
        let email = fields.get("email").map(str::trim).filter(|given| !given.is_empty());
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
