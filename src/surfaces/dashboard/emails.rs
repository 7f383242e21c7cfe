//! `/admin/emails`: a client's emails, newest first, with a search.

use super::{Dashboard, When, search, shell, shown};
use crate::surfaces::http::form::Fields;
use crate::surfaces::web::shell::Shell;
use crate::surfaces::web::visitor::escaped;
use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::Request;
use posthaste_model::{ClientId, EmailId, Status};
use posthaste_store::{EmailSummary, StoreError};

/// Emails of a page.
const PAGE: usize = 50;
/// Characters of a search.
const QUERY_CHARS: usize = 500;

#[derive(Template)]
#[template(path = "dashboard/emails.html")]
struct EmailsPage {
    shell: Shell,
    clients: Vec<(ClientId, String, bool)>,
    client: String,
    query: String,
    fault: String,
    lines: Vec<Line>,
    older: Option<String>,
    is_older: bool,
}

struct Line {
    id: EmailId,
    to: String,
    subject: String,
    status: Status,
    at: When,
    error: String,
}

/// `GET /admin/emails?client=&q=&cursor=`.
pub(super) async fn page(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let visitor = match dashboard.enter(&parts).await {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    let fields = Fields::of_query(parts.uri.query().unwrap_or_default()).unwrap_or_default();
    let page = dashboard.emails(shell(&visitor, "emails"), &fields).await;
    shown(&visitor, page)
}

impl Dashboard {
    async fn emails(&self, shell: Shell, fields: &Fields<'_>) -> Result<EmailsPage, StoreError> {
        let clients = self.clients().await?;
        let asked = fields.get("client").unwrap_or_default();
        let chosen = clients.iter().find(|client| client.id.to_string() == asked).or_else(|| clients.first());
        let chosen = chosen.map(|client| client.id).ok_or(StoreError::NotFound)?;
        let query: String = fields.get("q").unwrap_or_default().trim().chars().take(QUERY_CHARS).collect();
        let cursor = fields.get("cursor").and_then(|text| text.parse().ok());
        let (mut lines, mut older, mut fault) = (Vec::new(), None, String::new());
        match search::read(&query, &self.days) {
            Ok(filter) => {
                let page = self.store.list(chosen, &filter, cursor, PAGE).await?;
                lines = page.rows.into_iter().map(|row| self.line(row)).collect();
                older = page
                    .next
                    .map(|next| format!("/admin/emails?client={chosen}&q={}&cursor={next}", escaped(&query)));
            }
            Err(said) => fault = said,
        }
        Ok(EmailsPage {
            shell,
            clients: clients.into_iter().map(|one| (one.id, one.name, one.id == chosen)).collect(),
            client: chosen.to_string(),
            query,
            fault,
            lines,
            older,
            is_older: cursor.is_some(),
        })
    }

    fn line(&self, row: EmailSummary) -> Line {
        Line {
            id: row.id,
            to: row.to.join(", "),
            subject: row.subject,
            status: row.status,
            at: self.moment(row.requested_at),
            error: row.error.unwrap_or_default(),
        }
    }
}
