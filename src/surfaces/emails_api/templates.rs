//! `/api/templates`: make, change, list, preview, delete.

use super::emails::{call, call_with_either, not_found};
use super::paths::Segment;
use super::{EmailsApi, refusals, shapes};
use crate::admin::templates::TemplateDraft;
use crate::surfaces::http::json::reader::{FieldErrors, ObjectReader};
use crate::surfaces::http::json::{self, to_map};
use crate::surfaces::http::problem::Problem;
use crate::surfaces::http::{answer, media};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use posthaste_model::credential::Permission;
use serde_json::json;

/// Who may look at templates: those who see the mail, and those who write them.
const READERS: [Permission; 2] = [Permission::EmailsRead, Permission::TemplatesWrite];

/// `POST /api/templates`: 201 for a new code, 200 for a new version.
pub(super) async fn put(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    call(&api, &parts, Permission::TemplatesWrite, async |caller, exchange| {
        media::require_json(&parts.headers)?;
        let held = api.bodies.read(&parts, body).await?;
        let json = json::parse_body(&held)?;
        let draft = read(&json)?;
        let actor = super::admin_calls::actor(&caller, &exchange);
        let (template, created) =
            api.admin.put_template(caller.client.id, draft, &actor).await.map_err(refusals::problem)?;
        let status = if created { StatusCode::CREATED } else { StatusCode::OK };
        Ok(answer::json(status, &shapes::template(&template)))
    })
    .await
}

fn read(json: &json::Json<'_>) -> Result<TemplateDraft, Problem> {
    let mut errors = FieldErrors::new();
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let mut draft = TemplateDraft::default();
    if let Some(mut body) = ObjectReader::new(json, "", &mut errors) {
        draft.code = owned(body.required_text("code")).unwrap_or_default();
        draft.name = owned(body.text("name"));
        draft.subject = owned(body.text("subject"));
        draft.html = owned(body.text("html"));
        draft.text = owned(body.text("text"));
        draft.variables_schema =
            body.value("variables_schema").filter(|v| !v.is_null()).map(json::Json::to_value);
        body.finish();
    }
    if errors.is_empty() { Ok(draft) } else { Err(Problem::validation(errors)) }
}

/// `GET /api/templates`.
pub(super) async fn list(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    call_with_either(&api, &parts, READERS, async |caller, _| {
        let found = api.store.templates(caller.client.id).await.map_err(|error| refusals::store(&error))?;
        let data: Vec<_> = found.iter().map(shapes::template).collect();
        Ok(answer::json(StatusCode::OK, &json!({ "data": data })))
    })
    .await
}

/// `GET /api/templates/{code}`.
pub(super) async fn show(
    State(api): State<EmailsApi>,
    Segment(code): Segment,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    call_with_either(&api, &parts, READERS, async |caller, _| {
        let found = api.store.template(caller.client.id, &code).await;
        let found = found.map_err(|error| refusals::store(&error))?.ok_or_else(not_found)?;
        Ok(answer::json(StatusCode::OK, &shapes::template(&found)))
    })
    .await
}

/// `DELETE /api/templates/{code}`.
pub(super) async fn delete(
    State(api): State<EmailsApi>,
    Segment(code): Segment,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    call(&api, &parts, Permission::TemplatesWrite, async |caller, exchange| {
        let actor = super::admin_calls::actor(&caller, &exchange);
        api.admin.delete_template(caller.client.id, &code, &actor).await.map_err(refusals::problem)?;
        Ok(answer::empty(StatusCode::NO_CONTENT))
    })
    .await
}

/// `POST /api/templates/{code}/preview`: renders, sends nothing.
pub(super) async fn preview(
    State(api): State<EmailsApi>,
    Segment(code): Segment,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    call_with_either(&api, &parts, READERS, async |caller, _| {
        media::require_json(&parts.headers)?;
        let held = api.bodies.read(&parts, body).await?;
        let json = json::parse_body(&held)?;
        let mut errors = FieldErrors::new();
        let mut variables = serde_json::Map::new();
        if let Some(mut body) = ObjectReader::new(&json, "", &mut errors) {
            variables = body.map("variables").map(to_map).unwrap_or_default();
            body.finish();
        }
        if !errors.is_empty() {
            return Err(Problem::validation(errors));
        }
        let rendered = api.admin.preview_template(caller.client.id, &code, variables).await;
        Ok(answer::json(StatusCode::OK, &shapes::rendered(&rendered.map_err(refusals::problem)?)))
    })
    .await
}
