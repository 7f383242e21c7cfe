//! `posthaste oauth-client`. The secret is read from standard input.

use super::Place;
use super::failure::Failure;
use super::installation::actor;
use super::output::{Format, or_dash, table};
use crate::admin::NewOauthClient;
use clap::{Args, Subcommand};
use posthaste_model::credential::{Credential, CredentialKind, Scope};
use posthaste_model::{Rate, Secret};
use serde_json::{Value, json};
use std::io::{BufRead as _, Read as _};
use std::slice::from_ref;

/// What is read of standard input at most.
const SECRET_BYTES: u64 = 4096;

#[derive(Args)]
pub struct OauthClients {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    format: Format,
}

#[derive(Subcommand)]
enum Command {
    /// Make an OAuth2 client
    Create {
        /// Its client_id
        #[arg(long)]
        id: String,
        /// Read its secret from the first line of standard input
        #[arg(long, required = true)]
        secret_stdin: bool,
        /// What its tokens may do: basic or email; several one after the other, or repeated
        #[arg(long = "scope", value_name = "SCOPE", required = true, num_args = 1.., value_parser = scope)]
        scopes: Vec<Scope>,
        /// The client whose mail it sends, by name or id [default: one named like it]
        #[arg(long)]
        client: Option<String>,
        /// Its own rate limit, such as 60/min
        #[arg(long, value_parser = Rate::parse)]
        rate_limit: Option<Rate>,
    },
    /// Show all OAuth2 clients, without their secrets
    List,
    /// Show one OAuth2 client
    Show {
        /// Its client_id
        id: String,
    },
    /// Revoke an OAuth2 client and its tokens, at once, on every node
    Revoke {
        /// Its client_id
        id: String,
    },
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).ok_or_else(|| "is basic or email".to_owned())
}

impl OauthClients {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let format = self.format;
        let secret = match &self.command {
            Command::Create { .. } => Some(secret_from_stdin()?),
            Command::List | Command::Show { .. } | Command::Revoke { .. } => None,
        };
        place.with_app(async |app| match self.command {
            Command::Create { id, scopes, client, rate_limit, secret_stdin: _ } => {
                let secret = secret.unwrap_or_else(|| Secret::new(""));
                let new = NewOauthClient { name: id, client, secret, scopes, rate_limit };
                let made = app.admin.create_oauth_client(new, &actor()).await?;
                let (name, scopes) = identity(&made);
                format.print(&json!({"client_id": name, "scopes": scopes}), || {
                    format!("OAuth client {name} made, for {}.", scopes.join(" and "))
                })
            }
            Command::List => {
                let clients = app.admin.oauth_clients().await?;
                format.print(&clients.iter().map(shape).collect(), || table(HEAD, &rows(&clients)))
            }
            Command::Show { id } => {
                let client = app.admin.oauth_client(&id).await?;
                format.print(&shape(&client), || table(HEAD, &rows(from_ref(&client))))
            }
            Command::Revoke { id } => {
                app.admin.revoke_oauth_client(&id, &actor()).await?;
                format.print(&json!({"client_id": id, "revoked": true}), || {
                    format!("OAuth client {id} revoked.")
                })
            }
        })
    }
}

/// The first line of standard input.
pub(super) fn secret_from_stdin() -> Result<Secret, Failure> {
    let mut line = String::new();
    let read = std::io::stdin().lock().take(SECRET_BYTES).read_line(&mut line);
    read.map_err(|error| Failure::io("standard input cannot be read", error))?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n'])))
}

fn identity(credential: &Credential) -> (&str, Vec<&'static str>) {
    match &credential.kind {
        CredentialKind::OauthClient { name, scopes, .. } => {
            (name, scopes.iter().map(|scope| scope.as_str()).collect())
        }
        CredentialKind::Key | CredentialKind::Token => ("", Vec::new()),
    }
}

const HEAD: &[&str] = &["CLIENT ID", "SCOPES", "LIMIT", "SENDS AS CLIENT", "STATE"];

fn rows(clients: &[Credential]) -> Vec<Vec<String>> {
    let row = |client: &Credential| {
        let (name, scopes) = identity(client);
        let state = client.revoked_at.map_or_else(|| "active".to_owned(), |at| format!("revoked {at}"));
        vec![
            name.to_owned(),
            scopes.join(" "),
            or_dash(client.rate_limit),
            client.client_id.to_string(),
            state,
        ]
    };
    clients.iter().map(row).collect()
}

fn shape(client: &Credential) -> Value {
    let (name, scopes) = identity(client);
    json!({
        "client_id": name,
        "scopes": scopes,
        "rate_limit": client.rate_limit.map(|rate| rate.to_string()),
        "sends_as": client.client_id,
        "is_active": client.is_active,
        "created_at": client.created_at,
        "revoked_at": client.revoked_at,
    })
}
