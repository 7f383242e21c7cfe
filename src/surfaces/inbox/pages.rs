//! `/inbox`: the inbox for people. Every page works without a script; the script only keeps the list fresh and adds
//! keys.

use super::access::{self, Scope};
use super::frame;
use super::parts::size;
use super::visit::Visit;
use crate::surfaces::http::problem::{self, Problem};
use crate::surfaces::web;
use crate::surfaces::web::visitor::{escaped, redirect, status_419};
use askama::Template;
use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use posthaste_model::inbox::InboxMessage;
use posthaste_model::{InboxId, Timestamp};
use posthaste_store::{InboxClient, InboxSelection};

/// Recipients named in a line of the list.
const RECIPIENTS_SHOWN: usize = 3;

#[derive(Template)]
#[template(path = "inbox/list.html")]
struct ListPage {
    messages: Vec<Line>,
    query: String,
    /// The inboxes to choose from, when there are several: all mail first.
    inboxes: Vec<Choice>,
    /// The client whose inbox is shown, as the address names it; empty: all.
    client: String,
    /// All messages of the inbox that is shown.
    total: u64,
    /// Not the first page: it stays as it is.
    is_older: bool,
    newest: String,
    older: Option<String>,
    wait: String,
    token: String,
}

/// An inbox that can be shown.
struct Choice {
    name: String,
    path: String,
    messages: u64,
    is_current: bool,
}

/// A line of the list.
struct Line {
    id: InboxId,
    /// Whose it is, where that is not plain.
    client: Option<String>,
    name: String,
    from: String,
    to: String,
    subject: String,
    size: String,
    at: When,
}

/// A moment, for people and for the script that shows it in their own time zone.
pub(super) struct When {
    pub(super) machine: Timestamp,
    pub(super) people: String,
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
        StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => "That did not work",
        status if status == status_419() => "The page was too old",
        _ => "Something went wrong",
    };
    let page = RefusedPage { title, detail: problem.detail().to_owned() };
    web::page(problem.status(), &page)
}

pub(super) async fn list(visit: Visit, (): ()) -> Result<Response, Problem> {
    let asked = visit.asked(&["q", "client", "before"])?;
    let scope = visit.scope_of(&asked).await?;
    let (messages, next) = visit.inbox.page(scope, &asked).await?;
    let clients = visit.inbox.store.inbox_clients(visit.scope.client).await;
    let clients = clients.map_err(|error| access::unavailable(&error))?;
    let client = match (&asked.client, scope.client) {
        (Some(_), Some(id)) => id.to_string(),
        _ => String::new(),
    };
    let query = asked.q.unwrap_or_default();
    let of_all = clients.iter().filter(|one| scope.client.is_none_or(|own| own == one.id));
    let within = format!("{}{}", parameter("client", &client), parameter("q", &query));
    let token = visit.form_token();
    let page = ListPage {
        token: token.value.clone(),
        messages: messages.iter().map(|message| Line::new(message, scope, &clients)).collect(),
        total: of_all.map(|one| one.messages).sum(),
        inboxes: choices(&clients, scope, &client, &query),
        is_older: asked.before.is_some(),
        newest: format!("/inbox?{within}").trim_end_matches(['?', '&']).to_owned(),
        older: next.map(|id| format!("/inbox?{within}before={id}")),
        wait: format!("/inbox/api/messages/wait?{within}timeout=50s"),
        query,
        client,
    };
    Ok(token.put_on(&visit, web::page(StatusCode::OK, &page)))
}

/// The inboxes to choose from; none where there is but one.
fn choices(clients: &[InboxClient], scope: Scope, client: &str, query: &str) -> Vec<Choice> {
    if clients.len() < 2 && client.is_empty() {
        return Vec::new();
    }
    let path = |client: &str| {
        let path = format!("/inbox?{}{}", parameter("client", client), parameter("q", query));
        path.trim_end_matches(['?', '&']).to_owned()
    };
    let all = Choice {
        name: "All".to_owned(),
        path: path(""),
        messages: clients.iter().map(|one| one.messages).sum(),
        is_current: client.is_empty(),
    };
    let each = clients.iter().map(|one| Choice {
        name: one.name.clone(),
        path: path(&one.id.to_string()),
        messages: one.messages,
        is_current: !client.is_empty() && scope.client == Some(one.id),
    });
    std::iter::once(all).chain(each).collect()
}

/// `name=value&`, or nothing without a value.
fn parameter(name: &str, value: &str) -> String {
    if value.is_empty() {
        return String::new();
    }
    format!("{name}={}&", escaped(value))
}

/// What stands in the frame.
pub(super) async fn html(visit: Visit, id: String) -> Result<Response, Problem> {
    let opened = visit.opened(&id).await?;
    let html = opened.view.html.as_ref();
    let html = html.ok_or_else(|| Problem::new(problem::NOT_FOUND, "the message has no HTML"))?;
    let parts_at = format!("/inbox/api/messages/{}/attachments", opened.message.id);
    Ok(frame::answer(&html.content, &parts_at, &opened.view.attachments))
}

pub(super) async fn delete(visit: Visit, id: String, body: Body) -> Result<Response, Problem> {
    visit.form(body).await?;
    // Gone already is as good: a second press, or another reader.
    if let Ok(id) = id.parse() {
        visit.remove(visit.scope, InboxSelection::Ids(vec![id])).await?;
    }
    Ok(redirect("/inbox"))
}

pub(super) async fn delete_all(visit: Visit, (): (), body: Body) -> Result<Response, Problem> {
    visit.form(body).await?;
    let asked = visit.asked(&["client"])?;
    visit.remove(visit.scope_of(&asked).await?, InboxSelection::All).await?;
    Ok(redirect("/inbox"))
}

impl Line {
    fn new(message: &InboxMessage, scope: Scope, clients: &[InboxClient]) -> Self {
        let owner = clients.iter().find(|one| one.id == message.client_id);
        let owner = owner.filter(|_| scope.client.is_none() && clients.len() > 1);
        let mut to = message.recipients[..message.recipients.len().min(RECIPIENTS_SHOWN)].join(", ");
        if message.recipients.len() > RECIPIENTS_SHOWN {
            to.push_str(&format!(" and {} more", message.recipients.len() - RECIPIENTS_SHOWN));
        }
        Self {
            id: message.id,
            client: owner.map(|one| one.name.clone()),
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
    pub(super) fn new(at: Timestamp) -> Self {
        let (year, month, day, hour, minute, ..) = at.civil();
        let people = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC");
        Self { machine: at, people }
    }
}

pub(super) fn subject(message: &InboxMessage) -> String {
    if message.subject.trim().is_empty() { "(no subject)".to_owned() } else { message.subject.clone() }
}

/// The name in `Name <address>`, or the address when there is none.
fn display_name(from: &str) -> &str {
    let name = from.rsplit_once('<').map_or(from, |(name, _)| name).trim();
    let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
    if name.is_empty() { from } else { name }
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
    fn parameters_are_coded() {
        assert_eq!(parameter("q", "a&b=ü"), "q=a%26b%3D%C3%BC&");
        assert_eq!(parameter("q", ""), "");
    }
}
