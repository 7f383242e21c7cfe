//! `/unsubscribe/{token}`: the link in `List-Unsubscribe`. A GET shows a page with a button and changes nothing (link
//! scanners follow every link); a POST takes the address off (RFC 8058). The link is the credential.

use crate::auth::unsubscribe::UnsubscribeLink;
use crate::base::clock::Clock;
use crate::base::vault::Vault;
use crate::limits::{LimitKey, Limits, Scope};
use crate::news::Desk;
use crate::surfaces::Ground;
use crate::surfaces::http::exchange::{self, Exchange};
use crate::surfaces::http::form::Fields;
use crate::surfaces::http::problem::{self, Problem};
use crate::surfaces::http::rate_headers;
use crate::surfaces::web;
use crate::surfaces::web::shell::Shell;
use askama::Template;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use http::header::{ACCEPT, ACCEPT_LANGUAGE};
use http::request::Parts;
use posthaste_model::Rate;
use posthaste_model::news::{News, NewsKind, NewsSource};
use posthaste_model::suppression::{Suppression, reason};
use posthaste_model::user::Language;
use posthaste_store::{Actor, Store, StoreError};

#[derive(Template)]
#[template(path = "unsubscribe.html")]
struct UnsubscribePage {
    shell: Shell,
    stream: String,
    is_done: bool,
}

/// The surface.
#[derive(Clone)]
struct Unsubscribe {
    store: Store,
    desk: Desk,
    vault: Vault,
    clock: Clock,
    limits: Limits,
    per_address: Rate,
}

/// The surface's route.
pub fn router(ground: &Ground) -> Router {
    let surface = Unsubscribe {
        store: ground.store.clone(),
        desk: ground.news.clone(),
        vault: ground.vault.clone(),
        clock: ground.clock.clone(),
        limits: ground.limits.clone(),
        per_address: ground.settings.limits.per_ip,
    };
    Router::new().route("/unsubscribe/{token}", get(ask).post(take_off)).with_state(surface)
}

/// What stands in the path's place. What cannot be decoded is no token of ours, like any other.
type Given = Result<Path<String>, PathRejection>;

async fn ask(State(surface): State<Unsubscribe>, given: Given, parts: Parts) -> Response {
    let Path(token) = given.unwrap_or_else(|_| Path(String::new()));
    let reader = Reader::of(&parts);
    surface
        .let_in(&exchange::of(&parts), &reader, &token, async |link| Ok(page(&reader, &link.stream, false)))
        .await
}

async fn take_off(State(surface): State<Unsubscribe>, given: Given, parts: Parts) -> Response {
    let Path(token) = given.unwrap_or_else(|_| Path(String::new()));
    let reader = Reader::of(&parts);
    surface
        .let_in(&exchange::of(&parts), &reader, &token, async |link| {
            surface.take_off(&link, &token).await.map_err(|error| {
                tracing::warn!(%error, "an address could not be taken off");
                Problem::new(problem::STORE_UNAVAILABLE, "try again later").with_retry_after(5)
            })?;
            Ok(page(&reader, &link.stream, true))
        })
        .await
}

impl Unsubscribe {
    async fn let_in(
        &self,
        exchange: &Exchange,
        reader: &Reader,
        token: &str,
        work: impl AsyncFnOnce(UnsubscribeLink) -> Result<Response, Problem>,
    ) -> Response {
        let address = LimitKey::address(Scope::Address, exchange.client_address());
        let decision = self.limits.check(address, self.per_address, self.clock.now()).await;
        if !decision.allowed {
            let mut response =
                Problem::new(problem::RATE_LIMITED, "too many requests").into_response(exchange);
            rate_headers::write(response.headers_mut(), &decision);
            return response;
        }
        let answer = match UnsubscribeLink::read(token, &self.vault) {
            Some(link) => work(link).await,
            None if reader.wants_page => {
                Ok(web::refused(StatusCode::NOT_FOUND, reader.language, "not_found"))
            }
            None => Err(Problem::new(problem::NOT_FOUND, "there is no such link")),
        };
        answer.unwrap_or_else(|problem| problem.into_response(exchange))
    }

    async fn take_off(&self, link: &UnsubscribeLink, token: &str) -> Result<(), StoreError> {
        let now = self.clock.now();
        let stream = Some(link.stream.clone()).filter(|stream| !stream.is_empty());
        let standing = self.store.suppressed(link.client_id, vec![link.address_key], now).await?;
        if !standing.iter().any(|entry| entry.stream == stream && entry.expires_at.is_none()) {
            let found = self.store.email(link.client_id, link.email_id).await?;
            let address = found.and_then(|record| {
                let to = record.email.recipients.first()?;
                Some(to.mailbox.address.canonical().to_owned())
            });
            let mut entry = Suppression::new(
                link.client_id,
                address.as_deref().unwrap_or_default(),
                reason::UNSUBSCRIBE,
                now,
            );
            if entry.address_key != link.address_key {
                // The email is no longer kept, or its recipient was erased.
                entry.email = None;
                entry.address_key = link.address_key;
            }
            entry.stream = stream;
            let actor = Actor { kind: "recipient".to_owned(), id: None, address: None };
            self.store.suppress(link.client_id, vec![entry], &actor).await?;
        }
        let key = format!("sha256:{}", posthaste_model::email::BlobHash::of(token.as_bytes()));
        let mut news = News::kept(NewsSource::Link, key, "one-click".to_owned(), now);
        news.email_id = Some(link.email_id);
        news.kind = Some(NewsKind::Unsubscribed);
        news.detail = Some(if link.stream.is_empty() { "all mail".to_owned() } else { link.stream.clone() });
        if let Err(error) = self.desk.record(vec![news]).await {
            // The address is off; only the timeline does not say so.
            tracing::warn!(%error, "an unsubscription was not noted in the timeline");
        }
        Ok(())
    }
}

/// The question, or that it was answered.
fn page(reader: &Reader, stream: &str, is_done: bool) -> Response {
    let page = UnsubscribePage { shell: Shell::bare(reader.language), stream: stream.to_owned(), is_done };
    web::page(StatusCode::OK, &page)
}

/// Who follows a link: nobody who logs in, and in a language of the own.
struct Reader {
    language: Language,
    wants_page: bool,
}

impl Reader {
    fn of(parts: &Parts) -> Self {
        let text = |name: http::HeaderName| {
            parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        let fields = Fields::of_query(parts.uri.query().unwrap_or_default()).unwrap_or_default();
        let chosen = fields.get("lang").and_then(Language::parse);
        // Readers are anybody's: English unless the browser asks for Indonesian first.
        let asks_first = text(ACCEPT_LANGUAGE).trim_start().to_ascii_lowercase().starts_with("id");
        let language = chosen.unwrap_or(if asks_first { Language::Id } else { Language::En });
        Self { language, wants_page: text(ACCEPT).contains("text/html") }
    }
}
