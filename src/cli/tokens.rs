//! `posthaste token`: tokens of the Mail Proxy API. A token is made here, shown once, and never taken from the command
//! line.

use super::Place;
use super::failure::Failure;
use super::installation::actor;
use super::output::{Format, or_dash, table};
use crate::admin::{MailToken, NewMailToken, mail_permission};
use crate::config::parse_duration;
use clap::{Args, Subcommand};
use posthaste_model::Timestamp;
use posthaste_model::credential::Permission;
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Args)]
pub struct Tokens {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    format: Format,
}

#[derive(Subcommand)]
enum Command {
    /// Make a token; it is shown this once
    Create {
        /// The client it speaks for, by name; made when there is none
        #[arg(long)]
        name: String,
        /// The department of a client that is made
        #[arg(long)]
        department: Option<String>,
        /// What it may do: mail:send, mail:read, mail:cancel or admin; several one after the other, or repeated
        #[arg(long = "permission", value_name = "PERMISSION", required = true, num_args = 1..)]
        #[arg(value_parser = permission)]
        permissions: Vec<Permission>,
        /// How long it works, in seconds or such as 30d [default: until revoked]
        #[arg(long, value_parser = duration)]
        expires_in: Option<Duration>,
    },
    /// Show all tokens, revoked ones too, without their secrets
    List,
    /// Show one token
    Show {
        /// Its id, or the client_id
        id: String,
    },
    /// Revoke a token, or all of a client_id, at once, on every node
    Revoke {
        /// Its id, or the client_id
        id: String,
    },
}

fn permission(text: &str) -> Result<Permission, String> {
    mail_permission(text).ok_or_else(|| "is mail:send, mail:read, mail:cancel or admin".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().map(Duration::from_secs);
    seconds
        .or_else(|| parse_duration(text))
        .ok_or_else(|| "is a number of seconds, or such as 30d".to_owned())
}

impl Tokens {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let format = self.format;
        place.with_app(async |app| match self.command {
            Command::Create { name, department, permissions, expires_in } => {
                let new = NewMailToken { client_name: name, department, permissions, expires_in };
                let (made, token) = app.admin.create_mail_token(new, &actor()).await?;
                let (id, client_id) = (made.credential.id, made.client_id());
                format.print(&json!({"id": id, "token": token, "client_id": client_id}), || {
                    format!("{token}\nToken {id} of {client_id}; it is shown this once, keep it now.")
                })
            }
            Command::List => {
                let (tokens, now) = (app.admin.mail_tokens().await?, app.clock.now());
                let shapes = tokens.iter().map(|token| shape(token, now)).collect();
                format.print(&shapes, || table(HEAD, &rows(&tokens)))
            }
            Command::Show { id } => {
                let tokens = app.admin.mail_tokens_named(&id).await?;
                let token = &tokens[..tokens.len().min(1)];
                let shapes: Vec<Value> = token.iter().map(|token| shape(token, app.clock.now())).collect();
                format.print(shapes.first().unwrap_or(&Value::Null), || table(HEAD, &rows(token)))
            }
            Command::Revoke { id } => {
                app.admin.revoke_mail_tokens(&id, &actor()).await?;
                format.print(&json!({"id": id, "revoked": true}), || format!("Token {id} revoked."))
            }
        })
    }
}

const HEAD: &[&str] = &["ID", "CLIENT ID", "CLIENT", "DEPARTMENT", "PERMISSIONS", "STATE"];

fn rows(tokens: &[MailToken]) -> Vec<Vec<String>> {
    let row = |token: &MailToken| {
        let credential = &token.credential;
        let state = match (credential.revoked_at, credential.expires_at) {
            (Some(at), _) => format!("revoked {at}"),
            (None, Some(at)) => format!("until {at}"),
            (None, None) => "active".to_owned(),
        };
        vec![
            credential.id.to_string(),
            token.client_id(),
            token.client.name.clone(),
            or_dash(token.client.department.as_ref()),
            token.permissions().join(","),
            state,
        ]
    };
    tokens.iter().map(row).collect()
}

fn shape(token: &MailToken, now: Timestamp) -> Value {
    json!({
        "id": token.credential.id,
        "client_id": token.client_id(),
        "client_name": token.client.name,
        "department": token.client.department,
        "permissions": token.permissions(),
        "is_active": token.credential.is_usable(now),
        "expires_at": token.credential.expires_at,
        "created_at": token.credential.created_at,
        "revoked_at": token.credential.revoked_at,
    })
}
