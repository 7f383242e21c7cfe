//! `posthaste user`: people who log in. A password is the first line of standard input, never an argument.

use super::Place;
use super::failure::Failure;
use super::installation::actor;
use super::oauth_clients::secret_from_stdin;
use super::output::{Format, or_dash, table};
use crate::admin::NewUser;
use clap::{Args, Subcommand};
use posthaste_model::Secret;
use posthaste_model::user::{Role, User};
use serde_json::{Value, json};
use std::slice::from_ref;

#[derive(Args)]
pub struct Users {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    format: Format,
}

#[derive(Subcommand)]
enum Command {
    /// Make a user
    Create {
        /// The address to log in with
        #[arg(long)]
        email: String,
        /// admin (everything), viewer (reads the dashboard) or eo (its own events' reports)
        #[arg(long, value_parser = role)]
        role: Role,
        /// How pages call the user
        #[arg(long)]
        name: Option<String>,
        /// Read the password from the first line of standard input
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// Show all users
    List,
    /// Show one user
    Show {
        /// Address or id
        user: String,
    },
    /// Set a password; all logins of the user end
    SetPassword {
        /// Address or id
        user: String,
        /// Read the password from the first line of standard input
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// Change what a user may do; all its logins end
    SetRole {
        /// Address or id
        user: String,
        /// admin, viewer or eo
        #[arg(value_parser = role)]
        role: Role,
    },
    /// Let a user log in without a one-time code again
    ResetCodes {
        /// Address or id
        user: String,
    },
    /// Switch a user off; all its logins end
    Revoke {
        /// Address or id
        user: String,
    },
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "is admin, viewer or eo".to_owned())
}

impl Users {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let format = self.format;
        let password = match &self.command {
            Command::Create { .. } | Command::SetPassword { .. } => Some(secret_from_stdin()?),
            _ => None,
        };
        place.with_app(async |app| {
            let password = password.unwrap_or_else(|| Secret::new(""));
            let changed = match self.command {
                Command::Create { email, role, name, password_stdin: _ } => {
                    let new = NewUser { email, name, role, password, is_first: false };
                    let user = app.admin.create_user(new, &actor()).await?;
                    let made = json!({"id": user.id, "email": user.email, "role": user.role});
                    return format.print(&made, || format!("User {} made, role {}.", user.email, user.role));
                }
                Command::List => {
                    let users = app.admin.users().await?;
                    let shapes: Vec<Value> = users.iter().map(shape).collect();
                    return format.print(&shapes.into(), || table(HEAD, &rows(&users)));
                }
                Command::Show { user } => app.admin.user(&user).await?,
                Command::SetPassword { user, password_stdin: _ } => {
                    let id = app.admin.user(&user).await?.id;
                    app.admin.set_password(id, password, None, &actor()).await?
                }
                Command::SetRole { user, role } => {
                    let id = app.admin.user(&user).await?.id;
                    app.admin.set_role(id, role, &actor()).await?
                }
                Command::ResetCodes { user } => {
                    let id = app.admin.user(&user).await?.id;
                    app.admin.remove_totp(id, None, &actor()).await?
                }
                Command::Revoke { user } => {
                    let id = app.admin.user(&user).await?.id;
                    app.admin.set_user_active(id, false, &actor()).await?
                }
            };
            format.print(&shape(&changed), || table(HEAD, &rows(from_ref(&changed))))
        })
    }
}

const HEAD: &[&str] = &["ID", "EMAIL", "NAME", "ROLE", "CODES", "STATE"];

fn rows(users: &[User]) -> Vec<Vec<String>> {
    let row = |user: &User| {
        vec![
            user.id.to_string(),
            user.email.clone(),
            or_dash(user.name.as_ref()),
            user.role.to_string(),
            if user.sealed_totp.is_some() { "on" } else { "off" }.to_owned(),
            if user.is_active { "active" } else { "off" }.to_owned(),
        ]
    };
    users.iter().map(row).collect()
}

fn shape(user: &User) -> Value {
    json!({
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "is_active": user.is_active,
        "one_time_codes": user.sealed_totp.is_some(),
        "created_at": user.created_at,
    })
}
