//! One request to the inbox that was admitted, and how its answer is made: the same for pages and for programs, but for
//! the shape of a refusal.

use super::Inbox;
use super::access::Scope;
use super::content::Opened;
use super::parameters::Asked;
use crate::surfaces::http::problem::Problem;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::request::Parts;
use posthaste_model::inbox::InboxMessage;
use serde::de::DeserializeOwned;

/// A request that was admitted.
pub(super) struct Visit {
    /// What it came to.
    pub(super) inbox: Inbox,
    /// Whose messages it may see.
    pub(super) scope: Scope,
    parts: Parts,
}

impl Visit {
    /// Its parameters, of which only those that are `known` may be there.
    pub(super) fn asked(&self, known: &[&str]) -> Result<Asked, Problem> {
        Asked::read(&self.parts, known)
    }

    /// The message of that id, if it may be seen.
    pub(super) async fn found(&self, id: &str) -> Result<InboxMessage, Problem> {
        self.inbox.find(self.scope, id).await
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
    on(method, move |State(inbox): State<Inbox>, Path(place): Path<Place>, parts: Parts| async move {
        let answered = match inbox.access.enter(&parts).await {
            Ok(scope) => work(Visit { inbox, scope, parts: parts.clone() }, place).await,
            Err(problem) => Err(problem),
        };
        answered.unwrap_or_else(|problem| refused(problem, &parts))
    })
}
