//! Messages as JSON.

use super::content::Opened;
use posthaste_model::inbox::InboxMessage;
use posthaste_model::{ClientId, EmailId, InboxId, Timestamp};
use posthaste_store::InboxClient;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Summary<'a> {
    id: InboxId,
    email_id: EmailId,
    client_id: ClientId,
    from: &'a str,
    to: &'a [String],
    subject: &'a str,
    size: u64,
    received_at: Timestamp,
}

#[derive(Serialize)]
pub(super) struct List<'a> {
    data: Vec<Summary<'a>>,
    next: Option<InboxId>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    from: &'a str,
    to: &'a [String],
}

#[derive(Serialize)]
struct HeaderField<'a> {
    name: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct File<'a> {
    index: usize,
    filename: &'a str,
    mime: &'a str,
    size: usize,
    content_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Part<'a> {
    index: usize,
    depth: usize,
    mime: &'a str,
    size: usize,
    filename: Option<&'a str>,
}

#[derive(Serialize)]
struct Client<'a> {
    id: ClientId,
    name: &'a str,
    messages: u64,
}

#[derive(Serialize)]
pub(super) struct Clients<'a> {
    data: Vec<Client<'a>>,
}

#[derive(Serialize)]
pub(super) struct Full<'a> {
    #[serde(flatten)]
    summary: Summary<'a>,
    envelope: Envelope<'a>,
    headers: Vec<HeaderField<'a>>,
    text: Option<&'a str>,
    html: Option<&'a str>,
    attachments: Vec<File<'a>>,
    parts: Vec<Part<'a>>,
    links: Vec<String>,
    code: Option<String>,
    truncated: bool,
}

/// A line of a list.
pub(super) fn summary(message: &InboxMessage) -> Summary<'_> {
    Summary {
        id: message.id,
        email_id: message.email_id,
        client_id: message.client_id,
        from: &message.from,
        to: &message.recipients,
        subject: &message.subject,
        size: message.size,
        received_at: message.received_at,
    }
}

/// A list, and where the next one begins.
pub(super) fn list(messages: &[InboxMessage], next: Option<InboxId>) -> List<'_> {
    List { data: messages.iter().map(summary).collect(), next }
}

/// The clients that have messages.
pub(super) fn clients(clients: &[InboxClient]) -> Clients<'_> {
    let each = clients.iter().map(|one| Client { id: one.id, name: &one.name, messages: one.messages });
    Clients { data: each.collect() }
}

/// Everything about a message.
pub(super) fn full(opened: &Opened) -> Full<'_> {
    let (message, view) = (&opened.message, &opened.view);
    let headers = view.fields.iter().map(|field| HeaderField { name: &field.name, value: &field.value });
    let files = view.attachments.iter().enumerate().map(|(index, file)| File {
        index,
        filename: &file.filename,
        mime: &file.mime,
        size: file.size,
        content_id: file.content_id.as_deref(),
    });
    let parts = view.parts.iter().enumerate().map(|(index, part)| Part {
        index,
        depth: part.depth,
        mime: &part.mime,
        size: part.size,
        filename: part.filename.as_deref(),
    });
    Full {
        summary: summary(message),
        envelope: Envelope { from: &message.mail_from, to: &message.recipients },
        headers: headers.collect(),
        text: view.text.as_ref().map(|text| &*text.content),
        html: view.html.as_ref().map(|html| &*html.content),
        attachments: files.collect(),
        parts: parts.collect(),
        links: opened.links(),
        code: opened.code(),
        truncated: view.is_cut,
    }
}
