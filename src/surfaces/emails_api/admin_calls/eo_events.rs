//! `/api/eo-events`: organizers' events.

use super::super::emails::call;
use super::super::{EmailsApi, refusals};
use super::{actor, object, owned};
use crate::admin::NewEoEvent;
use crate::surfaces::http::answer;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use posthaste_model::credential::Permission;
use posthaste_model::eo::EoEvent;
use posthaste_model::user::User;
use serde_json::{Value, json};

/// `GET /api/eo-events`.
pub(super) async fn list(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    call(&api, &parts, Permission::Admin, async |_, _| {
        let events = api.admin.eo_events().await.map_err(refusals::problem)?;
        let users = api.admin.users().await.map_err(refusals::problem)?;
        let data: Vec<Value> = events.iter().map(|event| shape(event, &users)).collect();
        Ok(answer::json(StatusCode::OK, &json!({ "data": data })))
    })
    .await
}

/// `POST /api/eo-events`.
pub(super) async fn create(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    call(&api, &parts, Permission::Admin, async |caller, exchange| {
        let new = object(&api, &parts, body, |reader| NewEoEvent {
            name: owned(reader.required_text("name")).unwrap_or_default(),
            owner: owned(reader.required_text("owner")).unwrap_or_default(),
            client: owned(reader.text("client")),
        })
        .await?;
        let event = api.admin.create_eo_event(new, &actor(&caller, &exchange)).await;
        let event = event.map_err(refusals::problem)?;
        let users = api.admin.users().await.map_err(refusals::problem)?;
        Ok(answer::json(StatusCode::CREATED, &shape(&event, &users)))
    })
    .await
}

fn shape(event: &EoEvent, users: &[User]) -> Value {
    let owner = users.iter().find(|user| user.id == event.owner_id);
    json!({
        "id": event.id,
        "name": event.name,
        "client_id": event.client_id,
        "owner": owner.map(|user| user.email.as_str()),
        "created_at": event.created_at,
    })
}
