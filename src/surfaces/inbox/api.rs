//! `/inbox/api`: the inbox for programs, mostly tests.

use super::access::{self, Scope};
use super::content::Opened;
use super::parameters::Asked;
use super::parts::{self, file, safe_type};
use super::visit::Visit;
use super::{Inbox, shapes};
use crate::surfaces::http::answer;
use crate::surfaces::http::exchange;
use crate::surfaces::http::problem::{self, Problem};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, StatusCode};
use posthaste_model::InboxId;
use posthaste_model::inbox::InboxMessage;
use posthaste_store::InboxSelection;
use serde_json::json;

/// A refusal as programs read it.
pub(super) fn refused(problem: Problem, parts: &Parts) -> Response {
    problem.into_response(&exchange::of(parts))
}

impl Inbox {
    /// A page of the list, and the id before which the next one begins.
    pub(super) async fn page(
        &self,
        scope: Scope,
        asked: &Asked,
    ) -> Result<(Vec<InboxMessage>, Option<InboxId>), Problem> {
        let found = self.store.inbox_list(&asked.filter(scope), asked.before, asked.limit + 1).await;
        let mut messages = found.map_err(|error| access::unavailable(&error))?;
        let has_more = messages.len() > asked.limit;
        messages.truncate(asked.limit);
        let next = messages.last().filter(|_| has_more).map(|message| message.id);
        Ok((messages, next))
    }
}

pub(super) async fn list(visit: Visit, (): ()) -> Result<Response, Problem> {
    let asked = visit.asked(&["q", "client", "to", "limit", "before"])?;
    let (messages, next) = visit.inbox.page(visit.scope_of(&asked).await?, &asked).await?;
    Ok(answer::json(StatusCode::OK, &shapes::list(&messages, next)))
}

pub(super) async fn show(visit: Visit, id: String) -> Result<Response, Problem> {
    Ok(answer::json(StatusCode::OK, &shapes::full(&visit.opened(&id).await?)))
}

pub(super) async fn source(visit: Visit, id: String) -> Result<Response, Problem> {
    let message = visit.found(&id).await?;
    let source = visit.inbox.source_of(&message).await?;
    Ok(file(source, "message/rfc822", &format!("{}.eml", message.id)))
}

pub(super) async fn attachment(visit: Visit, (id, index): (String, String)) -> Result<Response, Problem> {
    attached(&visit.opened(&id).await?, &index)
}

fn attached(opened: &Opened, index: &str) -> Result<Response, Problem> {
    let found = index.parse().ok().and_then(|index: usize| opened.view.attachments.get(index));
    let Some(found) = found else {
        return Err(Problem::new(problem::NOT_FOUND, "the message has no such attachment"));
    };
    let content = Bytes::from(found.content(&opened.source).into_owned());
    Ok(file(content, safe_type(&found.mime), &found.filename))
}

pub(super) async fn part(visit: Visit, (id, number): (String, String)) -> Result<Response, Problem> {
    let opened = visit.opened(&id).await?;
    parts::download(&opened.view, &opened.source, &number)
        .ok_or_else(|| Problem::new(problem::NOT_FOUND, "the message has no such part"))
}

pub(super) async fn clients(visit: Visit, (): ()) -> Result<Response, Problem> {
    visit.asked(&[])?;
    let clients = visit.inbox.store.inbox_clients(visit.scope.client).await;
    let clients = clients.map_err(|error| access::unavailable(&error))?;
    Ok(answer::json(StatusCode::OK, &shapes::clients(&clients)))
}

pub(super) async fn delete(visit: Visit, id: String) -> Result<Response, Problem> {
    let message = visit.found(&id).await?;
    visit.remove(visit.scope, InboxSelection::Ids(vec![message.id])).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

pub(super) async fn delete_all(visit: Visit, (): ()) -> Result<Response, Problem> {
    // A filter here would be a wish this does not fulfil; refused, it cannot delete more than was meant.
    let asked = visit.asked(&["client"])?;
    let deleted = visit.remove(visit.scope_of(&asked).await?, InboxSelection::All).await?;
    Ok(answer::json(StatusCode::OK, &json!({ "deleted": deleted })))
}

pub(super) async fn no_such_path(request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    refused(Problem::new(problem::NOT_FOUND, "there is no such path; docs/inbox.md lists them"), &parts)
}
