//! `/admin/domains`: sending domains and the records that sign for them.

use super::{Dashboard, changed, shell, shown};
use crate::admin::{DkimAlgorithm, NewDomain, TxtRecord};
use crate::surfaces::web::shell::Shell;
use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::Request;
use posthaste_model::client::Client;
use posthaste_store::StoreError;

const HERE: &str = "/admin/domains";

#[derive(Template)]
#[template(path = "dashboard/domains.html")]
struct DomainsPage {
    shell: Shell,
    domains: Vec<Row>,
    clients: Vec<Client>,
}

struct Row {
    name: String,
    client: String,
    default_from: String,
    records: Vec<TxtRecord>,
}

/// `GET /admin/domains`.
pub(super) async fn page(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let visitor = match dashboard.enter(&parts).await {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    let page = dashboard.domains_page(shell(&visitor, "domains")).await;
    shown(&visitor, page)
}

/// `POST /admin/domains`.
pub(super) async fn create(State(dashboard): State<Dashboard>, request: Request<Body>) -> Response {
    let (visitor, form) = match dashboard.change(request).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let fields = form.fields().unwrap_or_default();
    let given =
        |name: &str| fields.get(name).map(str::trim).filter(|given| !given.is_empty()).map(str::to_owned);
    let new = NewDomain {
        name: given("name").unwrap_or_default(),
        client: given("client"),
        default_from: given("default_from"),
    };
    changed(&visitor, dashboard.admin.create_domain(new, &visitor.actor()).await, HERE)
}

/// `POST /admin/domains/{name}/keys`.
pub(super) async fn create_key(
    State(dashboard): State<Dashboard>,
    Path(name): Path<String>,
    request: Request<Body>,
) -> Response {
    let (visitor, form) = match dashboard.change(request).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let fields = form.fields().unwrap_or_default();
    let is_short = fields.get("algorithm") == Some("ed25519");
    let algorithm = if is_short { DkimAlgorithm::Ed25519 } else { DkimAlgorithm::Rsa };
    changed(&visitor, dashboard.admin.create_dkim_key(&name, algorithm, &visitor.actor()).await, HERE)
}

impl Dashboard {
    async fn domains_page(&self, shell: Shell) -> Result<DomainsPage, StoreError> {
        let clients = self.clients().await?;
        let mut domains = Vec::new();
        for domain in self.store.domains(None).await? {
            let client = clients.iter().find(|client| Some(client.id) == domain.client_id);
            domains.push(Row {
                records: self.admin.dkim_records(&domain.name).await.unwrap_or_default(),
                client: client.map_or_else(|| "every client".into(), |client| client.name.clone()),
                default_from: domain.default_from.unwrap_or_default(),
                name: domain.name,
            });
        }
        Ok(DomainsPage { shell, domains, clients })
    }
}
