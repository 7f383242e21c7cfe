//! `posthaste template`: texts come from files, so that they can live in version control.

use super::Place;
use super::failure::Failure;
use super::installation::actor;
use super::output::{Format, or_dash, table};
use crate::admin::templates::TemplateDraft;
use crate::app::App;
use crate::surfaces::emails_api::template_shape;
use clap::{Args, Subcommand};
use posthaste_model::client::Client;
use posthaste_model::refusal::Refusal;
use posthaste_model::template::Template;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::slice::from_ref;

#[derive(Args)]
pub struct Templates {
    #[command(subcommand)]
    command: Command,
    /// The client, by name or id [default: the first one]
    #[arg(long, global = true)]
    client: Option<String>,
    #[command(flatten)]
    format: Format,
}

#[derive(Subcommand)]
enum Command {
    /// Make a template, or a new version of it
    Create(Create),
    /// Show all templates of the client
    List,
    /// Show one template
    Show {
        /// Its code
        code: String,
    },
    /// Delete a template; email already accepted keeps its version
    #[command(visible_alias = "revoke")]
    Delete {
        /// Its code
        code: String,
    },
}

#[derive(Args)]
struct Create {
    /// Its code, unique in the client
    #[arg(long)]
    code: String,
    /// A name for people
    #[arg(long)]
    name: Option<String>,
    /// The subject, with {{ variables }}
    #[arg(long)]
    subject: Option<String>,
    /// A file with the HTML body
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// A file with the text body
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// A file with the JSON Schema of the variables
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
}

impl Templates {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let format = self.format;
        place.with_app(async |app| {
            let client = chosen(app, self.client.as_deref()).await?;
            match self.command {
                Command::Create(create) => {
                    let draft = create.draft()?;
                    let (made, is_new) = app.admin.put_template(client.id, draft, &actor()).await?;
                    let verb = if is_new { "made" } else { "changed" };
                    format.print(&template_shape(&made), || {
                        format!("Template {} {verb}: version {}", made.code, made.version)
                    })
                }
                Command::List => {
                    let templates = app.admin.templates(client.id).await?;
                    format.print(&templates.iter().map(template_shape).collect(), || {
                        table(HEAD, &rows(&templates))
                    })
                }
                Command::Show { code } => {
                    let found = app.store.template(client.id, &code).await?;
                    let template = found.ok_or(Refusal::NotFound)?;
                    format.print(&template_shape(&template), || table(HEAD, &rows(from_ref(&template))))
                }
                Command::Delete { code } => {
                    app.admin.delete_template(client.id, &code, &actor()).await?;
                    format.print(&json!({"code": code, "deleted": true}), || {
                        format!("Template {code} deleted.")
                    })
                }
            }
        })
    }
}

/// The client that is meant: the one named, or the first.
pub(super) async fn chosen(app: &App, named: Option<&str>) -> Result<Client, Failure> {
    match named {
        Some(named) => Ok(app.admin.client(named).await?),
        None => app.store.default_client().await?.ok_or_else(|| {
            Failure::Said("there is no client yet; make one with `posthaste client create --name N`".into())
        }),
    }
}

impl Create {
    fn draft(self) -> Result<TemplateDraft, Failure> {
        let schema = match self.schema.as_deref().map(read).transpose()? {
            None => None,
            Some(text) => Some(
                serde_json::from_str(&text)
                    .map_err(|error| Failure::Said(format!("the schema is not JSON: {error}")))?,
            ),
        };
        Ok(TemplateDraft {
            code: self.code,
            name: self.name,
            subject: self.subject,
            html: self.html.as_deref().map(read).transpose()?,
            text: self.text.as_deref().map(read).transpose()?,
            variables_schema: schema,
        })
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::io(format!("{} cannot be read", path.display()), error))
}

const HEAD: &[&str] = &["CODE", "VERSION", "NAME", "SUBJECT", "UPDATED"];

fn rows(templates: &[Template]) -> Vec<Vec<String>> {
    let row = |template: &Template| {
        vec![
            template.code.clone(),
            template.version.to_string(),
            template.name.clone(),
            or_dash(template.subject.as_ref()),
            template.updated_at.to_string(),
        ]
    };
    templates.iter().map(row).collect()
}
