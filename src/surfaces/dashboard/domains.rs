//! `/admin/domains`: sending domains and the records that sign for them.

use super::Dashboard;
use super::people::fault;
use super::visit::{Change, Visit};
use crate::admin::{DkimAlgorithm, DnsRecord, NewDomain, TxtRecord};
use crate::surfaces::web::shell::Shell;
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
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
    /// What DNS answers now, of the domain that was asked for.
    found: Vec<Found>,
}

/// A record to publish, and how it stands.
struct Found {
    record: DnsRecord,
    word: &'static str,
    badge: &'static str,
    there: String,
}

impl Found {
    fn of(record: DnsRecord) -> Self {
        let word = record.state.as_str();
        let badge = match word {
            "ok" => "ok",
            "unknown" => "degraded",
            _ => "error",
        };
        let there = record.error.clone().unwrap_or_else(|| record.found.join(" | "));
        Self { record, word, badge, there }
    }
}

/// `GET /admin/domains?check=`: with a domain's name what DNS answers for it now.
pub(super) async fn page(State(dashboard): State<Dashboard>, visit: Visit) -> Response {
    let fields = visit.fields();
    visit.shown(dashboard.domains_page(visit.shell("domains"), fields.get("check")).await)
}

/// `POST /admin/domains`.
pub(super) async fn create(State(dashboard): State<Dashboard>, change: Change) -> Response {
    let fields = change.fields();
    let given = |name: &str| fields.given(name).map(str::to_owned);
    let new = NewDomain {
        name: given("name").unwrap_or_default(),
        client: given("client"),
        default_from: given("default_from"),
    };
    change.answer(dashboard.admin.create_domain(new, &change.actor()).await, HERE)
}

/// `POST /admin/domains/{name}/keys`.
pub(super) async fn create_key(
    State(dashboard): State<Dashboard>,
    Path(name): Path<String>,
    change: Change,
) -> Response {
    let fields = change.fields();
    let algorithm = match fields.get("algorithm") {
        Some("rsa") => DkimAlgorithm::Rsa,
        Some("ed25519") => DkimAlgorithm::Ed25519,
        _ => {
            let refusal = fault("algorithm", "an algorithm is rsa or ed25519");
            return change.answer::<()>(Err(refusal), HERE);
        }
    };
    change.answer(dashboard.admin.create_dkim_key(&name, algorithm, &change.actor()).await, HERE)
}

impl Dashboard {
    async fn domains_page(&self, shell: Shell, check: Option<&str>) -> Result<DomainsPage, StoreError> {
        let clients = self.clients().await?;
        let mut domains = Vec::new();
        for domain in self.store.domains(None).await? {
            let client = clients.iter().find(|client| Some(client.id) == domain.client_id);
            let found = match check {
                Some(name) if name == domain.name => self.admin.domain_dns(name).await.ok(),
                _ => None,
            };
            let found = found.map(|dns| dns.records).unwrap_or_default();
            domains.push(Row {
                found: found.into_iter().map(Found::of).collect(),
                records: self.admin.dkim_records(&domain.name).await.unwrap_or_default(),
                client: client.map_or_else(|| "every client".into(), |client| client.name.clone()),
                default_from: domain.default_from.unwrap_or_default(),
                name: domain.name,
            });
        }
        Ok(DomainsPage { shell, domains, clients })
    }
}
