//! The message of an email as parts: its HTML in a frame that nothing can leave, its pictures, its source.

use super::Dashboard;
use crate::surfaces::http::answer;
use crate::surfaces::inbox::{frame, parts};
use crate::surfaces::web::visitor::Visitor;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY};
use http::{HeaderValue, Request, StatusCode};
use posthaste_mail::view::read_message;
use posthaste_store::StoreError;

/// Pictures that a frame may show; everything else is a file to save.
const PICTURES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

/// `GET /admin/emails/{client}/{id}/html`.
pub(super) async fn html(
    State(dashboard): State<Dashboard>,
    Path((client, id)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let (visitor, message) = match dashboard.message(&client, &id, request).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let view = read_message(&message);
    let Some(html) = &view.html else { return visitor.refuse(StatusCode::NOT_FOUND, "not_found") };
    let parts_at = format!("/admin/emails/{client}/{id}/parts");
    visitor.finish(frame::answer(&html.content, &parts_at, &view.attachments))
}

/// `GET /admin/emails/{client}/{id}/parts/{index}`.
pub(super) async fn part(
    State(dashboard): State<Dashboard>,
    Path((client, id, index)): Path<(String, String, usize)>,
    request: Request<Body>,
) -> Response {
    let (visitor, message) = match dashboard.message(&client, &id, request).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let view = read_message(&message);
    let Some(part) = view.attachments.get(index) else {
        return visitor.refuse(StatusCode::NOT_FOUND, "not_found");
    };
    let picture = PICTURES.into_iter().find(|known| *known == part.mime);
    let kind = HeaderValue::from_static(picture.unwrap_or("application/octet-stream"));
    let content = part.content(&message).into_owned();
    let mut response = answer::bytes_as(StatusCode::OK, kind, content);
    let headers = response.headers_mut();
    if picture.is_none() {
        headers.insert(CONTENT_DISPOSITION, answer::disposition(&part.filename));
    }
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    visitor.finish(response)
}

/// `GET /admin/emails/{client}/{id}/mime/{number}`: any part of the MIME tree.
pub(super) async fn mime_part(
    State(dashboard): State<Dashboard>,
    Path((client, id, number)): Path<(String, String, String)>,
    request: Request<Body>,
) -> Response {
    let (visitor, message) = match dashboard.message(&client, &id, request).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    match parts::download(&read_message(&message), &message, &number) {
        Some(file) => visitor.finish(file),
        None => visitor.refuse(StatusCode::NOT_FOUND, "not_found"),
    }
}

/// `GET /admin/emails/{client}/{id}/source`.
pub(super) async fn source(
    State(dashboard): State<Dashboard>,
    Path((client, id)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let (visitor, message) = match dashboard.message(&client, &id, request).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let mut response = answer::bytes_as(StatusCode::OK, HeaderValue::from_static("message/rfc822"), message);
    let name = answer::disposition(&format!("{id}.eml"));
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    visitor.finish(response)
}

impl Dashboard {
    /// The message exactly as sent, for whoever may see it.
    async fn message(
        &self,
        client: &str,
        id: &str,
        request: Request<Body>,
    ) -> Result<(Visitor, Bytes), Response> {
        let (parts, _) = request.into_parts();
        let visitor = self.enter(&parts).await?;
        let record = match self.record(client, id).await {
            Ok(record) if !record.content_dropped => record,
            Ok(_) | Err(StoreError::NotFound) => {
                return Err(visitor.refuse(StatusCode::NOT_FOUND, "not_found"));
            }
            Err(error) => return Err(visitor.unavailable(&error)),
        };
        match self.renderer.message(&record.email).await {
            Ok(message) => Ok((visitor, message.bytes)),
            Err(error) => {
                tracing::warn!(%error, "an accepted email could not be rendered");
                Err(visitor.refuse(StatusCode::INTERNAL_SERVER_ERROR, "internal_error"))
            }
        }
    }
}
