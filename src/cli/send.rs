//! `posthaste send`: one test mail, through the same intake as every other mail. It is handed to the store; a running
//! server's worker finds it there.

use super::Place;
use super::failure::Failure;
use super::output::{Format, harmless};
use super::templates::chosen;
use crate::app::App;
use crate::auth::Caller;
use crate::base::correlation::CorrelationId;
use crate::config::parse_duration;
use crate::directory::Directory;
use crate::intake::{Accepted, Submission};
use clap::Args;
use posthaste_model::client::Client;
use posthaste_model::credential::{Credential, Permission};
use posthaste_model::draft::{Draft, DraftMailbox};
use posthaste_model::email::Source;
use posthaste_model::{EmailId, Status};
use posthaste_store::EmailRecord;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks while waiting.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Args)]
pub struct Send {
    /// The recipient; repeatable
    #[arg(long, required = true, value_name = "ADDRESS")]
    to: Vec<String>,
    /// The sender [default: mail.from_address]
    #[arg(long, value_name = "ADDRESS")]
    from: Option<String>,
    /// The subject
    #[arg(long, default_value = "Test mail from Posthaste")]
    subject: String,
    /// The text
    #[arg(long, default_value = "This is a test mail. If you can read it, sending works.")]
    text: String,
    /// The client whose mail it is, by name or id [default: the first one]
    #[arg(long)]
    client: Option<String>,
    /// Wait this long for what becomes of it, such as 30s; fails when it is not sent by then
    #[arg(long, value_name = "TIME", value_parser = time)]
    wait: Option<Duration>,
    #[command(flatten)]
    format: Format,
}

fn time(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "is not a duration; write 30s or 2m".to_owned())
}

impl Send {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let (format, wait) = (self.format, self.wait);
        place.with_app(async |app| {
            let client = chosen(app, self.client.as_deref()).await?;
            let id = self.accept(app, &client).await?;
            let record = settled(app, &client, id, wait.unwrap_or_default()).await?;
            format.print(&shape(&record), || sentence(&record))?;
            match (wait, record.status) {
                (Some(wait), status) if !is_sent(status) => {
                    Err(Failure::Said(format!("the email is {status} after {} s", wait.as_secs())))
                }
                _ => Ok(()),
            }
        })
    }

    async fn accept(&self, app: &App, client: &Client) -> Result<EmailId, Failure> {
        let view = Directory::open(app.store.clone()).await?.view();
        let credential = self.credential(app, client).await?;
        let caller =
            Caller { client: Arc::new(client.clone()), credential: Arc::new(credential), view, token: None };
        let submission = Submission {
            limits: None,
            correlation: CorrelationId::generate(&app.chance),
            idempotency: None,
            answer: &|_| Vec::new(),
        };
        match app.intake.accept(&caller, self.draft(app), submission).await? {
            Accepted::New(email, _) => Ok(email.id),
            Accepted::Replayed(_) => {
                Err(Failure::Said("a mail without an idempotency key was replayed".into()))
            }
        }
    }

    /// A key of the client in whose name it is sent: a mail without one could go where no key may.
    async fn credential(&self, app: &App, client: &Client) -> Result<Credential, Failure> {
        let now = app.clock.now();
        let mut keys = app.admin.keys(Some(client.id)).await?;
        keys.retain(|key| key.is_usable(now) && key.permits(Permission::EmailsSend));
        // One that is bound to a domain only when there is no other.
        keys.sort_by_key(|key| key.domain.is_some());
        keys.into_iter().next().ok_or_else(|| {
            let name = harmless(&client.name);
            Failure::Said(format!(
                "the client {name} has no key that may send; make one with `posthaste key create --client '{name}'`"
            ))
        })
    }

    fn draft(&self, app: &App) -> Draft {
        let mail = &app.settings.mail;
        let default = mail.from_address.as_ref().map(|address| DraftMailbox::Parts {
            email: address.as_str().to_owned(),
            name: mail.from_name.clone(),
        });
        Draft {
            from: self.from.clone().map(DraftMailbox::Text).or(default),
            to: self.to.iter().cloned().map(DraftMailbox::Text).collect(),
            subject: Some(self.subject.clone()),
            text: Some(self.text.clone()),
            ..Draft::new(Source::Operator)
        }
    }
}

/// The email when it is settled, or as it is when the time is over.
async fn settled(app: &App, client: &Client, id: EmailId, wait: Duration) -> Result<EmailRecord, Failure> {
    let deadline = Instant::now() + wait;
    loop {
        let found = app.store.email(client.id, id).await?;
        let record = found.ok_or_else(|| Failure::Said(format!("the email {id} is not in the store")))?;
        if record.status.is_settled() || Instant::now() >= deadline {
            return Ok(record);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn is_sent(status: Status) -> bool {
    matches!(status, Status::Sent | Status::Delivered)
}

fn shape(record: &EmailRecord) -> Value {
    json!({
        "email_id": record.email.id,
        "status": record.status,
        "requested_at": record.email.requested_at,
        "sent_at": record.sent_at,
        "error": record.error,
    })
}

fn sentence(record: &EmailRecord) -> String {
    let id = record.email.id;
    match record.status {
        Status::Queued => format!("Email {id} is queued; a running server's worker sends it within seconds."),
        status => {
            let error = record.error.as_deref().map(|error| format!(": {}", harmless(error)));
            format!("Email {id} is {status}{}", error.unwrap_or_default())
        }
    }
}
