//! `posthaste domain`.

use super::Place;
use super::failure::Failure;
use super::installation::actor;
use super::output::{Format, or_dash, table};
use crate::admin::{DkimAlgorithm, DnsRecord, DomainChange, DomainDns, NewDomain, TxtRecord};
use crate::app::App;
use crate::surfaces::emails_api::{domain_dns_shape, domain_shape};
use clap::{Args, Subcommand, ValueEnum};
use posthaste_model::domain::SendingDomain;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::slice::from_ref;

#[derive(Args)]
pub struct Domains {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    format: Format,
}

#[derive(Subcommand)]
enum Command {
    /// Register a sending domain
    Create {
        /// Its name, such as example.com
        name: String,
        /// The client that may use it, by name or id [default: every client]
        #[arg(long)]
        client: Option<String>,
        /// Sender of emails that name none
        #[arg(long, value_name = "ADDRESS")]
        default_from: Option<String>,
    },
    /// Show all sending domains
    List,
    /// Show one sending domain
    Show {
        /// Its name
        name: String,
    },
    /// Change a sending domain
    Update {
        /// Its name
        name: String,
        /// Sender of emails that name none; an empty one takes it away
        #[arg(long, value_name = "ADDRESS")]
        default_from: Option<String>,
        /// Whether providers' news changes the status of its email
        #[arg(long, value_name = "true|false")]
        bounce_webhook_enabled: Option<bool>,
    },
    /// Take a sending domain's registration away; its signing keys are kept
    Revoke {
        /// Its name
        name: String,
    },
    /// Show the records to publish, and what DNS answers now
    Dns {
        /// The domain
        name: String,
    },
    /// Show the DKIM records to publish; makes keys when there are none
    Dkim {
        /// The domain
        name: String,
        /// Make a further key of this kind
        #[arg(long, value_name = "KIND")]
        new: Option<Algorithm>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Algorithm {
    Rsa,
    Ed25519,
}

impl Domains {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let format = self.format;
        place.with_app(async |app| match self.command {
            Command::Create { name, client, default_from } => {
                let new = NewDomain { name, client, default_from };
                let made = app.admin.create_domain(new, &actor()).await?;
                let shape = json!({"id": made.id, "name": made.name});
                format.print(&shape, || {
                    format!("Domain {} registered. `posthaste domain dkim {0}` makes it sign.", made.name)
                })
            }
            Command::List => {
                let domains = app.admin.domains().await?;
                format.print(&domains.iter().map(domain_shape).collect(), || table(HEAD, &rows(&domains)))
            }
            Command::Show { name } => {
                let domain = app.admin.domain(&name).await?;
                format.print(&domain_shape(&domain), || table(HEAD, &rows(from_ref(&domain))))
            }
            Command::Update { name, default_from, bounce_webhook_enabled } => {
                let default_from = default_from.map(|given| Some(given).filter(|given| !given.is_empty()));
                let change = DomainChange { default_from, bounce_webhook_enabled };
                let domain = app.admin.update_domain(&name, change, &actor()).await?;
                format.print(&domain_shape(&domain), || table(HEAD, &rows(from_ref(&domain))))
            }
            Command::Revoke { name } => {
                let domain = app.admin.remove_domain(&name, &actor()).await?;
                let revoked = json!({"id": domain.id, "name": domain.name, "revoked": true});
                format.print(&revoked, || format!("Domain {} is registered no more.", domain.name))
            }
            Command::Dns { name } => {
                let found = app.admin.domain_dns(&name).await?;
                format.print(&domain_dns_shape(&found), || table(DNS_HEAD, &dns_rows(&found)))
            }
            Command::Dkim { name, new } => {
                let records = dkim(app, &name, new).await?;
                format.print(&records.iter().map(record).collect(), || announcement(&records))
            }
        })
    }
}

/// The records of a domain's keys. The first look makes one key of each kind: RSA is checked everywhere, Ed25519 is
/// what stays when RSA is broken.
async fn dkim(app: &App, name: &str, new: Option<Algorithm>) -> Result<Vec<TxtRecord>, Failure> {
    let records = app.admin.dkim_records(name).await?;
    let wanted: &[DkimAlgorithm] = match new {
        Some(Algorithm::Rsa) => &[DkimAlgorithm::Rsa],
        Some(Algorithm::Ed25519) => &[DkimAlgorithm::Ed25519],
        None if records.is_empty() => &[DkimAlgorithm::Rsa, DkimAlgorithm::Ed25519],
        None => return Ok(records),
    };
    for algorithm in wanted {
        app.admin.create_dkim_key(name, *algorithm, &actor()).await?;
    }
    Ok(app.admin.dkim_records(name).await?)
}

fn record(record: &TxtRecord) -> Value {
    json!({
        "name": record.name,
        "type": "TXT",
        "value": record.value,
        "selector": record.selector,
        "algorithm": record.algorithm,
        "active": record.is_active,
    })
}

fn announcement(records: &[TxtRecord]) -> String {
    let mut text = "Publish these TXT records:\n".to_owned();
    for record in records {
        let _ = write!(text, "\n{}\n  {}\n", record.name, record.value);
    }
    text
}

const DNS_HEAD: &[&str] = &["STATE", "PURPOSE", "TYPE", "NAME", "VALUE", "FOUND"];

fn dns_rows(found: &DomainDns) -> Vec<Vec<String>> {
    let row = |record: &DnsRecord| {
        let cells = [record.state.as_str(), record.purpose, record.kind, &record.name, &record.value];
        let there = record.error.clone().unwrap_or_else(|| record.found.join(" | "));
        cells.into_iter().map(str::to_owned).chain([there]).collect()
    };
    found.records.iter().map(row).collect()
}

const HEAD: &[&str] = &["NAME", "CLIENT ID", "DEFAULT FROM", "BOUNCE WEBHOOK", "CREATED"];

fn rows(domains: &[SendingDomain]) -> Vec<Vec<String>> {
    let row = |domain: &SendingDomain| {
        let bounces = if domain.bounce_webhook_enabled { "on" } else { "off" };
        vec![
            domain.name.clone(),
            or_dash(domain.client_id),
            or_dash(domain.default_from.as_ref()),
            bounces.to_owned(),
            domain.created_at.to_string(),
        ]
    };
    domains.iter().map(row).collect()
}
