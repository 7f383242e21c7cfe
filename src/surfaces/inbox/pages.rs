//! `/inbox`: the inbox for people. Every page works without a script; the script only keeps the list fresh and adds
//! keys.

use super::content::Opened;
use super::frame;
use super::visit::Visit;
use crate::surfaces::http::problem::{self, Problem};
use crate::surfaces::web;
use askama::Template;
use axum::body::Body;
use axum::response::Response;
use http::header::LOCATION;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use posthaste_mail::view::{AttachmentView, FieldView, PartView};
use posthaste_model::inbox::InboxMessage;
use posthaste_model::{InboxId, Timestamp};
use posthaste_store::InboxSelection;

/// Of a source, this much is shown; the rest is in the file.
const SOURCE_SHOWN: usize = 256 * 1024;
/// Recipients named in a line of the list.
const RECIPIENTS_SHOWN: usize = 3;
/// Indents that the style knows.
const DEPTHS: usize = 8;

#[derive(Template)]
#[template(path = "inbox/list.html")]
struct ListPage {
    messages: Vec<Line>,
    query: String,
    /// All messages that the reader may see.
    total: u64,
    /// Not the first page: it stays as it is.
    is_older: bool,
    newest: String,
    older: Option<String>,
    wait: String,
}

/// A line of the list.
struct Line {
    id: InboxId,
    name: String,
    from: String,
    to: String,
    subject: String,
    size: String,
    at: When,
}

/// A moment, for people and for the script that shows it in their own time zone.
struct When {
    machine: Timestamp,
    people: String,
}

#[derive(Template)]
#[template(path = "inbox/message.html")]
struct MessagePage {
    id: InboxId,
    subject: String,
    from: String,
    recipients: String,
    mail_from: String,
    email_id: String,
    size: String,
    at: When,
    code: Option<String>,
    is_cut: bool,
    tabs: Vec<Tab>,
    view: View,
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
    Files { files: Vec<FileLine>, parts: Vec<PartLine> },
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

struct PartLine {
    depth: usize,
    mime: String,
    size: String,
    name: String,
}

#[derive(Template)]
#[template(path = "inbox/refused.html")]
struct RefusedPage {
    title: &'static str,
    detail: String,
}

/// A refusal as people read it.
pub(super) fn refused(problem: Problem, _parts: &Parts) -> Response {
    let title = match problem.status() {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "Not open to you",
        StatusCode::BAD_REQUEST => "That address makes no sense",
        _ => "Something went wrong",
    };
    let page = RefusedPage { title, detail: problem.detail().to_owned() };
    web::page(problem.status(), &page)
}

pub(super) async fn list(visit: Visit, (): ()) -> Result<Response, Problem> {
    let asked = visit.asked(&["q", "before"])?;
    let (messages, next) = visit.inbox.page(visit.scope, &asked).await?;
    let total = visit.inbox.store.inbox_count(visit.scope.client).await;
    let total = total.map_err(|error| super::access::unavailable(&error))?;
    let query = asked.q.unwrap_or_default();
    let page = ListPage {
        messages: messages.iter().map(Line::new).collect(),
        total,
        is_older: asked.before.is_some(),
        newest: format!("/inbox?{}", parameter("q", &query)).trim_end_matches(['?', '&']).to_owned(),
        older: next.map(|id| format!("/inbox?{}before={id}", parameter("q", &query))),
        wait: format!("/inbox/api/messages/wait?{}timeout=50s", parameter("q", &query)),
        query,
    };
    Ok(web::page(StatusCode::OK, &page))
}

/// `name=value&`, or nothing without a value.
fn parameter(name: &str, value: &str) -> String {
    if value.is_empty() {
        return String::new();
    }
    let coded = value.bytes().fold(String::new(), |mut coded, byte| {
        if byte.is_ascii_alphanumeric() {
            coded.push(char::from(byte));
        } else {
            coded.push_str(&format!("%{byte:02X}"));
        }
        coded
    });
    format!("{name}={coded}&")
}

pub(super) async fn message(visit: Visit, id: String) -> Result<Response, Problem> {
    let asked = visit.asked(&["view"])?;
    let opened = visit.opened(&id).await?;
    let view = View::new(&opened, asked.view.as_deref())?;
    Ok(web::page(StatusCode::OK, &MessagePage::new(&opened, view)))
}

/// What stands in the frame.
pub(super) async fn html(visit: Visit, id: String) -> Result<Response, Problem> {
    let opened = visit.opened(&id).await?;
    let html = opened.view.html.as_ref();
    let html = html.ok_or_else(|| Problem::new(problem::NOT_FOUND, "the message has no HTML"))?;
    let parts_at = format!("/inbox/api/messages/{}/attachments", opened.message.id);
    Ok(frame::answer(&html.content, &parts_at, &opened.view.attachments))
}

pub(super) async fn delete(visit: Visit, id: String) -> Result<Response, Problem> {
    // Gone already is as good: a second press, or another reader.
    if let Ok(id) = id.parse() {
        visit.inbox.remove(visit.scope, InboxSelection::Ids(vec![id])).await?;
    }
    Ok(to_list())
}

pub(super) async fn delete_all(visit: Visit, (): ()) -> Result<Response, Problem> {
    visit.inbox.remove(visit.scope, InboxSelection::All).await?;
    Ok(to_list())
}

fn to_list() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("/inbox"));
    response
}

