//! `/inbox/api`: the inbox for programs, mostly tests.

use super::access::{self, Scope};
use super::content::Opened;
use super::parameters::Asked;
use super::{Inbox, shapes};
use crate::surfaces::http::answer;
use crate::surfaces::http::exchange;
use crate::surfaces::http::problem::{self, Problem};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode};
use posthaste_model::InboxId;
use posthaste_model::inbox::InboxMessage;
use posthaste_store::InboxSelection;
use serde_json::json;

/// Types under which a file may be handed to a browser; any other goes out as bytes. None of them can run.
const SAFE_TYPES: [&str; 7] =
    ["image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "application/pdf", "text/plain"];

/// Admits the request and answers what `work` finds.
pub(super) async fn call<F>(inbox: &Inbox, parts: &Parts, work: F) -> Response
where
    F: AsyncFnOnce(Scope) -> Result<Response, Problem>,
{
    let answered = match inbox.access.enter(parts).await {
        Ok(scope) => work(scope).await,
        Err(refused) => Err(refused),
    };
    answered.unwrap_or_else(|problem| problem.into_response(&exchange::of(parts)))
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

    /// Deletes messages; how many there were.
    pub(super) async fn remove(&self, scope: Scope, which: InboxSelection) -> Result<u64, Problem> {
        let deleted = self.store.inbox_delete(scope.client, which).await;
        deleted.map_err(|error| access::unavailable(&error))
    }
}

pub(super) async fn list(State(inbox): State<Inbox>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    call(&inbox, &parts, async |scope| {
        let asked = Asked::read(&parts, &["q", "to", "limit", "before"])?;
        let (messages, next) = inbox.page(scope, &asked).await?;
        Ok(answer::json(StatusCode::OK, &shapes::list(&messages, next)))
    })
    .await
}

pub(super) async fn show(
    State(inbox): State<Inbox>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    call(&inbox, &parts, async |scope| {
        let opened = inbox.open(inbox.find(scope, &id).await?).await?;
        Ok(answer::json(StatusCode::OK, &shapes::full(&opened)))
    })
    .await
}

pub(super) async fn source(
    State(inbox): State<Inbox>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    call(&inbox, &parts, async |scope| {
        let message = inbox.find(scope, &id).await?;
        let source = inbox.source_of(&message).await?;
        Ok(file(source, "message/rfc822", &format!("{}.eml", message.id)))
    })
    .await
}

pub(super) async fn attachment(
    State(inbox): State<Inbox>,
    Path((id, index)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    call(&inbox, &parts, async |scope| {
        let opened = inbox.open(inbox.find(scope, &id).await?).await?;
        attached(&opened, &index)
    })
    .await
}

fn attached(opened: &Opened, index: &str) -> Result<Response, Problem> {
    let found = index.parse().ok().and_then(|index: usize| opened.view.attachments.get(index));
    let Some(found) = found else {
        return Err(Problem::new(problem::NOT_FOUND, "the message has no such attachment"));
    };
    let media_type = SAFE_TYPES.iter().find(|safe| **safe == found.mime);
    let content = Bytes::from(found.content(&opened.source).into_owned());
    Ok(file(content, media_type.unwrap_or(&"application/octet-stream"), &found.filename))
}

/// A file to be saved, never to be shown: its content is a stranger's.
fn file(content: Bytes, media_type: &'static str, name: &str) -> Response {
    let mut response = answer::bytes_as(StatusCode::OK, HeaderValue::from_static(media_type), content);
    let headers = response.headers_mut();
    headers.insert(CONTENT_DISPOSITION, answer::disposition(name));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    response
}

pub(super) async fn delete(
    State(inbox): State<Inbox>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    call(&inbox, &parts, async |scope| {
        let message = inbox.find(scope, &id).await?;
        inbox.remove(scope, InboxSelection::Ids(vec![message.id])).await?;
        Ok(answer::empty(StatusCode::NO_CONTENT))
    })
    .await
}

pub(super) async fn delete_all(State(inbox): State<Inbox>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    call(&inbox, &parts, async |scope| {
        // A filter here would be a wish this does not fulfil; refused, it cannot delete more than was meant.
        Asked::read(&parts, &[])?;
        let deleted = inbox.remove(scope, InboxSelection::All).await?;
        Ok(answer::json(StatusCode::OK, &json!({ "deleted": deleted })))
    })
    .await
}

pub(super) async fn no_such_path(request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    Problem::new(problem::NOT_FOUND, "there is no such path; docs/inbox.md lists them")
        .into_response(&exchange::of(&parts))
}
