//! One request to the inbox that was admitted, and how its answer is made: the same for pages and for programs, but for
//! the shape of a refusal.

use super::Inbox;
use super::access::{self, Guest, Scope, Who};
use super::content::Opened;
use super::parameters::Asked;
use crate::surfaces::http::problem::Problem;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Request;
use http::request::Parts;
use posthaste_model::inbox::InboxMessage;
use posthaste_store::InboxSelection;
use serde::de::DeserializeOwned;

/// A request that was admitted.
pub(super) struct Visit {
    /// What it came to.
    pub(super) inbox: Inbox,
    /// Whose messages it may see.
    pub(super) scope: Scope,
    /// Who it comes from.
    pub(super) guest: Guest,
    /// The request without its body.
    pub(super) parts: Parts,
}

impl Visit {
    /// Its parameters, of which only those that are `known` may be there.
    pub(super) fn asked(&self, known: &[&str]) -> Result<Asked, Problem> {
        Asked::read(&self.parts, known)
    }

    /// The scope, narrowed to the one client that was asked for, if any.
    pub(super) async fn scope_of(&self, asked: &Asked) -> Result<Scope, Problem> {
        self.inbox.narrowed(self.scope, asked.client.as_deref()).await
    }

    /// The message of that id, if it may be seen.
    pub(super) async fn found(&self, id: &str) -> Result<InboxMessage, Problem> {
        self.inbox.find(self.scope, id).await
    }

    /// Deletes messages; how many there were. The audit says so when it was a person: what a program does to its own
    /// inbox by key, as tests do all day, is no news.
    pub(super) async fn remove(&self, scope: Scope, which: InboxSelection) -> Result<u64, Problem> {
        let person = match self.guest.who {
            Who::AtMachine | Who::Admin(_) => Some(self.guest.actor(&self.parts)),
            Who::Key(_) => None,
        };
        let deleted = self.inbox.store.inbox_delete(scope.client, which, person.as_ref()).await;
        deleted.map_err(|error| access::unavailable(&error))
    }

    /// The message of that id with what is in it.
    pub(super) async fn opened(&self, id: &str) -> Result<Opened, Problem> {
        self.inbox.open(self.found(id).await?).await
    }
}

/// How a refusal is shown.
type Refused = fn(Problem, &Parts) -> Response;

/// A route: admits the request, does `work` with it and what stands in its path, and shows refusals by `refused`.
pub(super) fn route<Place, Work, Doing>(
    method: MethodFilter,
    refused: Refused,
    work: Work,
) -> MethodRouter<Inbox>
where
    Place: DeserializeOwned + Send + 'static,
    Work: Fn(Visit, Place) -> Doing + Clone + Send + Sync + 'static,
    Doing: Future<Output = Result<Response, Problem>> + Send,
{
    route_with_body(method, refused, move |visit, place, _| work(visit, place))
}

/// [`route`] for work that reads the request's body.
pub(super) fn route_with_body<Place, Work, Doing>(
    method: MethodFilter,
    refused: Refused,
    work: Work,
) -> MethodRouter<Inbox>
where
    Place: DeserializeOwned + Send + 'static,
    Work: Fn(Visit, Place, Body) -> Doing + Clone + Send + Sync + 'static,
    Doing: Future<Output = Result<Response, Problem>> + Send,
{
    let admit = move |State(inbox): State<Inbox>, Path(place): Path<Place>, request: Request<Body>| async move {
        let (parts, body) = request.into_parts();
        let answered = match inbox.access.enter(&parts).await {
            Ok(guest) => {
                let visit = Visit { inbox, scope: guest.scope, guest, parts: parts.clone() };
                work(visit, place, body).await
            }
            Err(problem) => Err(problem),
        };
        answered.unwrap_or_else(|problem| refused(problem, &parts))
    };
    on(method, admit)
}
