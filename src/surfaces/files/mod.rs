//! `GET /files/{token}`: the attachment behind a signed, expiring link. Needs no key; the link is the credential.

use crate::auth::link::FileLink;
use crate::base::clock::Clock;
use crate::base::vault::Vault;
use crate::blobs::Blobs;
use crate::limits::{LimitKey, Limits, Scope};
use crate::surfaces::Ground;
use crate::surfaces::http::answer;
use crate::surfaces::http::exchange::Exchange;
use crate::surfaces::http::problem::{self, Problem};
use crate::surfaces::http::rate_headers;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use http::header::CONTENT_DISPOSITION;
use http::{HeaderValue, StatusCode};
use posthaste_model::Rate;
use posthaste_store::Store;

/// The surface.
#[derive(Clone)]
struct Files {
    /// Where email is kept.
    store: Store,
    /// Where files are kept.
    blobs: Blobs,
    /// Checks signatures.
    vault: Vault,
    /// The time.
    clock: Clock,
    /// Sliding windows.
    limits: Limits,
    /// Requests per client address.
    per_address: Rate,
}

/// The surface's route.
pub fn router(ground: &Ground) -> Router {
    let files = Files {
        store: ground.store.clone(),
        blobs: ground.blobs.clone(),
        vault: ground.vault.clone(),
        clock: ground.clock.clone(),
        limits: ground.limits.clone(),
        per_address: ground.settings.limits.per_ip,
    };
    Router::new().route("/files/{token}", get(download)).with_state(files)
}

async fn download(
    State(files): State<Files>,
    given: Result<Path<String>, PathRejection>,
    exchange: Exchange,
) -> Response {
    // What cannot be decoded is no token of ours, like any other.
    let Path(token) = given.unwrap_or_else(|_| Path(String::new()));
    let address = LimitKey::address(Scope::Address, exchange.client_address());
    let decision = files.limits.check(address, files.per_address, files.clock.now()).await;
    if !decision.allowed {
        let mut response = Problem::new(problem::RATE_LIMITED, "too many downloads").into_response(&exchange);
        rate_headers::write(response.headers_mut(), &decision);
        return response;
    }
    files.file(&token).await.unwrap_or_else(|problem| problem.into_response(&exchange))
}

impl Files {
    async fn file(&self, token: &str) -> Result<Response, Problem> {
        // A wrong, an expired and an erased one are told alike.
        let gone = || Problem::new(problem::NOT_FOUND, "there is no such file, or its link has expired");
        let link = FileLink::read(token, &self.vault).ok_or_else(gone)?;
        if self.clock.now() >= link.expires_at {
            return Err(gone());
        }
        let unavailable = || Problem::new(problem::STORE_UNAVAILABLE, "try again later").with_retry_after(1);
        let found = self.store.email(link.client_id, link.email_id).await.map_err(|_| unavailable())?;
        let email = found.ok_or_else(gone)?.email;
        let attachment = email.attachments.get(usize::from(link.index)).ok_or_else(gone)?;
        let content = self
            .blobs
            .get(&attachment.sha256)
            .await
            .map_err(|error| if error.is_transient() { unavailable() } else { gone() })?;
        let octets = HeaderValue::from_static("application/octet-stream");
        let media = HeaderValue::from_str(&attachment.mime).unwrap_or(octets);
        let mut response = answer::bytes_as(StatusCode::OK, media, content);
        // Always a download: a page of a stranger must not run under our name.
        response.headers_mut().insert(CONTENT_DISPOSITION, answer::disposition(&attachment.filename));
        Ok(response)
    }
}
