//! The page of one message: its views, what of it stands out, and the form to release it.

use super::access::{self, Who};
use super::content::Opened;
use super::forms::FormToken;
use super::pages::{When, subject};
use super::parts::{self, PartLine, size};
use super::release::Releases;
use super::visit::Visit;
use crate::surfaces::http::problem::{self, Problem};
use crate::surfaces::web;
use askama::Template;
use axum::response::Response;
use http::StatusCode;
use posthaste_mail::view::{AttachmentView, FieldView};
use posthaste_model::inbox::InboxMessage;
use posthaste_model::{ClientId, EmailId, InboxId, Status};

/// Of a source, this much is shown; the rest is in the file.
const SOURCE_SHOWN: usize = 256 * 1024;

#[derive(Template)]
#[template(path = "inbox/message.html")]
struct MessagePage {
    id: InboxId,
    subject: String,
    from: String,
    recipients: String,
    mail_from: String,
    email_id: String,
    client: String,
    size: String,
    at: When,
    code: Option<String>,
    is_cut: bool,
    tabs: Vec<Tab>,
    view: View,
    /// The transports it can be released to, each with whether it is the usual one.
    ways: Vec<(String, bool)>,
    once: String,
    token: String,
    released: Option<Released>,
}

/// The email as which the message was released.
struct Released {
    id: EmailId,
    status: Status,
    recipients: String,
    /// Where an admin follows it.
    path: Option<String>,
}

/// One of the ways to look at a message.
struct Tab {
    name: &'static str,
    title: &'static str,
    count: Option<usize>,
    is_current: bool,
}

/// What a tab shows.
enum View {
    Html { is_cut: bool },
    Text { content: String },
    Headers { fields: Vec<FieldView> },
    Files { files: Vec<FileLine> },
    Parts { parts: Vec<PartLine>, parts_at: String },
    Links { links: Vec<String> },
    Source { content: String, is_cut: bool },
}

struct FileLine {
    index: usize,
    name: String,
    mime: String,
    size: String,
    is_picture: bool,
}

pub(super) async fn page(visit: Visit, id: String) -> Result<Response, Problem> {
    let asked = visit.asked(&["view", "released"])?;
    let opened = visit.opened(&id).await?;
    let view = View::new(&opened, asked.view.as_deref())?;
    let released = match asked.released {
        Some(email) => visit.released(&opened.message, email).await?,
        None => None,
    };
    let client = visit.client_name(opened.message.client_id).await?;
    let releases = &visit.inbox.releases;
    let token = visit.form_token();
    let page = MessagePage::new(&opened, view, (client, released), (releases, &token));
    Ok(token.put_on(&visit, web::page(StatusCode::OK, &page)))
}

impl Visit {
    /// What became of a message's release as `id`; nothing when that is no release of it.
    async fn released(&self, message: &InboxMessage, id: EmailId) -> Result<Option<Released>, Problem> {
        let found = self.inbox.store.email(message.client_id, id).await;
        let found = found.map_err(|error| access::unavailable(&error))?;
        let found = found.filter(|found| found.email.resent_from == Some(message.email_id));
        let is_admin = matches!(self.guest.who, Who::Admin(_));
        Ok(found.map(|found| {
            let to: Vec<&str> =
                found.email.recipients.iter().map(|one| one.mailbox.address.as_str()).collect();
            Released {
                id,
                status: found.status,
                recipients: to.join(", "),
                path: is_admin.then(|| format!("/admin/emails/{}/{id}", message.client_id)),
            }
        }))
    }

    async fn client_name(&self, id: ClientId) -> Result<String, Problem> {
        let found = self.inbox.store.client(id).await.map_err(|error| access::unavailable(&error))?;
        Ok(found.map(|client| client.name).unwrap_or_default())
    }
}

impl MessagePage {
    fn new(
        opened: &Opened,
        view: View,
        (client, released): (String, Option<Released>),
        (releases, token): (&Releases, &FormToken),
    ) -> Self {
        let message = &opened.message;
        let ways = releases.ways.names.iter();
        Self {
            id: message.id,
            subject: subject(message),
            from: message.from.clone(),
            recipients: message.recipients.join(", "),
            mail_from: message.mail_from.clone(),
            email_id: message.email_id.to_string(),
            client,
            size: size(opened.source.len()),
            at: When::new(message.received_at),
            code: opened.code(),
            is_cut: opened.view.is_cut,
            tabs: tabs(opened, view.name()),
            view,
            ways: ways.map(|name| (name.clone(), releases.ways.default.as_ref() == Some(name))).collect(),
            once: releases.once(),
            token: token.value.clone(),
            released,
        }
    }
}

fn tabs(opened: &Opened, current: &'static str) -> Vec<Tab> {
    let (files, links) = (opened.view.attachments.len(), opened.links().len());
    let parts = opened.view.parts.len();
    let all = [
        ("html", "HTML", opened.view.html.is_some(), None),
        ("text", "Text", opened.view.text.is_some(), None),
        ("headers", "Headers", true, None),
        ("files", "Attachments", true, Some(files)),
        ("parts", "MIME tree", true, Some(parts)),
        ("links", "Links", links > 0, Some(links)),
        ("source", "Source", true, None),
    ];
    let there = all.into_iter().filter(|(.., is_there, _)| *is_there);
    there.map(|(name, title, _, count)| Tab { name, title, count, is_current: name == current }).collect()
}

impl View {
    /// The view of that name; without one, the best there is.
    fn new(opened: &Opened, name: Option<&str>) -> Result<Self, Problem> {
        let read = &opened.view;
        let best = match (&read.html, &read.text) {
            (Some(_), _) => "html",
            (None, Some(_)) => "text",
            (None, None) => "files",
        };
        let missing = || Problem::new(problem::NOT_FOUND, "the message has nothing to show under that view");
        match name.unwrap_or(best) {
            "html" => Ok(Self::Html { is_cut: read.html.as_ref().ok_or_else(missing)?.is_cut }),
            "text" => Ok(Self::Text { content: read.text.as_ref().ok_or_else(missing)?.content.clone() }),
            "headers" => Ok(Self::Headers { fields: read.fields.clone() }),
            "files" => Ok(Self::Files {
                files: read.attachments.iter().enumerate().map(|(i, file)| FileLine::new(i, file)).collect(),
            }),
            "parts" => Ok(Self::Parts {
                parts: parts::lines(read),
                parts_at: format!("/inbox/api/messages/{}/parts", opened.message.id),
            }),
            "links" => Ok(Self::Links { links: opened.links() }),
            "source" => {
                let head = &opened.source[..opened.source.len().min(SOURCE_SHOWN)];
                let content = String::from_utf8_lossy(head).into_owned();
                Ok(Self::Source { content, is_cut: head.len() < opened.source.len() })
            }
            _ => Err(missing()),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Html { .. } => "html",
            Self::Text { .. } => "text",
            Self::Headers { .. } => "headers",
            Self::Files { .. } => "files",
            Self::Parts { .. } => "parts",
            Self::Links { .. } => "links",
            Self::Source { .. } => "source",
        }
    }
}

impl FileLine {
    fn new(index: usize, file: &AttachmentView) -> Self {
        let is_picture = ["image/png", "image/jpeg", "image/gif", "image/webp"].contains(&&*file.mime);
        Self {
            index,
            name: file.filename.clone(),
            mime: file.mime.clone(),
            size: size(file.size),
            is_picture,
        }
    }
}
