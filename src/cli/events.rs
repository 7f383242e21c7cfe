//! `posthaste event`: organizers' events.

use super::Place;
use super::failure::Failure;
use super::installation::actor;
use super::output::{Format, table};
use crate::admin::NewEoEvent;
use clap::{Args, Subcommand};
use posthaste_model::eo::EoEvent;
use posthaste_model::refusal::Refusal;
use posthaste_model::user::User;
use serde_json::{Value, json};

#[derive(Args)]
pub struct Events {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    format: Format,
}

#[derive(Subcommand)]
enum Command {
    /// Make an organizer's event
    Create {
        /// Its name
        #[arg(long)]
        name: String,
        /// The address of its organizer's account
        #[arg(long)]
        owner: String,
        /// The client whose mail may name it, by name or id [default: the default client]
        #[arg(long)]
        client: Option<String>,
    },
    /// Take an event away of which no report was made
    Revoke {
        /// Its number
        id: i64,
    },
    /// Show all events
    List,
    /// Show one event
    Show {
        /// Its number
        id: i64,
    },
}

impl Events {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let format = self.format;
        place.with_app(async |app| {
            let only = match self.command {
                Command::Create { name, owner, client } => {
                    let new = NewEoEvent { name, owner, client };
                    let event = app.admin.create_eo_event(new, &actor()).await?;
                    let made = json!({"id": event.id, "name": event.name});
                    return format.print(&made, || format!("Event {} made: {}.", event.id, event.name));
                }
                Command::Revoke { id } => {
                    app.admin.remove_eo_event(id, &actor()).await?;
                    let revoked = json!({"id": id, "revoked": true});
                    return format.print(&revoked, || format!("Event {id} is gone."));
                }
                Command::List => None,
                Command::Show { id } => Some(id),
            };
            let (mut events, users) = (app.admin.eo_events().await?, app.admin.users().await?);
            events.retain(|event| only.is_none_or(|id| event.id == id));
            if only.is_some() && events.is_empty() {
                return Err(Refusal::NotFound.into());
            }
            let mut shapes: Vec<Value> = events.iter().map(|event| shape(event, &users)).collect();
            let shown = if only.is_some() { shapes.remove(0) } else { shapes.into() };
            format.print(&shown, || table(HEAD, &rows(&events, &users)))
        })
    }
}

const HEAD: &[&str] = &["ID", "NAME", "OWNER", "CLIENT"];

fn owner<'a>(event: &EoEvent, users: &'a [User]) -> &'a str {
    users.iter().find(|user| user.id == event.owner_id).map_or("-", |user| &user.email)
}

fn rows(events: &[EoEvent], users: &[User]) -> Vec<Vec<String>> {
    let row = |event: &EoEvent| {
        let owner = owner(event, users).to_owned();
        vec![event.id.to_string(), event.name.clone(), owner, event.client_id.to_string()]
    };
    events.iter().map(row).collect()
}

fn shape(event: &EoEvent, users: &[User]) -> Value {
    json!({
        "id": event.id,
        "name": event.name,
        "client_id": event.client_id,
        "owner": owner(event, users),
        "created_at": event.created_at,
    })
}
