//! `/admin/templates`: a client's templates, an editor with a preview that follows the writing, and the versions.

use super::visit::{Change, Visit, id_of};
use super::{Dashboard, When, client_id};
use crate::admin::templates::TemplateDraft;
use crate::render;
use crate::surfaces::http::form::Fields;
use crate::surfaces::inbox::frame;
use crate::surfaces::web::shell::Shell;
use crate::surfaces::web::visitor::escaped;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::Request;
use posthaste_model::template::Template;
use posthaste_model::{ClientId, TemplateId};
use posthaste_store::StoreError;

#[derive(askama::Template)]
#[template(path = "dashboard/templates.html")]
struct TemplatesPage {
    shell: Shell,
    clients: Vec<(ClientId, String, bool)>,
    client: String,
    templates: Vec<Row>,
}

struct Row {
    code: String,
    name: String,
    version: u32,
    at: When,
    address: String,
}

#[derive(askama::Template)]
#[template(path = "dashboard/template.html")]
struct TemplatePage {
    shell: Shell,
    client: String,
    code: String,
    name: String,
    subject: String,
    html: String,
    text: String,
    version: u32,
    newest: u32,
    versions: Vec<(u32, String)>,
}

/// `GET /admin/templates?client=`.
pub(super) async fn list(State(dashboard): State<Dashboard>, visit: Visit) -> Response {
    let fields = visit.fields();
    visit.shown(dashboard.templates_page(visit.shell("templates"), fields.get("client")).await)
}

/// `GET /admin/templates/{client}?code=&version=`; without a code an empty editor.
pub(super) async fn edit(
    State(dashboard): State<Dashboard>,
    Path(client): Path<String>,
    visit: Visit,
) -> Response {
    visit.shown(dashboard.template_page(visit.shell("templates"), &client, &visit.fields()).await)
}

/// `POST /admin/templates/{client}`: a new template, or a new version.
pub(super) async fn put(
    State(dashboard): State<Dashboard>,
    Path(client): Path<String>,
    change: Change,
) -> Response {
    let fields = change.fields();
    let given = |name: &str| fields.get(name).filter(|given| !given.trim().is_empty()).map(str::to_owned);
    let code = given("code").unwrap_or_default().trim().to_owned();
    let put = async {
        let id = id_of(&client)?;
        // What the editor does not show stays as it is.
        let variables_schema =
            dashboard.admin.template(id, &code).await.ok().and_then(|one| one.variables_schema);
        let draft = TemplateDraft {
            code: code.clone(),
            name: given("name"),
            subject: given("subject"),
            html: given("html"),
            text: given("text"),
            variables_schema,
        };
        dashboard.admin.put_template(id, draft, &change.actor()).await
    };
    let put = put.await;
    let editor = || format!("/admin/templates/{}?code={}", escaped(&client), escaped(&code));
    let to = if put.is_ok() { editor() } else { list_of(&client) };
    change.answer(put, &to)
}

/// `POST /admin/templates/{client}/delete`.
pub(super) async fn delete(
    State(dashboard): State<Dashboard>,
    Path(client): Path<String>,
    change: Change,
) -> Response {
    let fields = change.fields();
    let code = fields.get("code").unwrap_or_default();
    let deleted = async { dashboard.admin.delete_template(id_of(&client)?, code, &change.actor()).await };
    change.answer(deleted.await, &list_of(&client))
}

/// Where a client's templates are listed.
fn list_of(client: &str) -> String {
    format!("/admin/templates?client={}", escaped(client))
}

/// `POST /admin/templates/{client}/preview`: what the editor holds, as it would look, for the frame beside it.
pub(super) async fn preview(
    State(dashboard): State<Dashboard>,
    Path(client): Path<String>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let visitor = match dashboard.enter(&parts).await {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    let form = match dashboard.visitors.form(&visitor, &parts, body).await {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    let fields = form.fields().unwrap_or_default();
    let given = |name: &str| fields.get(name).filter(|given| !given.trim().is_empty()).map(str::to_owned);
    let now = dashboard.clock.now();
    let template = Template {
        id: TemplateId::new(now, [0; 10]),
        client_id: client_id(&client).unwrap_or_else(|_| ClientId::from_bytes([0; 16])),
        code: "preview".into(),
        version: 1,
        name: "preview".into(),
        subject: given("subject"),
        html: given("html"),
        text: given("text"),
        variables_schema: None,
        created_at: now,
        updated_at: now,
    };
    let variables = given("variables").unwrap_or_else(|| "{}".into());
    let html = match serde_json::from_str(&variables) {
        Ok(variables) => match render::preview(&template, variables) {
            Ok(rendered) => {
                let text = rendered.text.unwrap_or_default();
                rendered.html.unwrap_or_else(|| format!("<pre>{}</pre>", harmless(&text)))
            }
            Err(faults) => {
                let said = faults.iter().map(|fault| format!("<li>{}</li>", harmless(&fault.message)));
                format!("<ul>{}</ul>", said.collect::<String>())
            }
        },
        Err(error) => format!("<p>The variables are no JSON object: {}</p>", harmless(&error.to_string())),
    };
    visitor.finish(frame::answer(&html, "", &[]))
}

fn harmless(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Dashboard {
    async fn templates_page(&self, shell: Shell, asked: Option<&str>) -> Result<TemplatesPage, StoreError> {
        let (clients, chosen) = self.choice(asked).await?;
        let templates = self.store.templates(chosen).await?.into_iter().map(|template| Row {
            address: format!("/admin/templates/{chosen}?code={}", escaped(&template.code)),
            at: self.moment(template.updated_at),
            code: template.code,
            name: template.name,
            version: template.version,
        });
        Ok(TemplatesPage { shell, templates: templates.collect(), client: chosen.to_string(), clients })
    }

    async fn template_page(
        &self,
        shell: Shell,
        client: &str,
        fields: &Fields<'_>,
    ) -> Result<TemplatePage, StoreError> {
        let id = client_id(client)?;
        let Some(code) = fields.get("code").filter(|code| !code.is_empty()) else {
            return Ok(TemplatePage {
                shell,
                client: client.to_owned(),
                code: String::new(),
                name: String::new(),
                subject: String::new(),
                html: String::new(),
                text: String::new(),
                version: 0,
                newest: 0,
                versions: Vec::new(),
            });
        };
        let newest = self.store.template(id, code).await?.ok_or(StoreError::NotFound)?;
        let last = newest.version;
        let template = match fields.get("version").and_then(|text| text.parse().ok()) {
            Some(version) => {
                self.store.template_version(id, code, version).await?.ok_or(StoreError::NotFound)?
            }
            None => newest,
        };
        let address =
            |version: u32| format!("/admin/templates/{client}?code={}&version={version}", escaped(code));
        Ok(TemplatePage {
            shell,
            client: client.to_owned(),
            code: template.code,
            name: template.name,
            subject: template.subject.unwrap_or_default(),
            html: template.html.unwrap_or_default(),
            text: template.text.unwrap_or_default(),
            version: template.version,
            newest: last,
            versions: (1..=last).rev().take(20).map(|version| (version, address(version))).collect(),
        })
    }
}
