//! `posthaste client`.

use super::Place;
use super::failure::Failure;
use super::installation::actor;
use super::output::{Format, harmless, or_dash, table};
use clap::{Args, Subcommand};
use posthaste_model::client::Client;
use serde_json::{Value, json};
use std::slice::from_ref;

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
    },
    /// Show all clients
    List,
    /// Show one client
    Show {
        /// Its name or id
        client: String,
    },
}

impl Clients {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let format = self.format;
        place.with_app(async |app| match self.command {
            Command::Create { name, department } => {
                let client = app.admin.create_client(&name, department.as_deref(), &actor()).await?;
                let made = json!({"client_id": client.id, "name": client.name});
                format.print(&made, || format!("Client {} made: {}", harmless(&client.name), client.id))
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

const HEAD: &[&str] = &["CLIENT ID", "NAME", "DEPARTMENT", "ACTIVE", "CREATED"];

fn rows(clients: &[Client]) -> Vec<Vec<String>> {
    let row = |client: &Client| {
        let active = if client.is_active { "yes" } else { "no" };
        vec![
            client.id.to_string(),
            client.name.clone(),
            or_dash(client.department.as_ref()),
            active.to_owned(),
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
        "created_at": client.created_at,
    })
}
