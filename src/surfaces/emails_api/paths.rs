//! Paths: the text in a path's place, and the answers where no call stands.

use super::{EmailsApi, entry, refusals};
use crate::surfaces::http::exchange;
use crate::surfaces::http::problem::{self, Problem};
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::Response;
use http::request::Parts;
use http::{Method, Request};
use posthaste_model::WebhookId;
use posthaste_model::refusal::Refusal;

/// The text of a path's one parameter. What cannot be decoded names nothing: 404, as for any other unknown name.
pub(super) struct Segment(pub String);

impl FromRequestParts<EmailsApi> for Segment {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, api: &EmailsApi) -> Result<Self, Response> {
        if let Ok(Path(text)) = Path::<String>::from_request_parts(parts, api).await
            && !text.contains('\0')
        {
            return Ok(Self(text));
        }
        Err(undecodable(parts, api).await)
    }
}

/// The texts of a path's two parameters.
pub(super) struct SegmentPair(pub String, pub String);

impl FromRequestParts<EmailsApi> for SegmentPair {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, api: &EmailsApi) -> Result<Self, Response> {
        if let Ok(Path((first, second))) = Path::<(String, String)>::from_request_parts(parts, api).await
            && !first.contains('\0')
            && !second.contains('\0')
        {
            return Ok(Self(first, second));
        }
        Err(undecodable(parts, api).await)
    }
}

async fn undecodable(parts: &Parts, api: &EmailsApi) -> Response {
    let exchange = exchange::of(parts);
    let answer = refusals::problem(Refusal::NotFound).into_response(&exchange);
    entry::open(api, &exchange, answer).await
}

/// No such path below `/api/`.
pub(super) async fn not_found(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    nothing(&api, request, Problem::new(problem::NOT_FOUND, "there is no such path")).await
}

/// A path without this method. `POST /api/webhooks/{word}` is where a provider would call that nobody here knows: no such
/// path.
pub(super) async fn method_not_allowed(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    if request.method() == Method::POST && is_of_unknown_provider(request.uri().path()) {
        return nothing(&api, request, Problem::new(problem::NOT_FOUND, "there is no such provider")).await;
    }
    let problem = Problem::new(problem::METHOD_NOT_ALLOWED, "this path does not have this method");
    nothing(&api, request, problem).await
}

/// Whether this is the path of a provider, and not that of an endpoint, which is called by an id.
fn is_of_unknown_provider(path: &str) -> bool {
    let name = path.strip_prefix("/api/webhooks/");
    name.is_some_and(|name| !name.contains('/') && name.parse::<WebhookId>().is_err())
}

async fn nothing(api: &EmailsApi, request: Request<Body>, problem: Problem) -> Response {
    let (parts, _) = request.into_parts();
    let exchange = exchange::of(&parts);
    entry::open(api, &exchange, problem.into_response(&exchange)).await
}
