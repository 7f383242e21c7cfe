//! `posthaste key`. A key is made here, shown once, and never taken from the command line.

use super::Place;
use super::failure::Failure;
use super::installation::actor;
use super::output::{Format, or_dash, table};
use crate::admin::{KeyChange, NewKey};
use crate::app::App;
use crate::config::parse_duration;
use crate::surfaces::emails_api::key_shape;
use clap::{Args, Subcommand};
use posthaste_model::credential::{Credential, KeyMode, Permission};
use posthaste_model::{CredentialId, Rate};
use serde_json::{Value, json};
use std::slice::from_ref;
use std::time::Duration;

#[derive(Args)]
pub struct Keys {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    format: Format,
}

#[derive(Subcommand)]
enum Command {
    /// Make a key; it is shown this once
    Create(Create),
    /// Show all keys, without their secrets
    List {
        /// Only those of this client (name or id)
        #[arg(long)]
        client: Option<String>,
    },
    /// Show one key, without its secret
    Show {
        /// Its id
        id: CredentialId,
    },
    /// Make a successor; the old key works for the overlap
    Rotate {
        /// The id of the old key
        id: CredentialId,
        /// How long the old key goes on working
        #[arg(long, default_value = "24h", value_parser = duration)]
        overlap: Duration,
    },
    /// Revoke a key; it is refused from the next request on, on every node
    Revoke {
        /// Its id
        id: CredentialId,
    },
}

#[derive(Args)]
struct Create {
    /// The client it belongs to, by name or id
    #[arg(long)]
    client: String,
    /// A name for people
    #[arg(long)]
    name: Option<String>,
    /// The one domain it may send from
    #[arg(long)]
    domain: Option<String>,
    /// What it may do; several one after the other, or repeated [default: emails:send, emails:read, emails:cancel]
    #[arg(long = "permission", value_name = "PERMISSION", num_args = 1.., value_parser = permission)]
    permissions: Vec<Permission>,
    /// Its own rate limit, such as 60/min
    #[arg(long, value_parser = Rate::parse)]
    rate_limit: Option<Rate>,
    /// live, or test: its mail never leaves the machine
    #[arg(long, default_value = "live", value_parser = mode)]
    mode: KeyMode,
    /// How long it works, such as 30d [default: until revoked]
    #[arg(long, value_parser = duration)]
    expires_in: Option<Duration>,
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "is not a duration; write 30s, 5m, 24h or 30d".to_owned())
}

fn permission(text: &str) -> Result<Permission, String> {
    let words: Vec<&str> = Permission::ALL.iter().map(|one| one.as_str()).collect();
    Permission::parse(text).ok_or_else(|| format!("is one of {}", words.join(", ")))
}

fn mode(text: &str) -> Result<KeyMode, String> {
    KeyMode::parse(text).ok_or_else(|| "is live or test".to_owned())
}

impl Keys {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let format = self.format;
        place.with_app(async |app| match self.command {
            Command::Create(create) => {
                let made = create.make(app).await?;
                format.print(&created(&made), || announcement(&made))
            }
            Command::List { client } => {
                let client = match client {
                    Some(client) => Some(app.admin.client(&client).await?.id),
                    None => None,
                };
                let keys = app.admin.keys(client).await?;
                format.print(&keys.iter().map(key_shape).collect(), || table(HEAD, &rows(&keys)))
            }
            Command::Show { id } => {
                let key = app.admin.key(id).await?;
                format.print(&key_shape(&key), || table(HEAD, &rows(from_ref(&key))))
            }
            Command::Rotate { id, overlap } => {
                let made = app.admin.rotate_key(id, overlap, &actor()).await?;
                format.print(&created(&made), || announcement(&made))
            }
            Command::Revoke { id } => {
                app.admin.revoke_key(id, &actor()).await?;
                format.print(&json!({"id": id, "revoked": true}), || format!("Key {id} revoked."))
            }
        })
    }
}

impl Create {
    async fn make(self, app: &App) -> Result<KeyChange, Failure> {
        let new = NewKey {
            client: self.client,
            name: self.name,
            mode: self.mode,
            permissions: self.permissions,
            domain: self.domain,
            rate_limit: self.rate_limit,
            expires_at: self.expires_in.map(|time| app.clock.now().plus(time)),
        };
        Ok(app.admin.create_key(new, &actor()).await?)
    }
}

fn created(made: &KeyChange) -> Value {
    let mut shape = json!({
        "id": made.credential.id,
        "key": made.key.expose(),
        "client_id": made.credential.client_id,
    });
    if let Some((id, ends_at)) = made.replaces {
        shape["replaces"] = json!({"id": id, "expires_at": ends_at});
    }
    shape
}

fn announcement(made: &KeyChange) -> String {
    let old = made.replaces.map(|(id, ends_at)| format!("\nThe old key {id} works until {ends_at}."));
    format!(
        "{}\nKey {}; it is shown this once, keep it now.{}",
        made.key.expose(),
        made.credential.id,
        old.unwrap_or_default()
    )
}

const HEAD: &[&str] =
    &["ID", "PREFIX", "CLIENT ID", "NAME", "MODE", "PERMISSIONS", "DOMAIN", "LIMIT", "STATE"];

fn rows(keys: &[Credential]) -> Vec<Vec<String>> {
    let row = |key: &Credential| {
        let permissions: Vec<&str> = key.permissions.iter().map(|one| one.as_str()).collect();
        vec![
            key.id.to_string(),
            key.prefix.clone(),
            key.client_id.to_string(),
            or_dash(key.name.as_ref()),
            key.mode.as_str().to_owned(),
            permissions.join(","),
            or_dash(key.domain.as_ref()),
            or_dash(key.rate_limit),
            state(key),
        ]
    };
    keys.iter().map(row).collect()
}

fn state(key: &Credential) -> String {
    match (key.revoked_at, key.ends_at()) {
        (Some(at), _) => format!("revoked {at}"),
        (None, _) if !key.is_active => "inactive".to_owned(),
        (None, Some(at)) => format!("until {at}"),
        (None, None) => "active".to_owned(),
    }
}