impl Line {
    fn new(message: &InboxMessage) -> Self {
        let mut to = message.recipients[..message.recipients.len().min(RECIPIENTS_SHOWN)].join(", ");
        if message.recipients.len() > RECIPIENTS_SHOWN {
            to.push_str(&format!(" and {} more", message.recipients.len() - RECIPIENTS_SHOWN));
        }
        Self {
            id: message.id,
            name: display_name(&message.from).to_owned(),
            from: message.from.clone(),
            to,
            subject: subject(message),
            size: size(message.size as usize),
            at: When::new(message.received_at),
        }
    }
}

impl When {
    fn new(at: Timestamp) -> Self {
        let (year, month, day, hour, minute, ..) = at.civil();
        let people = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC");
        Self { machine: at, people }
    }
}

impl MessagePage {
    fn new(opened: &Opened, view: View) -> Self {
        let message = &opened.message;
        Self {
            id: message.id,
            subject: subject(message),
            from: message.from.clone(),
            recipients: message.recipients.join(", "),
            mail_from: message.mail_from.clone(),
            email_id: message.email_id.to_string(),
            size: size(opened.source.len()),
            at: When::new(message.received_at),
            code: opened.code(),
            is_cut: opened.view.is_cut,
            tabs: tabs(opened, view.name()),
            view,
        }
    }
}

fn tabs(opened: &Opened, current: &'static str) -> Vec<Tab> {
    let (files, links) = (opened.view.attachments.len(), opened.links().len());
    let all = [
        ("html", "HTML", opened.view.html.is_some(), None),
        ("text", "Text", opened.view.text.is_some(), None),
        ("headers", "Headers", true, None),
        ("files", "Attachments", true, Some(files)),
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
                parts: read.parts.iter().map(PartLine::new).collect(),
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

impl PartLine {
    fn new(part: &PartView) -> Self {
        let name = part.filename.clone().unwrap_or_default();
        Self { depth: part.depth.min(DEPTHS), mime: part.mime.clone(), size: size(part.size), name }
    }
}

fn subject(message: &InboxMessage) -> String {
    if message.subject.trim().is_empty() { "(no subject)".to_owned() } else { message.subject.clone() }
}

/// The name in `Name <address>`, or the address when there is none.
fn display_name(from: &str) -> &str {
    let name = from.rsplit_once('<').map_or(from, |(name, _)| name).trim();
    let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
    if name.is_empty() { from } else { name }
}

/// A size for people, in units of 1000; number and unit stay on one line.
fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes}\u{a0}B"),
        1_000..1_000_000 => format!("{:.1}\u{a0}kB", bytes as f64 / 1e3),
        _ => format!("{:.1}\u{a0}MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_are_shown_by_name() {
        for (from, name) in [
            ("Shop <a@b.c>", "Shop"),
            ("\"Doe, Jane\" <a@b.c>", "Doe, Jane"),
            ("<a@b.c>", "<a@b.c>"),
            ("a@b.c", "a@b.c"),
            ("", ""),
        ] {
            assert_eq!(display_name(from), name, "{from}");
        }
    }

    #[test]
    fn sizes_and_parameters_for_people() {
        assert_eq!([999, 1_500, 2_345_678].map(size), ["999\u{a0}B", "1.5\u{a0}kB", "2.3\u{a0}MB"]);
        assert_eq!(parameter("q", "a&b=ü"), "q=a%26b%3D%C3%BC&");
        assert_eq!(parameter("q", ""), "");
    }
}
