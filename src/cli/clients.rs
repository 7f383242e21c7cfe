//! `posthaste client`.

use super::Place;
use super::failure::Failure;
use super::installation::actor;
use super::keys::duration;
use super::output::{Format, harmless, or_dash, table};
use crate::admin::{ClientChange, NewClient};
use crate::config::duration_text;
use clap::{Args, Subcommand};
use posthaste_model::client::{Client, Retention};
use serde_json::{Value, json};
use std::slice::from_ref;
use std::time::Duration;

#[derive(Args)]
pub struct Clients {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    format: Format,
}

#[derive(Subcommand)]
enum Command {
    /// Make a client
    Create {
        /// Its name, unique in the installation
        #[arg(long)]
        name: String,
        /// The department it belongs to
        #[arg(long)]
        department: Option<String>,
        /// How long its bodies and attachments are kept, such as 7d [default: as the installation's]
        #[arg(long, value_name = "TIME", value_parser = kept)]
        retain_bodies: Option<Kept>,
        /// How long its records and events are kept, such as 90d [default: as the installation's]
        #[arg(long, value_name = "TIME", value_parser = kept)]
        retain_records: Option<Kept>,
    },
    /// Change how long a client's email is kept, or switch it off or on
    #[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
    Set {
        /// Its name or id
        client: String,
        /// How long its bodies and attachments are kept, such as 7d; `default`: as the installation's
        #[arg(long, value_name = "TIME", value_parser = kept, group = "change")]
        retain_bodies: Option<Kept>,
        /// How long its records and events are kept, such as 90d; `default`: as the installation's
        #[arg(long, value_name = "TIME", value_parser = kept, group = "change")]
        retain_records: Option<Kept>,
        /// Whether its keys, tokens and logins are taken
        #[arg(long, value_name = "true|false", group = "change")]
        active: Option<bool>,
    },
    /// Switch a client off: none of its credentials is taken from the next request on, on every node
    Revoke {
        /// Its name or id
        client: String,
    },
    /// Show all clients
    List,
    /// Show one client
    Show {
        /// Its name or id
        client: String,
    },
}

/// A time given for one client; `None`: the installation's.
#[derive(Clone, Copy)]
struct Kept(Option<Duration>);

fn kept(text: &str) -> Result<Kept, String> {
    if text == "default" { Ok(Kept(None)) } else { duration(text).map(|time| Kept(Some(time))) }
}

fn time(given: Option<Kept>) -> Option<Duration> {
    given.and_then(|kept| kept.0)
}

impl Clients {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let format = self.format;
        place.with_app(async |app| match self.command {
            Command::Create { name, department, retain_bodies, retain_records } => {
                let retention = Retention { bodies: time(retain_bodies), records: time(retain_records) };
                let new = NewClient { name, department, retention };
                let client = app.admin.create_client(new, &actor()).await?;
                let made = json!({"client_id": client.id, "name": client.name});
                format.print(&made, || format!("Client {} made: {}", harmless(&client.name), client.id))
            }
            Command::Revoke { client } => {
                let change = ClientChange { is_active: Some(false), ..ClientChange::default() };
                let client = app.admin.change_client(&client, change, &actor()).await?;
                let revoked = json!({"client_id": client.id, "revoked": true});
                format.print(&revoked, || {
                    format!(
                        "Client {} is off. `posthaste client set {} --active true` brings it back.",
                        harmless(&client.name),
                        client.id
                    )
                })
            }
            Command::Set { client, retain_bodies, retain_records, active } => {
                let change = ClientChange {
                    retain_bodies: retain_bodies.map(|kept| kept.0),
                    retain_records: retain_records.map(|kept| kept.0),
                    is_active: active,
                };
                let client = app.admin.change_client(&client, change, &actor()).await?;
                format.print(&shape(&client), || table(HEAD, &rows(from_ref(&client))))
            }
            Command::List => {
                let clients = app.admin.clients().await?;
                format.print(&clients.iter().map(shape).collect(), || table(HEAD, &rows(&clients)))
            }
            Command::Show { client } => {
                let client = app.admin.client(&client).await?;
                format.print(&shape(&client), || table(HEAD, &rows(from_ref(&client))))
            }
        })
    }
}

const HEAD: &[&str] = &["CLIENT ID", "NAME", "DEPARTMENT", "ACTIVE", "BODIES", "RECORDS", "CREATED"];

fn rows(clients: &[Client]) -> Vec<Vec<String>> {
    let row = |client: &Client| {
        let active = if client.is_active { "yes" } else { "no" };
        vec![
            client.id.to_string(),
            client.name.clone(),
            or_dash(client.department.as_ref()),
            active.to_owned(),
            or_dash(client.retention.bodies.map(duration_text)),
            or_dash(client.retention.records.map(duration_text)),
            client.created_at.to_string(),
        ]
    };
    clients.iter().map(row).collect()
}

fn shape(client: &Client) -> Value {
    json!({
        "client_id": client.id,
        "name": client.name,
        "department": client.department,
        "is_active": client.is_active,
        "retain_bodies": client.retention.bodies.map(duration_text),
        "retain_records": client.retention.records.map(duration_text),
        "created_at": client.created_at,
    })
}
