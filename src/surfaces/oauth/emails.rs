//! `GET /emails` and `GET /emails/{id}`: the client's own history.

use super::Oauth;
use super::errors::OauthError;
use crate::auth::{AccessToken, Freshness};
use crate::surfaces::http::answer;
use crate::surfaces::http::form::Fields;
use crate::surfaces::outward_status;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, Request, StatusCode};
use posthaste_model::EmailId;
use posthaste_model::credential::Scope;
use posthaste_model::email::RecipientKind;
use posthaste_store::{Cursor, EmailFilter, EmailRecord, EmailSummary};
use serde_json::{Value, json};

const DEFAULT_PAGE: usize = 20;
const LARGEST_PAGE: usize = 100;

/// `GET /emails/{id}`; what cannot be decoded names nothing.
pub(super) async fn show(
    State(oauth): State<Oauth>,
    given: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let found = async {
        let token = oauth.reader(&headers).await?;
        let text = given.as_ref().map(|Path(text)| text.as_str()).unwrap_or_default();
        let id: EmailId = text.parse().map_err(|_| OauthError::not_found())?;
        let record =
            oauth.store.email(token.caller.client.id, id).await?.ok_or_else(OauthError::not_found)?;
        Ok::<_, OauthError>(answer::json(StatusCode::OK, &shape(&summary(record))))
    };
    found.await.unwrap_or_else(OauthError::into_response)
}

/// `GET /emails`.
pub(super) async fn list(State(oauth): State<Oauth>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let found = async {
        let token = oauth.reader(&parts.headers).await?;
        let (limit, cursor) = asked(parts.uri.query().unwrap_or_default())?;
        let client = token.caller.client.id;
        let page = oauth.store.list(client, &EmailFilter::default(), cursor, limit).await?;
        let data: Vec<_> = page.rows.iter().map(shape).collect();
        let next = page.next.map(|cursor| cursor.to_string());
        Ok::<_, OauthError>(answer::json(StatusCode::OK, &json!({"data": data, "next_cursor": next})))
    };
    found.await.unwrap_or_else(OauthError::into_response)
}

/// `limit` and `cursor`.
fn asked(query: &str) -> Result<(usize, Option<Cursor>), OauthError> {
    let fields = Fields::of_query(query).map_err(|error| OauthError::request(error.to_string()))?;
    let limit = match fields.get("limit") {
        None => DEFAULT_PAGE,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=LARGEST_PAGE).contains(limit))
            .ok_or_else(|| OauthError::input("limit", format!("limit is 1 to {LARGEST_PAGE}")))?,
    };
    let cursor = fields.get("cursor").filter(|text| !text.is_empty()).map(str::parse).transpose();
    Ok((limit, cursor.map_err(|_| OauthError::input("cursor", "cursor is not one that a list gave"))?))
}

/// What a list tells of an email is all that this surface tells of it.
fn summary(record: EmailRecord) -> EmailSummary {
    let email = &*record.email;
    let to = email.recipients.iter().filter(|one| one.kind == RecipientKind::To);
    EmailSummary {
        id: email.id,
        from: email.from.to_string(),
        to: to.map(|one| one.mailbox.to_string()).collect(),
        subject: email.subject.clone(),
        status: record.status,
        requested_at: email.requested_at,
        sent_at: record.sent_at,
        error: record.failure.map(|(_, message)| message).or(record.error),
    }
}

fn shape(row: &EmailSummary) -> Value {
    json!({
        "id": row.id,
        "from": row.from,
        "to": row.to.join(", "),
        "subject": row.subject,
        "status": outward_status::mail_proxy(row.status),
        "error": row.error,
        "created_at": row.requested_at,
        "sent_at": row.sent_at,
    })
}

impl Oauth {
    /// Who reads its history: the truth is asked, as no commit will look.
    async fn reader(&self, headers: &HeaderMap) -> Result<AccessToken, OauthError> {
        let token = self.bearer(headers, Freshness::Now).await?;
        if token.scopes.contains(&Scope::Email) { Ok(token) } else { Err(OauthError::scope()) }
    }
}
