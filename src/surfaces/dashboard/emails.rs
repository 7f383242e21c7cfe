//! `/admin/emails`: a client's emails, newest first, with a search.

use super::visit::Visit;
use super::{Dashboard, When, search};
use crate::surfaces::http::form::Fields;
use crate::surfaces::web::shell::Shell;
use crate::surfaces::web::visitor::escaped;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
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
pub(super) async fn page(State(dashboard): State<Dashboard>, visit: Visit) -> Response {
    visit.shown(dashboard.emails(visit.shell("emails"), &visit.fields()).await)
}

impl Dashboard {
    async fn emails(&self, shell: Shell, fields: &Fields<'_>) -> Result<EmailsPage, StoreError> {
        let (clients, chosen) = self.choice(fields.get("client")).await?;
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
            clients,
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
